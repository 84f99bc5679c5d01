"""Releases as folders to run from, and derived files: made from blobs, verified, and made again when damaged."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from hephaestus.canonical import Digest
from hephaestus.errors import AssetError, IntegrityError, StorageError
from hephaestus.hub.layout import Layout, hex_of, reading, write_all, writing
from hephaestus.hub.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Stamp = tuple[tuple[str, int, int, int, int], ...]
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_ATTEMPTS = 3


def matches(folder: Path, digest: Digest) -> bool:
    """Whether a folder holds exactly the release of this digest: every byte, and nothing beside it."""
    try:
        return Tree.read_exactly(folder).digest == digest
    except AssetError:
        return False  # a link, bytecode, an unreadable file: not the release


def unpack(layout: Layout, tree: Tree) -> Path:
    """Write a release as a read-only, world-readable folder and return its path.

    A folder that is there and is not exactly the release is replaced.

    Raises:
        StorageError: If it cannot be written.
    """
    target = layout.unpacked / hex_of(tree.digest)
    # Beside its place, not in `tmp`: moving a read-only folder to another parent needs rights that it no longer has.
    temporary = layout.unpacked / f".{secrets.token_hex(16)}"
    with writing(layout.unpacked):
        try:
            _write(temporary, tree)
            _replace(temporary, target, tree.digest)
        finally:
            remove(temporary)
    return target


def remove(folder: Path) -> None:
    """Remove a read-only folder, if it is there."""
    if not folder.is_dir() or folder.is_symlink():
        with suppress(FileNotFoundError):
            folder.unlink()
        return
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)
    shutil.rmtree(folder)


def stamp(path: Path) -> Stamp:
    """What changes when anything in a folder, or a file, is touched: cheap to take, compared with a verified one.

    The change time is part of it: unlike the modification time, no program can set it back.

    Raises:
        StorageError: If it cannot be read.
    """
    with reading(path):
        return tuple(_stamps(path))


def place_derived(layout: Layout, source: Path, *, digest: Digest) -> Path:
    """Copy a derived file into the hub, durably.

    Raises:
        IntegrityError: If ``source`` does not have this digest; nothing is kept then.
        StorageError: If it cannot be read or written.
    """
    target = layout.derived / hex_of(digest)
    found = file_digest(source)
    if found == digest:
        found, _ = layout.put(_chunks(source), folder=layout.derived)
        layout.settle(layout.derived)
    if found != digest:
        raise IntegrityError(f"{source} has the digest {found}, it was announced with {digest}")
    return target


def file_digest(path: Path) -> Digest:
    """The digest of a regular file, read in pieces.

    Raises:
        StorageError: If it cannot be read.
    """
    hasher = hashlib.sha256()
    for chunk in _chunks(path):
        hasher.update(chunk)
    return Digest("sha256:" + hasher.hexdigest())


def _chunks(path: Path) -> Iterator[bytes]:
    with reading(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StorageError(f"{path} is not a regular file")
            while chunk := os.read(descriptor, _CHUNK):
                yield chunk
        finally:
            os.close(descriptor)


def _write(folder: Path, tree: Tree) -> None:
    folder.mkdir()
    made = {folder}
    for file in tree.files.values():
        path = folder / file.path
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.update(parent for parent in path.parents if parent.is_relative_to(folder))
        descriptor = os.open(path, _CREATE, 0o600)
        try:
            write_all(descriptor, file.data)
            os.fchmod(descriptor, 0o555 if file.mode == 0o755 else 0o444)
        finally:
            os.close(descriptor)
    for path in made:
        path.chmod(0o555)


def _replace(temporary: Path, target: Path, digest: Digest) -> None:
    """Give the folder its name. Another process may have been faster, with the same bytes."""
    aside = temporary.with_name(temporary.name + "-damaged")
    for _ in range(_ATTEMPTS):
        if _renamed(temporary, target) or matches(target, digest):
            return
        with suppress(FileNotFoundError):  # another process may be replacing it too
            os.rename(target, aside)
        remove(aside)
    raise FileExistsError(errno.EEXIST, "other processes keep putting something else in its place")


def _renamed(temporary: Path, target: Path) -> bool:
    try:
        os.rename(temporary, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False
    return True


def _stamps(path: Path) -> Iterator[tuple[str, int, int, int, int]]:
    status = os.lstat(path)
    yield (str(path), status.st_mode, status.st_ino, status.st_size, status.st_ctime_ns)
    if stat.S_ISDIR(status.st_mode):
        for name in sorted(os.listdir(path)):
            yield from _stamps(path / name)
