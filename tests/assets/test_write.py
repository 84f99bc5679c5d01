"""A brief that is written reads as the same brief."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.interview.briefs import briefs, changed, full

from hephaestus.assets.brief import Brief
from hephaestus.assets.parse import parse_brief
from hephaestus.assets.write import write_brief

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    texts
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


def nulls(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(nulls, value.values()))
    return any(map(nulls, value)) if isinstance(value, (list, tuple)) else value is None


@given(briefs())
def test_what_is_written_reads_as_the_same_brief(brief: Brief) -> None:
    examples = tuple(e for e in brief.goal.examples if not nulls(e.input) and not nulls(e.expected))
    brief = msgspec.structs.replace(brief, goal=msgspec.structs.replace(brief.goal, examples=examples))
    assert parse_brief(write_brief(brief)) == brief


@given(values, values)
def test_examples_of_every_kind_of_value_come_back(given_value: Any, expected: Any) -> None:
    brief = changed("goal.examples", [{"input": given_value, "expected": expected}])
    assert parse_brief(write_brief(brief)) == brief


def test_an_empty_list_that_is_an_answer_is_kept_and_a_default_is_not_written() -> None:
    text = write_brief(full()).decode()
    assert "tools_allowed = []" in text
    assert "tools_forbidden" not in text
    assert "provenance" not in text
    assert write_brief(Brief(schema=1)) == b"schema = 1\n"


def test_a_long_list_of_tables_has_a_line_for_each() -> None:
    lines = write_brief(full()).decode().splitlines()
    assert '  { id = "A1", text = "Every quotation stands verbatim in the guide", check = "quotes" },' in lines


@pytest.mark.parametrize("value", [None, [None], {"a": None}])
def test_null_has_no_form(value: Any) -> None:
    with pytest.raises(ValueError, match="null"):
        write_brief(changed("goal.examples", [{"input": value, "expected": 1}]))
