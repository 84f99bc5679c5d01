"""The one database of journal, ledger and tape: its tables, how it is opened, and what its errors mean.

Whatever lies at the path is hostile until it has shown to be ours: no trigger or view of it is ever run, and its schema
must be, text for text, the one below.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from hephaestus.errors import HephaestusError, IntegrityError, NotFound, StorageError
from hephaestus.receipts import sums

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

APPLICATION_ID: Final = 0x48455048  # "HEPH"
VERSION: Final = 1
BUSY_MS: Final = 15_000
"""How long one process waits for another's transaction, in milliseconds."""

# STRICT: a value of another type than its column is an error when written, and seen by integrity_check when forged.
TABLES: Final = (
    """CREATE TABLE entry (
  seq INTEGER PRIMARY KEY,
  schema INTEGER NOT NULL,
  kind TEXT NOT NULL,
  run TEXT NOT NULL,
  body BLOB NOT NULL,
  secrets BLOB,
  digest BLOB NOT NULL,
  link BLOB NOT NULL,
  at INTEGER NOT NULL,
  pid INTEGER NOT NULL
) STRICT""",
    "CREATE INDEX entry_run ON entry (run, seq)",
    """CREATE TABLE run_key (
  run TEXT PRIMARY KEY,
  key BLOB,
  erased INTEGER
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE secret (
  seq INTEGER NOT NULL,
  name TEXT NOT NULL,
  place TEXT NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (seq, name)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE head (
  seq INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  link BLOB NOT NULL,
  seal BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (seq, key_id)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE tape (
  run TEXT NOT NULL,
  instance TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  request TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (run, instance, ordinal)
) STRICT, WITHOUT ROWID""",
    "CREATE INDEX tape_request ON tape (run, instance, request, ordinal)",
    """CREATE TABLE ledger (
  run TEXT NOT NULL,
  step TEXT NOT NULL,
  state TEXT NOT NULL,
  request TEXT NOT NULL,
  seq INTEGER,
  PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID""",
)


@contextlib.contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn what SQLite and the file system say into this library's errors.

    Args:
        path: The database, for the message.
        doing: What was being done, for the message: ``"append to"``, ``"read"``.

    Raises:
        StorageError: Full, read-only, busy or unreadable.
        IntegrityError: Damaged, or not a database.
    """
    import apsw

    try:
        yield
    except apsw.FullError as error:
        raise StorageError(
            f"cannot {doing} the journal {path}: no space is left; nothing acknowledged was lost",
            hint="free space and try again",
        ) from error
    except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, UnicodeDecodeError) as error:
        raise IntegrityError(
            f"cannot {doing} the journal {path}: its file is damaged or not a database ({error})",
            hint="run `hephaestus receipts verify` on a copy; restore the file from a backup",
        ) from error
    except (apsw.ReadOnlyError, apsw.PermissionsError, apsw.CantOpenError) as error:
        raise StorageError(
            f"cannot {doing} the journal {path}: the place is read-only or not accessible ({error})",
            hint="the journal, its folder and its -wal and -shm files must be writable",
        ) from error
    except apsw.BusyError as error:
        raise StorageError(
            f"cannot {doing} the journal {path}: another process has held it for {BUSY_MS // 1000} s",
        ) from error
    except apsw.Error as error:
        raise StorageError(f"cannot {doing} the journal {path}: {type(error).__name__}: {error}") from error
    except OSError as error:
        raise _of_system(error, path, doing) from error


def _of_system(error: OSError, path: Path, doing: str) -> HephaestusError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(
            f"cannot {doing} the journal {path}: no space is left; nothing acknowledged was lost",
            hint="free space and try again",
        )
    return StorageError(f"cannot {doing} the journal {path}: {error.strerror or error} ({error.filename})")


def connect(path: Path) -> apsw.Connection:
    """Open the database for writing, making it where there is none yet. Blocking.

    Raises:
        StorageError: If the place is missing, read-only, full or not accessible.
        IntegrityError: If what lies there is damaged, of another program, or of another version.
    """
    import apsw

    with explained(path, "open"):
        # Made here rather than by SQLite: it holds the runs' keys, so nobody else may read it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            _harden(connection)
            if connection.readonly("main"):
                raise StorageError(f"the journal {path} is read-only", hint="make the file and its folder writable")
            _identify(connection, path, new_is_fine=True)
            _to_wal(connection)
            # The key of an erased run must not live on in a free page.
            connection.execute("PRAGMA secure_delete = ON; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000")
            _create(connection, path)
            _identify(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def connect_readonly(path: Path) -> apsw.Connection:
    """Open an existing database only to read it, also on a read-only medium. Blocking.

    Raises:
        NotFound: If there is none.
        StorageError: If it cannot be read as it stands.
        IntegrityError: If it is not a journal of this version.
    """
    import apsw

    if not path.is_file():
        raise NotFound(f"no journal at {path}", hint="the journal is made by the first run; check the home folder")
    with explained(path, "read"):
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        uri = "file:" + quote(os.fsencode(path.absolute()))
        connection = apsw.Connection(uri + "?mode=ro", flags=flags)
        try:
            _harden(connection)
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            # A WAL database needs a -shm file beside it. Without one, and on a medium where none can be made, the
            # file alone is the whole journal only if no -wal lies there: with one, its rows would vanish silently.
            connection.close()
            wal = path.with_name(path.name + "-wal")
            if wal.exists() and wal.stat().st_size:
                raise
            connection = apsw.Connection(uri + "?mode=ro&immutable=1", flags=flags)
            _harden(connection)
        except BaseException:
            connection.close()
            raise
        try:
            _identify(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """One durable transaction; the write lock is taken at its start, so that no two processes read the same head."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk makes SQLite roll back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def rows(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All rows of one query."""
    return connection.execute(sql, bindings).fetchall()


