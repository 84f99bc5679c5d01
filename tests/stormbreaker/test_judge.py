"""Stormbreaker.judge: one finding per check, fails closed, raises for nothing that an artefact holds."""

import json
import random
import threading
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stormbreaker.support import Texts, compiled, spec, unused_executor, with_looks, with_run

from hephaestus import canonical
from hephaestus.errors import ChecksRefused
from hephaestus.stormbreaker import CheckSet, Detail, Result, Stormbreaker, Verdict, verdict_body, verdict_texts
from hephaestus.stormbreaker import stormbreaker as module
from hephaestus.stormbreaker.kind import Observation, Subject
from hephaestus.stormbreaker.result import Finding, detail, printable

pytestmark = pytest.mark.anyio

GOOD = Observation(inspected=1)
BAD = Observation(inspected=1, details=(detail("e", "f"),), problems=1)


def judge_now(stormbreaker: Stormbreaker, artefact: object) -> Verdict:
    """For properties: Hypothesis calls plain functions."""
    return anyio.run(stormbreaker.judge, artefact)


def polite() -> Stormbreaker:
    return Stormbreaker([spec("polite", "regex", must_not="(?i)damn")])


async def test_a_verdict_names_the_bytes_and_the_checks_that_it_is_about() -> None:
    artefact = b'{"text":   "fine"}'
    verdict = await polite().judge(artefact)
    assert verdict.passed
    assert verdict.artefact == canonical.digest_bytes(artefact)
    assert verdict.checks == polite().checks.digest
    assert [(f.check, f.result, f.inspected) for f in verdict.findings] == [("polite", Result.PASS, 2)]


async def test_a_callers_own_specs_are_compiled_with_their_origin() -> None:
    assert polite().checks.origins()["caller"] == ("polite",)


async def test_a_value_is_judged_as_the_json_that_it_is_written_as() -> None:
    verdict = await polite().judge({"text": "Damn \u00e9"})
    assert verdict.failed
    assert verdict.artefact == canonical.digest_bytes('{"text":"Damn é"}'.encode())
    assert (await polite().judge("a text is a JSON string")).passed
    assert (await polite().judge(bytearray(b'"x"'))).artefact == canonical.digest_bytes(b'"x"')


class Hostile(dict[str, object]):
    def items(self) -> Any:
        raise RuntimeError("not today")

    __iter__ = items

    def __bool__(self) -> bool:
        raise RuntimeError("nor this")

    def __len__(self) -> int:
        return 1


def endless() -> list[object]:
    circle: list[object] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    "artefact",
    [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b"{",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b"1e999",
        b"9" * 200_000,
        b"[" * 200_000,
        b"[" * 66 + b"]" * 66,
        b'"\\ud800"',
        b'\xef\xbb\xbf"bom"',
        b"\x00",
        b'"a" "b"',
        b" " * (module.MAX_ARTEFACT + 1),
        object(),
        {"a": float("nan")},
        {"a": {1, 2}},
        {1: "a", "1": "b"},
        {("a",): 1},
        endless(),
        Hostile(a=1),
        "\ud800",
        10**5000,
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, bytes) else type(value).__name__,
)
async def test_an_artefact_that_is_no_json_document_is_a_failed_attempt(artefact: object) -> None:
    verdict = await polite().judge(artefact)
    assert verdict.failed
    (finding,) = verdict.findings
    assert finding.check == "artefact"
    assert "JSON" in finding.details[0].expected


