"""Which agent a request is for: cards, compiled to a table of integers, and the router over it. Pure; does no I/O."""

from hephaestus.routing.compile import CardEntry, compile_cards
from hephaestus.routing.decision import Ambiguous, Candidate, Decision, Gate, Match, NoRoute, Routed
from hephaestus.routing.receipt import decision_body, render, request_digest
from hephaestus.routing.router import Router
from hephaestus.routing.table import CardTable, TableCard

__all__ = [
    "Ambiguous",
    "Candidate",
    "CardEntry",
    "CardTable",
    "Decision",
    "Gate",
    "Match",
    "NoRoute",
    "Routed",
    "Router",
    "TableCard",
    "compile_cards",
    "decision_body",
    "render",
    "request_digest",
]
