"""From passages to a shard: one immutable SQLite file with a full-text index, made for ``hephaestus_runner.search``."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import apsw
import msgspec

from hephaestus.canonical import Digest, digest_bytes
from hephaestus.errors import KnowledgeError, StorageError
from hephaestus.knowledge.index import Indexer
from hephaestus_runner.search import FORMAT, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hephaestus.knowledge.passages import Passage, PassageSet

BUILDER = f"fts5-porter/1+sqlite-{apsw.sqlite_lib_version()}"
"""What makes shards: the layout and the SQLite version. The same builder makes the same bytes of the same passages."""

INSERT_PASSAGE = "INSERT INTO passage(number, id, title, source, text) VALUES(?, ?, ?, ?, ?)"
INSERT_WORDS = "INSERT INTO words(rowid, name, path, summary, context, text) VALUES(?, ?, ?, ?, ?, ?)"


class ShardInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a shard is and what it was made of."""

    digest: Digest  # of the file
    passages: int
    builder: str
    source: Digest  # PassageSet.digest


def build_shard(passages: PassageSet, path: Path) -> ShardInfo:
    """Write the shard of a set of passages as a read-only file.

    The file appears whole or not at all, and has no journal beside it.

    Args:
        passages: What is to be found.
        path: A file that does not exist yet, in a folder that does.

    Raises:
        KnowledgeError: If there are no passages, or ``path`` exists.
        StorageError: If it cannot be written.
    """
    if not len(passages):
        raise KnowledgeError("a shard without passages answers nothing", hint="add knowledge, or leave it out")
    if os.path.lexists(path):
        raise KnowledgeError(f"{path} exists; a shard is never written over", hint="name another file, or remove it")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write(passages, temporary)
        data = temporary.read_bytes()
        os.chmod(temporary, 0o444)
        _settle(temporary, path)
    except (OSError, apsw.FullError, apsw.IOError, apsw.CantOpenError) as error:
        raise StorageError(f"the shard {path} could not be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return ShardInfo(digest=digest_bytes(data), passages=len(passages), builder=BUILDER, source=passages.digest)


def _write(passages: PassageSet, path: Path) -> None:
    connection = apsw.Connection(":memory:")
    try:
        with connection:
            for statement in SCHEMA.values():
                connection.execute(statement)
            meta = {"format": FORMAT, "passages": str(len(passages)), "builder": BUILDER, "source": passages.digest}
            connection.executemany("INSERT INTO meta VALUES(?, ?)", sorted(meta.items()))
            connection.executemany(INSERT_PASSAGE, _rows(passages))
            indexer = Indexer(passages)
            connection.executemany(
                INSERT_WORDS, ((n, *indexer.row(passage).values()) for n, passage in enumerate(passages, 1))
            )
            # One segment: smaller, and the same bytes whatever the order of merges would have been.
            connection.execute("INSERT INTO words(words) VALUES('optimize')")
        connection.execute("VACUUM INTO ?", (os.fspath(path),)).fetchall()
    finally:
        connection.close()


def _rows(passages: Iterable[Passage]) -> Iterable[tuple[int, str, str, str, str]]:
    return ((n, p.id, p.title, p.source, p.text) for n, p in enumerate(passages, 1))


def _settle(temporary: Path, path: Path) -> None:
    """Make the file durable and give it its name."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.link(temporary, path)  # unlike rename, it does not replace what another process put there meanwhile
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
