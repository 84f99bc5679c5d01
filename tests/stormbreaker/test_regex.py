"""Check kind regex: linear patterns over selected texts, or over every text of the artefact."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stormbreaker.support import compiled, look, spec

from hephaestus.errors import ChecksRefused
from hephaestus.stormbreaker.kind import Compiled, Observation
from hephaestus.stormbreaker.pointer import MAX_SELECTED


def check(**params: object) -> Compiled:
    return compiled(spec("words", "regex", **params)).compiled["words"]


def seen(artefact: object, **params: object) -> Observation:
    return look(check(**params), json.dumps(artefact).encode())


def test_every_selected_text_must_match() -> None:
    found = seen({"a": ["x1", "y", "z2"]}, select="/a/*", must=r"\d")
    assert (found.inspected, found.problems) == (3, 1)
    assert found.details[0].where == "/a/1"
    assert found.details[0].found == "y"


def test_no_selected_text_may_match_what_is_forbidden() -> None:
    found = seen({"a": ["fine", "TODO later"]}, select="/a/*", must_not="TODO")
    assert [(d.found, d.where) for d in found.details] == [("TODO", "/a/1")]


def test_both_patterns_hold_at_once() -> None:
    assert seen("a1", select="", must=r"\d", must_not="b").problems == 0
    assert seen("b", select="", must=r"\d", must_not="b").problems == 2


@pytest.mark.parametrize("value", [None, True, 1, 1.5, [], {}])
def test_a_selected_value_that_is_no_text_fails(value: object) -> None:
    found = seen({"a": value}, select="/a", must_not="x")
    assert found.problems == 1
    assert found.details[0].expected == "a text"


def test_nothing_selected_is_nothing_inspected() -> None:
    assert seen({"b": "x"}, select="/a", must_not="secret").inspected == 0


def test_fewer_texts_than_demanded_fail() -> None:
    assert seen({"a": ["x"]}, select="/a/*", must="x", min=2).problems == 1
    assert seen({}, select="/a/*", must="x", min=1).problems == 1


def test_without_a_pointer_every_text_key_and_number_is_looked_at() -> None:
    artefact = {"key": ["text", 42, None, True], "other": {"deep": "last"}}
    assert seen(artefact, must_not="^nothing$").inspected == 6  # three keys, two texts, one number
    for hidden in ("^key$", "^text$", "^42$", "^deep$", "^last$"):
        assert seen(artefact, must_not=hidden).problems == 1
        assert seen(artefact, must=hidden).problems == 0
    assert seen(artefact, must="^absent$").problems == 1


def test_texts_are_never_joined_to_make_a_match() -> None:
    assert seen(["pass", "word"], must=r"pass\W*word").problems == 1


def test_an_escape_hides_nothing() -> None:
    forbidden = check(must_not="password")
    assert look(forbidden, rb'{"a": "pass\u0077ord"}').problems == 1
    assert look(forbidden, rb'{"pass\u0077ord": 1}').problems == 1


def test_the_end_of_a_text_is_its_very_end() -> None:
    assert seen("yes\n", select="", must="^yes$").problems == 1


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "must"),
        ({"must": "(?=a)b"}, "look-around"),
        ({"must_not": "(?<!a)b"}, "look-around"),
        ({"must": r"(a)\1"}, "back-references"),
        ({"must": "a{1001}"}, "1000"),
        ({"must": "("}, "re2"),
        ({"must": "((x{100}){100}){100}"}, "re2"),
        ({"must": ".*"}, "proves nothing"),
        ({"must": "(?s)^.*$"}, "proves nothing"),
        ({"must": "a?"}, "proves nothing"),
        ({"must": ""}, "length"),
        ({"must": "x", "select": "a"}, "Pointer"),
        ({"must": "x", "colour": 1}, "colour"),
        ({"must": "x", "min": -1}, "min"),
        ({"must": 5}, "str"),
    ],
)
def test_what_is_no_check_is_refused_and_the_check_named(params: dict[str, object], reason: str) -> None:
    with pytest.raises(ChecksRefused, match=reason) as refused:
        check(**params)
    assert "`words`" in str(refused.value)


def test_a_pattern_that_backtracking_cannot_finish_is_answered() -> None:
    assert seen("a" * 500_000 + "!", select="", must="^(a+)+$").problems == 1


def test_a_large_pattern_takes_no_long_text() -> None:
    found = seen("ab" * 400_000, select="", must=r"(\pL{1,30}){1,10}Q")
    assert found.problems == 1
    assert "at most" in found.details[0].expected


def test_too_many_texts_fail() -> None:
    assert seen(["x"] * (MAX_SELECTED + 1), must="x").problems == 1
    assert seen(["x"] * (MAX_SELECTED + 1), select="/*", must="x").problems == 1


TEXT = st.text(st.characters(exclude_categories=["C"], exclude_characters='"\\'), max_size=6)


@given(
    artefact=st.recursive(
        TEXT | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=20,
    ),
    letter=st.sampled_from("abc01é"),
)
def test_a_forbidden_letter_is_found_wherever_it_stands(artefact: object, letter: str) -> None:
    written = json.dumps(artefact, ensure_ascii=False).replace("null", "")
    assert bool(seen(artefact, must_not=letter).problems) == (letter in written)
