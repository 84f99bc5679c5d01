"""A card table is read whole or refused; hostile bytes give one kind of error."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.cards import ARCHIVES, CARDS

from hephaestus import canonical
from hephaestus.errors import IntegrityError
from hephaestus.routing import CardTable, compile_cards
from hephaestus.routing import table as module

GOOD = compile_cards(CARDS)


def test_a_table_lists_its_cards_by_priority_and_then_by_name() -> None:
    table = CardTable.load(GOOD)
    assert [card.agent for card in table.entries] == ["post", "archives", "chess", "music", "novice"]
    assert len(table) == len(list(table)) == 5
    assert table.digest in repr(table)


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_bytes_that_are_no_table_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        CardTable.load(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_another_digest_or_is_refused(position: int, value: int) -> None:
    data = bytearray(GOOD)
    data[position] = value
    try:
        table = CardTable.load(bytes(data))
    except IntegrityError:
        assert bytes(data) != GOOD
    else:
        assert (table.digest == CardTable.load(GOOD).digest) == (bytes(data) == GOOD)


@given(st.integers(0, len(GOOD) - 1))
def test_a_table_cut_short_is_refused(length: int) -> None:
    with pytest.raises(IntegrityError):
        CardTable.load(GOOD[:length])


def changed(path: tuple[str | int, ...], value: Any) -> bytes:
    contents = canonical.decode(GOOD)
    inside = contents
    for step in path[:-1]:
        inside = inside[step]
    assert not isinstance(inside, dict) or inside.get(path[-1]) != value
    inside[path[-1]] = value
    return canonical.encode(contents)


def swapped(field: str) -> bytes:
    contents = canonical.decode(GOOD)
    rows = contents[field]
    rows[0], rows[1] = rows[1], rows[0]
    return canonical.encode(contents)


def without(field: str) -> bytes:
    contents = canonical.decode(GOOD)
    del contents[field]
    return canonical.encode(contents)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(("engine",), "hephaestus-router/0"), "engine"),
        (changed(("unicode",), "sha256:" + "0" * 64), "Unicode table"),
        (changed(("schema",), "hephaestus/card-table/2"), "schema"),
        (changed(("cards", 0, "digest"), "sha256:1"), "digest of post@1.0.0 is none"),
        (changed(("cards", 1, "agent"), "post"), "order|same agent"),
        (changed(("cards", 0, "priority"), 101), "priority"),
        (changed(("cards", 0, "colour"), "red"), "colour"),
        (changed(("features", 0, 1), -1), r"features\[0\]"),
        (changed(("features", 0, 1), "1"), r"features\[0\]"),
        (changed(("features", 0, 2), [[0, 1], [0, 2]]), "names card 0 out of order"),
        (changed(("features", 0, 2), [[5, 1]]), "names card 5"),
        (changed(("features", 0, 2), [[0, 2**13]]), r"features\[0\]"),
        (changed(("triggers", 0, 0), "a " * 16 + "a"), "more than 16 words"),
        (changed(("triggers", 0, 1), [[0, -1]]), r"triggers\[0\]"),
        (changed(("thresholds", "floor"), 1001), "floor"),
        (changed(("unseen",), 2**14), "unseen"),
        (swapped("features"), "not in its place"),
        (swapped("triggers"), "not in its place"),
        (swapped("anti_triggers"), "not in its place"),
        (swapped("cards"), "not in order"),
        (without("thresholds"), "thresholds"),
        (GOOD + b" ", "canonical"),
        (GOOD.replace(b'"engine":', b'"engine": '), "canonical"),
        (GOOD.replace(b'"engine":', b'"engine":"x","engine":'), "canonical"),
        (GOOD.replace(b'"archives"', b'"archive\\u0073"'), "canonical"),
        (b"[" * 100_000, "card table"),
        (b"\xff", "card table"),
    ],
)
def test_a_table_that_contradicts_its_form_is_refused_with_the_reason(data: bytes, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        CardTable.load(data)


def test_two_cards_of_one_agent_are_refused() -> None:
    contents = canonical.decode(compile_cards([ARCHIVES]))
    contents["cards"].append(contents["cards"][0])
    with pytest.raises(IntegrityError, match="same agent"):
        CardTable.load(canonical.encode(contents))


def test_a_table_beyond_the_limit_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(IntegrityError, match="at most 10 bytes"):
        CardTable.load(GOOD)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_quick_encoding_of_a_table_is_the_canonical_one(words: str) -> None:
    contents = msgspec.structs.replace(
        CardTable.load(GOOD).contents, engine=words, cards=(), features=(), triggers=(), anti_triggers=()
    )
    assert msgspec.json.encode(contents) == canonical.encode(contents)
