"""A person's own knowledge store: passages come and go, are searched, and are frozen into a shard.

It is the caller's own file, opened in the caller's process. What came from a package or a child is never opened here:
that is a shard's business, in a confined child.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio.to_thread
import apsw

from hephaestus.errors import KnowledgeError, StorageError
from hephaestus.knowledge.index import Indexer
from hephaestus.knowledge.passages import Passage, PassageSet, encode_passages
from hephaestus.knowledge.shard import INSERT_PASSAGE, INSERT_WORDS, ShardInfo, build_shard
from hephaestus_runner.search import SCHEMA, Hit, QueryError, ShardError, match_expression, ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BUSY_MS = 5000
_APPLICATION = 0x48455048  # "HEPH": another program's database is not written to
# A shard's index, but one that can forget.
_SCHEMA = {**SCHEMA, "words": SCHEMA["words"].replace("content='',", "content='', contentless_delete=1,")}
_T = TypeVar("_T")


class Knowledge:
    """A store that is open. Made by :meth:`open`, used as an async context manager.

    What :meth:`add` and :meth:`delete` return from is on disk. The rows are the truth; the index is made from them, and
    how names are taken apart is decided anew when the store is frozen.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None
        self._turn = threading.Lock()  # one connection, one thread at a time

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """A store at ``path``; the file is made on entering if it is not there."""
        return cls(Path(path))

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    async def add(self, passages: Iterable[Passage]) -> int:
        """Add passages, replacing those with the same id: all of them or none.

        Returns:
            How many there were.

        Raises:
            KnowledgeError: If one of them has no canonical form, or an id stands there twice.
            StorageError: If they cannot be written; then nothing was.
        """
        found = tuple(passages)
        encode_passages(found)  # what cannot be frozen is not let in
        return await self._run(lambda connection: _add(connection, found))

    async def delete(self, source: str) -> int:
        """Delete every passage of one source.

        Returns:
            How many there were.
        """
        return await self._run(lambda connection: _delete(connection, source))

    async def sources(self) -> dict[str, int]:
        """Every source and how many passages are from it."""
        statement = "SELECT source, count(*) FROM passage GROUP BY source ORDER BY source"
        rows: list[Any] = await self._run(lambda connection: connection.execute(statement).fetchall())
        return dict(rows)

    async def search(self, query: str, *, limit: int = 10) -> list[Hit]:
        """The nearest passages, best first, equals in the order of their ids.

        Raises:
            KnowledgeError: If SQLite cannot read the query, or the store is damaged.
        """
        expression = match_expression(query)
        if expression is None:
            return []
        return await self._run(lambda connection: ranked(connection, expression, limit=limit))

    async def freeze(self, path: Path) -> ShardInfo:
        """Write what the store holds now as a shard.

        Raises:
            KnowledgeError: If the store is empty or ``path`` exists.
            StorageError: If it cannot be written.
        """
        passages = await self._run(_all)
        return await anyio.to_thread.run_sync(build_shard, PassageSet.of(passages), path)

    async def _run(self, work: Callable[[apsw.Connection], _T]) -> _T:
        def locked() -> _T:
            with self._turn:
                if self._connection is None:
                    raise KnowledgeError(f"{self._path}: the store is not open", hint="async with Knowledge.open(...)")
                try:
                    return work(self._connection)
                except (QueryError, ShardError) as error:
                    raise KnowledgeError(f"{self._path}: {error}") from error
                except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError) as error:
                    raise KnowledgeError(f"{self._path}: not a knowledge store, or damaged: {error}") from error
                except apsw.Error as error:
                    raise StorageError(f"{self._path}: nothing was changed: {error}") from error

        return await anyio.to_thread.run_sync(locked)

    def _open(self) -> None:
        if self._connection is not None:
            raise KnowledgeError(f"{self._path}: the store is open already")
        try:
            connection = apsw.Connection(str(self._path))
        except apsw.Error as error:
            raise StorageError(f"{self._path}: cannot be opened: {error}") from error
        try:
            _prepare(connection)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            connection.close()
            raise KnowledgeError(f"{self._path}: not a knowledge store: {error}") from error
        except apsw.Error as error:
            connection.close()
            raise StorageError(f"{self._path}: cannot be opened: {error}") from error
        except KnowledgeError:
            connection.close()
            raise
        self._connection = connection

    def _close(self) -> None:
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    """All or nothing. Immediate, so that two processes that open a new store at once do not both make its tables."""
    connection.execute("BEGIN IMMEDIATE").fetchall()
    try:
        yield
        connection.execute("COMMIT").fetchall()
    except BaseException:
        # On a full disk SQLite has rolled back by itself, and a second rollback would hide the reason.
        if connection.in_transaction:
            connection.execute("ROLLBACK").fetchall()
        raise


def _prepare(connection: apsw.Connection) -> None:
    connection.set_busy_timeout(BUSY_MS)
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=FULL").fetchall()
    with _transaction(connection):
        ((application,),) = connection.execute("PRAGMA application_id").fetchall()
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema").fetchall()}
        if not found and application == 0:
            for statement in _SCHEMA.values():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={_APPLICATION}").fetchall()
        elif application != _APPLICATION or not set(_SCHEMA) <= found:
            raise KnowledgeError("a database of something else, not a knowledge store")


def _add(connection: apsw.Connection, passages: tuple[Passage, ...]) -> int:
    indexer = Indexer(passages)
    with _transaction(connection):
        last: Any = connection.execute("SELECT coalesce(max(number), 0) FROM passage").fetchall()[0][0]
        for number, passage in enumerate(passages, last + 1):
            _forget(connection, connection.execute("SELECT number FROM passage WHERE id = ?", (passage.id,)).fetchall())
            connection.execute(INSERT_PASSAGE, (number, passage.id, passage.title, passage.source, passage.text))
            connection.execute(INSERT_WORDS, (number, *indexer.row(passage).values()))
    return len(passages)


def _delete(connection: apsw.Connection, source: str) -> int:
    with _transaction(connection):
        found = connection.execute("SELECT number FROM passage WHERE source = ?", (source,)).fetchall()
        _forget(connection, found)
    return len(found)


def _forget(connection: apsw.Connection, numbers: Iterable[tuple[Any, ...]]) -> None:
    for (number,) in numbers:
        connection.execute("DELETE FROM words WHERE rowid = ?", (number,))
        connection.execute("DELETE FROM passage WHERE number = ?", (number,))


def _all(connection: apsw.Connection) -> list[Passage]:
    rows: list[Any] = connection.execute("SELECT id, title, source, text FROM passage ORDER BY id").fetchall()
    return [Passage(id=id_, title=title, source=source, text=text) for id_, title, source, text in rows]
