"""The gate of a run: passes only what every check passes, stays within its budget, and notices circles."""

import itertools

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stormbreaker.support import compiled, spec, with_looks

from hephaestus.errors import UsageError
from hephaestus.stormbreaker import (
    Budget,
    Exhausted,
    Gate,
    Passed,
    Ruling,
    SentBack,
    State,
    Stormbreaker,
    Unclear,
)
from hephaestus.stormbreaker.gate import FINAL, MAX_FEEDBACK, MAX_FEEDBACK_BYTES, feedback_of
from hephaestus.stormbreaker.kind import Observation, Subject
from hephaestus.stormbreaker.result import detail

pytestmark = pytest.mark.anyio


def say(subject: Subject) -> Observation:
    """Obeys the artefact: `ok` passes, `fail:...` fails with that text, `broken` raises, `empty` inspects nothing."""
    word = str(subject.value)
    if word == "broken":
        raise OSError(word)
    if word.startswith("fail"):
        return Observation(inspected=1, details=(detail("ok", word.split("!", maxsplit=1)[0]),), problems=1)
    return Observation(inspected=0 if word == "empty" else 1)


def gate(attempts: int = 3, undecided: int = 1, *, feedback: bool = True) -> Gate:
    return Gate(Stormbreaker(with_looks(say=say)), Budget(attempts, undecided), feedback=feedback)


async def rule(on: Gate, *words: str) -> list[Ruling]:
    return [await on.submit(f'"{word}"'.encode()) for word in words]


async def test_a_pass_ends_the_run_and_names_attempt_and_origins() -> None:
    on = gate()
    back, passed = await rule(on, "fail", "ok")
    assert isinstance(back, SentBack)
    assert isinstance(passed, Passed)
    assert (back.attempt, back.remaining, passed.attempt) == (1, 2, 2)
    assert passed.origins == {"card": (), "package": ("say",), "caller": ()}
    assert on.state is State.CERTIFIED


async def test_spent_attempts_end_the_run_and_the_last_candidate_is_kept() -> None:
    on = gate(attempts=2)
    _, last = await rule(on, "fail 1", "fail 2")
    assert isinstance(last, Exhausted)
    assert (last.attempt, last.stalled, on.state) == (2, False, State.REFUSED)
    assert on.candidate is not None
    assert on.candidate.unverified == b'"fail 2"'
    assert on.candidate.digest == last.verdict.artefact


async def test_the_same_artefact_twice_is_a_stall() -> None:
    _, _, last = await rule(gate(attempts=9), "fail 1", "fail 2", "fail 1")
    assert isinstance(last, Exhausted)
    assert (last.attempt, last.stalled) == (3, True)


async def test_the_same_artefact_is_a_stall_even_if_a_check_tells_it_differently() -> None:
    numbers = itertools.count()

    def fickle(subject: Subject) -> Observation:
        return Observation(inspected=1, details=(detail("ok", str(next(numbers))),), problems=1)

    _, last = await rule(Gate(Stormbreaker(with_looks(fickle=fickle)), Budget(9)), "same", "same")
    assert isinstance(last, Exhausted)
    assert last.stalled


async def test_the_same_failures_twice_are_a_stall() -> None:
    _, last = await rule(gate(attempts=9), "fail!one", "fail!other")
    assert isinstance(last, Exhausted)
    assert last.stalled


async def test_other_failures_of_the_same_check_are_progress() -> None:
    rulings = await rule(gate(attempts=9), "fail 1", "fail 2", "fail 3")
    assert all(isinstance(ruling, SentBack) for ruling in rulings)


@pytest.mark.parametrize("word", ["broken", "empty"])
async def test_what_cannot_be_checked_costs_no_attempt_and_has_its_own_budget(word: str) -> None:
    on = gate(attempts=1, undecided=1)
    first, second = await rule(on, word, word)
    assert isinstance(first, Unclear)
    assert isinstance(second, Unclear)
    assert (first.again, second.again) == (True, False)
    assert (on.attempts, on.undecided, on.state) == (0, 2, State.UNDECIDED)


async def test_an_undecided_artefact_may_come_again_and_pass() -> None:
    flaky = iter([OSError("first time"), None])

    def once(subject: Subject) -> Observation:
        if (error := next(flaky)) is not None:
            raise error
        return Observation(inspected=1)

    on = Gate(Stormbreaker(with_looks(once=once)))
    unclear, passed = await rule(on, "same", "same")
    assert isinstance(unclear, Unclear)
    assert isinstance(passed, Passed)
    assert passed.attempt == 1


@pytest.mark.parametrize(
    ("words", "state"),
    [(["ok"], "certified"), (["fail", "fail"], "refused"), (["broken", "broken"], "undecided")],
)
async def test_after_its_last_ruling_a_gate_judges_nothing_more(words: list[str], state: str) -> None:
    on = gate()
    await rule(on, *words)
    with pytest.raises(UsageError, match=state):
        await on.submit(b'"ok"')


async def test_a_cancelled_judgement_counts_nothing() -> None:
    started = anyio.Event()

    class Slow(Stormbreaker):
        async def judge(self, artefact: object) -> object:  # type: ignore[override]
            started.set()
            return await anyio.sleep_forever()

    on = Gate(Slow(with_looks(say=say)))
    async with anyio.create_task_group() as group:
        group.start_soon(on.submit, b'"ok"')
        await started.wait()
        assert on.state is State.CHECKING
        group.cancel_scope.cancel()
    assert (on.state, on.attempts, on.undecided) == (State.RUNNING, 0, 0)


