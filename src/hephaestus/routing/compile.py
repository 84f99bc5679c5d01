"""Cards become a card table: phrases with weights, and what ``learn`` makes of the examples."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from hephaestus import canonical
from hephaestus.assets.card import Card
from hephaestus.canonical import Digest
from hephaestus.errors import UsageError
from hephaestus.routing.learn import learn, potential
from hephaestus.routing.table import (
    ENGINE,
    MAX_PHRASE_WORDS,
    Contents,
    Phrase,
    TableCard,
    Thresholds,
    order,
)
from hephaestus.routing.text import UNICODE_DIGEST, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT_CAP = 256
"""Cards kept per word or pair; with up to this many cards nothing is dropped. Lower caps cost accuracy: on CLINC150's
validation part 0.1 points at 64 and 0.4 at 16."""

TRIGGER_WORD = 4096
"""Points of a trigger, per word in it: more than the examples of one card usually give, and a longer phrase wins."""

THRESHOLDS = Thresholds(floor=400, lead=80, least=350, min_examples=10, trigger_lead=TRIGGER_WORD)
"""Chosen on CLINC150's training and validation parts: all of it, tables of 3 to 30 of its cards, and beside it a card
about the Python standard library, which covers much with few examples of each thing."""


class CardEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One card, and the release that it speaks for."""

    agent: str
    release: str  # name@version
    digest: Digest
    card: Card


def compile_cards(entries: Iterable[CardEntry], *, cap: int = DEFAULT_CAP) -> bytes:
    """The card table of these cards, as canonical bytes. The order of ``entries`` does not matter.

    Args:
        entries: One per agent.
        cap: Cards kept per word or pair: those with the greatest absolute weight, ties to the first in order.

    Raises:
        UsageError: If two entries name the same agent, a phrase has no word or too many, or ``cap`` is below 1.
    """
    if cap < 1:
        raise UsageError(f"at least one card per word must be kept, not {cap}")
    ordered = sorted(entries, key=lambda entry: order(entry.card.priority, entry.agent))
    for agent, count in Counter(entry.agent for entry in ordered).items():
        if count > 1:
            raise UsageError(f"one card per agent was expected, found {count} of {agent}")
    cards = [entry.card for entry in ordered]
    learned = learn(cards, cap=cap)
    contents = Contents(
        anti_triggers=_phrases(cards, "anti_triggers"),
        cards=tuple(map(_table_card, ordered, learned.kinships)),
        engine=ENGINE,
        features=learned.features,
        schema="hephaestus/card-table/1",
        thresholds=THRESHOLDS,
        triggers=_phrases(cards, "triggers"),
        unicode=UNICODE_DIGEST,
        unseen=potential(1, 0, len(cards)),
    )
    return canonical.encode(contents)


def _table_card(entry: CardEntry, kinship: int) -> TableCard:
    card = entry.card
    return TableCard(
        agent=entry.agent,
        capability=card.capabilities[0] if card.capabilities else entry.agent,
        clarify=card.clarify,
        digest=entry.digest,
        examples=len(card.examples),
        kinship=kinship,
        priority=card.priority,
        release=entry.release,
    )


def _phrases(cards: Sequence[Card], field: str) -> tuple[Phrase, ...]:
    found: dict[str, dict[int, int]] = {}
    for index, card in enumerate(cards):
        for phrase in getattr(card, field):
            parts = words(phrase)
            if not 1 <= len(parts) <= MAX_PHRASE_WORDS:
                raise UsageError(
                    f"{field}: 1 to {MAX_PHRASE_WORDS} words were expected, {phrase!r} has {len(parts)}",
                    hint="a word is a run of letters and digits",
                )
            weight = TRIGGER_WORD * len(parts) if field == "triggers" else 0
            found.setdefault(" ".join(parts), {})[index] = weight
    return tuple(Phrase(text, tuple(sorted(found[text].items()))) for text in sorted(found, key=str.encode))
