"""Layers: files packed as USTAR, with the same bytes for the same files everywhere.

Written by hand because the standard library's writer has changed its bytes between versions. Nothing is ever
extracted: a layer is compared with what the file table of its release says, header by header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hephaestus.hub.tree import File, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BLOCK = 512
_END = bytes(2 * BLOCK)


def pack(files: Iterable[File]) -> Iterator[bytes]:
    """The bytes of a layer, in pieces; ``files`` come in the order of the tree."""
    for file in files:
        yield header(file.path, mode=file.mode, size=len(file.data))
        yield file.data
        yield bytes(-len(file.data) % BLOCK)
    yield _END


def packed_size(rows: Iterable[Row]) -> int:
    """How many bytes :func:`pack` makes of these files."""
    return sum(_span(row) for row in rows) + len(_END)


def offset(rows: Sequence[Row], path: str) -> int:
    """Where the contents of ``path`` start in the layer of ``rows``.

    Raises:
        KeyError: If ``path`` is not among them.
    """
    start = 0
    for row in rows:
        if row.path == path:
            return start + BLOCK
        start += _span(row)
    raise KeyError(path)


def unpack(layer: bytes, rows: Iterable[Row]) -> Iterator[File]:
    """The files of a layer, which must be bit for bit what :func:`pack` makes of files with these rows.

    The contents are not compared with their digests here.

    Raises:
        ValueError: Naming the first file whose header or padding is another.
    """
    view, at = memoryview(layer), 0
    for row in rows:
        end = at + _span(row)
        data = view[at + BLOCK : at + BLOCK + row.size]
        padding = view[at + BLOCK + row.size : end]
        if view[at : at + BLOCK] != header(row.path, mode=row.mode, size=row.size) or any(padding) or len(view) < end:
            raise ValueError(f"the layer does not hold `{row.path}` where the file table says")
        yield File(row.path, row.mode, bytes(data))
        at = end
    if view[at:] != _END:
        raise ValueError("the layer holds more than the file table says")


def header(path: str, *, mode: int, size: int) -> bytes:
    """The USTAR header of a regular file: no time, no owner.

    Raises:
        ValueError: If the path does not fit (``paths.fits_archive``).
    """
    name, prefix = path.encode(), b""
    if len(name) > 100:
        cut = next((at for at in range(len(name) - 101, 156) if name[at : at + 1] == b"/"), None)
        if cut is None:
            raise ValueError(f"`{path}` does not fit an archive header")
        prefix, name = name[:cut], name[cut + 1 :]
    fields = [
        name.ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,  # uid
        b"%07o\0" % 0,  # gid
        b"%011o\0" % size,
        b"%011o\0" % 0,  # time
        b" " * 8,  # the checksum counts itself as spaces
        b"0",
        bytes(100),
        b"ustar\x0000",
        bytes(64),  # user and group name
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _span(row: Row) -> int:
    return BLOCK + row.size + -row.size % BLOCK
