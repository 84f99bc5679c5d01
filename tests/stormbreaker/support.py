"""What the tests of the gate share: specs, a signer in this process, passages, executors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hephaestus import seals
from hephaestus.assets import CheckSpec
from hephaestus.canonical import digest_bytes
from hephaestus.stormbreaker import CheckSet, Isolation, Origin, RunFacts, compile_checks
from hephaestus.stormbreaker.kind import CodeCheck, Compiled, DataCheck, Executor, Observation, Subject


def spec(name: str, kind: str, /, *, hidden: bool = False, **params: Any) -> CheckSpec:
    return CheckSpec(id=name, kind=kind, about=f"what {name} demands", params=params, hidden=hidden)


def compiled(*specs: CheckSpec, origin: Origin = "package", files: dict[str, bytes] | None = None) -> CheckSet:
    return compile_checks([(origin, one) for one in specs], files=(files or {}).get)


def schema_check(schema: object, **params: Any) -> Compiled:
    """A compiled json-schema check of this schema."""
    checks = compiled(
        spec("shape", "json-schema", schema="s.json", **params), files={"s.json": json.dumps(schema).encode()}
    )
    return checks.compiled["shape"]


def look(check: Compiled, artefact: bytes, passages: Any = None) -> Observation:
    assert isinstance(check.check, DataCheck)
    return check.check.look(Subject(artefact=artefact, value=json.loads(artefact), passages=passages))


def with_looks(**looks: Callable[[Subject], Observation]) -> CheckSet:
    """A check set whose checks are these functions, named after their keywords."""
    checks = compiled(*(spec(name, "regex", must="x") for name in looks))
    return CheckSet(
        checks=checks.checks,
        digest=checks.digest,
        compiled={name: Compiled(check=DataCheck(function)) for name, function in looks.items()},
    )


def with_run(run: Any, *, deadline_ms: int = 60_000) -> CheckSet:
    """A check set of one check `code` that runs this coroutine function."""
    checks = compiled(spec("code", "regex", must="x"))
    return CheckSet(
        checks=checks.checks,
        digest=checks.digest,
        compiled={"code": Compiled(check=CodeCheck(run, deadline_ms=deadline_ms))},
    )


class Texts(dict[str, str]):
    """Passages by id."""

    def text(self, name: str, /) -> str | None:
        return self.get(name)


class Answers:
    """An executor that answers what it was made with, and remembers what it was asked."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, bytes, int]] = []

    async def run_check(self, entry: str, payload: bytes, *, deadline_ms: int) -> bytes:
        self.asked.append((entry, payload, deadline_ms))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Key:
    """An Ed25519 key that seals in this process."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()
        self.id = seals.key_id(self.public)
        self.trusted = {self.id: self.public}

    async def sign(self, tag: str, payload: bytes, /) -> seals.Seal:
        return seals.Seal(key_id=self.id, seal=self._private.sign(seals.signed_bytes(tag, payload)))


def facts(run: str = "run-1") -> RunFacts:
    return RunFacts(
        run=run,
        lock=digest_bytes(b"lock of " + run.encode()),
        knowledge=digest_bytes(b"passages"),
        isolation=Isolation(level="isolated", features={"landlock": "on"}, uid="own"),
        receipt=digest_bytes(b"link"),
        replayable=True,
    )


def unused_executor() -> Executor:
    return Answers(AssertionError("not to be called"))
