"""What the lint takes for observable, with the traps that a simpler one falls into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.interview import lint

prose = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize(
    "text",
    [
        "Answers within 200 ms",
        "Returns exit code 3",
        "Every quotation stands verbatim in the source",
        'The title is "Report"',
        "The output matches schema/output.json",
        "Calls `close` once",
        "zipfile.ZipFile is named",
        "Each name is unique",
        "Rejects an empty request",
        "Given a request, when nothing is found, then the list is empty",
        "user_id is kept",
        "parse() raises",
    ],
)
def test_a_criterion_with_something_to_observe_is_testable(text: str) -> None:
    assert lint.testable(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "n/a",
        "no errors, fast, nice",
        "The result is good",
        "It works well for people",
        "FR-12 reads smoothly",  # a label is no number
        "US3: people like it",
        "Given a user, when they ask, then it helps",  # the shape alone says nothing
        "TBD: exactly 3 names",
        "Every answer is nice",
    ],
)
def test_a_criterion_without_anything_to_observe_is_not(text: str) -> None:
    assert not lint.testable(text)


@pytest.mark.parametrize("text", ["-", "...", "N/A.", "None, n/a", "tbd", "Not applicable", "ToDo: ask", "???"])
def test_fillers_say_nothing(text: str) -> None:
    assert lint.is_placeholder(text)
    assert lint.reading(text) == "placeholder"


@pytest.mark.parametrize(
    "text",
    [
        "None of the names changes",
        "Every todo keeps its tags",
        "The word TODOLIST",
        "Any text in English",
        "all requests about zip files",
    ],
)
def test_fillers_inside_a_sentence_do_not_spoil_it(text: str) -> None:
    assert not lint.is_placeholder(text)


def test_a_reading_tells_blank_placeholder_vague_and_said_apart() -> None:
    assert lint.reading(None) == lint.reading(" \n") == "blank"
    assert lint.reading("TBA") == "placeholder"
    assert lint.reading("A robust, user-friendly answer") == "vague"
    assert lint.vague_words("A robust, User-Friendly, robust answer") == ("robust", "user-friendly")
    assert lint.reading("One answer") == "says"


@given(prose, prose, prose)
def test_added_words_never_make_a_text_read_better(front: str, text: str, back: str) -> None:
    rank = {"placeholder": 0, "vague": 1, "says": 2}
    before = lint.reading(text)
    if before in ("vague", "says"):
        after = lint.reading(f"{front} {text} {back}")
        assert rank[after] <= rank[before]


@given(st.lists(st.sampled_from(sorted(lint.FILLERS)), min_size=1))
def test_any_number_of_fillers_is_still_a_placeholder(words: list[str]) -> None:
    assert lint.is_placeholder(" ".join(words))
