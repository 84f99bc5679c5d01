"""The parts that verbs share."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Type
from tests.support.children import linux_only

from hephaestus.cli import channel
from hephaestus.cli.output import Output
from hephaestus.cli.run import exit_code, outcome_body, show_disposal, show_outcome
from hephaestus.cli.session import opened
from hephaestus.cli.when import day_and_time
from hephaestus.errors import UsageError
from hephaestus.runtime import probe
from hephaestus.stormbreaker import Interrupted, Outcome, Refused, Undecided
from hephaestus.taskforce import Disposal


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Refused(findings=()), 3),
        (Refused(findings=(), cause="check"), 3),
        (Undecided(cause="specification"), 7),
        (Undecided(cause="routing"), 5),
        (Undecided(cause="isolation"), 6),
        (Undecided(cause="model"), 7),
        (Undecided(cause="budget"), 7),
        (Interrupted(question="Which one?"), 8),
    ],
)
def test_outcomes_end_with_the_codes_of_the_contract(outcome: Outcome, code: int) -> None:
    assert exit_code(outcome) == code
    assert outcome_body(outcome)["exit_code"] == code


def test_a_question_and_a_failed_disposal_are_shown() -> None:
    stream = io.StringIO()
    out = Output(stdout=stream, stderr=stream)
    show_outcome(Interrupted(question="Which \x1b[0mone?"), out)
    show_disposal(
        Disposal(verified=False, children=2, processes_left=(7,), folders_left=(), descriptors_left=0, how=()), out
    )
    assert stream.getvalue() == (
        "WAITS FOR AN ANSWER: Which \\x1b[0mone?\ndisposal: 2 processes were started, SOMETHING IS LEFT\n"
    )
    assert outcome_body(Interrupted(question="Which?"))["question"] == "Which?"


def options(home: Path, **more: Any) -> argparse.Namespace:
    return argparse.Namespace(home=home, **more)


@pytest.mark.anyio
async def test_level_and_model_reach_the_runtime(tmp_path: Path) -> None:
    named = options(tmp_path, level="none", model="http://127.0.0.1:9", model_name="m", model_key_env="KEY")
    async with opened(named) as runtime:
        assert runtime.config.level == "none"
        assert runtime.config.model is not None
        assert (runtime.config.model.url, runtime.config.model.name) == ("http://127.0.0.1:9", "m")
        assert runtime.config.model.key_env == "KEY"
    async with opened(options(tmp_path)) as runtime:
        assert (runtime.config.level, runtime.config.model) == ("isolated", None)


@pytest.mark.anyio
@pytest.mark.parametrize("given", [{"model": "http://x", "model_name": None}, {"model": None, "model_name": "m"}])
async def test_a_model_has_a_server_and_a_name(tmp_path: Path, given: dict[str, str | None]) -> None:
    with pytest.raises(UsageError, match="go together"):
        async with opened(options(tmp_path / "home", **given)):
            pass
    assert not (tmp_path / "home").exists()


def test_times_are_utc_and_never_fail() -> None:
    assert day_and_time(0) == "1970-01-01 00:00:00Z"
    assert day_and_time(1e20) == "100000000000000000000 s"


def test_a_user_without_a_name_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert channel._who() == ""


@linux_only
@pytest.mark.parametrize("level", ["isolated", "restricted"])
def test_a_level_that_is_not_to_be_had_ends_with_6(typed: Type, shop: Path, level: str) -> None:
    if level not in probe().reasons:
        pytest.skip(f"{level} is to be had here")
    done = typed("run", "--level", level, "count the words: a", "--json")
    assert (done.code, done.object["outcome"]["cause"]) == (6, "isolation")
    done = typed("check", shop / "text-statistics", "--level", level, "--json")
    assert (done.code, done.error["kind"]) == (6, "IsolationUnavailable")


@linux_only
def test_a_lower_level_is_written_into_the_certificate(typed: Type, shop: Path) -> None:
    done = typed("run", "--level", "none", "count the words: a", "--certificate", shop / "low", "--json")
    assert done.object["certificate"]["isolation"]["level"] == "none"
    assert done.object["certificate"]["overrides"] == [
        {"what": "isolation", "reason": "the caller named the level none"}
    ]
    assert "override   isolation: the caller named the level none" in typed("certificate", "verify", shop / "low").out


def test_a_certificate_is_read_from_standard_input_up_to_a_limit(
    typed: Type, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stdin(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    stdin((shop / "proof").read_bytes())
    assert typed("certificate", "verify", "-").code == 0
    stdin(b"x" * ((16 << 20) + 1))
    done = typed("certificate", "verify", "-", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    stdin(b"{}")
    done = typed("certificate", "verify", "-", "--json")
    assert (done.code, done.error["kind"]) == (1, "IntegrityError")
