"""Secrets of a run: encrypted with the run's own key, committed to by keyed digests, erased by destroying that key.

What a journal entry shows of a secret is HMAC-SHA256 under the run's key, so that nobody without the key can test a
guess of a prompt against a receipt. Small ciphertexts are rows; large ones are files in a folder beside the database,
named by their own digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Final

from hephaestus import canonical
from hephaestus.errors import IntegrityError, StorageError
from hephaestus.receipts.envelope import MAX_SECRET, Commitment

if TYPE_CHECKING:
    from pathlib import Path

    import apsw
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
INLINE: Final = 32 << 10
"""Ciphertexts of up to this many bytes stay in the table. Larger ones would make every checkpoint copy them twice."""


def new_key() -> bytes:
    """A fresh random key for one run."""
    return os.urandom(KEY_BYTES)


def commitment(key: bytes, name: str, data: bytes) -> Commitment:
    """The keyed digest that an envelope holds of a secret."""
    subkey = hmac.digest(key, b"hephaestus/run/commit/1", "sha256")
    message = canonical.tagged("hephaestus/journal/secret/1", name.encode() + b"\0" + data)
    return Commitment("hmac-sha256:" + hmac.digest(subkey, message, "sha256").hex())


def seal(key: bytes, commit: Commitment, data: bytes) -> bytes:
    """Encrypt: nonce, ciphertext, tag. The commitment is authenticated, so no two secrets can change places."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, data, commit.encode())


def unseal(key: bytes, commit: Commitment, name: str, sealed: bytes) -> bytes:
    """Decrypt and compare with the commitment.

    Raises:
        IntegrityError: If ciphertext, key or commitment are not the ones that belong together.
    """
    from cryptography.exceptions import InvalidTag

    if len(key) != KEY_BYTES or len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise IntegrityError(f"secret {name!r}: its ciphertext or its key is cut short")
    try:
        data = _cipher(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], commit.encode())
    except InvalidTag as error:
        raise IntegrityError(f"secret {name!r}: the ciphertext is not the one that the entry commits to") from error
    if not hmac.compare_digest(commitment(key, name, data), commit):
        raise IntegrityError(f"secret {name!r} is not the one that the entry commits to")
    return data


def run_key(connection: apsw.Connection, run: str) -> bytes | None:
    """The key of a run, or None if it was erased or never had one."""
    row = connection.execute("SELECT key FROM run_key WHERE run = ?", (run,)).fetchone()
    return None if row is None else row[0]


class Blobs:
    """Large ciphertexts: a folder of files that are named by the sha256 of their bytes and never change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> bytes:
        """Store bytes durably and return their raw sha256.

        Raises:
            OSError: As the file system says; nothing half-written carries a blob's name.
        """
        digest = hashlib.sha256(data).digest()
        path = self.path(digest)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            fd = os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            scratch.rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                scratch.unlink()
            raise
        for folder in (path.parent, self.folder, self.folder.parent):
            _sync_folder(folder)
        return digest

    def get(self, digest: bytes) -> bytes:
        """The bytes with this raw sha256.

        Raises:
            IntegrityError: If the file is missing or holds other bytes.
            StorageError: If it cannot be read.
        """
        path = self.path(digest)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_SECRET + NONCE_BYTES + TAG_BYTES + 1)
        except FileNotFoundError as error:
            raise IntegrityError(f"the blob {path} is missing") from error
        except OSError as error:
            raise StorageError(f"the blob {path} cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).digest() != digest:
            raise IntegrityError(f"the blob {path} does not hold the bytes that its name says")
        return data

    def remove(self, digest: bytes) -> None:
        """Delete one blob; one that is gone already is fine."""
        self.path(digest).unlink(missing_ok=True)

    def path(self, digest: bytes) -> Path:
        """Where the blob with this raw sha256 lies."""
        name = digest.hex()
        return self.folder / name[:2] / name


def _cipher(key: bytes) -> ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(hmac.digest(key, b"hephaestus/run/encrypt/1", "sha256"))


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
