"""Words of a request: the same on every Python, with their places, in bounded time."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.errors import InvalidRequest
from hephaestus.routing import text
from hephaestus.routing.text import MAX_REQUEST, UNICODE_DIGEST, check_request, tokens, unicode_digest, words

anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
UCD = unicodedata.ucd_3_2_0


def test_every_code_point_is_read_as_the_digest_says() -> None:
    assert unicode_digest() == UNICODE_DIGEST


@pytest.mark.parametrize(
    ("request_text", "expected"),
    [
        ("Read ONE file, please!", ["read", "one", "file", "please"]),
        ("os.path_join python3.12", ["os", "path", "join", "python3", "12"]),
        ("don't 'quote' rock'n'roll '", ["don't", "quote", "rock'n'roll"]),
        ("don\u2019t “quote” it — ever…", ["don't", "quote", "it", "ever"]),
        ("\uff3a\uff29\uff30 ﬁle Straße", ["zip", "file", "strasse"]),
        ("a\u0301 \u00e1", ["\u00e1", "\u00e1"]),
        ("zi\u00adp zi\u200dp \u202ezip\u202c", ["zip", "zip", "zip"]),
        ("½ cup", ["1", "2", "cup"]),
        ("解压zip文件", ["解", "压", "zip", "文", "件"]),
        ("ภาษา", ["ภ", "า", "ษ", "า"]),
        ("\u0e01\u0e31\u0e19", ["\u0e01\u0e31", "\u0e19"]),
        ("हिन्दी", ["हिन्दी"]),
        ("\u1112\u1161\u11ab \ud55c", ["\ud55c", "\ud55c"]),
        ("ﾊﾞ バ", ["バ", "バ"]),
        ("go\U0001f600go\U0001f600", ["go", "\U0001f600", "go", "\U0001f600"]),
        ("\U0001e900\u0301", ["\U0001e900\u0301"]),
        ("\u10a0", ["\u10a0"]),
        ("\u0301 ☎ ، !", []),
        ("", []),
    ],
)
def test_words_are_normalised_runs_of_letters(request_text: str, expected: list[str]) -> None:
    assert words(request_text) == expected


@given(anything)
def test_words_are_those_of_the_tokens(request_text: str) -> None:
    assert words(request_text) == [token.word for token in tokens(request_text)]


@given(anything)
def test_tokens_stand_in_order_inside_the_text(request_text: str) -> None:
    found = tokens(request_text)
    assert all(0 <= token.start < token.end <= len(request_text) for token in found)
    # A character with several words in its normal form is the place of each, so places may meet but never go back.
    assert [token.start for token in found] == sorted(token.start for token in found)
    assert [token.end for token in found] == sorted(token.end for token in found)


@given(anything)
def test_a_token_alone_is_the_same_word(request_text: str) -> None:
    for token in tokens(request_text):
        assert token.word in words(request_text[token.start : token.end])


@given(st.text(st.characters(max_codepoint=0x7F), max_size=200) | st.text("aZ9' _-.\u2019—é", max_size=40))
def test_the_fast_way_reads_what_the_slow_way_reads(request_text: str) -> None:
    assert tokens(request_text) == text._read(request_text)


@given(anything)
def test_a_character_with_its_marks_is_all_that_normalisation_looks_at(request_text: str) -> None:
    known = "".join(c for c in request_text if UCD.category(c) != "Cn" and text._kind(c) != text._NOTHING)
    pieces: list[str] = []
    position = 0
    while position < len(known):
        end = text._cluster_end(known, position)
        pieces.append(UCD.normalize("NFKC", known[position:end]))
        position = end
    assert "".join(pieces) == UCD.normalize("NFKC", known)


def test_composing_never_needs_more_than_a_character_and_its_marks() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x30000)):
        pieces = UCD.normalize("NFD", chr(code))
        if len(pieces) > 1 and UCD.normalize("NFC", pieces) == chr(code):
            assert text._cluster_end(pieces, 0) == len(pieces), hex(code)


def test_characters_newer_than_the_pinned_table_are_left_alone() -> None:
    for code in (0x1C80, 0x1E9E, 0xA7AE, 0x10C80, 0x16D63, 0x1F6D8):
        assert words(f"a{chr(code)}b") == ["a", chr(code), "b"]


@pytest.mark.parametrize(
    ("request_text", "message"),
    [
        ("a\0b", "character 1 is NUL"),
        ("a\ud800", "character 1 is a lone surrogate"),
        ("x" * (MAX_REQUEST + 1), f"at most {MAX_REQUEST} characters, this one has {MAX_REQUEST + 1}"),
        ("x" * 100_000_000, "this one has 100000000"),
        (b"bytes", "not bytes"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(request_text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        check_request(request_text)


@pytest.mark.parametrize("request_text", ["", "x" * MAX_REQUEST, "\U0010ffff" * MAX_REQUEST, "\n\t\x01"])
def test_odd_but_valid_requests_are_read(request_text: str) -> None:
    check_request(request_text)


def test_a_pile_of_marks_is_read_in_pieces() -> None:
    # Putting n marks in order takes n * n steps; in pieces of bounded size it takes n.
    piled = "a" + "\u0301\u0323" * 30_000
    ends = [0]
    while ends[-1] < len(piled):
        ends.append(text._cluster_end(piled, ends[-1]))
    assert max(b - a for a, b in itertools.pairwise(ends)) <= text.MAX_MARKS + 1
    assert len(words(piled)) == 1
