"""What a router answers: routed, ambiguous or no route, with the evidence for it. Values only.

A decision holds the request's text, for the caller who just passed it in; what goes into the journal is
``receipt.decision_body``, which does not.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from hephaestus.canonical import Digest

MatchKind = Literal["trigger", "anti-trigger", "word", "pair"]
Tier = Literal["trigger", "examples"]
WhyNot = Literal["", "vetoed", "behind", "no-trigger", "weak", "few-examples"]
"""Why a card did not win: empty for one that did, or that is among the candidates of an ambiguous decision.

``behind``: another one is ahead. ``no-trigger``: others matched a trigger, this one did not. ``weak``: the request has
too little in common with its examples. ``few-examples``: it has too few examples to be routed to by them.
"""
NoRouteReason = Literal["empty", "vetoed", "weak", "few-examples"]


class Match(msgspec.Struct, frozen=True):
    """One piece of evidence: what was found in the request, and what it counts for one card."""

    kind: MatchKind
    text: str  # as the card table has it: normalised words; in a pair, ^ and $ are the ends of the request
    weight: int  # 0 for an anti-trigger, which vetoes instead
    start: int  # position of its first word in the request, in words
    end: int  # position after its last word


class Candidate(msgspec.Struct, frozen=True):
    """One card's standing in a decision.

    The weights of ``matches`` add up to ``score``, except in a runner-up, which carries its score alone.
    """

    agent: str
    release: str  # name@version
    digest: Digest  # of the release
    score: int
    matches: tuple[Match, ...]
    vetoes: tuple[Match, ...] = ()
    why_not: WhyNot = ""


class Gate(msgspec.Struct, frozen=True):
    """The comparisons that a decision came from, both sides of each, so that anyone can carry them out again.

    The leading card claims the request if ``claim >= floor``, and is far enough ahead of the others if
    ``lead >= margin``. In tier ``trigger`` the trigger is the claim, and claim and floor are 0; a single claim needs no
    lead, and lead and margin are 0. ``router`` gives the formulas.
    """

    tier: Tier
    claim: int
    floor: int
    lead: int
    margin: int


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """One card is the right one."""

    kind: ClassVar[Literal["routed"]] = "routed"

    request: str
    table: Digest
    winner: Candidate
    runners_up: tuple[Candidate, ...]  # best first, at most two
    vetoed: tuple[Candidate, ...]  # every card with a matching anti-trigger
    gate: Gate


class Ambiguous(msgspec.Struct, frozen=True, kw_only=True):
    """Several cards claim the request and none is clearly ahead: ask ``clarify`` and route the answer."""

    kind: ClassVar[Literal["ambiguous"]] = "ambiguous"

    request: str
    table: Digest
    candidates: tuple[Candidate, ...]  # best first, two or three
    clarify: str  # a question to the caller
    runners_up: tuple[Candidate, ...]
    vetoed: tuple[Candidate, ...]
    gate: Gate


class NoRoute(msgspec.Struct, frozen=True, kw_only=True):
    """No card claims the request."""

    kind: ClassVar[Literal["no_route"]] = "no_route"

    request: str
    table: Digest
    reason: NoRouteReason
    nearest: tuple[Candidate, ...]  # best first, at most three; each says why it did not win
    vetoed: tuple[Candidate, ...]
    gate: Gate


Decision = Routed | Ambiguous | NoRoute
