"""The router: one request against one card table, by exact phrases and integer sums.

The first of these that holds decides:

1. **Triggers.** Cards with a matching trigger, and no matching anti-trigger, claim the request. The best of them wins
   if it is alone or ``trigger_lead`` points ahead of the next; otherwise the decision is ambiguous. A trigger counts
   once, its weight grows with its words, and words inside a longer trigger of the same card do not count again.
2. **Examples.** Without triggers, a card claims the request if it scores enough for each point of the request's
   potential, which is what all its words and pairs are worth, those that no card knows included; so a few known words
   in a request about something else claim nothing. Enough is ``floor`` permille of the card's kinship (what its own
   examples have in common), and ``least`` permille at least. The best wins if it is ``lead`` permille of the potential
   ahead of the next. A card with fewer than ``min_examples`` examples is listed, and stands in the way of others, but
   never wins here.
3. **No route**, with the nearest cards.

Cards with a matching anti-trigger take no part and are listed. An anti-trigger only takes away: it changes no other
card's score, and a request without a route stays without one whatever anti-triggers are added. It can settle an
ambiguity, which is what it is for.

Equal scores are ordered by descending priority, then by the bytes of the agent's name. Priority orders; it does not
settle what is ambiguous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hephaestus.routing.decision import Ambiguous, Candidate, Decision, Gate, NoRoute, NoRouteReason, Routed, WhyNot
from hephaestus.routing.features import pairs_at, words_at
from hephaestus.routing.index import BIAS, Found, Index
from hephaestus.routing.table import LOG_BITS, WEIGHT_BITS, CardTable, TableCard
from hephaestus.routing.text import check_request, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LISTED = 3
"""Cards that a decision lists at most, beside the vetoed ones."""

Reasons = dict[int, WhyNot]

_PERMILLE = 1000 << (LOG_BITS - WEIGHT_BITS)
"""A score times this is in permille of the unit of a potential."""


class Router:
    """Routes requests over one card table. Pure and thread-safe: after ``__init__`` nothing in it changes.

    Args:
        table: From :meth:`CardTable.load`.
    """

    def __init__(self, table: CardTable) -> None:
        self.table = table
        self._index = Index(table.contents)

    def route(self, request: str) -> Decision:
        """Decide which card, if any, is the right one for ``request``.

        Raises:
            InvalidRequest: If ``request`` is not text, too long, or holds NUL or a lone surrogate.
        """
        check_request(request)
        return _Question(self.table, self._index, request).decide()

    def route_many(self, requests: Iterable[str]) -> list[Decision]:
        """:meth:`route` of each request, in order.

        Raises:
            InvalidRequest: At the first request that is none; nothing is returned for the others.
        """
        return [self.route(request) for request in requests]


class _Question:
    """One request while it is being decided; lives for one call."""

    __slots__ = ("cards", "index", "limits", "pairs", "potential", "request", "scores", "size", "table", "triggers",
                 "vetoes", "words")  # fmt: skip

    def __init__(self, table: CardTable, index: Index, request: str) -> None:
        self.table = table
        self.index = index
        self.request = request
        self.cards: tuple[TableCard, ...] = table.contents.cards
        self.limits = table.contents.thresholds
        found = words(request)
        self.size = len(found)
        self.words = words_at(found)
        self.pairs = pairs_at(found)
        runs = index.phrases(found)
        self.triggers: Found = index.triggers(runs) if runs else {}
        self.vetoes: Found = index.vetoes(runs) if runs else {}
        self.scores, self.potential = index.scores(self.words, self.pairs)

    def decide(self) -> Decision:
        vetoed = self.vetoed()
        claimants = [card for card in self.triggers if card not in self.vetoes]
        if claimants:
            return self.by_triggers(claimants, vetoed)
        return self.by_examples(vetoed)

    def by_triggers(self, claimants: list[int], vetoed: tuple[Candidate, ...]) -> Decision:
        for card in claimants:
            self.scores[card] += sum(match.weight for match in self.triggers[card])
        ranked = sorted(claimants, key=lambda card: (-self.scores[card], card))
        lead = margin = 0
        if len(ranked) > 1:
            lead, margin = self.scores[ranked[0]] - self.scores[ranked[1]], self.limits.trigger_lead
        gate = Gate("trigger", 0, 0, lead, margin)
        reasons: dict[int, WhyNot] = dict.fromkeys(claimants, "behind")
        if len(ranked) < LISTED:
            ranked += [card for card in self.best(LISTED) if card not in reasons][: LISTED - len(ranked)]
        ranked = ranked[:LISTED]
        if lead >= margin:
            return self.routed(ranked, reasons, vetoed, gate)
        close = [card for card in ranked if card in reasons and self.scores[ranked[0]] - self.scores[card] < margin]
        return self.ambiguous(close, ranked[len(close) :], reasons, vetoed, gate)

    def by_examples(self, vetoed: tuple[Candidate, ...]) -> Decision:
        ranked = self.best(LISTED)
        leader = self.leader(ranked)
        first = ranked[0] if leader is None and ranked else leader
        reasons: dict[int, WhyNot] = {
            card: ("behind" if self.index.able[card] else "few-examples") if self.claims(card) else "weak"
            for card in ranked
        }
        if first is None:
            gate = Gate("examples", 0, 0, 0, 0)
        else:
            rival = max((self.scores[card] for card in ranked if card != first), default=BIAS)
            lead, margin = (self.scores[first] - rival) * _PERMILLE, self.limits.lead * self.potential
            gate = Gate("examples", self.claim(first), self.floor(first), lead, margin)
        if leader is None:
            reason: NoRouteReason = "few-examples" if "few-examples" in reasons.values() else "weak"
            if not self.size:
                reason = "empty"
            elif self.vetoed_claim():
                reason = "vetoed"
            return NoRoute(
                request=self.request,
                table=self.table.digest,
                reason=reason,
                nearest=tuple(self.candidate(card, reasons[card]) for card in ranked),
                vetoed=vetoed,
                gate=gate,
            )
        if gate.lead >= gate.margin:
            return self.routed([leader, *(card for card in ranked if card != leader)], reasons, vetoed, gate)
        listed = ranked if leader in ranked else [*ranked[:-1], leader]
        # The leader is a candidate even where a card that cannot win here stands far ahead of it.
        reach = self.scores[leader] * _PERMILLE - gate.margin
        close = [card for card in listed if card == leader or self.scores[card] * _PERMILLE > reach]
        return self.ambiguous(close, [card for card in listed if card not in close], reasons, vetoed, gate)

    def leader(self, ranked: Sequence[int]) -> int | None:
        """The best card that claims the request by its examples and has enough of them, or None."""
        able = next((card for card in ranked if self.claims(card) and self.index.able[card]), None)
        if able is not None or len(ranked) < LISTED or self.claim(ranked[-1]) < self.potential * self.index.least_floor:
            return able
        # Floors differ, so a card that is not among the best may claim where they do not.
        rest = [card for card in range(len(self.cards)) if card not in self.vetoes and card not in ranked]
        rest = [card for card in rest if self.claims(card) and self.index.able[card]]
        return min(rest, key=lambda card: (-self.scores[card], card), default=None)

    def routed(self, ranked: Sequence[int], reasons: Reasons, vetoed: tuple[Candidate, ...], gate: Gate) -> Routed:
        other: WhyNot = "no-trigger" if gate.tier == "trigger" else "weak"
        return Routed(
            request=self.request,
            table=self.table.digest,
            winner=self.candidate(ranked[0], ""),
            runners_up=tuple(self.behind(card, reasons.get(card, other)) for card in ranked[1:]),
            vetoed=vetoed,
            gate=gate,
        )

    def ambiguous(
        self,
        chosen: Sequence[int],
        rest: Sequence[int],
        reasons: Reasons,
        vetoed: tuple[Candidate, ...],
        gate: Gate,
    ) -> Ambiguous:
        other: WhyNot = "no-trigger" if gate.tier == "trigger" else "weak"
        return Ambiguous(
            request=self.request,
            table=self.table.digest,
            candidates=tuple(self.candidate(card, "") for card in chosen),
            clarify=_clarify([self.cards[card] for card in chosen]),
            runners_up=tuple(self.behind(card, reasons.get(card, other)) for card in rest),
            vetoed=vetoed,
            gate=gate,
        )

    def best(self, count: int) -> list[int]:
        """The cards with the greatest positive scores that no anti-trigger vetoes, best first."""
        scores = self.scores.copy()
        for card in self.vetoes:
            scores[card] = BIAS
        found: list[int] = []
        while len(found) < count and scores:
            top = max(scores)
            if top <= BIAS:
                break
            # Cards stand in the order in which ties are broken, so the first of equals is the right one.
            found.append(scores.index(top))
            scores[found[-1]] = BIAS
        return found

    def vetoed(self) -> tuple[Candidate, ...]:
        found = [self.candidate(card, "vetoed") for card in sorted(self.vetoes)]
        found.sort(key=lambda candidate: -candidate.score)
        return tuple(found)

    def vetoed_claim(self) -> bool:
        """Whether a vetoed card would have claimed the request."""
        return any(card in self.triggers or self.claims(card) for card in self.vetoes)

    def claims(self, card: int) -> bool:
        """Whether a card claims the request by its examples."""
        return self.scores[card] > BIAS and self.claim(card) >= self.floor(card)

    def claim(self, card: int) -> int:
        return (self.scores[card] - BIAS) * _PERMILLE << LOG_BITS

    def floor(self, card: int) -> int:
        return self.potential * self.index.floors[card]

    def candidate(self, card: int, why_not: WhyNot) -> Candidate:
        entry = self.cards[card]
        matches = self.triggers.get(card, []) + self.index.evidence(card, self.words, self.pairs, self.size)
        score = sum(match.weight for match in matches)
        return Candidate(
            entry.agent,
            entry.release,
            entry.digest,
            score,
            tuple(matches),
            tuple(self.vetoes.get(card, ())),
            why_not,
        )

    def behind(self, card: int, why_not: WhyNot) -> Candidate:
        """A runner-up: its score and what it lacked, without the evidence."""
        entry = self.cards[card]
        return Candidate(entry.agent, entry.release, entry.digest, self.scores[card] - BIAS, (), (), why_not)


def _clarify(cards: Sequence[TableCard]) -> str:
    for card in cards:
        if card.clarify:
            return card.clarify
    options = ", or ".join(f"{card.capability} ({card.agent})" for card in cards)
    return f"Which do you mean: {options}?"