@pytest.mark.parametrize(
    "error",
    [
        ValueError("v"),
        AssertionError(),
        KeyError("k"),
        StopIteration(),
        StopAsyncIteration(),
        GeneratorExit(),
        SystemExit(0),
        KeyboardInterrupt(),
        RecursionError(),
        MemoryError(),
        ExceptionGroup("g", [ValueError()]),
        BaseExceptionGroup("g", [SystemExit(0)]),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"),
        type("Panic", (BaseException,), {})("of an extension"),
        type("Unprintable", (Exception,), {"__str__": lambda self: 1 / 0})(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_check_raises_it_is_an_error_and_never_a_pass(error: BaseException) -> None:
    def explode(subject: Subject) -> Observation:
        raise error

    verdict = await Stormbreaker(with_looks(good=lambda s: GOOD, bad=explode)).judge(b"{}")
    assert verdict.undecided
    assert not verdict.passed
    assert [f.result for f in verdict.findings] == [Result.ERROR, Result.PASS]
    assert type(error).__name__ in verdict.findings[0].message


async def test_a_failure_beside_an_error_is_a_failed_attempt() -> None:
    def explode(subject: Subject) -> Observation:
        raise ValueError

    verdict = await Stormbreaker(with_looks(bad=lambda s: BAD, broken=explode)).judge(b"{}")
    assert verdict.failed
    assert not verdict.undecided


async def test_a_check_that_inspected_nothing_leaves_the_attempt_undecided() -> None:
    verdict = await Stormbreaker(with_looks(empty=lambda s: Observation(inspected=0))).judge(b"{}")
    assert verdict.undecided
    assert "nothing to inspect" in verdict.findings[0].message


@pytest.mark.parametrize("answer", [None, True, "pass", Result.PASS])
async def test_an_answer_that_is_no_observation_is_an_error(answer: object) -> None:
    verdict = await Stormbreaker(with_looks(odd=lambda s: answer)).judge(b"{}")  # type: ignore[arg-type,return-value]
    assert verdict.findings[0].result is Result.ERROR


async def test_problems_without_details_still_fail() -> None:
    verdict = await Stormbreaker(with_looks(a=lambda s: Observation(inspected=1, problems=1))).judge(b"{}")
    assert verdict.failed


async def test_a_check_over_data_that_takes_too_long_is_a_timeout() -> None:
    done = threading.Event()

    def wait(subject: Subject) -> Observation:
        done.wait()
        return GOOD

    try:
        verdict = await Stormbreaker(with_looks(slow=wait, quick=lambda s: GOOD), data_deadline_ms=1000).judge(b"{}")
    finally:
        done.set()
    assert verdict.undecided
    assert {f.check: f.result for f in verdict.findings} == {"slow": Result.TIMEOUT, "quick": Result.PASS}


async def test_a_cancelled_judgement_is_cancelled_and_no_finding() -> None:
    async def hang(subject: Subject, executor: object) -> Observation:
        await anyio.sleep_forever()
        raise AssertionError

    stormbreaker = Stormbreaker(with_run(hang), executor=unused_executor())
    verdict = None
    with anyio.move_on_after(0.01) as scope:
        verdict = await stormbreaker.judge(b"{}")
    assert scope.cancelled_caught
    assert verdict is None


async def test_checks_need_what_they_look_at() -> None:
    quotes = compiled(spec("quotes", "quotes-in-knowledge"))
    code = compiled(spec("code", "python", entry="a:b"))
    with pytest.raises(ChecksRefused, match=r"`quotes`.*knowledge snapshot"):
        Stormbreaker(quotes)
    with pytest.raises(ChecksRefused, match=r"`code`.*executor"):
        Stormbreaker(code)
    Stormbreaker(quotes, passages=Texts())
    Stormbreaker(code, executor=unused_executor())


async def test_no_checks_are_refused_before_anything_is_judged() -> None:
    with pytest.raises(ChecksRefused):
        Stormbreaker([])
    with pytest.raises(ChecksRefused):
        Stormbreaker(CheckSet(checks=(), digest=canonical.digest_bytes(b""), compiled={}))
    with pytest.raises(ChecksRefused, match="no file"):
        Stormbreaker([spec("shape", "json-schema", schema="s.json")])


async def test_an_empty_verdict_does_not_pass() -> None:
    digest = canonical.digest_bytes(b"")
    assert not Verdict(artefact=digest, checks=digest, findings=()).passed
    vacuous = Finding(check="a", result=Result.PASS, inspected=0)
    assert not Verdict(artefact=digest, checks=digest, findings=(vacuous,)).passed


RULES = {
    "short": spec("short", "regex", select="", must=r"^.{0,12}$"),
    "digit": spec("digit", "regex", select="", must=r"\d"),
    "polite": spec("polite", "regex", select="", must_not="damn"),
    "shape": spec("shape", "json-schema", schema="s.json"),
    "many": spec("many", "regex", select="/*", must="x"),
}


def files(path: str) -> bytes | None:
    return b'{"type": "string", "minLength": 2}' if path == "s.json" else None


@given(
    names=st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=5, unique=True),
    artefact=st.sampled_from(["ab1", "damn 1", "1", "", "a much longer text, 1"])
    | st.text(max_size=15)
    | st.integers(),
    chance=st.randoms(use_true_random=False),
)
def test_the_order_of_checks_never_matters(names: list[str], artefact: object, chance: random.Random) -> None:
    shuffled = list(names)
    chance.shuffle(shuffled)
    one, other = (
        judge_now(Stormbreaker([RULES[name] for name in order], files=files), artefact) for order in (names, shuffled)
    )
    assert one == other


@given(
    names=st.lists(st.sampled_from(sorted(RULES)), min_size=2, max_size=5, unique=True),
    artefact=st.sampled_from(["ab1", "damn 1", "1", "a much longer text, 1", ["x", "y"]]) | st.text(max_size=15),
)
def test_one_more_check_never_turns_a_refusal_into_a_pass(names: list[str], artefact: object) -> None:
    fewer = judge_now(Stormbreaker([RULES[name] for name in names[:-1]], files=files), artefact)
    more = judge_now(Stormbreaker([RULES[name] for name in names], files=files), artefact)
    assert fewer.passed or not more.passed
    assert not fewer.failed or more.failed


@given(st.binary(max_size=60) | st.text(max_size=30).map(lambda text: json.dumps(text).encode()))
def test_no_bytes_make_it_raise_and_what_is_no_json_fails(data: bytes) -> None:
    verdict = judge_now(Stormbreaker([RULES["shape"]], files=files), data)
    try:
        json.loads(data)
    except ValueError:
        assert verdict.failed
    assert verdict.passed + verdict.failed + verdict.undecided == 1


async def test_texts_of_an_artefact_are_cut_and_made_printable() -> None:
    long = printable("\x1b[31mred\x00\n" + "x" * 1000)
    assert long.startswith("\\x1b[31mred\\x00\nxxx")
    assert long.endswith("x…")
    assert len(long) == 400
    assert printable("é…") == "é…"
    assert len(printable("\x1b" * 1000)) == 400
    assert detail("e", "\u202e", "/a") == Detail("e", "\\u202e", "/a")


async def test_the_body_of_a_verdict_is_canonical_and_holds_no_word_of_the_artefact() -> None:
    verdict = await Stormbreaker([spec("polite", "regex", must_not="s.cret")]).judge({"t": "a secret word"})
    body = canonical.encode(verdict_body(verdict))
    assert b"secret" not in body
    assert b"secret" in verdict_texts(verdict)
    assert verdict_body(verdict)["findings"][0]["texts"] == canonical.digest(
        "hephaestus/finding/1", canonical.decode(verdict_texts(verdict))[0]
    )
