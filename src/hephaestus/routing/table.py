"""The card table: all cards of a hub generation, compiled. Its bytes are canonical JSON, its digest is theirs.

What a table is, is here; how cards become one is in ``compile``, what a router does with it in ``router``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

import msgspec
from msgspec import Meta

from hephaestus.canonical import Digest, digest_bytes, is_digest
from hephaestus.errors import IntegrityError
from hephaestus.routing.text import UNICODE_DIGEST

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE = "hephaestus-router/1"
"""Version of everything between the request and the decision; a change of any rule or weight changes it."""

MAX_BYTES = 256 * 1024 * 1024
MAX_WEIGHT = 2**13 - 1
"""Of one feature for one card. A request has fewer than 2**18 different features, so that every sum fits 32 bits."""

MAX_POTENTIAL = 2**14 - 1
"""Of one feature. Keeps both sides of every comparison within the 53 bits of a receipt's integers."""

WEIGHT_BITS = 2
"""Bits of fraction in a weight and a score."""

LOG_BITS = 6
"""Bits of fraction in a logarithm, and in a potential, which is the square of one."""

MAX_KINSHIP = 2**11 - 1
"""Thirty-two times the potential."""

MAX_PHRASE_WORDS = 16
"""Words of the longest trigger; bounds the work for a request that repeats one word."""

Index = Annotated[int, Meta(ge=0, lt=2**20)]
Weight = Annotated[int, Meta(ge=-MAX_WEIGHT, le=MAX_WEIGHT)]
PhraseWeight = Annotated[int, Meta(ge=0, lt=2**24)]
Potential = Annotated[int, Meta(ge=0, le=MAX_POTENTIAL)]
Permille = Annotated[int, Meta(ge=0, le=1000)]
Natural = Annotated[int, Meta(ge=0, lt=2**31)]
Text = Annotated[str, Meta(min_length=1, max_length=100_000)]


# Fields stand in alphabetical order, so that msgspec's encoding of a table is its canonical form.


class TableCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the router needs to know of one card beside its words. Checks and code stay in the release."""

    agent: Text
    capability: str  # the first one, for people
    clarify: str | None
    digest: Digest  # of the release
    examples: Natural  # how many the card has
    kinship: Annotated[int, Meta(ge=0, le=MAX_KINSHIP)]  # how much they have in common; see ``learn``
    priority: Annotated[int, Meta(ge=-100, le=100)]
    release: Text  # name@version


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the router draws its lines; all integers, see ``router`` for the comparisons."""

    floor: Permille  # of its kinship that a card must score, per point of the request's potential, to claim by examples
    lead: Permille  # that the best must be ahead by examples, in permille of the request's potential
    least: Permille  # that any card must score for that, in permille of the request's potential
    min_examples: Natural  # a card with fewer is proposed, not routed to, without a trigger
    trigger_lead: Natural  # points that the best must be ahead among cards with a trigger


class Feature(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A word or a pair of words."""

    text: Text
    potential: Potential  # what it is worth at most; see ``compile``
    postings: tuple[tuple[Index, Weight], ...]  # by card, strictly ascending


class Phrase(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A trigger or an anti-trigger: words joined by single spaces."""

    text: Text
    postings: tuple[tuple[Index, PhraseWeight], ...]  # weight 0 in an anti-trigger


class Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything in a table, as its bytes have it."""

    anti_triggers: tuple[Phrase, ...]  # by text, strictly ascending, like triggers and features
    cards: tuple[TableCard, ...]  # by descending priority, then by the bytes of the agent's name
    engine: str
    features: tuple[Feature, ...]
    schema: Literal["hephaestus/card-table/1"]
    thresholds: Thresholds
    triggers: tuple[Phrase, ...]
    unicode: str
    unseen: Potential  # potential of a feature that no card has


_DECODER = msgspec.json.Decoder(Contents)


class CardTable:
    """A card table that was read whole and found to be in order. Immutable; share it between threads."""

    __slots__ = ("contents", "digest")

    def __init__(self, contents: Contents, digest: Digest) -> None:
        self.contents: Contents = contents
        self.digest: Digest = digest

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read a table, strictly.

        Raises:
            IntegrityError: If ``data`` is not a card table in canonical form, contradicts itself, or was compiled for
                another engine or Unicode table.
        """
        if len(data) > MAX_BYTES:
            raise IntegrityError(f"a card table has at most {MAX_BYTES} bytes, this one has {len(data)}")
        try:
            contents = _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _broken(str(error)) from error
        if msgspec.json.encode(contents) != data:
            raise _broken("the JSON is not in canonical form")
        _check(contents)
        return cls(contents, digest_bytes(data))

    @property
    def entries(self) -> tuple[TableCard, ...]:
        """The cards, in the order in which ties are broken."""
        return self.contents.cards

    def __len__(self) -> int:
        return len(self.contents.cards)

    def __iter__(self) -> Iterator[TableCard]:
        return iter(self.contents.cards)

    def __repr__(self) -> str:
        return f"CardTable({len(self)} cards, {self.digest})"


def order(priority: int, agent: str) -> tuple[int, bytes]:
    """The total order of cards with equal scores."""
    return -priority, agent.encode()


def _check(contents: Contents) -> None:
    if contents.engine != ENGINE:
        raise IntegrityError(
            f"a card table of engine {ENGINE} was expected, found {contents.engine[:80]!r}",
            hint="deploy the channel again, or use the version of hephaestus that compiled it",
        )
    if contents.unicode != UNICODE_DIGEST:
        raise IntegrityError(f"a card table over the Unicode table {UNICODE_DIGEST} was expected")
    orders = [order(card.priority, card.agent) for card in contents.cards]
    if orders != sorted(orders):
        raise _broken("the cards are not in order")
    if len({card.agent for card in contents.cards}) != len(contents.cards):
        raise _broken("two cards name the same agent")
    for card in contents.cards:
        if not is_digest(card.digest):
            raise _broken(f"the digest of {card.release[:80]} is none")
    for rows in (contents.anti_triggers, contents.features, contents.triggers):
        _check_rows(rows, len(contents.cards))
    for phrase in (*contents.anti_triggers, *contents.triggers):
        if phrase.text.count(" ") >= MAX_PHRASE_WORDS:
            raise _broken(f"{phrase.text[:80]!r} has more than {MAX_PHRASE_WORDS} words")


def _check_rows(rows: tuple[Phrase, ...] | tuple[Feature, ...], cards: int) -> None:
    before = b""
    for row in rows:
        text = row.text.encode()
        if text <= before:
            raise _broken(f"{row.text[:80]!r} is not in its place")
        before = text
        last = -1
        for index, _weight in row.postings:
            if not last < index < cards:
                raise _broken(f"{row.text[:80]!r} names card {index} out of order or out of range")
            last = index


def _broken(what: str) -> IntegrityError:
    return IntegrityError(f"a card table was expected: {what}", hint="compile it again from the cards")
