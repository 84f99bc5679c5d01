"""A sum of every page of a closed journal, in a file beside it: against damage where nothing is hashed.

The chain covers what entries say. The rest of the file (clock, process id, free space of pages) holds nothing that
anyone relies on, but a disk that changed a byte there will change others. Whoever closes the journal last writes the
sums; whoever writes to it removes them first. They are not signed: they show damage, not forgery. Blocking.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

PAGE: Final = 4096
LARGEST: Final = 256 << 20
"""Bytes of a journal above which no sums are made: reading all of it would be felt at every closing."""

_MAGIC: Final = b"hephaestus sums 1\n"
_SHORT: Final = 8  # bytes of each page's sha256
_TABLE_LEAF: Final = 0x0D


def sums_file(path: Path) -> Path:
    """Where the sums of the journal at ``path`` lie: ``journal.sum`` beside ``journal.db``."""
    return path.with_name(path.stem + ".sum")


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[int]:
    """Hold off whoever wants to remove or write the sums; yields a descriptor of the folder.

    The lock is on the folder: opening and closing the database itself would drop SQLite's own locks of this process.
    """
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def drop(path: Path) -> None:
    """Remove the sums, because the journal is about to change."""
    if sums_file(path).exists():
        with locked(path) as folder:
            sums_file(path).unlink(missing_ok=True)
            os.fsync(folder)  # or after a loss of power they would be back, beside a journal that went on


def make(path: Path) -> None:
    """Write the sums of a journal that nobody has open. Called with the lock.

    With a write-ahead log beside it somebody still has, and will be the one to do this.
    """
    target = sums_file(path)
    if path.with_name(path.name + "-wal").exists() or target.exists() or path.stat().st_size > LARGEST:
        return
    # Opened by ourselves: no connection of this process is left that could lose its locks when we close the file.
    content = bytearray(_MAGIC)
    with path.open("rb") as journal:
        while page := journal.read(PAGE):
            content += _sum(page)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        fd = os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(bytes(content) + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(target)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def changed(path: Path, connection: apsw.Connection) -> list[tuple[int, list[int]]]:
    """Pages that are not as they were when the journal was closed, each with the entries that lie on it.

    Args:
        path: The journal.
        connection: One that has it open. The file is read through it: a descriptor of our own would, when it is closed,
            take away the locks that other connections of this process hold.

    Returns:
        Page number (from 1) and seqs; page 0 stands for the file's length or the sums themselves. Empty where there are
        no sums to compare with.
    """
    with locked(path, shared=True):
        try:
            content = sums_file(path).read_bytes()
        except FileNotFoundError:
            return []
        if not content.startswith(_MAGIC) or hashlib.sha256(content[:-32]).digest() != content[-32:]:
            return [(0, [])]
        image = connection.serialize("main")
    pages = [image[start : start + PAGE] for start in range(0, len(image), PAGE)]
    wanted = content[len(_MAGIC) : -32]
    if len(wanted) != _SHORT * len(pages):
        return [(0, [])]
    return [
        (number, _seqs(page) if number > 1 else [])
        for number, page in enumerate(pages, 1)
        if _sum(page) != wanted[_SHORT * (number - 1) : _SHORT * number]
    ]


def _sum(page: bytes) -> bytes:
    return hashlib.sha256(page).digest()[:_SHORT]


def _seqs(page: bytes) -> list[int]:
    """The rowids on a leaf page of ``entry``, the only table with rowids; empty for any other page."""
    if page[0] != _TABLE_LEAF or len(page) < PAGE:
        return []
    (count,) = struct.unpack_from(">H", page, 3)
    seqs: list[int] = []
    for index in range(min(count, (PAGE - 8) // 2)):
        (offset,) = struct.unpack_from(">H", page, 8 + 2 * index)
        _, offset = _varint(page, offset)
        seq, _ = _varint(page, offset)
        seqs.append(seq)
    return seqs


def _varint(page: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = page[(offset + index) % PAGE]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, offset + index + 1
    return value << 8 | page[(offset + 8) % PAGE], offset + 9
