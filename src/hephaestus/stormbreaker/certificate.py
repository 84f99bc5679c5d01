"""The certificate: the sealed proof that one artefact of one run passed one set of checks.

What it proves: whoever holds the key says that, in run ``run`` under lock ``lock``, the artefact with this digest
passed every check of the set with this digest. What it does not: programs of the same user can reach the signer as
well, and a check proves what it checks, no more. How one comes about is in ``sealing``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hephaestus import canonical, seals
from hephaestus.canonical import Digest
from hephaestus.errors import IntegrityError
from hephaestus.stormbreaker.checks import Origin
from hephaestus_runner.protocol import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: Literal["hephaestus/certificate/1"] = "hephaestus/certificate/1"
MAX_BYTES = 1 << 20


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything in a certificate."""


class Isolation(_Part, frozen=True, kw_only=True):
    """What really confined the children of the run, as the host attested it."""

    level: Level  # the weakest of all children
    features: dict[str, str]  # feature -> "on", or the reason why not
    uid: Literal["own", "shared"]  # whether children ran under user ids of their own


class Override(_Part, frozen=True, kw_only=True):
    """A rule that somebody set aside on purpose."""

    what: str  # for example "interview", "isolation"
    reason: str  # as it was given


class RunFacts(_Part, frozen=True, kw_only=True):
    """What the run adds to a ruling."""

    run: str  # id of the run
    lock: Digest  # of the run lock
    knowledge: Digest | None  # of the passages that quotations were looked up in
    isolation: Isolation
    overrides: tuple[Override, ...] = ()
    receipt: Digest  # chain link of the journal's last entry of the run
    replayable: bool  # whether the tape holds everything that crossed the boundary


class Certificate(_Part, frozen=True, kw_only=True):
    """A sealed pass, made by :func:`~.sealing.seal_certificate`."""

    schema: Literal["hephaestus/certificate/1"]  # what these fields mean
    run: str  # id of the run
    lock: Digest  # of the run lock: releases, request, policy, everything that the run was given
    artefact: Digest  # of the exact bytes that passed
    checks: Digest  # of the check set: id, kind, parameters, files and origin of each
    origins: dict[Origin, tuple[str, ...]]  # ids of the checks by who demanded them
    knowledge: Digest | None  # of the passages that quotations were looked up in
    isolation: Isolation  # what really confined the run
    overrides: tuple[Override, ...]  # rules that somebody set aside, each with the reason
    attempt: int  # the attempt that passed, counted from 1
    receipt: Digest  # chain link of the journal's last entry of the run before it was sealed
    replayable: bool  # whether the run can be carried out again from its tape
    key_id: str  # of the sealing key; follows from the public key
    seal: bytes  # Ed25519 over the canonical bytes of all fields but key_id and seal


def verify_certificate(
    certificate: Certificate,
    keys: Mapping[str, bytes],
    *,
    artefact: bytes | None = None,
    run: str | None = None,
    lock: str | None = None,
    checks: str | None = None,
) -> None:
    """Check a certificate, and that it is the one of what the caller holds.

    Args:
        certificate: What to check.
        keys: Key id -> raw public key of every key that is trusted now; a revoked one is not among them.
        artefact: The exact bytes that it must be about.
        run: The run that it must be of.
        lock: The digest of the run lock that it must be of.
        checks: The digest of the check set that it must be of.

    Raises:
        IntegrityError: If anything does not fit.
    """
    seal = seals.Seal(key_id=certificate.key_id, seal=certificate.seal)
    seals.verify_trusted("certificate", sealed_bytes(certificate), seal, keys)
    wanted = (
        ("artefact", None if artefact is None else canonical.digest_bytes(artefact), certificate.artefact),
        ("run", run, certificate.run),
        ("lock", lock, certificate.lock),
        ("check set", checks, certificate.checks),
    )
    for what, expected, found in wanted:
        if expected is not None and expected != found:
            raise IntegrityError(f"expected the certificate of {what} {expected}, found that of {found}")
    if not any(certificate.origins.values()):
        raise IntegrityError("expected a certificate that names its checks, found one over no check at all")


def sealed_bytes(certificate: Certificate) -> bytes:
    """What the seal is over: every field but ``key_id`` (it follows from the key) and ``seal``.

    Raises:
        IntegrityError: If a field has no canonical form.
    """
    body: dict[str, Any] = msgspec.structs.asdict(certificate)
    del body["key_id"], body["seal"]
    try:
        return canonical.encode(body)
    except canonical.NotCanonical as error:
        raise IntegrityError(f"expected a certificate of integers and text: {error}") from error


def certificate_bytes(certificate: Certificate) -> bytes:
    """The certificate as canonical JSON, for a file or a journal entry; the seal is base64."""
    return canonical.encode(certificate)


def parse_certificate(data: bytes) -> Certificate:
    """Read a certificate. One certificate has exactly one spelling. The seal is not checked here.

    Raises:
        IntegrityError: If these are not the canonical bytes of a certificate.
    """
    if len(data) > MAX_BYTES:
        raise IntegrityError(f"expected a certificate of at most {MAX_BYTES} bytes, found {len(data)}")
    try:
        certificate = msgspec.convert(canonical.decode(data), Certificate)
    except ValueError as error:
        raise IntegrityError(f"expected a certificate in canonical JSON: {error}") from error
    # Base64 has several spellings of the same bytes; only ours comes back.
    if certificate_bytes(certificate) != data:
        raise IntegrityError("expected the canonical bytes of this certificate, found another spelling of it")
    return certificate
