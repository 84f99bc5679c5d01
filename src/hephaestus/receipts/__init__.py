"""Receipts: the journal of what was decided and done, how it is verified, and how an entry reads."""

from hephaestus.receipts.envelope import KINDS, Commitment, Draft, Entry, Head, Kind
from hephaestus.receipts.journal import Journal
from hephaestus.receipts.ledger import Step
from hephaestus.receipts.store import Exchange, RunSummary

__all__ = [
    "KINDS",
    "Commitment",
    "Draft",
    "Entry",
    "Exchange",
    "Head",
    "Journal",
    "Kind",
    "RunSummary",
    "Step",
]