async def test_submissions_at_once_are_ruled_on_one_after_the_other() -> None:
    on = gate(attempts=2)
    rulings: list[Ruling] = []

    async def submit(word: str) -> None:
        rulings.extend(await rule(on, word))

    async with anyio.create_task_group() as group:
        group.start_soon(submit, "fail 1")
        group.start_soon(submit, "fail 2")
    assert sorted(ruling.attempt for ruling in rulings if not isinstance(ruling, Unclear)) == [1, 2]
    assert [type(ruling) for ruling in rulings] == [SentBack, Exhausted]


async def test_of_two_passes_at_once_only_the_first_is_one() -> None:
    on = gate()
    rulings: list[Ruling] = []
    refused: list[UsageError] = []

    async def submit(word: str) -> None:
        try:
            rulings.extend(await rule(on, word))
        except UsageError as error:
            refused.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(submit, "ok 1")
        group.start_soon(submit, "ok 2")
    assert [type(ruling) for ruling in rulings] == [Passed]
    assert len(refused) == 1


async def test_feedback_says_what_is_wrong_and_where() -> None:
    checks = compiled(spec("polite", "regex", select="/*", must_not="damn"))
    ruling = await Gate(Stormbreaker(checks)).submit(b'["fine", "damn"]')
    assert isinstance(ruling, SentBack)
    (told,) = ruling.feedback
    assert (told.check, told.found, told.where) == ("polite", "damn", "/1")
    assert "damn" in told.expected


async def test_of_a_hidden_check_nothing_that_it_expects_is_told() -> None:
    checks = compiled(spec("secret", "regex", select="", must="^xyzzy$", hidden=True))
    ruling = await Gate(Stormbreaker(checks)).submit(b'"guess"')
    assert isinstance(ruling, SentBack)
    assert [(told.expected, told.found) for told in ruling.feedback] == [("", "guess")]
    assert "xyzzy" not in repr(ruling.feedback)


async def test_withheld_findings_leave_no_feedback_at_all() -> None:
    (ruling,) = await rule(gate(feedback=False), "fail")
    assert isinstance(ruling, SentBack)
    assert ruling.feedback == ()
    assert ruling.verdict.failed


async def test_feedback_is_bounded_and_every_failing_check_has_its_turn() -> None:
    def wordy(subject: Subject) -> Observation:
        details = tuple(detail("é" * 1000, f"{n} " + "é" * 1000, "/x" * 300) for n in range(20))
        return Observation(inspected=20, details=details, problems=20)

    checks = with_looks(a=wordy, b=wordy, c=wordy, d=lambda s: Observation(inspected=0), e=lambda s: Observation(1))
    feedback = feedback_of(await Stormbreaker(checks).judge(b"{}"))
    assert len(feedback) == MAX_FEEDBACK
    assert [told.check for told in feedback[:4]] == ["a", "b", "c", "a"]
    for told in feedback:
        assert max(len(text.encode()) for text in (told.expected, told.found, told.where)) <= MAX_FEEDBACK_BYTES


async def test_an_error_beside_a_failure_is_not_told_to_the_agent() -> None:
    def explode(subject: Subject) -> Observation:
        raise OSError("a machine is out of order")

    verdict = await Stormbreaker(with_looks(say=say, broken=explode)).judge(b'"fail"')
    assert [told.check for told in feedback_of(verdict)] == ["say"]


@pytest.mark.parametrize("numbers", [(0, 0), (-1, 1), (1, -1)])
def test_a_budget_allows_at_least_one_attempt(numbers: tuple[int, int]) -> None:
    with pytest.raises(UsageError):
        Budget(*numbers)


def test_a_passing_ruling_is_made_by_the_gate_only() -> None:
    passed = anyio.run(rule, gate(), "ok")[0]
    assert isinstance(passed, Passed)
    with pytest.raises(TypeError, match=r"Gate\.submit"):
        Passed(passed.verdict, attempt=1, origins=passed.origins)


@given(
    words=st.lists(
        st.sampled_from(["ok", "fail 1", "fail 2", "fail 3", "fail!x", "fail!y", "broken", "empty"]), max_size=12
    ),
    attempts=st.integers(1, 4),
    undecided=st.integers(0, 3),
)
def test_whatever_an_agent_submits_the_budget_holds_and_only_ok_passes(
    words: list[str], attempts: int, undecided: int
) -> None:
    async def play() -> None:
        on = gate(attempts, undecided)
        seen: set[str] = set()
        for word in words:
            if on.state in FINAL:
                with pytest.raises(UsageError):
                    await on.submit(f'"{word}"'.encode())
                continue
            (ruling,) = await rule(on, word)
            assert isinstance(ruling, Passed) == (word == "ok") == (on.state is State.CERTIFIED)
            assert isinstance(ruling, Unclear) == (word in ("broken", "empty"))
            assert on.attempts <= attempts
            assert on.undecided <= undecided + 1
            if isinstance(ruling, SentBack):
                assert word.split("!")[0] not in seen
                assert ruling.remaining == attempts - on.attempts > 0
            if isinstance(ruling, Exhausted):
                assert ruling.stalled == (word.split("!")[0] in seen)
                assert ruling.stalled or on.attempts == attempts
            if word.startswith("fail"):
                seen.add(word.split("!")[0])

    anyio.run(play)
