"""What the examples of cards teach: integer weights of words and pairs, and how alike the examples of one card are.

Integer arithmetic only, logarithms included, so that the same cards give the same numbers everywhere. For each word or
pair of neighbouring words ``f`` and card ``c``::

    weight(f, c) = log2(1 + n) * rarity(f) ** 2        n: examples of c with f, minus counter-examples with f
    rarity(f)    = log2(1/4 + cards / cards with f)    negative n: the same with the sign of n

Presence, not count, within one example. The quarter leaves next to nothing to what every card has: with a whole one,
"how do I", in sixty examples of a card about Python, routed the baking of bread to it. Cards with f and cards include
the world of ``common``. The potential of f is ``rarity(f) ** 2``: what f is worth in a request, whether a card has it
or not. Of CLINC150's validation part the best card is the right one in 88 % with 100 examples a card, 76 % with 20.

The kinship of a card is how much a typical example of it would score, were it not an example itself, per point of its
potential. Examples that are all about one thing have much in common, those of a card that covers much have little, and
a request is measured by what is usual among them.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hephaestus.routing.common import SHARES, WORLD, world_share
from hephaestus.routing.features import pairs_at, words_at
from hephaestus.routing.table import LOG_BITS, MAX_KINSHIP, MAX_POTENTIAL, MAX_WEIGHT, WEIGHT_BITS, Feature
from hephaestus.routing.text import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hephaestus.assets.card import Card


class Learned(NamedTuple):
    """What all examples of some cards taught."""

    features: tuple[Feature, ...]  # by text, ascending
    kinships: tuple[int, ...]  # of each card, in 1/64


def learn(cards: Sequence[Card], *, cap: int) -> Learned:
    """Weigh the words and pairs of the cards' examples.

    Args:
        cards: In the order in which ties are broken; postings name them by their places in it.
        cap: Cards kept per word or pair: those with the greatest absolute weight, ties to the first in order.
    """
    examples = [[_features(example) for example in card.examples] for card in cards]
    counts: dict[str, dict[int, int]] = {}
    for index, card in enumerate(cards):
        total = Counter(feature for example in examples[index] for feature in example)
        total.subtract(feature for example in card.counter_examples for feature in _features(example))
        for feature, count in total.items():
            counts.setdefault(feature, {})[index] = count
    found: list[Feature] = []
    for text in sorted(counts, key=str.encode):
        worth = potential(len(counts[text]), world_share(text), len(cards))
        weights = {index: _weight(count, worth) for index, count in counts[text].items()}
        strongest = sorted((-abs(weight), index) for index, weight in weights.items() if weight)[:cap]
        found.append(Feature(text, worth, tuple(sorted((index, weights[index]) for _, index in strongest))))
    potentials = {feature.text: feature.potential for feature in found}
    kinships = tuple(_kinship(index, some, counts, potentials) for index, some in enumerate(examples))
    return Learned(tuple(found), kinships)


def potential(holders: int, share: int, cards: int) -> int:
    """The squared rarity of a feature, in 1/64.

    Args:
        holders: Cards that hold it.
        share: Share of the world that holds it, from ``common``.
        cards: Cards there are.
    """
    held = max(SHARES * holders + WORLD * share, 1)
    rarity = fixed_log2(((4 * SHARES * (cards + WORLD) + held) << 16) // (4 * held)) - (16 << LOG_BITS)
    return min(rarity * rarity >> LOG_BITS, MAX_POTENTIAL)


@functools.lru_cache(maxsize=4096)  # examples are counted in small numbers
def fixed_log2(number: int) -> int:
    """The binary logarithm of a positive integer, rounded down to 1/64, in units of 1/64."""
    exponent = number.bit_length() - 1
    mantissa = number << 62 >> exponent if exponent <= 62 else number >> (exponent - 62)
    result = exponent
    for _ in range(LOG_BITS):
        mantissa = mantissa * mantissa >> 62
        bit = mantissa >> 63
        mantissa >>= bit
        result = result << 1 | bit
    return result


def _features(text: str) -> list[str]:
    found = words(text)
    return [*words_at(found), *pairs_at(found)]


def _weight(count: int, worth: int) -> int:
    size = min(fixed_log2(1 + abs(count)) * worth >> (2 * LOG_BITS - WEIGHT_BITS), MAX_WEIGHT)
    return size if count > 0 else -size


def _kinship(
    index: int, examples: Sequence[list[str]], counts: dict[str, dict[int, int]], potentials: dict[str, int]
) -> int:
    """The lower median, over the examples of one card, of what each has in common with the others, in 1/64."""
    shared: list[int] = []
    for example in examples:
        # One example fewer has the feature if this one does not count, hence n here and not 1 + n.
        scored = sum(fixed_log2(max(counts[feature][index], 1)) * potentials[feature] for feature in example)
        shared.append(scored // max(sum(potentials[feature] for feature in example), 1))
    return min(sorted(shared)[(len(shared) - 1) // 2], MAX_KINSHIP) if shared else 0
