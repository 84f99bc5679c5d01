"""Searching a knowledge shard: what a query becomes, how hits are ordered, and which files are refused.

A shard is a SQLite file that may come from anybody, so it is opened in confined children only, immutable, and only if
its schema is to the letter the one below. No text of a user ever reaches ``MATCH``: an expression is built from words,
each in double quotes. Whatever goes wrong is an error and never an empty list of hits.
"""

from __future__ import annotations

import os
import re
import unicodedata
import urllib.parse
from typing import TYPE_CHECKING, Any, Self

import apsw
import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

FORMAT = "hephaestus/shard/1"
SCHEMA = {
    "meta": "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "passage": (
        "CREATE TABLE passage(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, "
        "source TEXT NOT NULL, text TEXT NOT NULL)"
    ),
    "words": (
        "CREATE VIRTUAL TABLE words USING fts5(name, path, summary, context, text, content='', "
        "tokenize='porter unicode61')"
    ),
}
"""Every object of a shard and the statement that made it (FTS5 adds its own tables ``words_*``)."""

# Words of the name say most, then the first sentence; what its module or chapter is about helps to tell equals apart.
WEIGHTS = (6, 3, 4, 2, 1)
RANK = f"bm25({', '.join(map(str, WEIGHTS))})"

MAX_WORDS = 400  # of one query; the words after them are not looked at
MAX_WORD = 64
MAX_LIMIT = 1000
_HEADER = b"SQLite format 3\0"
_RUNS = re.compile(r"[^\W_]+")
_HUMPS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\WA-Za-z\d_]+")

_STOP = (
    "a about all also an and any are as at be because been being but by can cannot could did do does doing don for "
    "from get had has have having he her here him his how i if in into is isn it its just like ll make may me might "
    "must my need no not of on one or our ours out own please python re s shall she should so some such t than that "
    "the their them then there these they this those to too up us use using ve very want was way we were what when "
    "where whether which while who whom whose why will with without would you your yours"
)
STOP_WORDS = frozenset(_STOP.split())
"""Words that say nothing about the subject. They are dropped from queries only; the index keeps them."""


class QueryError(ValueError):
    """SQLite could not read the query. Never answered with zero hits instead."""


class ShardError(ValueError):
    """A file that is no shard of this format, or a damaged one."""


class Hit(msgspec.Struct, frozen=True):
    """One passage that was found, best first."""

    id: str
    title: str
    source: str
    text: str
    score: int  # thousandths of BM25, higher is better; 0 from Shard.get


def split_words(text: str) -> list[str]:
    """The words of a text or name in lower case: ``ZipFile.read_text`` is zipfile, zip, file, read, text."""
    words: list[str] = []
    for run in _RUNS.findall(unicodedata.normalize("NFKC", text)):
        humps = _HUMPS.findall(run)
        words.append(run.lower())
        if len(humps) > 1:
            words += [hump.lower() for hump in humps]
    return words


def match_expression(query: str, stop: Collection[str] = STOP_WORDS) -> str | None:
    """The FTS5 expression for a user's text: its words, each quoted, joined by OR.

    A word that stands there twice counts twice. Stop words are dropped unless nothing else is left.

    Returns:
        The expression, or None if there is no word in ``query``.
    """
    words = [word[:MAX_WORD] for word in split_words(query)]
    kept = [word for word in words if word not in stop] or words
    if not kept:
        return None
    return " OR ".join(f'"{word}"' for word in kept[:MAX_WORDS])


