"""Passages: canonical bytes, and a parser that takes nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.canonical import digest_bytes
from hephaestus.errors import KnowledgeError
from hephaestus.knowledge import Passage, PassageSet, encode_passages

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
passages = st.builds(Passage, id=words, title=words, source=words, text=words.filter(lambda t: bool(t.strip())))


def passage(id_: str = "a", **changes: str) -> Passage:
    return Passage(**{"id": id_, "title": "A", "source": "s", "text": "some text", **changes})


@given(st.lists(passages, unique_by=lambda p: p.id, max_size=8))
def test_what_is_encoded_is_read_back_in_the_order_of_ids(given_passages: list[Passage]) -> None:
    data = encode_passages(given_passages)
    read = PassageSet.parse(data)
    assert list(read) == sorted(given_passages, key=lambda p: p.id)
    assert encode_passages(read) == data
    assert read.digest == digest_bytes(data) == PassageSet.of(given_passages).digest


@given(st.lists(passages, unique_by=lambda p: p.id, min_size=2, max_size=5), st.randoms())
def test_the_order_of_input_changes_no_byte(given_passages: list[Passage], random: object) -> None:
    shuffled = list(given_passages)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert encode_passages(shuffled) == encode_passages(given_passages)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_passages_are_an_error_and_never_an_empty_set(data: bytes) -> None:
    try:
        found = PassageSet.parse(data)
    except KnowledgeError:
        return
    assert encode_passages(found) == data


GOOD = encode_passages([passage("a"), passage("b")])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GOOD[:-1], "cut short"),
        (GOOD[:-10], "cut short"),
        (GOOD + b"\n", "line 3"),
        (GOOD + GOOD, "line 3.*out of order"),
        (b"".join(reversed(GOOD.splitlines(keepends=True))), "line 2.*out of order"),
        (GOOD.replace(b'"id":"a"', b'"id": "a"'), "line 1.*canonical"),
        (GOOD.replace(b'"source":"s",', b"", 1), "line 1"),
        (GOOD.replace(b'"title":"A"', b'"title":"A","zzz":"?"'), "line 1"),
        (GOOD.replace(b'"title":"A"', b'"title":1'), "line 1"),
        (GOOD.replace(b"some text", b"   "), "must not be empty"),
        (GOOD.replace(b"some text", b"some\\u0000text"), "NUL"),
        (b"[" * 100_000 + b"\n", "line 1"),
        (b"\xff\n", "line 1"),
        (b"{}\n", "line 1"),
    ],
)
def test_every_kind_of_damage_names_its_line(data: bytes, says: str) -> None:
    with pytest.raises(KnowledgeError, match=f"(?s){says}"):
        PassageSet.parse(data)


@pytest.mark.parametrize(
    "bad",
    [
        passage(text="\ud800"),
        passage(text="x" * 100_001),
        passage("x" * 501),
        passage(title="x" * 3001),
        passage(source="x" * 301),
        passage(""),
        passage(text=" \n"),
        passage(text="a\0b"),
    ],
)
def test_a_passage_that_could_not_be_read_back_is_not_written(bad: Passage) -> None:
    with pytest.raises(KnowledgeError):
        encode_passages([bad])


def test_two_passages_with_one_id_are_refused() -> None:
    with pytest.raises(KnowledgeError, match="two passages have the id 'a'"):
        encode_passages([passage("a"), passage("a", text="other")])


def test_a_set_answers_by_id() -> None:
    found = PassageSet.parse(GOOD)
    assert found.text("a") == "some text"
    assert found.text("nobody") is None
    assert found.get("b") == passage("b")
    assert found.get("nobody") is None
    assert ("a" in found, "c" in found, len(found)) == (True, False, 2)
    assert "2 passages" in repr(found)


def test_an_empty_set_has_a_digest() -> None:
    assert PassageSet.parse(b"").digest == digest_bytes(b"") == PassageSet.of([]).digest
