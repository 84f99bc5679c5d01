"""Check kind python: code of the package, in a child, over plain JSON, with a strictly decoded answer."""

import json
import sys

import anyio
import pytest
from tests.stormbreaker.support import Answers, compiled, spec

from hephaestus.errors import ChecksRefused, ChildError
from hephaestus.stormbreaker import Result, Stormbreaker, Verdict

pytestmark = pytest.mark.anyio


async def judged(answer: bytes | Exception, artefact: bytes = b'{"n": 1}', **params: object) -> tuple[Verdict, Answers]:
    executor = Answers(answer)
    checks = compiled(spec("code", "python", entry="checks:look", **params))
    return await Stormbreaker(checks, executor=executor).judge(artefact), executor


async def test_the_function_gets_the_exact_artefact_and_its_parameters() -> None:
    artefact = b'{"n":  1.50,\n"u": "\\u00e9"}'
    verdict, executor = await judged(b'{"inspected": 2, "findings": []}', artefact, args={"limit": 5}, deadline_ms=900)
    assert verdict.passed
    ((entry, payload, deadline),) = executor.asked
    assert (entry, deadline) == ("checks:look", 900)
    assert payload == b'{"artefact":' + artefact + b',"params":{"limit":5}}'
    assert json.loads(payload)["artefact"] == {"n": 1.5, "u": "é"}


async def test_what_it_finds_is_a_failed_check() -> None:
    answer = {
        "inspected": 0,
        "findings": [{"expected": "e", "found": "f", "where": "/n"}, {"expected": "", "found": ""}],
    }
    verdict, _ = await judged(json.dumps(answer).encode())
    assert verdict.failed
    (finding,) = verdict.findings
    assert [(d.expected, d.found, d.where) for d in finding.details] == [("e", "f", "/n"), ("", "", "")]


async def test_inspecting_nothing_is_no_pass() -> None:
    verdict, _ = await judged(b'{"inspected": 0, "findings": []}')
    assert verdict.undecided
    assert verdict.findings[0].result is Result.ERROR


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"true",
        b"null",
        b'"pass"',
        b"{}",
        b"[]",
        b'{"inspected": 1}',
        b'{"findings": []}',
        b'{"inspected": true, "findings": []}',
        b'{"inspected": "1", "findings": []}',
        b'{"inspected": 1.0, "findings": []}',
        b'{"inspected": -1, "findings": []}',
        b'{"inspected": 1, "findings": null}',
        b'{"inspected": 1, "findings": {}}',
        b'{"inspected": 1, "findings": [], "passed": true}',
        b'{"inspected": 0, "inspected": 1, "findings": []}',
        b'{"inspected": 1, "findings": [{"expected": "e"}]}',
        b'{"inspected": 1, "findings": [{"expected": 1, "found": "f"}]}',
        b'{"inspected": 1, "findings": []} trailing',
        b'{"inspected": NaN, "findings": []}',
        b'\xff{"inspected": 1, "findings": []}',
        b"[" * 100_000,
        b'{"inspected": 1, "findings": []' + b" " * (1 << 20) + b"}",
    ],
)
async def test_any_other_answer_is_an_error_and_no_pass(answer: bytes) -> None:
    verdict, _ = await judged(answer)
    assert verdict.undecided
    assert verdict.findings[0].result is Result.ERROR


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (TimeoutError(), Result.TIMEOUT),
        (ChildError("the child was killed by signal 9"), Result.ERROR),
        (OSError("no process to be had"), Result.ERROR),
        (ValueError("lone \ud800 surrogate"), Result.ERROR),
    ],
)
async def test_a_child_that_does_not_answer_leaves_the_attempt_undecided(error: Exception, result: Result) -> None:
    verdict, _ = await judged(error)
    assert verdict.undecided
    assert verdict.findings[0].result is result


async def test_the_deadline_holds_even_against_the_executor() -> None:
    ended: list[str] = []

    class Hangs:
        async def run_check(self, entry: str, payload: bytes, *, deadline_ms: int) -> bytes:
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(entry)

    checks = compiled(spec("code", "python", entry="checks:look", deadline_ms=1))
    verdict = await Stormbreaker(checks, executor=Hangs()).judge(b"{}")
    assert verdict.findings[0].result is Result.TIMEOUT
    assert ended == ["checks:look"]


async def test_the_function_is_never_imported_here() -> None:
    await judged(b'{"inspected": 1, "findings": []}')
    assert "checks" not in sys.modules


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"entry": "no-colon"},
        {"entry": "os.system('x'):y"},
        {"entry": "a:b", "args": {"ratio": 0.5}},
        {"entry": "a:b", "args": {"big": 2**60}},
        {"entry": "a:b", "deadline_ms": 0},
        {"entry": "a:b", "deadline_ms": 10**9},
    ],
)
def test_what_is_no_check_is_refused(params: dict[str, object]) -> None:
    with pytest.raises(ChecksRefused, match="`code`"):
        compiled(spec("code", "python", **params))
