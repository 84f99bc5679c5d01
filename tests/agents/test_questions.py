"""The promise of the guide: of questions written before it was, four in five get the right name quoted."""

from __future__ import annotations

from typing import Any

import pytest
from tests.agents.conftest import Question, questions

LEAST = 80  # percent


Answered = dict[str, dict[str, Any]]


def measure(asked: list[Question], answered: Answered) -> tuple[int, list[str]]:
    """Percent of questions with an expected name among the quotations, and a line for each one without."""
    misses = []
    for question in asked:
        quoted = [quotation["name"] for quotation in answered[question.ask]["quotations"]]
        if not set(quoted) & set(question.names):
            misses.append(f"{question.ask} -> {', '.join(quoted)}; expected one of {', '.join(question.names)}")
    return 100 * (len(asked) - len(misses)) // len(asked), misses


@pytest.mark.parametrize("name", ["questions.toml", "development.toml"])
def test_the_expected_name_is_quoted_for_four_in_five(name: str, answered: Answered) -> None:
    asked = questions(name)
    percent, misses = measure(asked, answered)
    report = f"{name}: {percent} % of {len(asked)}; missed:\n" + "\n".join(misses)
    print(report)
    assert percent >= LEAST, report


def test_there_are_at_least_fifty_questions_and_none_of_them_was_developed_with() -> None:
    final = questions("questions.toml")
    assert len(final) >= 50
    assert len({question.ask for question in final}) == len(final)
    assert not {question.ask for question in final} & {question.ask for question in questions("development.toml")}


def test_the_questions_are_spread_over_the_library() -> None:
    heads = {question.names[0].split(".")[0] for question in questions("questions.toml")}
    assert len(heads) >= 30


def test_measuring_notices_a_wrong_answer(answered: Answered) -> None:
    wrong = Question(ask="how do I make my program pause for five seconds?", names=("zipfile.ZipFile.open",))
    percent, misses = measure([wrong], answered)
    assert percent == 0
    assert "expected one of zipfile.ZipFile.open" in misses[0]
