"""The journal: what was decided, done and found, entry after entry, durable before anyone is told.

One object per process; any number of runs and of processes write the same database. Callers that append at the same
time share one transaction and so one wait for the disk (group commit).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

import anyio
import anyio.to_thread

from hephaestus import canonical
from hephaestus.errors import HephaestusError, IntegrityError, NotFound, StorageError, UsageError
from hephaestus.receipts import database, envelope, ledger, store, sums, vault
from hephaestus.receipts.commit import Ticket, write
from hephaestus.receipts.envelope import Draft, Entry, Head, Kind
from hephaestus.receipts.store import Exchange, Page, RunSummary

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    import apsw

    from hephaestus.canonical import Digest
    from hephaestus.seals import Signer

T = TypeVar("T")

ERASED: Final = {"event": "erased"}
"""Body of the `event` entry that says that a run's secrets were destroyed on purpose."""


class Journal:
    """An append-only, hash-chained record; use as ``async with Journal.open(path) as journal``.

    What the chain shows: that no entry was changed, removed from the middle, added in between or moved. What only a
    signed head shows: that none was cut off the end. Neither shows that the whole file was put back to an older state
    of itself; for that, keep a head elsewhere (every certificate holds a link).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blobs = vault.Blobs(blobs_folder(path))
        self._pending: list[Ticket] = []
        self._refused: list[HephaestusError] = []
        self._writer: apsw.Connection | None = None
        self._reader: apsw.Connection | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Journal:
        """The journal in this database; it is opened, and made where there is none, on entering the context.

        Entering raises :class:`~hephaestus.errors.StorageError` where the place cannot be written and
        :class:`~hephaestus.errors.IntegrityError` where something else lies there. The folder must exist.
        """
        return cls(Path(path))

    async def __aenter__(self) -> Self:
        self._turn = anyio.Lock()
        self._reading = anyio.Lock()
        # Threads of its own: the shared ones may all be taken by work that waits for the journal.
        self._write_thread = anyio.CapacityLimiter(1)
        self._read_thread = anyio.CapacityLimiter(1)
        with anyio.CancelScope(shield=True):
            self._writer = await anyio.to_thread.run_sync(database.connect, self.path)
            try:
                self._reader = await anyio.to_thread.run_sync(database.connect, self.path)
            except BaseException:
                self._writer.close()
                self._writer = None
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Write what was noted, move everything into the one file, and close. Closing twice is fine.

        Raises:
            StorageError: If notes could not be written.
        """
        if self._writer is None:
            return
        with anyio.CancelScope(shield=True):
            try:
                await self.flush()
            finally:
                await self._close()

    # --- writing -----------------------------------------------------------------------------------------------------

    async def append(self, *drafts: Draft) -> tuple[Entry, ...]:
        """Write entries, in this order and next to each other; durable when it returns.

        A caller that is cancelled while it waits for its turn has written nothing; once its transaction runs, that is
        finished first, and the entries are there although the caller never learns it.

        Raises:
            UsageError: If a draft is not one; then none of ``drafts`` is written.
            StorageError: If the disk is full or the journal cannot be written; then none is written.
        """
        checked = [(draft, envelope.check_draft(draft)) for draft in drafts]
        if not checked:
            return ()
        return await self._submit(lambda page: tuple(store.write_entry(page, draft, body) for draft, body in checked))

    def note(self, draft: Draft) -> None:
        """Keep an entry for later, in order; it is durable after the next append or flush of anyone.

        Raises:
            UsageError: If the draft is not one.
        """
        body = envelope.check_draft(draft)
        self._open_writer()
        self._pending.append(Ticket(lambda page: store.write_entry(page, draft, body), note=True))

    async def flush(self) -> None:
        """Make everything that was noted durable.

        Raises:
            StorageError: If it cannot be written; the notes are kept and tried again.
            UsageError: If a note was refused when its turn came, for example a secret for a run that was erased.
        """
        async with self._turn:
            if self._pending:
                await self._commit()
        if self._refused:
            raise self._refused.pop(0)

    async def sign_head(self, signer: Signer) -> Head:
        """Seal the chain as it ends now, notes included, so that cutting off its tail can be seen.

        Raises:
            SignerError: If the signer cannot.
            UsageError: If the journal is empty.
        """
        await self.flush()
        seq, link = await self._read(store.chain_end)
        if seq == 0:
            raise UsageError("an empty journal has no head to sign")
        text = envelope.as_digest(link)
        seal = await signer.sign("head", envelope.head_payload(seq, text))

        def keep(page: Page) -> Head:
            head = Head(seq=seq, link=text, key_id=seal.key_id, seal=seal.seal, at=page.at)
            store.write_head(page, head)
            return head

        return await self._submit(keep)

    async def erase(self, run: str) -> None:
        """Destroy a run's key and ciphertexts. Its receipts stay and still verify; what they commit to is gone.

        The erasure is an entry of its own. A copy of the database that was made before still has the key.

        Raises:
            NotFound: If the journal has no entry of that run.
            StorageError: If another process reads the journal all the time, so that its log keeps the key.
        """
        body = envelope.check_draft(Draft("event", run, dict(ERASED)))

        def destroy(page: Page) -> list[bytes]:
            if not database.rows(page.connection, "SELECT 1 FROM entry WHERE run = ? LIMIT 1", (run,)):
                raise NotFound(f"the journal has no run {run!r}", hint="`hephaestus receipts list` shows the runs")
            row = page.connection.execute("SELECT erased FROM run_key WHERE run = ?", (run,)).fetchone()
            mine = "seq IN (SELECT seq FROM entry WHERE run = ?)"
            blobs = database.rows(
                page.connection, f"SELECT sealed FROM secret WHERE place = 'blob' AND {mine}", (run,)  # noqa: S608
            )  # fmt: skip
            page.connection.execute(f"DELETE FROM secret WHERE {mine}", (run,))  # noqa: S608
            page.connection.execute(
                "INSERT INTO run_key (run, key, erased) VALUES (?, NULL, ?) "
                "ON CONFLICT (run) DO UPDATE SET key = NULL, erased = coalesce(erased, excluded.erased)",
                (run, page.at),
            )
            if row is None or row[0] is None:
                store.write_entry(page, Draft("event", run, dict(ERASED)), body)
            return [digest for (digest,) in blobs]

        blobs = await self._submit(destroy)
        with anyio.CancelScope(shield=True):
            async with self._turn, self._reading:
                await anyio.to_thread.run_sync(self._wipe, blobs, limiter=self._write_thread)

    # --- the ledger --------------------------------------------------------------------------------------------------

    async def begin_step(self, run: str, step: str, request: Digest) -> ledger.Step:
        """Say durably that an outside effect is about to start; see :mod:`~hephaestus.receipts.ledger`.

        Returns:
            The step: ``fresh`` if it is to be done now; ``done`` with the entry of its answer; else it is in doubt.

        Raises:
            UsageError: If the step was begun with another request.
        """
        envelope.check_run(run)
        ledger.check(step, request)
        return await self._submit(lambda page: ledger.begin(page.connection, run, step, request))

    async def commit_step(self, run: str, step: str, answer: Draft) -> Entry:
        """Write a step's answer and mark the step done, in one transaction; durable when it returns.

        Raises:
            UsageError: If the step was not begun, or is done already; then nothing is written.
        """
        body = envelope.check_draft(answer)

        def finish(page: Page) -> Entry:
            entry = store.write_entry(page, answer, body)
            ledger.commit(page.connection, run, step, entry.seq)
            return entry

        return await self._submit(finish)

    async def step(self, run: str, step: str) -> ledger.Step | None:
        """A step as it stands, or None if it was never begun."""
        return await self._read(lambda connection: ledger.find(connection, run, step))

    # --- reading; what was only noted is not seen ---------------------------------------------------------------

    async def entries(
        self, run: str | None = None, kind: Kind | None = None, *, after: int = 0, limit: int | None = None
    ) -> tuple[Entry, ...]:
        """Entries in the order of the chain.

        Args:
            run: Only of this run.
            kind: Only of this kind.
            after: Only with a greater seq.
            limit: At most so many.
        """
        if run is not None:
            envelope.check_run(run)
        # Two texts rather than `? IS NULL OR`, so that the index on run is used.
        clause = (
            f"WHERE seq > ? AND (? IS NULL OR kind = ?) {'' if run is None else 'AND run = ?'} ORDER BY seq LIMIT ?"
        )
        bindings = (after, kind, kind, *(() if run is None else (run,)), -1 if limit is None else limit)
        return await self._read(lambda connection: store.read_entries(connection, clause, bindings))

    async def entry(self, seq: int) -> Entry:
        """One entry.

        Raises:
            NotFound: If there is none with this number.
        """
        found: tuple[Entry, ...] = ()
        if 0 < seq <= canonical.MAX_INTEGER:
            found = await self._read(lambda connection: store.read_entries(connection, "WHERE seq = ?", (seq,)))
        if not found:
            raise NotFound(f"the journal has no entry {seq}", hint="`hephaestus receipts list` shows what there is")
        return found[0]

    async def runs(self) -> tuple[RunSummary, ...]:
        """Every run, in the order of their first entries."""
        sql = (
            "SELECT run, min(seq) AS first, max(seq), count(*), min(at), max(kind = 'ending') "
            "FROM entry WHERE run != '' GROUP BY run ORDER BY first"
        )
        found = await self._read(lambda connection: database.rows(connection, sql))
        return tuple(
            RunSummary(run=run, first=first, last=last, entries=entries, at=at, ended=bool(ended))
            for run, first, last, entries, at, ended in found
        )

    async def tape(self, run: str, *, instance: str | None = None) -> tuple[Exchange, ...]:
        """The tape's index of a run, by instance and ordinal."""
        sql = (
            "SELECT run, instance, ordinal, request, seq FROM tape "
            "WHERE run = ?1 AND (?2 IS NULL OR instance = ?2) ORDER BY instance, ordinal"
        )
        found = await self._read(lambda connection: database.rows(connection, sql, (run, instance)))
        return tuple(Exchange(*row) for row in found)

    async def secrets(self, entry: Entry) -> dict[str, bytes] | None:
        """What an entry's secrets say: empty if it has none, None if the run was erased.

        Raises:
            IntegrityError: If a ciphertext is missing or not the one that the entry commits to.
        """
        return await self._read(lambda connection: store.read_secrets(connection, self._blobs, entry))

    async def head(self) -> Head | None:
        """The newest signed head, as stored: not verified."""
        heads = await self._read(store.read_heads)
        return heads[-1] if heads else None

    # --- how -----------------------------------------------------------------------------------------------------

    async def _submit(self, work: Callable[[Page], T]) -> T:
        self._open_writer()
        ticket = Ticket(work)
        self._pending.append(ticket)
        try:
            # The first to get its turn writes what everybody is waiting for; the others find their work done.
            async with self._turn:
                if not ticket.done:
                    await self._commit()
        finally:
            if not ticket.done and ticket in self._pending:
                self._pending.remove(ticket)  # cancelled before its turn
        if ticket.error is not None:
            raise ticket.error
        result: T = ticket.result
        return result

    async def _commit(self) -> None:
        """Write all that is pending. Called with the turn; never interrupted, or nobody would know what was written."""
        writer = self._open_writer()
        batch, self._pending = self._pending, []
        with anyio.CancelScope(shield=True):
            try:
                await anyio.to_thread.run_sync(write, writer, self._blobs, self.path, batch, limiter=self._write_thread)
            except BaseException as error:
                # Nothing was written. Callers are told; notes have nobody to tell, so they stay for the next try.
                said: StorageError | IntegrityError
                if isinstance(error, StorageError | IntegrityError):
                    said = error
                else:
                    said = StorageError(f"the journal's writer failed: {error!r}; nothing was written")
                for ticket in batch:
                    ticket.fail(said)
                notes = [ticket for ticket in batch if ticket.note]
                self._pending[:0] = notes
                if said is not error or len(notes) == len(batch):
                    raise
                return
        for ticket in batch:
            ticket.done = True
            if ticket.note and ticket.error is not None:
                self._refused.append(ticket.error)

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        def run(connection: apsw.Connection) -> T:
            with database.explained(self.path, "read"):
                return work(connection)

        self._open_writer()
        async with self._reading:
            if self._reader is None:
                raise self._closed()
            return await anyio.to_thread.run_sync(run, self._reader, limiter=self._read_thread)

    async def _close(self) -> None:
        async with self._turn, self._reading:
            writer, reader = self._writer, self._reader
            self._writer = self._reader = None
            if writer is not None and reader is not None:
                await anyio.to_thread.run_sync(_close, writer, reader, self.path, limiter=self._write_thread)

    def _open_writer(self) -> apsw.Connection:
        if self._writer is None:
            raise self._closed()
        return self._writer

    def _closed(self) -> UsageError:
        return UsageError(f"the journal {self.path} is not open", hint="use it inside `async with Journal.open(path)`")

    def _wipe(self, blobs: list[bytes]) -> None:
        import apsw

        with database.explained(self.path, "erase from"):
            for digest in blobs:
                self._blobs.remove(digest)
            try:
                # Until the log is emptied, an older page with the key lies in it.
                self._open_writer().wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError as error:
                raise StorageError(
                    "the run is erased, but its key still lies in the journal's log while another process reads it",
                    hint="erase the run again when the other process is done",
                ) from error


def blobs_folder(path: Path) -> Path:
    """Where the large ciphertexts of the journal at ``path`` lie: ``journal.blobs`` beside ``journal.db``."""
    return path.with_name(path.stem + ".blobs")


def _close(writer: apsw.Connection, reader: apsw.Connection, path: Path) -> None:
    import apsw

    reader.close()
    # Unable or busy: another process is using the journal, and will be the one that leaves a single file behind.
    unable = (apsw.BusyError, apsw.FullError, apsw.IOError, apsw.ReadOnlyError, OSError)
    with contextlib.suppress(*unable), sums.locked(path):
        try:
            with contextlib.suppress(*unable):
                writer.set_busy_timeout(100)
                writer.wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            writer.close()
        sums.make(path)
    writer.close()
