"""The card table as a router looks things up in it: phrases by their words, weights as lanes of long integers."""

from __future__ import annotations

import struct
from itertools import compress
from typing import TYPE_CHECKING

from hephaestus.routing.decision import Match, MatchKind
from hephaestus.routing.table import LOG_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hephaestus.routing.table import Contents, Phrase

# Up to this many cards the weights of a feature are the lanes of one integer, so that one addition adds them for all
# cards; beyond, the integers get too long.
MAX_LANES = 1024
_MIN_POSTINGS = 8  # shorter lists are added one by one, which takes less memory and no more time
_LANE = 32
BIAS = 1 << (_LANE - 1)
"""What is added to every score, so that no lane is negative; weights are bounded so that no sum reaches it."""

Found = dict[int, list[Match]]
"""Card -> what matched for it."""

Run = tuple[int, int, str]
"""Start and end in words, and the words joined by spaces."""

Postings = tuple[tuple[int, int], ...]
"""(card, weight) pairs."""


class Index:
    """Look-ups over one table's contents. Nothing in it changes after it was made.

    Attributes:
        floors: Of each card, what it must score per point of potential to claim by examples, in permille of 1/64.
        able: Of each card, whether it has examples enough to win by them.
        least_floor: The least floor of the able ones.
    """

    def __init__(self, contents: Contents) -> None:
        cards = len(contents.cards)
        lines = contents.thresholds
        self.floors: tuple[int, ...] = tuple(
            max(lines.floor * card.kinship, lines.least << LOG_BITS) for card in contents.cards
        )
        self.able: tuple[bool, ...] = tuple(card.examples >= lines.min_examples for card in contents.cards)
        self.least_floor: int = min(compress(self.floors, self.able), default=0)
        self._unseen = contents.unseen
        self._weights: list[dict[str, int]] = [{} for _ in range(cards)]
        self._features: dict[str, tuple[int, int, Postings]] = {}
        for feature in contents.features:
            lanes, loose = _split(feature.postings, cards)
            self._features[feature.text] = (feature.potential, lanes, loose)
            for card, weight in feature.postings:
                self._weights[card][feature.text] = weight
        self._bias = sum(BIAS << (_LANE * card) for card in range(cards))
        self._lanes = struct.Struct(f"<{cards}I")
        self._triggers = _by_text(contents.triggers)
        self._anti_triggers = _by_text(contents.anti_triggers)
        self._known = frozenset((*self._triggers, *self._anti_triggers))
        self._lengths = _lengths(self._known)

    def phrases(self, found: Sequence[str]) -> list[Run]:
        """The runs of words in a request that are triggers or anti-triggers, by start, longer ones first."""
        lengths = self._lengths
        if lengths.keys().isdisjoint(found):
            return []
        return [
            (start, start + length, phrase)
            for start, word in enumerate(found)
            for length in lengths.get(word, ())
            if start + length <= len(found) and (phrase := " ".join(found[start : start + length])) in self._known
        ]

    def triggers(self, runs: Iterable[Run]) -> Found:
        """The triggers among some runs. Each counts once for a card, and not inside a longer one of the same card."""
        matches: Found = {}
        counted: set[tuple[int, str]] = set()
        covered: dict[int, int] = {}
        for start, end, phrase in runs:
            for card, weight in self._triggers.get(phrase, ()):
                if end <= covered.get(card, 0):
                    continue
                covered[card] = end
                if (card, phrase) not in counted:
                    counted.add((card, phrase))
                    matches.setdefault(card, []).append(Match("trigger", phrase, weight, start, end))
        return matches

    def vetoes(self, runs: Iterable[Run]) -> Found:
        """The anti-triggers among some runs, each once for a card."""
        matches: Found = {}
        counted: set[str] = set()
        for start, end, phrase in runs:
            if phrase not in counted:
                counted.add(phrase)
                for card, _ in self._anti_triggers.get(phrase, ()):
                    matches.setdefault(card, []).append(Match("anti-trigger", phrase, 0, start, end))
        return matches

    def scores(self, *features: Iterable[str]) -> tuple[list[int], int]:
        """For every card :data:`BIAS` plus the sum of the weights of some features; and the sum of their potentials."""
        potential = 0
        total = self._bias
        scattered: list[Postings] = []
        get = self._features.get
        unknown = (self._unseen, 0, ())
        for some in features:
            for feature in some:
                worth, lanes, loose = get(feature, unknown)
                potential += worth
                if loose:
                    scattered.append(loose)
                else:
                    total += lanes
        scores = [*self._lanes.unpack(total.to_bytes(self._lanes.size, "little"))]
        for loose in scattered:
            for card, weight in loose:
                scores[card] += weight
        return scores, potential

    def evidence(self, card: int, words: Mapping[str, int], pairs: Mapping[str, int], size: int) -> list[Match]:
        """What the features of a request of ``size`` words count for one card, the weightiest first."""
        weights = self._weights[card]
        rows: list[tuple[int, str, MatchKind, int, int]] = [
            (-weights[text], text, "word", at, at + 1) for text, at in words.items() if text in weights
        ]
        rows += [
            (-weights[text], text, "pair", max(at - 1, 0), min(at + 1, size))
            for text, at in pairs.items()
            if text in weights
        ]
        rows.sort()
        return [Match(kind, text, -weight, start, end) for weight, text, kind, start, end in rows]


def _split(postings: Postings, cards: int) -> tuple[int, Postings]:
    """Weights as lanes of one integer, or, where that does not pay, as they are."""
    if len(postings) < _MIN_POSTINGS or cards > MAX_LANES:
        return 0, postings
    return sum(weight << (_LANE * card) for card, weight in postings), ()


def _by_text(phrases: tuple[Phrase, ...]) -> dict[str, Postings]:
    return {phrase.text: phrase.postings for phrase in phrases}


def _lengths(phrases: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """First word -> lengths of the phrases that begin with it, longest first."""
    lengths: dict[str, set[int]] = {}
    for text in phrases:
        lengths.setdefault(text.partition(" ")[0], set()).add(text.count(" ") + 1)
    return {word: tuple(sorted(found, reverse=True)) for word, found in lengths.items()}
