"""Verbatim: what the normalisation forgives, and that nothing else is forgiven."""

import random
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hephaestus.stormbreaker.verbatim import NormalText, count_words, normalise

TEXT = (
    "ZipFile.open(name, mode='r', pwd=None, *, force_zip64=False)\n"
    "Access a member of the archive as a binary file-like object. The name can be either the name of a file "
    "within the archive or a ZipInfo object.\n\n"
    "You can't call it 3 times on 12 unreadable archives; it takes 1.5 ms at -5 degrees.\n"
)
PASSAGE = NormalText(TEXT)
WORDS = [match.span() for match in re.finditer(r"\S+", PASSAGE.text)]


@st.composite
def spans(draw: st.DrawFn, least: int = 8) -> str:
    """Whole words of the passage, at least so many, in a row."""
    first = draw(st.integers(0, len(WORDS) - least))
    last = draw(st.integers(first + least - 1, len(WORDS) - 1))
    return PASSAGE.text[WORDS[first][0] : WORDS[last][1]]


def holds(quote: str) -> bool:
    return PASSAGE.holds(normalise(quote))


@given(spans())
def test_words_that_stand_there_are_found(quote: str) -> None:
    assert holds(quote)


@given(spans(), st.data())
def test_white_space_and_typography_are_forgiven(quote: str, data: st.DataObject) -> None:
    spaces = st.sampled_from([" ", "\n", "\t ", "\u00a0", "\r\n  "])
    quote = re.sub(" ", lambda _: data.draw(spaces), quote)
    quote = re.sub("'", lambda _: data.draw(st.sampled_from("'\u2019\u2018")), quote)
    quote = re.sub("-", lambda _: data.draw(st.sampled_from("-\u2013\u2014\u2011\u2212")), quote)
    assert holds(f"\n {quote}\t")


@given(spans(), st.integers(0, 10**6), st.sampled_from(["not", "never", "word", "7", ","]))
def test_an_inserted_word_is_found_out(quote: str, place: int, inserted: str) -> None:
    words = quote.split(" ")
    at = 1 + place % (len(words) - 1)
    assert not holds(" ".join([*words[:at], inserted, *words[at:]]))


@given(spans(), st.integers(0, 10**6))
def test_a_left_out_word_is_found_out(quote: str, place: int) -> None:
    words = quote.split(" ")
    at = 1 + place % (len(words) - 2)
    changed = " ".join([*words[:at], *words[at + 1 :]])
    assume(changed not in PASSAGE.text)
    assert not holds(changed)


@given(spans(), st.randoms(use_true_random=False), st.sampled_from("abcdexyzABC0123456789"))
def test_a_changed_letter_or_digit_is_found_out(quote: str, chance: random.Random, new: str) -> None:
    at = chance.choice([n for n, c in enumerate(quote) if c.isalnum()])
    assume(quote[at] != new)
    assert not holds(quote[:at] + new + quote[at + 1 :])


@given(spans())
def test_case_counts(quote: str) -> None:
    assert quote.swapcase() == quote or not holds(quote.swapcase())


@given(spans(), spans(), st.sampled_from([" ", " ... ", "… ", "\n"]))
def test_two_spliced_halves_are_found_out(one: str, other: str, joint: str) -> None:
    spliced = one + joint + other
    assume(normalise(spliced) not in PASSAGE.text)
    assert not holds(spliced)


@pytest.mark.parametrize(
    "cut",
    [
        "readable archives",  # of "unreadable"
        "2 unreadable archives",  # of "12"
        "You can",  # of "can't"
        "like object",  # of "file-like"
        "binary file",  # of "file-like"
        "5 ms",  # of "1.5"
        "it takes 1",  # of "1.5"
        "5 degrees",  # of "-5"
        "-like object",
        "t call it",
        "force_zip",
        "",
    ],
)
def test_a_cut_through_a_word_or_number_is_found_out(cut: str) -> None:
    assert not holds(cut)


@pytest.mark.parametrize(
    "whole", ["12 unreadable archives", "1.5 ms", "-5 degrees", "can't call", "(name, mode='r', pwd=None", "name can"]
)
def test_a_cut_beside_a_word_is_not_one_through_it(whole: str) -> None:
    assert holds(whole)


def test_a_later_place_counts_when_the_first_one_cuts_a_word() -> None:
    assert NormalText("unable to read, able to write").holds("able to")
    assert not NormalText("unable " * 3000 + "able").holds("able")  # bounded: beyond a thousand tries it is not found


def test_combining_marks_belong_to_their_letter() -> None:
    assert not NormalText("xq\u0307 stands").holds("xq")
    assert NormalText("cafe\u0301 opens").holds(normalise("caf\u00e9"))


def test_lines_and_sentences_may_be_quoted_whole() -> None:
    assert PASSAGE.has_unit(normalise("ZipFile.open(name, mode='r', pwd=None, *, force_zip64=False)"))
    assert PASSAGE.has_unit("Access a member of the archive as a binary file-like object.")
    assert PASSAGE.has_unit("You can't call it 3 times on 12 unreadable archives; it takes 1.5 ms at -5 degrees.")
    assert not PASSAGE.has_unit("it takes 1.5 ms at -5 degrees.")
    assert not PASSAGE.has_unit("Access a member of the archive")
    assert not PASSAGE.has_unit("")


def test_a_word_is_a_run_of_letters_digits_and_underscores() -> None:
    assert count_words("ZipFile.open(name, *, force_zip64=False)") == 5
    assert count_words("... — !") == 0


@given(st.text())
def test_the_normalisation_is_idempotent(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
