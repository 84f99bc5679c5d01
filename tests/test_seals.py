"""Seals: what verifies, and everything that must not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hephaestus import seals
from hephaestus.errors import IntegrityError
from hephaestus.seals import Seal

# RFC 8032, section 7.1, test 3: a key pair and its signature, so that the algorithm itself is pinned.
SECRET = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
PUBLIC = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")

PRIVATE = Ed25519PrivateKey.from_private_bytes(SECRET)


def make(purpose: str, payload: bytes) -> Seal:
    return Seal(seals.key_id(PUBLIC), PRIVATE.sign(seals.signed_bytes(purpose, payload)))


def test_the_key_pair_is_the_one_of_the_standard() -> None:
    assert PRIVATE.public_key().public_bytes_raw() == PUBLIC


@given(st.sampled_from(seals.PURPOSES), st.binary(max_size=300))
def test_a_seal_verifies(purpose: str, payload: bytes) -> None:
    seal = make(purpose, payload)
    seals.verify(purpose, payload, seal, PUBLIC)
    seals.verify_trusted(purpose, payload, seal, {seal.key_id: PUBLIC, "other": b"x"})


@given(st.binary(min_size=1, max_size=100), st.data())
def test_any_other_byte_in_payload_or_seal_does_not_verify(payload: bytes, data: st.DataObject) -> None:
    seal = make("head", payload)
    changed = bytearray(payload)
    changed[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError, match="does not verify"):
        seals.verify("head", bytes(changed), seal, PUBLIC)
    forged = bytearray(seal.seal)
    forged[data.draw(st.integers(0, 63))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError, match="does not verify"):
        seals.verify("head", payload, Seal(seal.key_id, bytes(forged)), PUBLIC)


@given(st.sampled_from(seals.PURPOSES), st.sampled_from(seals.PURPOSES), st.binary(max_size=100))
def test_a_seal_for_one_purpose_is_none_for_another(made: str, claimed: str, payload: bytes) -> None:
    seal = make(made, payload)
    if made == claimed:
        seals.verify(claimed, payload, seal, PUBLIC)
        return
    with pytest.raises(IntegrityError, match="does not verify"):
        seals.verify(claimed, payload, seal, PUBLIC)


@given(st.binary(max_size=200))
def test_what_is_no_seal_does_not_verify(garbage: bytes) -> None:
    with pytest.raises(IntegrityError):
        seals.verify("release", b"payload", Seal(seals.key_id(PUBLIC), garbage), PUBLIC)


def test_the_signed_bytes_are_tag_nul_payload() -> None:
    assert seals.signed_bytes("certificate", b"{}") == b"hephaestus/seal/certificate/1\0{}"


@pytest.mark.parametrize("purpose", ["", "Head", "head/1", "hephaestus/seal/head/1", "head\0"])
def test_an_unknown_purpose_is_a_mistake_of_the_caller(purpose: str) -> None:
    with pytest.raises(ValueError, match="expected a purpose of certificate, head, release"):
        seals.verify(purpose, b"", make("head", b""), PUBLIC)


@pytest.mark.parametrize("public", [b"", PUBLIC[:31], PUBLIC + b"\0"])
def test_a_public_key_has_32_bytes(public: bytes) -> None:
    with pytest.raises(IntegrityError, match="32 bytes"):
        seals.verify("head", b"", make("head", b""), public)


def test_a_key_is_never_checked_under_another_name() -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"\1" * 32).public_key().public_bytes_raw()
    seal = make("head", b"x")
    with pytest.raises(IntegrityError, match="not by the trusted"):
        seals.verify("head", b"x", seal, other)
    # A table of keys that lies about an id changes nothing: the id follows from the key.
    with pytest.raises(IntegrityError, match="not by the trusted"):
        seals.verify_trusted("head", b"x", seal, {seal.key_id: other})


def test_a_key_that_is_not_trusted_is_named() -> None:
    seal = make("head", b"x")
    with pytest.raises(IntegrityError, match=f"sealed by key {seal.key_id}, which is not trusted here") as caught:
        seals.verify_trusted("head", b"x", seal, {})
    assert caught.value.hint is not None


def test_key_ids_are_short_and_follow_from_the_key() -> None:
    assert seals.key_id(PUBLIC) == seals.key_id(bytes(PUBLIC))
    assert len(seals.key_id(PUBLIC)) == 16
    assert seals.key_id(PUBLIC) != seals.key_id(b"\0" * 32)
