"""Compiling: the same cards give the same bytes, and only integers are in them."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.cards import ARCHIVES, CARDS, MUSIC, entry

from hephaestus import canonical
from hephaestus.errors import UsageError
from hephaestus.routing import CardEntry, CardTable, compile_cards
from hephaestus.routing.learn import fixed_log2
from hephaestus.routing.table import MAX_POTENTIAL, MAX_WEIGHT

sentences = st.lists(
    st.sampled_from(["zip", "the", "a", "file", "song", "of", "open", "é", "解"]), min_size=1, max_size=5
).map(" ".join)
entries = st.lists(
    st.builds(
        entry,
        st.sampled_from("abcdef"),
        triggers=st.lists(sentences, max_size=2).map(tuple),
        anti_triggers=st.lists(sentences, max_size=2).map(tuple),
        examples=st.lists(sentences, max_size=12).map(tuple),
        counter_examples=st.lists(sentences, max_size=3).map(tuple),
        priority=st.integers(-100, 100),
        clarify=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
        capabilities=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10).map(lambda t: (t,)),
    ),
    max_size=5,
    unique_by=lambda made: made.agent,
)


@given(entries, st.randoms(use_true_random=False))
def test_the_order_of_cards_does_not_matter(some: list[CardEntry], random: object) -> None:
    shuffled = list(some)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert compile_cards(shuffled) == compile_cards(some)


@given(entries)
def test_what_is_compiled_is_canonical_and_loads(some: list[CardEntry]) -> None:
    data = compile_cards(some)
    assert canonical.encode(canonical.decode(data)) == data
    table = CardTable.load(data)
    assert {card.agent for card in table} == {made.agent for made in some}
    assert table.digest == canonical.digest_bytes(data)


def contents(*some: CardEntry, cap: int = 256) -> dict[str, tuple[int, dict[str, int]]]:
    table = CardTable.load(compile_cards(some, cap=cap))
    names = [card.agent for card in table]
    return {
        feature.text: (feature.potential, {names[card]: weight for card, weight in feature.postings})
        for feature in table.contents.features
    }


def test_a_word_of_one_card_weighs_more_than_a_word_of_many() -> None:
    found = contents(*CARDS)
    assert found["zip"][1]["archives"] > found["broken"][1]["archives"] > 0


def test_a_word_in_more_examples_weighs_more() -> None:
    found = contents(entry("a", examples=("red fox", "red hen", "red cow")))
    assert found["red"][1]["a"] == 2 * found["fox"][1]["a"]


def test_a_common_word_weighs_little_even_if_only_one_card_has_it() -> None:
    found = contents(entry("a", examples=("what telescope",)), entry("b", examples=("brass",)))
    assert found["what"][1].get("a", 0) * 4 < found["telescope"][1]["a"]


def test_counter_examples_count_against_the_card() -> None:
    found = contents(ARCHIVES, MUSIC)
    assert found["paris"][1]["archives"] < 0
    balanced = contents(entry("a", examples=("red fox",), counter_examples=("red hen",)))
    assert balanced["red"][1] == {}


def test_the_cap_keeps_the_strongest_and_ties_go_to_the_first_in_order() -> None:
    cards = [entry(name, examples=("fox",) * n) for name, n in (("d", 1), ("c", 1), ("b", 3), ("a", 1))]
    assert list(contents(*cards, cap=2)["fox"][1]) == ["a", "b"]
    assert contents(*cards, cap=2)["fox"][0] == contents(*cards)["fox"][0]


def test_weights_and_potentials_stay_inside_their_bounds() -> None:
    found = contents(entry("a", examples=("fox",) * 5000), entry("b", counter_examples=("hen",) * 5000))
    assert all(potential <= MAX_POTENTIAL for potential, _ in found.values())
    assert all(abs(weight) <= MAX_WEIGHT for _, weights in found.values() for weight in weights.values())


@pytest.mark.parametrize("field", ["triggers", "anti_triggers"])
@pytest.mark.parametrize("phrase", ["!?", "a " * 17, "\u00ad"])
def test_a_phrase_without_words_or_with_too_many_is_refused(field: str, phrase: str) -> None:
    with pytest.raises(UsageError, match=f"{field}: 1 to 16 words were expected"):
        compile_cards([entry("a", **{field: (phrase,)})])


def test_two_cards_of_one_agent_are_refused() -> None:
    with pytest.raises(UsageError, match="found 2 of a"):
        compile_cards([entry("a"), entry("a", priority=1)])


def test_a_cap_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="not 0"):
        compile_cards([], cap=0)


def test_checks_of_a_card_stay_in_its_release() -> None:
    (card,) = CardTable.load(compile_cards([MUSIC])).entries
    assert "checks" not in msgspec.to_builtins(card)


@pytest.mark.parametrize(
    ("examples", "kinship"),
    [
        ((), 0),
        (("brass telescope",), 0),
        (("brass telescope",) * 8, 3 * 64),
        (("brass telescope",) * 8 + ("oak",) * 8, 3 * 64),
        (("brass telescope", "oak table", "red fox"), 0),
        (("!?",) * 3, 0),
    ],
)
def test_kinship_is_what_an_example_has_in_common_with_the_others(examples: tuple[str, ...], kinship: int) -> None:
    (card,) = CardTable.load(compile_cards([entry("a", examples=examples)]))
    assert card.kinship == kinship


def test_counter_examples_do_not_make_kin() -> None:
    (card,) = CardTable.load(compile_cards([entry("a", examples=("fox",) * 2, counter_examples=("fox",) * 5)]))
    assert card.kinship == 0


@given(st.integers(1, 2**80))
def test_the_integer_logarithm_is_the_logarithm_rounded_down(number: int) -> None:
    assert fixed_log2(number) == pytest.approx(math.log2(number) * 64, abs=1.001)
    assert fixed_log2(number) <= math.log2(number) * 64 + 1e-6


@given(st.integers(0, 70))
def test_the_integer_logarithm_of_a_power_of_two_is_exact(exponent: int) -> None:
    assert fixed_log2(1 << exponent) == exponent * 64
