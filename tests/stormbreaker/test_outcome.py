"""Endings: each has its kind, its cause and its exit code, and only one function makes the good one."""

import copy
import pickle

import anyio
import msgspec
import pytest
from tests.stormbreaker.test_certificate import ARTEFACT, KEY, sealed

from hephaestus.canonical import digest_bytes
from hephaestus.stormbreaker import (
    Finding,
    Interrupted,
    Outcome,
    Refused,
    Result,
    Undecided,
    UnverifiedOutput,
    Verified,
    verified,
)

CERTIFICATE = anyio.run(sealed)
FINDING = Finding(check="a", result=Result.FAIL, inspected=1)


@pytest.mark.parametrize(
    ("outcome", "kind", "cause", "code"),
    [
        (verified(CERTIFICATE, KEY.trusted, artefact=ARTEFACT), "verified", None, 0),
        (Refused(findings=(FINDING,)), "refused", "output", 3),
        (Refused(findings=(FINDING,), cause="budget"), "refused", "budget", 3),
        (Undecided(cause="check", message="m"), "undecided", "check", 7),
        (Interrupted(question="which?"), "interrupted", "caller", 8),
    ],
)
def test_every_ending_has_kind_cause_and_exit_code(outcome: Outcome, kind: str, cause: str | None, code: int) -> None:
    assert (outcome.kind, outcome.cause, outcome.exit_code) == (kind, cause, code)


def test_no_constructor_decoder_or_copy_makes_a_success() -> None:
    good = verified(CERTIFICATE, KEY.trusted, artefact=ARTEFACT)
    data = msgspec.to_builtins(good)
    with pytest.raises(TypeError, match="verified"):
        Verified(value="forged", certificate=CERTIFICATE)
    with pytest.raises((TypeError, msgspec.ValidationError)):
        msgspec.convert({**data, "value": "forged"}, Verified)
    with pytest.raises((TypeError, msgspec.ValidationError)):
        msgspec.json.decode(msgspec.json.encode(good), type=Verified)
    with pytest.raises(TypeError):
        msgspec.structs.replace(good, value="forged")
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(good))
    with pytest.raises(AttributeError):
        good.value = "forged"  # type: ignore[misc]
    assert copy.copy(good) == good


def test_a_rejected_output_cannot_be_taken_for_a_result() -> None:
    candidate = UnverifiedOutput(digest=digest_bytes(b"x"), unverified=b"x")
    refused = Refused(findings=(FINDING,), candidate=candidate)
    assert not hasattr(refused, "value")
    assert not hasattr(candidate, "value")
    assert not hasattr(refused, "certificate")


def test_endings_can_be_told_apart_by_pattern() -> None:
    match Undecided(cause="model", message="no answer"):
        case Verified() | Refused() | Interrupted():
            raise AssertionError
        case Undecided(cause=cause):
            assert cause == "model"
