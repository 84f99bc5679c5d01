"""One connection to the catalogue's file: opened, locked, and with SQLite's errors said in the hub's words."""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw

from hephaestus.errors import HubError, IntegrityError, StorageError
from hephaestus.hub.layout import Layout, sync_folder
from hephaestus.hub.schema import APPLICATION_ID, SCHEMA, SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_MS = 10_000
# What SQLite says where the file cannot be opened for writing: no permission, a read-only mount, no room for the
# write-ahead log.
_CANNOT_WRITE = (apsw.CantOpenError, apsw.ReadOnlyError, apsw.FullError, apsw.IOError, apsw.PermissionsError)
Row = tuple[Any, ...]


class Database:
    """The catalogue's connection. One operation at a time; safe to use from several threads.

    A hub that cannot be written is opened for reading: then every operation opens the file anew, because a writer that
    sees the same file elsewhere may have changed it in between.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        self._closed = False
        self._connection: apsw.Connection | None = None
        if os.access(layout.folder, os.W_OK) or not layout.catalogue.exists():
            self._connection = self._open_writable()
        if self._connection is None:
            with self.reading():
                pass  # say now, not later, that it cannot be read

    @property
    def writable(self) -> bool:
        """Whether anything can be published here."""
        return self._connection is not None

    def close(self) -> None:
        """Give the file back. Later calls raise :class:`HubError`."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """A connection that sees one consistent state.

        Raises:
            IntegrityError: If the file is damaged.
            StorageError: If it cannot be read.
            HubError: If the hub was closed.
        """
        with self._lock, self._explained():
            if self._closed:
                raise HubError("the hub is closed", hint="use it inside its `async with` block")
            if self._connection is not None:
                with _transaction(self._connection, "DEFERRED"):
                    yield self._connection
                return
            connection = self._open_readable()
            try:
                with _transaction(connection, "DEFERRED"):
                    yield connection
            finally:
                connection.close()

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """A connection in a write transaction, committed at the end of the block and durable when it has ended.

        Raises:
            IntegrityError: If the file is damaged.
            StorageError: If it cannot be written.
            HubError: If the hub was closed.
        """
        with self._lock, self._explained():
            if self._closed:
                raise HubError("the hub is closed", hint="use it inside its `async with` block")
            if self._connection is None:
                raise StorageError(
                    f"the hub in {self._layout.folder} can be read but not written; nothing was changed",
                    hint="name another --home, or free space and permissions there and open the hub again",
                )
            with _transaction(self._connection, "IMMEDIATE"):
                yield self._connection

    def _open_writable(self) -> apsw.Connection | None:
        """The writing connection; None where the file can be read only."""
        existed = self._layout.catalogue.exists()
        if not existed:
            self._layout.create()
        try:
            # Two processes that make the same new hub at once must not both write its first page.
            with self._making(), self._explained(unless=_CANNOT_WRITE):
                connection = apsw.Connection(str(self._layout.catalogue))
                connection.set_busy_timeout(BUSY_MS)
                try:
                    self._prepare(connection)
                except BaseException:
                    connection.close()
                    raise
        except (OSError, *_CANNOT_WRITE) as error:
            if existed:
                return None
            raise StorageError(f"no hub can be made in {self._layout.folder}: {error}") from error
        return connection

    def _prepare(self, connection: apsw.Connection) -> None:
        """Check whose file it is; make the tables where it is new."""
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA recursive_triggers = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA synchronous = FULL")
        if connection.pragma("application_id") == 0 and connection.pragma("schema_version") == 0:
            if any(self._layout.blobs.iterdir()):
                # An empty file is a valid empty database to SQLite; to a hub it is a loss.
                raise self._lost()
            connection.execute("PRAGMA journal_mode = WAL")
            with _transaction(connection, "IMMEDIATE"):
                connection.execute(SCHEMA)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            sync_folder(self._layout.folder)
        self._check_owner(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        if connection.readonly("main"):
            raise apsw.ReadOnlyError("the file can only be read")

    def _open_readable(self) -> apsw.Connection:
        # With no write-ahead log beside it, the file is complete, and `immutable` lets SQLite read it where it cannot
        # even make its shared-memory file. With one, `immutable` would leave out what is in the log: acknowledged rows.
        log = self._layout.catalogue.with_name(self._layout.catalogue.name + "-wal")
        try:
            complete = log.stat().st_size == 0
        except FileNotFoundError:
            complete = True
        uri = self._layout.catalogue.absolute().as_uri() + ("?immutable=1" if complete else "?mode=ro")
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            connection.set_busy_timeout(BUSY_MS)
            connection.execute("PRAGMA trusted_schema = OFF")
            self._check_owner(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_owner(self, connection: apsw.Connection) -> None:
        if connection.pragma("application_id") != APPLICATION_ID:
            if connection.pragma("schema_version") == 0:
                raise self._lost()
            raise IntegrityError(f"{self._layout.catalogue} is a database, but not the catalogue of a hub")
        if (version := connection.pragma("user_version")) != SCHEMA_VERSION:
            raise HubError(
                f"{self._layout.catalogue} has catalogue version {version}, this library knows {SCHEMA_VERSION}",
                hint="open it with the version of hephaestus that wrote it, or a newer one",
            )

    def _lost(self) -> IntegrityError:
        return IntegrityError(
            f"{self._layout.catalogue} is empty although the hub holds blobs: the catalogue was lost",
            hint="restore hub.db from a copy; the blobs are still there",
        )

    @contextmanager
    def _making(self) -> Iterator[None]:
        descriptor = os.open(self._layout.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _explained(self, *, unless: tuple[type[apsw.Error], ...] = ()) -> Iterator[None]:
        where = self._layout.catalogue
        try:
            yield
        except unless:
            raise
        except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError) as error:
            raise IntegrityError(
                f"{where} is damaged: {error}", hint="restore hub.db from a copy; the blobs are still there"
            ) from error
        except apsw.ConstraintError as error:
            raise HubError(f"{where} refused a change: {error}") from error
        except (apsw.BusyError, apsw.LockedError) as error:
            raise StorageError(
                f"{where} was locked by another process for more than {BUSY_MS // 1000} s; nothing was changed",
                hint="try again when the other process has ended",
            ) from error
        except apsw.FullError as error:
            raise StorageError(
                f"no room left for {where}; nothing was changed", hint="free some space, then try again"
            ) from error
        except apsw.Error as error:
            raise StorageError(f"{where} could not be used: {error}. What it held before, it still holds") from error


@contextmanager
def _transaction(connection: apsw.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors (a full disk) have rolled back already; a second ROLLBACK would hide the first error.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
