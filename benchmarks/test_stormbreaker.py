"""What does the gate add to an answer?

Question 1: how long does judging one report of about 26 kB take, by several checks over data? Baseline: ``json.loads``
of the same bytes, which anyone who uses the answer pays as well, and an empty call into the same event loop, which is
part of every other figure. Each check alone shows where the time goes; a round is a whole ``judge``, threads included.

Question 2: how long does it take to seal and to verify a certificate? Baseline: the bare Ed25519 operations. The key is
in this process; a run asks the signer process and pays one more round trip.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hephaestus import canonical, seals
from hephaestus.assets import CheckSpec
from hephaestus.canonical import digest_bytes
from hephaestus.stormbreaker import (
    Certificate,
    Gate,
    Isolation,
    Passed,
    RunFacts,
    Stormbreaker,
    seal_certificate,
    verify_certificate,
)
from hephaestus.stormbreaker.certificate import sealed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.from_thread import BlockingPortal

SENTENCE = "Access a member of the archive as a binary file-like object, one of {n} in the table of contents."
PASSAGES = {
    f"module.Class{n}.method": "\n".join(SENTENCE.format(n=n * 10 + line) for line in range(20)) for n in range(20)
}
REPORT = json.dumps(
    {
        "title": "Twenty findings",
        "sections": [
            {"name": f"section {n}", "text": "Some plain words of prose. " * 12, "tags": ["a", "b"], "weight": n}
            for n in range(60)
        ],
        "quotations": [{"name": f"module.Class{n}.method", "quote": SENTENCE.format(n=n * 10 + 7)} for n in range(20)],
    }
).encode()
SCHEMA = {
    "type": "object",
    "required": ["title", "sections", "quotations"],
    "additionalProperties": False,
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "quotations": {"type": "array", "items": {"type": "object", "required": ["name", "quote"]}},
        "sections": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "text", "tags", "weight"],
                "properties": {
                    "name": {"type": "string", "pattern": "^section [0-9]+$"},
                    "text": {"type": "string"},
                    "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True},
                    "weight": {"type": "integer", "minimum": 0},
                },
            },
        },
    },
}
CHECKS = {
    "json-schema": CheckSpec(id="shape", kind="json-schema", about="-", params={"schema": "s.json"}),
    "regex over the whole": CheckSpec(
        id="polite", kind="regex", about="-", params={"must_not": r"(?i)\b(damn|hell)\b"}
    ),
    "regex at a pointer": CheckSpec(
        id="names", kind="regex", about="-", params={"select": "/sections/*/name", "must": "^section"}
    ),
    "quotes-in-knowledge": CheckSpec(id="quotes", kind="quotes-in-knowledge", about="-"),
}


class _Snapshot:
    def text(self, name: str, /) -> str | None:
        return PASSAGES.get(name)


class _Key:
    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()
        self.public = self.private.public_key().public_bytes_raw()
        self.id = seals.key_id(self.public)

    async def sign(self, tag: str, payload: bytes, /) -> seals.Seal:
        return seals.Seal(key_id=self.id, seal=self.private.sign(seals.signed_bytes(tag, payload)))


def _stormbreaker(*names: str) -> Stormbreaker:
    files = {"s.json": json.dumps(SCHEMA).encode()}
    return Stormbreaker([CHECKS[name] for name in names], passages=_Snapshot(), files=files.get)


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio") as running:
        yield running


async def _nothing() -> None:
    """What a call through the portal costs by itself."""


@pytest.mark.benchmark(group="judge one report of 26 kB")
def test_baseline_parse(benchmark: Any) -> None:
    benchmark(json.loads, REPORT)


@pytest.mark.benchmark(group="judge one report of 26 kB")
def test_baseline_empty_call(benchmark: Any, portal: BlockingPortal) -> None:
    benchmark(portal.call, _nothing)


@pytest.mark.benchmark(group="judge one report of 26 kB")
def test_strict_parse(benchmark: Any) -> None:
    benchmark(canonical.parse_json, REPORT)


@pytest.mark.benchmark(group="judge one report of 26 kB")
@pytest.mark.parametrize("names", [*((name,) for name in CHECKS), tuple(CHECKS)], ids=[*CHECKS, "all four"])
def test_judge(benchmark: Any, portal: BlockingPortal, names: tuple[str, ...]) -> None:
    verdict = benchmark(portal.call, _stormbreaker(*names).judge, REPORT)
    assert verdict.passed


@pytest.mark.benchmark(group="compile a check set")
def test_compile(benchmark: Any) -> None:
    benchmark(_stormbreaker, *CHECKS)


async def _certificate(key: _Key) -> Certificate:
    ruling = await Gate(_stormbreaker(*CHECKS)).submit(REPORT)
    assert isinstance(ruling, Passed)
    return await seal_certificate(ruling, _facts(), signer=key)


def _facts() -> RunFacts:
    digest = digest_bytes(b"")
    return RunFacts(
        run="run",
        lock=digest,
        knowledge=digest,
        isolation=Isolation(level="isolated", features={"landlock": "on", "seccomp": "on"}, uid="own"),
        receipt=digest,
        replayable=True,
    )


@pytest.mark.benchmark(group="certificate")
def test_baseline_bare_signature(benchmark: Any) -> None:
    key = _Key()
    benchmark(key.private.sign, sealed_bytes(anyio.run(_certificate, key)))


@pytest.mark.benchmark(group="certificate")
def test_baseline_bare_verification(benchmark: Any) -> None:
    key = _Key()
    payload = sealed_bytes(anyio.run(_certificate, key))
    benchmark(key.private.public_key().verify, key.private.sign(payload), payload)


@pytest.mark.benchmark(group="certificate")
def test_seal(benchmark: Any, portal: BlockingPortal) -> None:
    key = _Key()
    ruling = portal.call(Gate(_stormbreaker(*CHECKS)).submit, REPORT)
    benchmark(portal.call, partial(seal_certificate, ruling, _facts(), signer=key))


@pytest.mark.benchmark(group="certificate")
def test_verify(benchmark: Any) -> None:
    key = _Key()
    certificate = anyio.run(_certificate, key)
    benchmark(verify_certificate, certificate, {key.id: key.public}, artefact=REPORT)
