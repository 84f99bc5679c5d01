"""The card table as a router looks things up in it: phrases by their words, weights as lanes of long integers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hephaestus.routing.decision import Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hephaestus.routing.table import Contents, Phrase

# Up to this many cards the weights of a feature are the lanes of one integer, so that one addition adds them for all
# cards; beyond, the integers get too long.
MAX_LANES = 1024
_MIN_POSTINGS = 8  # shorter lists are added one by one, which takes less memory and no more time
_LANE = 32
_BIAS = 1 << (_LANE - 1)  # keeps every lane positive; weights are bounded so that no sum reaches it

Found = dict[int, list[Match]]
"""Card -> what matched for it."""


class Index:
    """Look-ups over one table's contents. Nothing in it changes after it was made."""

    def __init__(self, contents: Contents) -> None:
        cards = len(contents.cards)
        self._unseen = contents.unseen
        self._weights: list[dict[str, int]] = [{} for _ in range(cards)]
        self._features: dict[str, tuple[int, int, tuple[tuple[int, int], ...]]] = {}
        for feature in contents.features:
            lanes, loose = _split(feature.postings, cards)
            self._features[feature.text] = (feature.potential, lanes, loose)
            for card, weight in feature.postings:
                self._weights[card][feature.text] = weight
        self._bias = sum(_BIAS << (_LANE * card) for card in range(cards))
        self._lanes = struct.Struct(f"<{cards}I")
        self._triggers = _by_text(contents.triggers)
        self._anti_triggers = _by_text(contents.anti_triggers)
        self._trigger_lengths = _lengths(self._triggers)
        self._anti_lengths = _lengths(self._anti_triggers)

    def triggers(self, found: Sequence[str]) -> Found:
        """The triggers in a request. Each counts once for a card, and not inside a longer one of the same card."""
        matches: Found = {}
        counted: set[tuple[int, str]] = set()
        covered: dict[int, int] = {}
        for start, end, phrase in _phrases(found, self._trigger_lengths):
            for card, weight in self._triggers.get(phrase, ()):
                if end > covered.get(card, 0) and (card, phrase) not in counted:
                    counted.add((card, phrase))
                    matches.setdefault(card, []).append(Match("trigger", phrase, weight, start, end))
                if end > covered.get(card, 0):
                    covered[card] = end
        return matches

    def vetoes(self, found: Sequence[str]) -> Found:
        """The anti-triggers in a request, each once for a card."""
        matches: Found = {}
        counted: set[str] = set()
        for start, end, phrase in _phrases(found, self._anti_lengths):
            if phrase not in counted:
                counted.add(phrase)
                for card, _ in self._anti_triggers.get(phrase, ()):
                    matches.setdefault(card, []).append(Match("anti-trigger", phrase, 0, start, end))
        return matches

    def scores(self, *features: Iterable[str]) -> tuple[list[int], int]:
        """The sum of the weights of some features for every card, and the sum of their potentials."""
        potential = 0
        total = self._bias
        scattered: list[tuple[tuple[int, int], ...]] = []
        get = self._features.get
        unknown = (self._unseen, 0, ())
        for some in features:
            for feature in some:
                worth, lanes, loose = get(feature, unknown)
                potential += worth
                total += lanes
                if loose:
                    scattered.append(loose)
        scores = [lane - _BIAS for lane in self._lanes.unpack(total.to_bytes(self._lanes.size, "little"))]
        for loose in scattered:
            for card, weight in loose:
                scores[card] += weight
        return scores, potential

    def evidence(self, card: int, words: Mapping[str, int], pairs: Mapping[str, int], size: int) -> list[Match]:
        """What the features of a request of ``size`` words count for one card, the weightiest first."""
        weights = self._weights[card]
        found = [Match("word", text, weights[text], at, at + 1) for text, at in words.items() if text in weights]
        found += [
            Match("pair", text, weights[text], max(at - 1, 0), min(at + 1, size))
            for text, at in pairs.items()
            if text in weights
        ]
        found.sort(key=_weightiest)
        return found


def _weightiest(match: Match) -> tuple[int, str]:
    return -match.weight, match.text


def _split(postings: tuple[tuple[int, int], ...], cards: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Weights as lanes of one integer, or, where that does not pay, as they are."""
    if len(postings) < _MIN_POSTINGS or cards > MAX_LANES:
        return 0, postings
    return sum(weight << (_LANE * card) for card, weight in postings), ()


def _by_text(phrases: tuple[Phrase, ...]) -> dict[str, tuple[tuple[int, int], ...]]:
    return {phrase.text: phrase.postings for phrase in phrases}


def _lengths(phrases: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """First word -> lengths of the phrases that begin with it, longest first."""
    lengths: dict[str, set[int]] = {}
    for text in phrases:
        lengths.setdefault(text.partition(" ")[0], set()).add(text.count(" ") + 1)
    return {word: tuple(sorted(found, reverse=True)) for word, found in lengths.items()}


def _phrases(found: Sequence[str], lengths: Mapping[str, tuple[int, ...]]) -> Iterable[tuple[int, int, str]]:
    """Runs of words that may be phrases, as (start, end, text), by start, longer ones first."""
    get = lengths.get
    for start, word in enumerate(found):
        for length in get(word, ()):
            if start + length <= len(found):
                yield start, start + length, " ".join(found[start : start + length])
