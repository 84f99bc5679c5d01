"""The run lock: everything that a run's result depends on, pinned by digest before the first process starts."""

from __future__ import annotations

import msgspec

from hephaestus import canonical
from hephaestus.canonical import Digest
from hephaestus_runner.protocol import VERSION, Policy

TAG = "hephaestus/run-lock/1"


class LockedAgent(msgspec.Struct, frozen=True, kw_only=True):
    """One agent of the task force."""

    name: str
    version: str
    release: Digest
    python: str  # digest of its Python lock, or "host" where it runs in the host's interpreter
    knowledge: Digest | None  # digest of its passages
    policy: Policy


class RunLock(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a run. Two runs with equal locks were given the same work under the same rules."""

    schema: int = 1
    engine: str  # version of this library
    protocol: int = VERSION
    interpreter: str  # implementation and version that runs the packages
    request: Digest
    context: Digest
    card_table: Digest
    orchestrator: str  # "built-in", or the reference of a release
    agents: tuple[LockedAgent, ...]  # by name
    checks: Digest
    attempts: int
    feedback: bool
    model: str | None  # name of the model behind "default"; its answers are on the tape, its address is not part of it

    @property
    def digest(self) -> Digest:
        """Over the canonical bytes."""
        return canonical.digest(TAG, self)

    @property
    def seed(self) -> int:
        """What children seed their randomness with: the first 32 bits of the digest, so a rerun draws the same."""
        return int(self.digest.removeprefix("sha256:")[:8], 16)
