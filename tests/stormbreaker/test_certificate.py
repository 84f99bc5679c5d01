"""Certificates: an honest pass verifies everywhere, and anything moved, edited or sealed by others is refused."""

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stormbreaker.support import Key, facts, spec

from hephaestus import canonical
from hephaestus.canonical import digest_bytes
from hephaestus.errors import IntegrityError
from hephaestus.seals import Seal
from hephaestus.stormbreaker import (
    Certificate,
    Gate,
    Isolation,
    Override,
    Passed,
    RunFacts,
    Stormbreaker,
    certificate_bytes,
    gate,
    parse_certificate,
    seal_certificate,
    verified,
    verify_certificate,
)
from hephaestus.stormbreaker.mint import Mint

pytestmark = pytest.mark.anyio

ARTEFACT = b'{"answer": "42"}'
KEY = Key()


async def passing(artefact: bytes = ARTEFACT) -> Passed:
    ruling = await Gate(Stormbreaker([spec("digit", "regex", must=r"\d")])).submit(artefact)
    assert isinstance(ruling, Passed)
    return ruling


async def sealed(artefact: bytes = ARTEFACT, *, run: str = "run-1", key: Key = KEY) -> Certificate:
    return await seal_certificate(await passing(artefact), facts(run), signer=key)


CERTIFICATE = anyio.run(sealed)


async def test_an_honest_pass_verifies() -> None:
    verify_certificate(
        CERTIFICATE,
        KEY.trusted,
        artefact=ARTEFACT,
        run="run-1",
        lock=facts().lock,
        checks=(await passing()).verdict.checks,
    )
    assert CERTIFICATE.origins == {"card": (), "package": (), "caller": ("digit",)}
    assert (CERTIFICATE.attempt, CERTIFICATE.key_id, len(CERTIFICATE.seal)) == (1, KEY.id, 64)


def test_it_comes_back_from_its_bytes() -> None:
    data = certificate_bytes(CERTIFICATE)
    assert parse_certificate(data) == CERTIFICATE
    assert canonical.decode(data)["run"] == "run-1"
    verify_certificate(parse_certificate(data), KEY.trusted, artefact=ARTEFACT)


def test_sealing_the_same_run_again_gives_the_same_bytes() -> None:
    assert certificate_bytes(anyio.run(sealed)) == certificate_bytes(CERTIFICATE)


async def test_it_holds_for_no_other_artefact_run_lock_or_checks() -> None:
    other = digest_bytes(b"other")
    for claim in ({"artefact": ARTEFACT + b" "}, {"run": "run-2"}, {"lock": other}, {"checks": other}):
        with pytest.raises(IntegrityError, match="expected the certificate of"):
            verify_certificate(CERTIFICATE, KEY.trusted, **claim)  # type: ignore[arg-type]


def edited(data: st.DataObject, value: object) -> object:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return data.draw(st.integers(0, 9).filter(lambda n: n != value))
        case bytes():
            return data.draw(st.binary(min_size=64, max_size=64).filter(lambda b: b != value))
        case str() if canonical.is_digest(value):
            return digest_bytes(data.draw(st.binary(max_size=4)))
        case str():
            return data.draw(st.text(max_size=8).filter(lambda text: text != value))
        case Isolation():
            return data.draw(
                st.sampled_from(
                    [
                        msgspec.structs.replace(value, level="restricted"),
                        msgspec.structs.replace(value, uid="shared"),
                        msgspec.structs.replace(value, features={}),
                        msgspec.structs.replace(value, features={**value.features, "seccomp": "on"}),
                    ]
                )
            )
        case dict():
            return data.draw(st.sampled_from([{}, {**value, "card": ("other",)}, {**value, "caller": ()}]))
        case tuple():
            return (Override(what="isolation", reason="because"),)
    raise AssertionError(value)


@given(
    st.data(), st.sampled_from([field.name for field in msgspec.structs.fields(Certificate) if field.name != "schema"])
)
def test_any_edited_field_is_found_out(data: st.DataObject, field: str) -> None:
    forged = msgspec.structs.replace(CERTIFICATE, **{field: edited(data, getattr(CERTIFICATE, field))})
    with pytest.raises(IntegrityError):
        verify_certificate(forged, KEY.trusted)


@given(st.integers(0, len(certificate_bytes(CERTIFICATE)) - 1), st.integers(0, 255))
def test_any_changed_byte_is_found_out(at: int, byte: int) -> None:
    data = bytearray(certificate_bytes(CERTIFICATE))
    if data[at] == byte:
        byte ^= 1
    data[at] = byte
    with pytest.raises(IntegrityError):
        verify_certificate(parse_certificate(bytes(data)), KEY.trusted)


async def test_the_seal_of_another_run_does_not_fit() -> None:
    other = await sealed(run="run-2")
    moved = msgspec.structs.replace(CERTIFICATE, seal=other.seal)
    with pytest.raises(IntegrityError):
        verify_certificate(moved, KEY.trusted)


