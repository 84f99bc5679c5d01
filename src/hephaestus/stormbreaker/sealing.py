"""From a passing ruling to a sealed certificate, and from that to a success. There is no other way to either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hephaestus import canonical
from hephaestus.errors import IntegrityError
from hephaestus.stormbreaker.certificate import SCHEMA, Certificate, RunFacts, sealed_bytes, verify_certificate
from hephaestus.stormbreaker.outcome import VERIFIED, Verified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hephaestus.seals import Signer
    from hephaestus.stormbreaker.gate import Passed


async def seal_certificate(ruling: Passed, facts: RunFacts, *, signer: Signer) -> Certificate:
    """Have a passing ruling sealed.

    Args:
        ruling: Of the run's gate; nothing else can make one.
        facts: What the run adds.
        signer: Holds the key, in a process of its own.

    Raises:
        IntegrityError: If the ruling's verdict did not pass, or the signer's seal is none.
        SignerError: If the signer cannot seal.
    """
    verdict = ruling.verdict
    if not verdict.passed:
        raise IntegrityError("expected a verdict that passed, found one that did not")
    unsealed = Certificate(
        schema=SCHEMA,
        run=facts.run,
        lock=facts.lock,
        artefact=verdict.artefact,
        checks=verdict.checks,
        origins=ruling.origins,
        knowledge=facts.knowledge,
        isolation=facts.isolation,
        overrides=facts.overrides,
        attempt=ruling.attempt,
        receipt=facts.receipt,
        replayable=facts.replayable,
        key_id="",
        seal=b"",
    )
    seal = await signer.sign("certificate", sealed_bytes(unsealed))
    return msgspec.structs.replace(unsealed, key_id=seal.key_id, seal=seal.seal)


def verified(certificate: Certificate, keys: Mapping[str, bytes], *, artefact: bytes) -> Verified:
    """The one way to a success: an artefact with the valid certificate of exactly its bytes.

    Args:
        certificate: Sealed.
        keys: The trusted public keys by key id.
        artefact: The exact bytes that were judged.

    Raises:
        IntegrityError: If the certificate does not hold for these bytes.
    """
    verify_certificate(certificate, keys, artefact=artefact)
    try:
        value = canonical.parse_json(artefact)
    except ValueError as error:
        raise IntegrityError(f"expected the artefact to be JSON, as its certificate says: {error}") from error
    with VERIFIED.open():
        return Verified(value=value, certificate=certificate)
