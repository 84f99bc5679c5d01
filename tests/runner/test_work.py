"""Results as exact JSON bytes, and text made fit for the wire."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus_runner.protocol import MAX_FRAME, File
from hephaestus_runner.work import MAX_TRACE, NotJson, clean, pack, to_json, trace_of

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(values)
def test_what_can_be_read_back_is_what_was_written(value: Any) -> None:
    assert json.loads(to_json(value)) == value


@given(st.text(st.characters(categories=["Cs"]), min_size=1))
def test_a_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(NotJson):
        to_json([text])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), b"x", {("a",): 1}, ["\ud800"]])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(NotJson):
        to_json(value)


def test_a_cycle_and_too_deep_a_nest_are_refused() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (cycle, deep):
        with pytest.raises(NotJson):
            to_json(value)


@given(st.text(st.characters(categories=["L", "Cs", "Cc"]), max_size=300), st.integers(20, 200))
def test_cleaned_text_is_bounded_and_can_be_sent(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    cleaned.encode("utf-8")
    assert len(cleaned) <= limit + 5


def test_a_trace_is_bounded() -> None:
    def dig(depth: int) -> None:
        if depth:
            dig(depth - 1)
        raise ValueError("x" * 100_000)

    with pytest.raises(ValueError, match="x") as caught:
        dig(100)
    assert len(trace_of(caught.value)) <= MAX_TRACE + 5


def test_small_values_stay_in_the_message_and_big_ones_become_files(tmp_path: Path) -> None:
    big = b"x" * MAX_FRAME
    assert pack(b"1", None) == b"1"
    packed = pack(big, str(tmp_path))
    assert isinstance(packed, File)
    assert (tmp_path / packed.name).read_bytes() == big
    assert packed.size == len(big)
    assert pack(big, str(tmp_path)) == packed  # the same bytes again


@pytest.mark.parametrize("folder", [None, "/nonexistent"])
def test_a_big_value_that_cannot_be_put_anywhere_is_refused(folder: str | None) -> None:
    with pytest.raises(NotJson):
        pack(b"x" * MAX_FRAME, folder)


def test_a_planted_link_in_the_exchange_folder_is_not_followed(tmp_path: Path) -> None:
    big = b"y" * MAX_FRAME
    packed = pack(big, str(tmp_path))
    assert isinstance(packed, File)
    os.unlink(tmp_path / packed.name)
    (tmp_path / "victim").write_text("mine")
    (tmp_path / packed.name).symlink_to(tmp_path / "victim")
    pack(big, str(tmp_path))
    assert (tmp_path / "victim").read_text() == "mine"
