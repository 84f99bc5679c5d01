"""Group commit: the parts of several callers in one transaction, each accepted or refused by itself. Blocking."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from hephaestus.errors import HephaestusError, IntegrityError, StorageError
from hephaestus.receipts import database, sums
from hephaestus.receipts.store import Page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import apsw

    from hephaestus.receipts.vault import Blobs


class Ticket:
    """One caller's part of a transaction.

    Args:
        work: Writes to the page and returns the caller's result.
        note: Nobody waits for it.
    """

    def __init__(self, work: Callable[[Page], Any], *, note: bool = False) -> None:
        self.work = work
        self.note = note
        self.done: bool = False
        self.result: Any = None
        self.error: HephaestusError | None = None

    def fail(self, error: StorageError | IntegrityError) -> None:
        """The whole transaction failed. Each caller raises an exception of its own: they run in different tasks."""
        self.result, self.error, self.done = None, None, False
        if not self.note:
            self.error, self.done = type(error)(error.message, hint=error.hint), True
            self.error.__cause__ = error


def write(writer: apsw.Connection, blobs: Blobs, path: Path, batch: list[Ticket]) -> None:
    """Write a batch in one transaction; durable when it returns. Each ticket then has its result or its own refusal.

    Raises:
        StorageError: If the disk is full or the journal cannot be written; then nothing of the batch is.
        IntegrityError: If the database is damaged; likewise.
    """
    page: Page | None = None
    try:
        with database.explained(path, "append to"):
            sums.drop(path)
            with database.transaction(writer):
                page = Page(writer, blobs)
                for ticket in batch:
                    _write_one(page, ticket)
    except BaseException:
        if page is not None:
            _remove(blobs, page.written)
        raise


def _write_one(page: Page, ticket: Ticket) -> None:
    """One caller's work; if it is refused, the others' stands."""
    end, written = (page.seq, page.link), len(page.written)
    page.connection.execute("SAVEPOINT ticket")
    try:
        ticket.result = ticket.work(page)
    except HephaestusError as error:
        page.connection.execute("ROLLBACK TO ticket")
        page.seq, page.link = end
        _remove(page.blobs, page.written[written:])
        del page.written[written:]
        ticket.error = error
    page.connection.execute("RELEASE ticket")


def _remove(blobs: Blobs, digests: list[bytes]) -> None:
    for digest in digests:
        with contextlib.suppress(OSError):  # an unreachable blob is ciphertext whose key was rolled back with it
            blobs.remove(digest)
