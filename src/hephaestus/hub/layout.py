"""The folder of a hub: an OCI image layout, with durable, immutable, verified blobs.

Source of the layout: https://github.com/opencontainers/image-spec/blob/main/image-layout.md, which tells readers to
tolerate files they do not know, so the catalogue lives in the same folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hephaestus.canonical import Digest, is_digest
from hephaestus.errors import IntegrityError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


class Layout(msgspec.Struct, frozen=True):
    """The places in a hub's folder."""

    folder: Path

    @property
    def blobs(self) -> Path:
        """Content by digest; what releases are made of. Never changed, never removed but by garbage collection."""
        return self.folder / "blobs" / "sha256"

    @property
    def derived(self) -> Path:
        """Files computed from releases, by digest; can be computed again."""
        return self.folder / "derived"

    @property
    def unpacked(self) -> Path:
        """Releases as folders, by release digest; can be unpacked again."""
        return self.folder / "unpacked"

    @property
    def catalogue(self) -> Path:
        """The SQLite database."""
        return self.folder / "hub.db"

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    def blob(self, digest: Digest) -> Path:
        """Where the blob of this digest is, if it is.

        Raises:
            ValueError: If ``digest`` is none; it becomes part of a path.
        """
        return self.blobs / hex_of(digest)

    def create(self) -> None:
        """Make what is missing of the layout, durably.

        Raises:
            StorageError: If the folder cannot be written.
        """
        with writing(self.folder):
            for folder in (self.blobs, self.derived, self.unpacked, self._temporary):
                folder.mkdir(parents=True, exist_ok=True)
            for path, content in ((self.folder / "oci-layout", _LAYOUT), (self.folder / "index.json", _INDEX)):
                if not path.exists():
                    self._place([content], partial(Path, path))
            for folder in (self.blobs.parent, self.folder, self.folder.parent):
                sync_folder(folder)

    def put(self, chunks: Iterable[bytes], *, folder: Path | None = None) -> tuple[Digest, int]:
        """Write one blob and return its digest and size. Not durable before :meth:`settle`.

        A blob that is there already is written again: what lies there may have been damaged since, and a release must
        never be acknowledged over bytes that nobody looked at.

        Args:
            chunks: The contents.
            folder: Where to, by default :attr:`blobs`.

        Raises:
            StorageError: If it cannot be written. Nothing of it is left.
        """
        hasher, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                hasher.update(chunk)
                size += len(chunk)
                yield chunk

        target = folder or self.blobs
        with writing(target):
            self._place(counted(), lambda: target / hasher.hexdigest())
        return Digest("sha256:" + hasher.hexdigest()), size

    def settle(self, folder: Path | None = None) -> None:
        """Make the names of all blobs written so far durable.

        Raises:
            StorageError: If the disk refuses.
        """
        with writing(folder or self.blobs):
            sync_folder(folder or self.blobs)

    def read(self, digest: Digest, *, size: int | None = None) -> bytes:
        """The verified contents of one blob.

        Args:
            digest: Of the blob.
            size: How large it must be, in bytes, where that is known: a larger file is not even read.

        Raises:
            IntegrityError: If it is not there or its bytes do not match.
            StorageError: If it cannot be read.
        """
        with self._opened(digest) as descriptor:
            found = os.fstat(descriptor).st_size
            if size is not None and found != size:
                raise IntegrityError(f"blob {digest} has {found} bytes, its release says {size}", hint=_DAMAGED)
            data = b"".join(iter(lambda: os.read(descriptor, _CHUNK), b""))
        if hashlib.sha256(data).hexdigest() != hex_of(digest):
            raise IntegrityError(f"blob {digest} is damaged: its bytes have another digest", hint=_DAMAGED)
        return data

    def read_slice(self, digest: Digest, *, start: int, size: int) -> bytes:
        """Part of a blob, which the caller verifies with a digest of its own.

        Raises:
            IntegrityError: If the blob is not there or is shorter.
            StorageError: If it cannot be read.
        """
        with self._opened(digest) as descriptor:
            parts: list[bytes] = []
            while size > 0 and (part := os.pread(descriptor, min(size, _CHUNK), start)):
                parts.append(part)
                start, size = start + len(part), size - len(part)
        if size:
            raise IntegrityError(f"blob {digest} is cut off", hint=_DAMAGED)
        return b"".join(parts)

    @contextmanager
    def _opened(self, digest: Digest) -> Iterator[int]:
        path = self.blob(digest)
        with reading(path):
            try:
                descriptor = os.open(path, _READ)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ELOOP):
                    raise IntegrityError(f"blob {digest} is missing from {self.blobs}", hint=_DAMAGED) from error
                raise
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise IntegrityError(f"blob {digest} is not a regular file", hint=_DAMAGED)
                yield descriptor
            finally:
                os.close(descriptor)

    def _place(self, chunks: Iterable[bytes], name: Callable[[], Path]) -> None:
        """Write to a temporary file, make it durable and read-only, and only then give it its name.

        The name is asked for last because a blob's follows from what was written.
        """
        temporary = self._temporary / secrets.token_hex(16)
        descriptor = os.open(temporary, _CREATE, 0o600)
        try:
            try:
                for chunk in chunks:
                    write_all(descriptor, chunk)
                os.fchmod(descriptor, 0o444)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, name())
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


_DAMAGED = "restore the blob from a copy of the hub, or publish the same sources again, which writes it anew"


def hex_of(digest: Digest) -> str:
    """The 64 digits of a digest, safe as a file name.

    Raises:
        ValueError: If it is not a digest.
    """
    if not is_digest(digest):
        raise ValueError(f"{digest[:80]!r} is not a digest")
    return digest.removeprefix("sha256:")


def write_all(descriptor: int, data: bytes) -> None:
    """``os.write`` until everything is written."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Say what could not be written, and why, as a :class:`StorageError`."""
    try:
        yield
    except OSError as error:
        hint = {
            errno.ENOSPC: "free some space, then try again",
            errno.EDQUOT: "free some of your quota, then try again",
            errno.EROFS: "the hub is on a file system that is mounted read-only; name another --home to write to",
            errno.EACCES: "this user may only read the hub; name another --home to write to",
            errno.EPERM: "this user may only read the hub; name another --home to write to",
        }.get(error.errno or 0)
        raise StorageError(
            f"the hub could not write to {where}: {error.strerror}. What it held before, it still holds", hint=hint
        ) from error


@contextmanager
def reading(where: Path) -> Iterator[None]:
    """Say what could not be read, and why, as a :class:`StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"the hub could not read {where}: {error.strerror}") from error