def _harden(connection: apsw.Connection) -> None:
    import apsw

    connection.set_busy_timeout(BUSY_MS)
    for option, value in (
        (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
        (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
        (apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0),
        (apsw.SQLITE_DBCONFIG_DQS_DDL, 0),
        (apsw.SQLITE_DBCONFIG_DQS_DML, 0),
    ):
        connection.config(option, value)
    connection.execute("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0")


def _identify(connection: apsw.Connection, path: Path, *, new_is_fine: bool = False) -> None:
    application = rows(connection, "PRAGMA application_id")[0][0]
    version = rows(connection, "PRAGMA user_version")[0][0]
    found = {sql for (sql,) in rows(connection, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
    if new_is_fine and not found and application == 0 and version == 0:
        return
    if application != APPLICATION_ID:
        raise IntegrityError(
            f"{path} is a database of another program (application id {application:#x}, expected {APPLICATION_ID:#x})",
            hint="name another path for the journal; nothing was changed",
        )
    if version != VERSION:
        raise IntegrityError(
            f"the journal {path} has layout {version}, this version of hephaestus reads layout {VERSION}",
            hint="use the version of hephaestus that wrote it; nothing was changed",
        )
    if found != set(TABLES):
        strange = min(found ^ set(TABLES)).split("(")[0].strip()
        raise IntegrityError(
            f"the journal {path} has tables that hephaestus did not make or lacks some of its own: {strange[:120]}",
            hint="restore the file from a backup; nothing was changed",
        )


def _to_wal(connection: apsw.Connection) -> None:
    import apsw

    # The busy handler is not asked here, so two processes that make the same journal have to try again themselves.
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            mode = rows(connection, "PRAGMA journal_mode = WAL")[0][0]
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
            continue
        if mode != "wal":
            raise StorageError(
                f"the journal's file system cannot hold a write-ahead log (journal mode stayed {mode})",
                hint="keep the journal on a local file system",
            )
        return


def _create(connection: apsw.Connection, path: Path) -> None:
    if rows(connection, "PRAGMA application_id")[0][0] != APPLICATION_ID:
        sums.drop(path)  # those of a journal that lay here before
    with transaction(connection):
        if rows(connection, "PRAGMA application_id")[0][0] == APPLICATION_ID:
            return  # it was there, or another process was faster
        for table in TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}")
