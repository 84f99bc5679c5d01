"""The interview: it asks, it ends, it can be left and taken up again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.interview.briefs import CHECKS, FILES, brief, briefs, full, tree

from hephaestus.assets.brief import Brief
from hephaestus.errors import UsageError
from hephaestus.interview import Interview
from hephaestus.interview.questions import options
from hephaestus.interview.table import BY_NAME


def start(subject: Brief | None = None, rounds: int = 8) -> Interview:
    return Interview(subject or Brief(schema=1), checks=CHECKS, files=FILES, rounds=rounds)


def test_an_interview_from_nothing_builds_after_few_answers() -> None:
    interview, count = start(rounds=len(BY_NAME)), 0
    while question := interview.next_question():
        value: object = [{"input": "a", "expected": "b"}]  # an example is written by hand, everything else is chosen
        if question.field != "goal.examples":
            value = next(label for label, made in options(question.field, checks=CHECKS).items() if made is not None)
        interview, count = interview.answer(question.field, value), count + 1
    assert interview.report.builds
    assert count <= 15  # of 18 fields: a brief with nothing in it is the longest interview there is


def test_a_complete_brief_is_asked_nothing() -> None:
    assert start(full()).next_question() is None


@given(briefs(), st.integers(0, 30), st.data())
def test_asking_always_ends_and_never_asks_twice(subject: Brief, rounds: int, data: st.DataObject) -> None:
    interview = start(subject, rounds)
    asked = []
    while question := interview.next_question():
        asked.append(question.field)
        assert len(asked) <= min(rounds, len(BY_NAME))
        if data.draw(st.booleans()):
            interview = interview.skip(question.field, "later")
        else:
            interview = interview.answer(question.field, subject_value(subject, question.field))
    assert len(asked) == len(set(asked))


def subject_value(subject: Brief, field: str) -> object:
    axis, _, name = field.partition(".")
    return tree(subject)[axis][name]  # answered with what stood there: no better than before


@given(briefs(), st.lists(st.sampled_from(sorted(BY_NAME)), max_size=4))
def test_an_interrupted_interview_goes_on_with_the_same_question(subject: Brief, skipped: list[str]) -> None:
    interview = start(subject)
    for field in skipped:
        interview = interview.skip(field, "later")
    again = Interview.resume(interview.save(), checks=CHECKS, files=FILES)
    assert again.next_question() == interview.next_question()
    assert (again.asked, again.deferred) == (interview.asked, interview.deferred)
    assert again.report == interview.report


def test_a_step_leaves_the_interview_before_it_as_it_was() -> None:
    first = start()
    report = first.report
    second = first.answer("goal.outcome", "Answer questions about zip files")
    third = second.skip("goal.deliverable", "Ann decides")
    assert first.report == report
    assert first.asked == ()
    assert second.asked == ("goal.outcome",)
    assert third.asked == ("goal.outcome", "goal.deliverable")
    assert second.report.score < report.score


def test_deciding_later_is_recorded_and_stays_missing() -> None:
    interview = start(full()).skip("scope.out", "Ann decides")
    assert interview.deferred[0].reason == "Ann decides"
    assert interview.report.blocking == ("scope.out",)
    assert interview.next_question() is None
    answered = interview.answer("scope.out", "Questions about other programs")
    assert answered.report.builds
    assert answered.brief.provenance == {}


def test_answering_confirms_what_was_assumed() -> None:
    subject = brief(tree(full()) | {"provenance": {"constraint.budget.seconds": "assumed", "goal.outcome": "file"}})
    interview = start(subject).answer("constraint.budget", {"seconds": 5, "attempts": 1})
    assert interview.brief.provenance == {"goal.outcome": "file"}
    assert interview.brief.constraint.budget is not None
    assert interview.brief.constraint.budget.seconds == 5


def test_answering_a_field_again_does_not_cost_a_round() -> None:
    interview = start(rounds=2).answer("goal.outcome", "good").answer("goal.outcome", "Answer questions")
    assert interview.asked == ("goal.outcome",)
    assert interview.next_question() is not None


def test_saying_what_is_out_takes_back_that_nothing_is() -> None:
    data = tree(full())
    data["scope"] |= {"out": [], "nothing_excluded": "All texts belong here"}
    interview = start(brief(data)).answer("scope.out", ["Images"])
    assert interview.brief.scope.nothing_excluded is None
    assert interview.report.contradictions == ()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("goal.outcom", "x", "is no field of a brief"),
        ("goal.outcome", 5, "goal.outcome: Expected `str | null`"),
        ("constraint.network", "maybe", "constraint.network: Invalid enum value"),
        ("constraint.budget", {"secs": 5}, "unknown field `secs`"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("|", r"\|")):
        start().answer(field, value)


@pytest.mark.parametrize("value", ["a\udcff", "\ud800"], ids=["bytes-of-a-command-line", "half-a-pair"])
def test_text_that_is_not_unicode_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="surrogate"):
        start().answer("goal.outcome", value)


def test_a_value_that_is_nested_too_deeply_is_refused() -> None:
    deep: object = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(UsageError, match="nested deeper"):
        start().answer("goal.examples", [{"input": deep, "expected": 1}])
    for depth in (100, 400, 100_000):
        with pytest.raises(UsageError):
            start().answer_typed("goal.examples", "[{ input = 1, expected = " + "[" * depth + "]" * depth + "}]")


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("goal.outcome", '"quoted"', '"quoted"'),
        ("scope.in", "Questions about zip files", ["Questions about zip files"]),
        ("scope.in", '["a b", "c d"]', ["a b", "c d"]),
        ("constraint.tools_allowed", "none", []),
        ("constraint.tools_allowed", "search", ["search"]),
        ("constraint.network", "none", "none"),
        ("constraint.budget", "{ seconds = 7 }", {"seconds": 7, "attempts": None, "tokens": None, "money_cents": None}),
        ("context.audience", "12", "12"),
    ],
)
def test_what_a_person_types_is_an_option_a_text_or_a_value(field: str, text: str, said: object) -> None:
    axis, _, name = field.partition(".")
    assert tree(start().answer_typed(field, text).brief)[axis][name] == said


@given(st.sampled_from(sorted(BY_NAME)), st.text(max_size=40) | st.text("[]{}=\"',.0123456789 abc\n", max_size=40))
def test_whatever_is_typed_is_an_answer_or_refused(field: str, text: str) -> None:
    try:
        step = start().answer_typed(field, text)
    except UsageError:
        return
    assert step.asked == (field,)
    assert step.report.score <= 100


def test_putting_off_needs_a_field_and_a_reason() -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        start().skip("goal.outcome", " ")
    with pytest.raises(UsageError, match="is no field"):
        start().skip("goal", "later")


@pytest.mark.parametrize("saved", [b"", b"[]", b'{"brief": {"schema": 1}}', b"\xff", b'{"a":1,"a":2}'])
def test_bytes_that_are_no_saved_interview_are_refused(saved: bytes) -> None:
    with pytest.raises(UsageError, match="not a saved interview"):
        Interview.resume(saved, checks=CHECKS, files=FILES)


def test_an_interview_has_no_negative_number_of_rounds() -> None:
    with pytest.raises(UsageError, match="0 rounds or more"):
        start(rounds=-1)
