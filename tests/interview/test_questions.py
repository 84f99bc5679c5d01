"""What is asked, in which order, and that every option is a real answer."""

from __future__ import annotations

import pytest
from tests.interview.briefs import CHECKS, FILES, full

from hephaestus.errors import UsageError
from hephaestus.interview import Interview, Question
from hephaestus.interview.questions import options, questions
from hephaestus.interview.table import BY_NAME, FIELDS, PENALTIES, Status

STATED: dict[str, Status] = dict.fromkeys(BY_NAME, "stated")


def order(**changes: Status) -> list[str]:
    statuses = STATED | {name.replace("__", "."): status for name, status in changes.items()}
    return [question.field for question in questions(statuses, (), CHECKS)]


def test_nothing_is_asked_about_what_was_stated() -> None:
    assert order() == []


def test_the_question_that_wins_most_points_comes_first() -> None:
    # scope.out 20 * 35 * 35, goal.examples 35 * 10 * 100, context.inputs 20 * 45 * 100
    assert order(goal__examples="missing", scope__out="assumed", context__inputs="missing") == [
        "context.inputs", "goal.examples", "scope.out",
    ]  # fmt: skip


def test_of_equal_questions_the_first_of_the_form_comes_first() -> None:
    assert order(context__audience="missing", constraint__must_not="missing") == [
        "context.audience", "constraint.must_not",
    ]  # fmt: skip
    assert order(scope__stop_when="missing", scope__edge_cases="missing") == ["scope.edge_cases", "scope.stop_when"]


def test_a_blocking_field_counts_twice_and_is_asked_even_if_it_is_stated() -> None:
    statuses = STATED | {"goal.outcome": "assumed", "context.inputs": "assumed"}
    # goal.outcome 35 * 25 * 35 = 30,625; context.inputs 20 * 45 * 35 = 31,500
    assert [q.field for q in questions(statuses, (), CHECKS)] == ["context.inputs", "goal.outcome"]
    assert [q.field for q in questions(statuses, ("goal.outcome",), CHECKS)] == ["goal.outcome", "context.inputs"]
    assert [q.field for q in questions(STATED, ("goal.acceptance",), CHECKS)] == ["goal.acceptance"]
    bound: dict[str, Status] = STATED | {"goal.acceptance": "bound"}
    assert [q.field for q in questions(bound, ("goal.acceptance",), CHECKS)] == ["goal.acceptance"]


@pytest.mark.parametrize("checks", [{}, {"one": "regex"}, CHECKS, {f"c{n}": "regex" for n in range(9)}], ids=len)
def test_every_question_has_two_to_five_options(checks: dict[str, str]) -> None:
    missing: dict[str, Status] = dict.fromkeys(BY_NAME, "missing")
    asked = questions(missing, (), checks)
    assert {question.field for question in asked} == set(BY_NAME)
    for question in asked:
        assert isinstance(question, Question)
        assert 2 <= len(question.options) <= 5
        assert question.text.rstrip().endswith((".", "?"))


@pytest.mark.parametrize("field", [field.name for field in FIELDS])
def test_choosing_an_option_answers_the_field(field: str) -> None:
    start = Interview(full(), checks=CHECKS, files=FILES)
    for label, value in options(field, checks=CHECKS).items():
        if value is None:
            with pytest.raises(UsageError, match="is done in the package"):
                start.answer(field, label)
            continue
        point = next(p for p in start.answer(field, label).report.points if p.field == field)
        assert point.penalty <= PENALTIES["assumed"], label
