"""From a decision to a plan: which releases take part, under which policy, and what their output must pass."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hephaestus import canonical
from hephaestus.assets import CheckSpec, Manifest, parse_card
from hephaestus.errors import NotFound
from hephaestus.hub import Release
from hephaestus.knowledge import PassageSet
from hephaestus.stormbreaker import CheckSet, compile_checks
from hephaestus.taskforce.lock import LockedAgent, RunLock
from hephaestus_runner.protocol import Level, Limits, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hephaestus.routing import Routed
    from hephaestus.runtime import Runtime
    from hephaestus.stormbreaker import Origin

MEBI = 1 << 20


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One release of the task force, ready to be started."""

    release: Release
    manifest: Manifest
    policy: Policy
    package: Path  # its verified read-only folder
    shard: Path | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run will do."""

    lead: Member  # the release that was routed to
    members: dict[str, Member]  # by agent name: everything that may be called
    checks: CheckSet
    passages: PassageSet | None
    lock: RunLock
    wall_ms: int  # of the whole run

    @property
    def self_directed(self) -> bool:
        """Whether the lead brings its own orchestrator."""
        return self.lead.manifest.run.role == "orchestrator"


async def make_plan(
    runtime: Runtime,
    decision: Routed,
    *,
    level: Level,
    context: bytes,
    checks: Iterable[CheckSpec],
    feedback: bool,
) -> Plan:
    """Resolve a decision.

    Args:
        runtime: Where the releases are.
        decision: Who was chosen.
        level: The isolation level that every child must have.
        context: JSON that the caller hands to the agent besides the request.
        checks: The caller's own checks.
        feedback: Whether findings are shown to the agent.

    Raises:
        ChecksRefused: If there is no check at all, or one that cannot be compiled.
        NotFound: If a release of the decision or one that it may call is not in the hub.
    """
    hub = runtime.hub
    release = await hub.release(decision.winner.digest)
    lead = await _member(runtime, release, level)
    members = {} if lead.manifest.run.role == "orchestrator" else {release.name: lead}
    for name, wanted in lead.manifest.agents.items():
        members[name] = await _member(runtime, await hub.release(f"{name}@{wanted}"), level)
    tree = await hub.tree(release)
    card = parse_card(_present(tree.get("card.toml"), release, "card.toml"))
    specs: list[tuple[Origin, CheckSpec]] = [
        *(("card", spec) for spec in card.checks),
        *(("package", spec) for spec in lead.manifest.checks),
        *(("caller", spec) for spec in checks),
    ]
    compiled = compile_checks(specs, files=tree.get)
    passages = await runtime.passages(release)
    limits = lead.manifest.permissions.limits
    lock = RunLock(
        engine=metadata.version("hephaestus-os"),
        interpreter=f"{platform.python_implementation()} {platform.python_version()}",
        request=canonical.digest_bytes(decision.request.encode()),
        context=canonical.digest_bytes(context),
        card_table=decision.table,
        orchestrator=release.ref if not members or lead.manifest.run.role == "orchestrator" else "built-in",
        agents=tuple(
            [await _locked(runtime, m) for m in sorted({lead.release.name: lead, **members}.values(), key=_name)]
        ),
        checks=compiled.digest,
        attempts=limits.attempts,
        feedback=feedback,
        model=_model_name(runtime, [lead, *members.values()]),
    )
    # Every attempt may use its whole wall clock, and the checks as much again in all.
    wall_ms = limits.wall_seconds * 1000 * (limits.attempts + 1)
    return Plan(lead=lead, members=members, checks=compiled, passages=passages, lock=lock, wall_ms=wall_ms)


def agent_policy(manifest: Manifest, level: Level) -> Policy:
    """What the manifest's permissions come to for one child."""
    permissions = manifest.permissions
    limits = permissions.limits
    return Policy(
        level=level,
        limits=Limits(
            wall_ms=limits.wall_seconds * 1000,
            cpu_s=limits.cpu_seconds,
            memory_bytes=limits.memory_mb * MEBI,
            disk_bytes=limits.disk_mb * MEBI,
            file_bytes=limits.disk_mb * MEBI,
            processes=limits.processes,
            model_calls=limits.model_calls,
        ),
        models=permissions.models,
        tools=permissions.tools,
        knowledge=bool(manifest.knowledge) and permissions.knowledge,
    )


async def _member(runtime: Runtime, release: Release, level: Level) -> Member:
    manifest = await runtime.manifest(release)
    policy = agent_policy(manifest, level)
    return Member(
        release=release,
        manifest=manifest,
        policy=policy,
        package=await runtime.hub.unpack(release),
        shard=await runtime.shard(release) if policy.knowledge else None,
    )


async def _locked(runtime: Runtime, member: Member) -> LockedAgent:
    passages = await runtime.passages(member.release)
    return LockedAgent(
        name=member.release.name,
        version=member.release.version,
        release=member.release.digest,
        python="host",
        knowledge=None if passages is None else passages.digest,
        policy=member.policy,
    )


def _name(member: Member) -> str:
    return member.release.name


def _model_name(runtime: Runtime, members: list[Member]) -> str | None:
    if runtime.config.model is None or not any("default" in m.policy.models for m in members):
        return None
    return runtime.config.model.name


def _present(data: bytes | None, release: Release, path: str) -> bytes:
    if data is None:
        raise NotFound(f"{release.ref} has no {path}")
    return data
