"""Seals: what a signature of ours looks like, who makes one, and how anyone checks it.

A seal is Ed25519 (RFC 8032) over ``hephaestus/seal/<purpose>/1``, NUL, payload. The purpose is part of what is signed,
so that a seal of a journal head is never one of a certificate. Private keys are not here: they live in the signer
process (:mod:`hephaestus.runtime.signer`), and everything below it is handed something that fits :class:`Signer`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from hephaestus import canonical
from hephaestus.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Mapping

Purpose = Literal["certificate", "head", "release"]
PURPOSES: tuple[Purpose, ...] = ("certificate", "head", "release")
"""What may be sealed: a passed run's certificate, the head of a journal, a release of a hub."""


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signature and the id of the key that made it."""

    key_id: str
    seal: bytes  # 64 bytes, Ed25519


class Signer(Protocol):
    """Whatever can seal; :class:`hephaestus.runtime.signer.SignerClient` in a running system."""

    async def sign(self, tag: str, payload: bytes, /) -> Seal:
        """Seal ``payload`` for one of :data:`PURPOSES`.

        Raises:
            SignerError: If the purpose is unknown or the key cannot be used.
        """
        ...


def tag_of(purpose: str) -> str:
    """The domain tag that is signed together with a payload.

    Raises:
        ValueError: If ``purpose`` is not one of :data:`PURPOSES`.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"expected a purpose of {', '.join(PURPOSES)}, found {purpose!r}")
    return f"hephaestus/seal/{purpose}/1"


def signed_bytes(purpose: str, payload: bytes) -> bytes:
    """Exactly what Ed25519 is computed over.

    Raises:
        ValueError: If ``purpose`` is not one of :data:`PURPOSES`.
    """
    return canonical.tagged(tag_of(purpose), payload)


def key_id(public_key: bytes) -> str:
    """The short name of a public key: 16 hexadecimal digits of a digest of its 32 raw bytes.

    The name follows from the key, so a seal that names a key cannot be checked with another one by mistake.
    """
    return hashlib.sha256(canonical.tagged("hephaestus/key/1", public_key)).hexdigest()[:16]


def verify(tag: str, payload: bytes, seal: Seal, public_key: bytes) -> None:
    """Check one seal with one key.

    Args:
        tag: The purpose, as it was given to :meth:`Signer.sign`.
        payload: The sealed bytes.
        seal: What to check.
        public_key: 32 raw bytes of the key that the caller trusts.

    Raises:
        IntegrityError: If it does not verify: other bytes, other purpose, other key, or no Ed25519 seal at all.
        ValueError: If ``tag`` is not one of :data:`PURPOSES`.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    message = signed_bytes(tag, payload)
    if len(public_key) != 32:
        raise IntegrityError(f"expected a public key of 32 bytes, found {len(public_key)}")
    if seal.key_id != key_id(public_key):
        raise IntegrityError(f"the {tag} was sealed by key {seal.key_id}, not by the trusted {key_id(public_key)}")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(seal.seal, message)
    except (InvalidSignature, ValueError) as error:
        raise IntegrityError(
            f"the seal of the {tag} by key {seal.key_id} does not verify: its bytes or the sealed bytes changed"
        ) from error


def verify_trusted(tag: str, payload: bytes, seal: Seal, keys: Mapping[str, bytes]) -> None:
    """Check one seal with whichever trusted key it names.

    Args:
        tag: The purpose, as it was given to :meth:`Signer.sign`.
        payload: The sealed bytes.
        seal: What to check.
        keys: Key id -> 32 raw bytes, trusted keys only; revoked ones are simply not in it.

    Raises:
        IntegrityError: If the key is not among ``keys`` or the seal does not verify.
        ValueError: If ``tag`` is not one of :data:`PURPOSES`.
    """
    public_key = keys.get(seal.key_id)
    if public_key is None:
        raise IntegrityError(
            f"the {tag} was sealed by key {seal.key_id}, which is not trusted here: unknown or revoked",
            hint="compare the key id with the sealing system's own list of public keys",
        )
    verify(tag, payload, seal, public_key)
