"""A package's files as one immutable value, read from a folder that may be hostile.

Reading goes from directory descriptor to directory descriptor and follows no link, so nothing outside the folder can
get in, even when the folder changes meanwhile. The digest of a tree is the identity of a release.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import msgspec

from hephaestus.canonical import Digest, digest
from hephaestus.errors import AssetError
from hephaestus.hub.paths import Collisions, check_path, is_ignored

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILES = 20_000
MAX_BYTES = 512 << 20
MAX_FOLDERS = 20_000

_TOP_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO that took a file's place would wait for a writer for ever.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


class File(msgspec.Struct, frozen=True):
    """One file of a package."""

    path: str  # relative, forward slashes
    mode: int  # 0o644 or 0o755
    data: bytes


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a release says about one file."""

    path: str
    mode: int
    size: int  # bytes
    sha256: str  # of the contents, 64 hexadecimal digits


class Tree(msgspec.Struct, frozen=True, dict=True):
    """All files of a package, sorted by the bytes of their paths.

    Raises:
        AssetError: On construction, if a path or mode is not allowed, two paths collide, or there is too much.
    """

    files: Mapping[str, File]

    def __post_init__(self) -> None:
        _check(self.files)
        ordered = dict(sorted(self.files.items(), key=lambda item: item[0].encode()))
        msgspec.structs.force_setattr(self, "files", MappingProxyType(ordered))

    @classmethod
    def of(cls, files: Iterable[File]) -> Self:
        """A tree of these files.

        Raises:
            AssetError: As for construction, and if a path comes twice.
        """
        found: dict[str, File] = {}
        for file in files:
            if file.path in found:
                raise AssetError("the path comes twice", file=file.path)
            found[file.path] = file
        return cls(found)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a source folder.

        Left out: version control, virtual environments, bytecode and the caches of common tools (``paths``).
        Permissions are reduced to "executable or not"; times, owners and empty folders are not part of a tree.

        Args:
            folder: The package's folder. A link to it is followed, links in it are not.

        Raises:
            AssetError: For the first entry that is not a regular file or folder, has a name that is not allowed, has
                more than one hard link or cannot be read; and where the limits are passed.
        """
        return cls.of(_Reader(skip_ignored=True).read(folder, _TOP_FLAGS))

    @classmethod
    def read_exactly(cls, folder: Path) -> Self:
        """Read a folder that should be a release and hold nothing else.

        What :meth:`read` leaves out is an error here, and so is a link in the place of the folder.

        Raises:
            AssetError: As for :meth:`read`.
        """
        return cls.of(_Reader(skip_ignored=False).read(folder, _FOLDER_FLAGS))

    def get(self, path: str) -> bytes | None:
        """The bytes of one file, or None if there is none of that path."""
        file = self.files.get(path)
        return None if file is None else file.data

    def with_files(self, extra: Mapping[str, bytes]) -> Tree:
        """A tree with more files (mode 0o644).

        Raises:
            AssetError: If a path is not allowed, or is there already with other bytes.
        """
        merged = dict(self.files)
        for path, data in extra.items():
            if path in merged and merged[path].data != data:
                raise AssetError(
                    "the build writes this file, and the package holds one with other bytes",
                    file=path,
                    hint=f"remove or rename `{path}` in the package",
                )
            merged.setdefault(path, File(path, 0o644, data))
        return Tree(merged)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """One row a file, in the order of the tree."""
        return tuple(Row(f.path, f.mode, len(f.data), hashlib.sha256(f.data).hexdigest()) for f in self.files.values())

    @cached_property
    def digest(self) -> Digest:
        """The identity: a digest over path, mode and sha256 of every file, sorted by the bytes of the path."""
        return rows_digest(self.rows)


def rows_digest(rows: Iterable[Row]) -> Digest:
    """The digest of the tree that these rows describe; their order does not matter."""
    ordered = sorted(rows, key=lambda row: row.path.encode())
    return digest("hephaestus/tree/1", [[row.path, row.mode, row.sha256] for row in ordered])


def first_difference(ours: Iterable[Row], theirs: Iterable[Row]) -> str | None:
    """The first path, in order, whose file is not the same on both sides; None if all are."""
    left, right = ({row.path: row for row in rows} for rows in (ours, theirs))
    differing = (path for path in left.keys() | right.keys() if left.get(path) != right.get(path))
    return min(differing, key=str.encode, default=None)


def _check(files: Mapping[str, File]) -> None:
    collisions = Collisions()
    total = 0
    if len(files) > MAX_FILES:
        raise _too_much(f"more than {MAX_FILES} files")
    for path, file in files.items():
        if path != file.path:
            raise AssetError(f"the tree names it `{path[:240]!r}`", file=file.path)
        if file.mode not in (0o644, 0o755):
            raise AssetError(f"mode {file.mode:o} is neither 644 nor 755", file=path)
        total += len(file.data)
        if total > MAX_BYTES:
            raise _too_much(f"more than {MAX_BYTES >> 20} MiB")
        try:
            check_path(path)
            collisions.add(path)
        except ValueError as error:
            raise AssetError(str(error), file=_printable(path)) from error


class _Reader:
    """One walk over one folder; counts what it has seen so that no folder can exhaust memory."""

    def __init__(self, *, skip_ignored: bool) -> None:
        self._skip_ignored = skip_ignored
        self._files = 0
        self._folders = 0
        self._bytes = 0

    def read(self, folder: Path, flags: int) -> Iterator[File]:
        try:
            descriptor = os.open(folder, flags)
        except OSError as error:
            raise AssetError(f"not a folder that can be read: {error.strerror}", file=str(folder)) from error
        try:
            yield from self._folder(descriptor, "")
        finally:
            os.close(descriptor)

    def _folder(self, descriptor: int, prefix: str) -> Iterator[File]:
        self._folders += 1
        for name in self._names(descriptor, prefix):
            path = prefix + name
            try:
                check_path(path)
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    inner = os.open(name, _FOLDER_FLAGS, dir_fd=descriptor)
                    try:
                        yield from self._folder(inner, path + "/")
                    finally:
                        os.close(inner)
                else:
                    yield self._file(descriptor, name, path, status)
            except ValueError as error:
                raise AssetError(str(error), file=_printable(path)) from error
            except OSError as error:
                raise _unreadable(error, path) from error

    def _names(self, descriptor: int, prefix: str) -> list[str]:
        names: list[str] = []
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    if self._skip_ignored and is_ignored(entry.name):
                        continue
                    names.append(entry.name)
                    # Folders without files count too: a million of them is no package either.
                    if self._files + len(names) + self._folders > MAX_FILES + MAX_FOLDERS:
                        raise _too_much(f"more than {MAX_FILES} files or {MAX_FOLDERS} folders")
        except OSError as error:
            raise _unreadable(error, prefix or ".") from error
        return sorted(names, key=os.fsencode)

    def _file(self, folder: int, name: str, path: str, status: os.stat_result) -> File:
        _regular(status, path)
        descriptor = os.open(name, _FILE_FLAGS, dir_fd=folder)
        try:
            status = os.fstat(descriptor)
            _regular(status, path)  # again, of what was really opened
            self._files += 1
            if self._files > MAX_FILES:
                raise _too_much(f"more than {MAX_FILES} files")
            data = self._contents(descriptor, status.st_size)
        finally:
            os.close(descriptor)
        return File(path, 0o755 if status.st_mode & stat.S_IXUSR else 0o644, data)

    def _contents(self, descriptor: int, size: int) -> bytes:
        # The declared size is refused before a byte is read (a sparse file is large at no cost), the real one while
        # reading (a file that grows).
        parts: list[bytes] = []
        left = MAX_BYTES - self._bytes
        if size > left:
            raise _too_much(f"more than {MAX_BYTES >> 20} MiB")
        while part := os.read(descriptor, 1 << 20):
            left -= len(part)
            if left < 0:
                raise _too_much(f"more than {MAX_BYTES >> 20} MiB")
            parts.append(part)
        self._bytes = MAX_BYTES - left
        return b"".join(parts)


def _regular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise AssetError(
            f"it is {kind}; a package holds regular files and folders only",
            file=path,
            hint="put a copy of the file itself in its place" if kind == "a symbolic link" else "remove it",
        )
    if status.st_nlink > 1:
        # Its other name may lie outside the package, where this file is something that was not meant to be published.
        raise AssetError(
            f"it has {status.st_nlink} hard links; a package holds files of its own",
            file=path,
            hint="copy the folder with `cp -r --preserve=mode`, which makes files of its own",
        )


def _unreadable(error: OSError, path: str) -> AssetError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENOENT):
        return AssetError("it changed into something else while it was read", file=_printable(path))
    return AssetError(f"cannot be read: {error.strerror}", file=_printable(path))


def _too_much(what: str) -> AssetError:
    return AssetError(
        f"the package holds {what}", file=".", hint="data that an agent searches belongs into its knowledge"
    )


def _printable(path: str) -> str:
    # A name with control characters, or bytes that are no text, must not reach a terminal as it is.
    return path if path.isprintable() else ascii(path)
