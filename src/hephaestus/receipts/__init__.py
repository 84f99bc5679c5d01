"""Receipts: the journal of what was decided and done, how it is verified, and how an entry reads."""

from hephaestus.receipts.envelope import KINDS, Commitment, Draft, Entry, Head, Kind
from hephaestus.receipts.journal import Journal
from hephaestus.receipts.ledger import Step
from hephaestus.receipts.render import render_entry, render_row, render_verification
from hephaestus.receipts.store import Exchange, RunSummary
from hephaestus.receipts.verify import Problem, Verification, verify_journal

__all__ = [
    "KINDS",
    "Commitment",
    "Draft",
    "Entry",
    "Exchange",
    "Head",
    "Journal",
    "Kind",
    "Problem",
    "RunSummary",
    "Step",
    "Verification",
    "render_entry",
    "render_row",
    "render_verification",
    "verify_journal",
]
