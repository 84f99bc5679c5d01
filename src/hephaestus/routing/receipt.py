"""The routing receipt: the canonical body of a ``decision`` journal entry, and its readable text.

A body holds integers and text only, and of the request only its digest and the words that the card table knows. It is
the same for the same request and table on every machine; clock, run and sequence number belong to the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hephaestus import canonical
from hephaestus.routing.decision import Ambiguous, Candidate, Decision, Match, NoRoute, Routed
from hephaestus.routing.table import ENGINE
from hephaestus.routing.text import UNICODE_DIGEST, Token, tokens

if TYPE_CHECKING:
    from hephaestus.canonical import Digest

_REQUEST_TAG = "hephaestus/request/1"


def request_digest(request: str) -> Digest:
    """The digest by which receipts name a request. Not salted: a guess of a short request can be confirmed by it."""
    return canonical.digest(_REQUEST_TAG, request)


def decision_body(decision: Decision) -> dict[str, Any]:
    """The canonical body of a decision, for the journal.

    Returns:
        ``engine``, ``unicode``, ``table`` and ``request`` (digests), ``kind``, ``gate`` (both sides of each test),
        ``vetoed``, and by kind ``winner`` and ``runners_up``, ``candidates``, ``clarify`` and ``runners_up``, or
        ``reason`` and ``nearest``. Spans are offsets into the request, in code points.
    """
    found = tokens(decision.request)

    def many(candidates: tuple[Candidate, ...]) -> list[dict[str, Any]]:
        return [_candidate(candidate, found) for candidate in candidates]

    gate = decision.gate
    body: dict[str, Any] = {
        "engine": ENGINE,
        "unicode": UNICODE_DIGEST,
        "table": decision.table,
        "request": request_digest(decision.request),
        "kind": decision.kind,
        "gate": {
            "tier": gate.tier,
            "claim": gate.claim,
            "floor": gate.floor,
            "lead": gate.lead,
            "margin": gate.margin,
        },
        "vetoed": many(decision.vetoed),
    }
    match decision:
        case Routed():
            body["winner"] = _candidate(decision.winner, found)
            body["runners_up"] = many(decision.runners_up)
        case Ambiguous():
            body["candidates"] = many(decision.candidates)
            body["clarify"] = decision.clarify
            body["runners_up"] = many(decision.runners_up)
        case NoRoute():
            body["reason"] = decision.reason
            body["nearest"] = many(decision.nearest)
    return body


def _candidate(candidate: Candidate, found: list[Token]) -> dict[str, Any]:
    return {
        "agent": candidate.agent,
        "release": candidate.release,
        "digest": candidate.digest,
        "score": candidate.score,
        "matches": [_match(match, found) for match in candidate.matches],
        "vetoes": [_match(match, found) for match in candidate.vetoes],
        "why_not": candidate.why_not,
    }


def _match(match: Match, found: list[Token]) -> dict[str, Any]:
    return {
        "kind": match.kind,
        "text": match.text,
        "weight": match.weight,
        "span": [found[match.start].start, found[match.end - 1].end],
    }


_WHY_NOT = {
    "vetoed": "vetoed",
    "behind": "behind",
    "no-trigger": "no trigger of it matched",
    "weak": "too little in common with its examples",
    "few-examples": "too few examples to be routed to by them",
}
_REASON = {
    "empty": "the request has no words",
    "vetoed": "the only claim is vetoed by an anti-trigger",
    "weak": "no card has enough in common with the request",
    "few-examples": "the only claim is of a card with too few examples to win by them",
}
_SHOWN = 8


def render(decision: Decision) -> str:
    """The readable text of a receipt. For people; programs read :func:`decision_body`."""
    match decision:
        case Routed(winner=winner):
            lines = [f"ROUTED to {winner.release}   score {winner.score}", *_because(winner)]
            lines += _others("behind it", decision.runners_up)
        case Ambiguous():
            lines = [f"AMBIGUOUS between {' and '.join(c.release for c in decision.candidates)}"]
            lines.append(f"  ask:      {decision.clarify}")
            for candidate in decision.candidates:
                lines += [f"  {candidate.release}   score {candidate.score}", *_because(candidate)]
            lines += _others("behind them", decision.runners_up)
        case NoRoute():
            lines = [f"NO ROUTE   {_REASON[decision.reason]}", *_others("nearest", decision.nearest)]
    for candidate in decision.vetoed:
        names = ", ".join(f'"{match.text}"' for match in candidate.vetoes)
        lines.append(f"  vetoed:   {candidate.release} by its anti-trigger {names} (score {candidate.score})")
    lines += _tests(decision)
    lines.append(f"  cards {_short(decision.table)}   request {_short(request_digest(decision.request))}   {ENGINE}")
    return "\n".join(lines)


def _because(candidate: Candidate) -> list[str]:
    parts = [
        f'{"trigger " if match.kind == "trigger" else ""}"{match.text}" {match.weight:+d}'
        for match in candidate.matches
    ]
    more = len(parts) - _SHOWN
    if more > 0:
        rest = sum(match.weight for match in candidate.matches[_SHOWN:])
        parts[_SHOWN:] = [f"{more} more {rest:+d}"]
    return [f"  because:  {' | '.join(parts)}"] if parts else []


def _others(label: str, candidates: tuple[Candidate, ...]) -> list[str]:
    return [
        f"  {label + ':':<9} {candidate.release}   score {candidate.score}, {_WHY_NOT[candidate.why_not]}"
        for candidate in candidates
    ]


def _tests(decision: Decision) -> list[str]:
    gate = decision.gate
    lines: list[str] = []
    if gate.tier == "examples" and gate.floor:
        lines.append(f"  evidence: {_compare(gate.claim, gate.floor)}")
    if gate.margin and not isinstance(decision, NoRoute):
        lines.append(f"  lead:     {_compare(gate.lead, gate.margin)}")
    return lines


def _compare(left: int, right: int) -> str:
    sign, word = (">=", "enough") if left >= right else ("<", "not enough")
    return f"{left * 100 // right} % of what it takes, {word} ({left} {sign} {right})"


def _short(digest: str) -> str:
    return digest[:19]