async def test_another_key_is_not_trusted_even_under_a_trusted_name() -> None:
    thief = Key()
    stolen = await sealed(key=thief)
    with pytest.raises(IntegrityError, match="not trusted"):
        verify_certificate(stolen, KEY.trusted)
    with pytest.raises(IntegrityError):
        verify_certificate(msgspec.structs.replace(stolen, key_id=KEY.id), KEY.trusted)
    with pytest.raises(IntegrityError):
        verify_certificate(stolen, {thief.id: KEY.public})


def test_a_revoked_key_is_not_trusted() -> None:
    with pytest.raises(IntegrityError, match="revoked"):
        verify_certificate(CERTIFICATE, {})


async def test_a_seal_for_another_purpose_is_none() -> None:
    class Wrong(Key):
        async def sign(self, tag: str, payload: bytes, /) -> Seal:
            return await super().sign("head", payload)

    wrong = Wrong()
    with pytest.raises(IntegrityError):
        verify_certificate(await sealed(key=wrong), wrong.trusted)


async def test_facts_without_a_canonical_form_are_not_sealed() -> None:
    odd = msgspec.structs.replace(facts(), run="\ud800")
    with pytest.raises(IntegrityError, match="text"):
        await seal_certificate(await passing(), odd, signer=KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: {**body, "extra": 1},
        lambda body: {k: v for k, v in body.items() if k != "attempt"},
        lambda body: {**body, "schema": "hephaestus/certificate/2"},
        lambda body: {**body, "attempt": "1"},
        lambda body: {**body, "replayable": 1},
        lambda body: {**body, "seal": body["seal"].rstrip("=")},
        lambda body: {**body, "seal": body["seal"][:-3] + chr(ord(body["seal"][-3]) + 1) + "=="},
        lambda body: {**body, "isolation": {**body["isolation"], "level": "total"}},
        lambda body: {**body, "origins": {**body["origins"], "agent": []}},
        lambda body: [body],
    ],
)
def test_only_a_certificate_parses_as_one(change: object) -> None:
    body = change(canonical.decode(certificate_bytes(CERTIFICATE)))  # type: ignore[operator]
    with pytest.raises(IntegrityError):
        parse_certificate(canonical.encode(body))


@pytest.mark.parametrize("data", [b"", b"null", b"{", b"\xff", b" " + certificate_bytes(CERTIFICATE), b" " * (2 << 20)])
def test_one_certificate_has_one_spelling(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        parse_certificate(data)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_raise_anything_else(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        parse_certificate(data)


async def test_a_certificate_over_no_checks_is_none() -> None:
    empty = msgspec.structs.replace(CERTIFICATE, origins={"card": (), "package": (), "caller": ()})
    body = msgspec.structs.asdict(empty)
    del body["key_id"], body["seal"]
    seal = await KEY.sign("certificate", canonical.encode(body))
    with pytest.raises(IntegrityError, match="no check"):
        verify_certificate(msgspec.structs.replace(empty, seal=seal.seal), KEY.trusted)


async def test_a_ruling_over_a_failed_verdict_is_not_sealed() -> None:
    ruling = await passing()
    failed = msgspec.structs.replace(ruling.verdict, findings=())
    with gate._PASSED.open():  # what no honest code does
        forged = Passed(failed, attempt=1, origins=ruling.origins)
    with pytest.raises(IntegrityError, match="passed"):
        await seal_certificate(forged, facts(), signer=KEY)


async def test_a_success_comes_from_a_certificate_of_exactly_these_bytes() -> None:
    outcome = verified(CERTIFICATE, KEY.trusted, artefact=ARTEFACT)
    assert (outcome.value, outcome.certificate) == ({"answer": "42"}, CERTIFICATE)
    with pytest.raises(IntegrityError):
        verified(CERTIFICATE, KEY.trusted, artefact=b'{"answer": "43"}')
    with pytest.raises(IntegrityError):
        verified(CERTIFICATE, {}, artefact=ARTEFACT)


async def test_a_sealed_artefact_that_is_no_json_is_no_success() -> None:
    ruling = await passing()
    verdict = msgspec.structs.replace(ruling.verdict, artefact=digest_bytes(b"{"))
    with gate._PASSED.open():  # what no honest code does
        forged = Passed(verdict, attempt=1, origins=ruling.origins)
    certificate = await seal_certificate(forged, facts(), signer=KEY)
    with pytest.raises(IntegrityError, match="JSON"):
        verified(certificate, KEY.trusted, artefact=b"{")


async def test_an_open_mint_is_open_for_its_own_task_only() -> None:
    mint = Mint("here")
    closed: list[str] = []

    async def elsewhere(value: object) -> None:
        try:
            mint.check(value)
        except TypeError as error:
            closed.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(elsewhere, 1)
        with mint.open():
            mint.check(1)
            await anyio.lowlevel.checkpoint()
    assert closed == ["int is made by here, and by nothing else"]


def test_facts_of_a_run_are_immutable() -> None:
    with pytest.raises(AttributeError):
        facts().run = "other"  # type: ignore[misc]
    assert isinstance(facts(), RunFacts)
