"""The key folder's public side: which keys there are, which are trusted, how one is revoked. Reads no private key.

What a person does with keys:

- *Creation* happens at the first seal, in the signer process.
- *Backup*: copy the whole key folder to a place of the same secrecy (``cp -a``). To restore, copy it back; owner and
  modes (0700, 0600) must be kept. A single ``ID.key`` is an ordinary PKCS 8 file that ``openssl pkey`` reads.
- *Rotation* (:meth:`hephaestus.runtime.signer.SignerClient.rotate`) makes a new active key. Old public keys stay, so
  old seals verify. The old ``ID.key`` may then be deleted.
- *Revocation* (:func:`revoke`) is for a key that somebody else may have: none of its seals verify any more, not even
  those from before, because nothing tells when a seal was made. Rotate first.
- *Loss* of a private key is not an error until the next seal, which then says so. Rotate; what the lost key sealed
  still verifies.
- *Trust in others*: put their ``ID.pub`` beside ours. It verifies, it never signs.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
from typing import TYPE_CHECKING, Literal

import msgspec

from hephaestus.errors import IntegrityError, NotFound, SignerError, StorageError, UsageError
from hephaestus.runtime import signer_process
from hephaestus.seals import key_id

if TYPE_CHECKING:
    from pathlib import Path

KeyName = Literal["seal", "release"]
KEY_NAMES: tuple[KeyName, ...] = ("seal", "release")


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """One public key of the folder."""

    key_id: str
    name: KeyName  # "seal": certificates and journal heads; "release": what the hub publishes
    public: bytes  # 32 bytes, Ed25519
    active: bool  # it seals
    private: bool  # its private file is there
    revoked: str | None  # the reason


def read_keys(folder: Path) -> tuple[PublicKey, ...]:
    """Every public key, by name and id; none if the folder is not there yet. Blocking.

    Raises:
        IntegrityError: If a file does not hold the key that its name says, or the list of revoked keys is damaged.
        StorageError: If the folder cannot be read.
    """
    try:
        bad = signer_process.revoked(folder)
        return tuple(_read(path, name, bad) for name in KEY_NAMES for path in sorted((folder / name).glob("*.pub")))
    except signer_process.Fault as error:
        raise IntegrityError(str(error), hint=error.hint) from error
    except OSError as error:
        raise StorageError(f"the key folder {folder} cannot be read: {error.strerror}: {error.filename}") from error


def trusted(folder: Path, purpose: str) -> dict[str, bytes]:
    """Key id -> raw public key of all keys that may have sealed something for this purpose, revoked ones left out.

    Raises:
        SignerError: If the purpose is unknown.
        IntegrityError: As :func:`read_keys`.
        StorageError: As :func:`read_keys`.
    """
    name = signer_process.KEY_OF.get(purpose)
    if name is None:
        raise SignerError(f"expected a purpose of {', '.join(signer_process.KEY_OF)}, found {purpose!r}")
    return {key.key_id: key.public for key in read_keys(folder) if key.name == name and key.revoked is None}


def revoke(folder: Path, key: str, *, reason: str) -> None:
    """Trust a key no more, for ever. Revoking it again changes nothing.

    Args:
        folder: The key folder.
        key: The key's id.
        reason: One line for whoever finds a seal that does not verify.

    Raises:
        NotFound: If the folder has no such public key.
        UsageError: If the reason is empty or longer than one line.
        IntegrityError: As :func:`read_keys`.
        StorageError: If the list cannot be written.
    """
    if not reason.strip() or len(reason.splitlines()) != 1 or len(reason) > 200:
        raise UsageError("a reason is one line of up to 200 characters")
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"there is no key folder at {folder}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        keys = {found.key_id: found for found in read_keys(folder)}
        if key not in keys:
            raise NotFound(f"{folder} has no public key {key!r}", hint=f"it has {', '.join(keys) or 'none'}")
        if keys[key].revoked is not None:
            return
        lines = [f"{found.key_id} {found.revoked}" for found in keys.values() if found.revoked is not None]
        lines.append(f"{key} {reason.strip()}")
        signer_process.replace(folder / "revoked", ("\n".join(sorted(lines)) + "\n").encode())
    except OSError as error:
        raise StorageError(f"cannot write {folder / 'revoked'}: {error.strerror}") from error
    finally:
        os.close(fd)


def _read(path: Path, name: KeyName, bad: dict[str, str]) -> PublicKey:
    words = path.read_bytes()[:500].split()
    try:
        public = base64.b64decode(words[2], validate=True)
    except (IndexError, binascii.Error):
        public = b""
    if len(words) != 3 or words[0] != b"hephaestus-ed25519" or len(public) != 32 or key_id(public) != path.stem:
        raise IntegrityError(
            f"{path} does not hold the public key that its name says",
            hint="put it back from a backup, or delete it if you do not know where it came from",
        )
    active = path.with_name("active")
    return PublicKey(
        key_id=path.stem,
        name=name,
        public=public,
        active=active.is_file() and active.read_bytes().strip() == path.stem.encode(),
        private=path.with_suffix(".key").is_file(),
        revoked=bad.get(path.stem),
    )