def ranked(connection: apsw.Connection, expression: str, *, limit: int) -> list[Hit]:
    """The best ``limit`` passages for an expression, in the total order (score descending, id ascending).

    Raises:
        QueryError: If FTS5 cannot read the expression.
        ShardError: If the database is damaged.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise QueryError(f"limit: expected 1 to {MAX_LIMIT}, found {limit}")
    window = limit + 16
    try:
        while True:
            # Ordering by more than rank makes SQLite sort every match (facts: 14x), so equals are put in order here;
            # the window must reach past the last score that is kept.
            rows = connection.execute(
                "SELECT rowid, rank FROM words WHERE words MATCH ? AND rank MATCH ? ORDER BY rank LIMIT ?",
                (expression, RANK, window),
            ).fetchall()
            scored = [(number, _milli(rank)) for number, rank in rows]
            if len(rows) < window or scored[-1][1] < scored[limit - 1][1]:
                break
            window *= 4
        if not scored:
            return []
        edge = scored[min(limit, len(scored)) - 1][1]
        hits = [_passage(connection, number, score) for number, score in scored if score >= edge]
    except apsw.SQLError as error:
        raise QueryError(f"the query could not be read: {error}") from error
    except apsw.Error as error:
        raise ShardError(f"the shard is damaged: {error}") from error
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]


def _milli(rank: object) -> int:
    if not isinstance(rank, float):
        raise ShardError(f"the shard is damaged: a rank is {type(rank).__name__}")
    return round(-rank * 1000)


def _passage(connection: apsw.Connection, number: object, score: int) -> Hit:
    row = connection.execute("SELECT id, title, source, text FROM passage WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise ShardError(f"the shard is damaged: the index names passage {number!r}, which is not there")
    return _hit(row, score)


def _hit(row: Iterable[object], score: int) -> Hit:
    try:
        return msgspec.convert((*row, score), _Row).hit()
    except msgspec.ValidationError as error:
        raise ShardError(f"the shard is damaged: {error}") from error


class _Row(msgspec.Struct, frozen=True, array_like=True):
    id: str
    title: str
    source: str
    text: str
    score: int

    def hit(self) -> Hit:
        return Hit(self.id, self.title, self.source, self.text, self.score)


class Shard:
    """An open shard. Not safe to share between threads; made by :meth:`open`."""

    def __init__(self, connection: apsw.Connection, *, passages: int) -> None:
        self._connection = connection
        self.passages = passages

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a shard for reading.

        Raises:
            ShardError: If it is missing, is no shard of this format, is cut short, or has a journal beside it (rows
                in a journal would be ignored without a word).
        """
        place = os.fspath(path)
        _look(place)
        name = f"file:{urllib.parse.quote(os.path.abspath(place))}?immutable=1"
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        try:
            connection = apsw.Connection(name, flags=flags)
        except apsw.Error as error:
            raise ShardError(f"{place}: SQLite cannot open it: {error}") from error
        try:
            # A schema from outside is not trusted to run functions, and nothing is written, temporary files included.
            connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
            connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
            connection.execute("PRAGMA temp_store=MEMORY").fetchall()
            connection.execute("PRAGMA cell_size_check=ON").fetchall()
            return cls(connection, passages=_recognise(connection, place))
        except apsw.Error as error:
            connection.close()
            raise ShardError(f"{place}: not a shard, or damaged: {error}") from error
        except ShardError:
            connection.close()
            raise

    def search(self, query: str, *, limit: int = 10) -> list[Hit]:
        """The passages nearest to a text in a person's words, best first.

        Args:
            query: Any text; its words are what counts.
            limit: At most so many hits, 1 to 1000.

        Raises:
            QueryError: If SQLite cannot read the query.
            ShardError: If the shard is damaged.
        """
        expression = match_expression(query)
        return [] if expression is None else ranked(self._connection, expression, limit=limit)

    def get(self, id: str) -> Hit | None:  # noqa: A002 - the field's own name
        """The passage of this id, with score 0, or None.

        Raises:
            ShardError: If the shard is damaged.
        """
        try:
            found = self._connection.execute(
                "SELECT id, title, source, text FROM passage WHERE id = ?", (id,)
            ).fetchone()
        except apsw.Error as error:
            raise ShardError(f"the shard is damaged: {error}") from error
        except UnicodeEncodeError:
            return None  # a lone surrogate names nothing
        return None if found is None else _hit(found, 0)

    def close(self) -> None:
        """Close the file. Closing twice is no error."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _look(place: str) -> None:
    """Refuse what can be refused before SQLite sees the file."""
    for suffix in ("-wal", "-journal", "-shm"):
        if os.path.lexists(place + suffix):
            raise ShardError(f"{place}: {suffix} stands beside it, so it is not a finished shard; build it again")
    try:
        with open(place, "rb") as file:
            head = file.read(100)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ShardError(f"{place}: cannot be read: {error.strerror}") from error
    if len(head) < 100 or not head.startswith(_HEADER):
        raise ShardError(f"{place}: not a SQLite file")
    if head[18:20] != b"\x01\x01":
        raise ShardError(f"{place}: written for a write-ahead log; a shard is made by VACUUM INTO")
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(head[28:32], "big")
    if page * pages != size:
        raise ShardError(f"{place}: expected {pages} pages of {page} bytes, found {size} bytes")


def _recognise(connection: apsw.Connection, place: str) -> int:
    """Compare the schema with SCHEMA to the letter and return the number of passages."""
    objects: list[Any] = connection.execute("SELECT name, sql FROM sqlite_schema").fetchall()
    found = dict(objects)
    own = {name: sql for name, sql in found.items() if name in SCHEMA}
    others = {name for name in found if name not in SCHEMA}
    allowed = {"sqlite_autoindex_passage_1", *(f"words_{part}" for part in ("data", "idx", "docsize", "config"))}
    if own != SCHEMA or others != allowed:
        odd = sorted(str(name) for name in (others ^ allowed) | {n for n in SCHEMA if own.get(n) != SCHEMA[n]})
        raise ShardError(f"{place}: not the schema of {FORMAT}; it differs in {', '.join(odd)[:200]}")
    entries: list[Any] = connection.execute("SELECT key, value FROM meta").fetchall()
    meta = dict(entries)
    if meta.get("format") != FORMAT:
        raise ShardError(f"{place}: expected format {FORMAT!r}, found {str(meta.get('format'))[:80]!r}")
    count: Any = connection.execute("SELECT count(*) FROM passage").fetchall()[0][0]
    if meta.get("passages") != str(count):
        raise ShardError(f"{place}: expected {str(meta.get('passages'))[:20]} passages, found {count}")
    return int(count)
