"""From a decision to a plan: which releases take part, under which policy, and what their output must pass."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hephaestus import canonical
from hephaestus.assets import CheckSpec, Manifest, Range, Version, parse_card
from hephaestus.errors import NotFound, UsageError
from hephaestus.hub import Release
from hephaestus.knowledge import PassageSet
from hephaestus.stormbreaker import CheckSet, compile_checks
from hephaestus.taskforce.lock import LockedAgent, RunLock
from hephaestus_runner.protocol import Level, Limits, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hephaestus.canonical import Digest
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
        NotFound: If the release of the decision is not in the hub, or one that it may call was not deployed with it.
        UsageError: If the context says one thing twice.
    """
    hub = runtime.hub
    release = await hub.release(decision.winner.digest)
    lead = await _member(runtime, release, level)
    directs = lead.manifest.run.role == "orchestrator"
    members = {} if directs else {release.name: lead}
    for name, callee in (await _callees(runtime, lead, decision.table)).items():
        members[name] = await _member(runtime, callee, level)
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
        context=_context_digest(context),
        card_table=decision.table,
        orchestrator=release.ref if directs else "built-in",
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


async def _callees(runtime: Runtime, lead: Member, table: Digest) -> dict[str, Release]:
    """What the lead may call, by name: the releases that were deployed with it, and never newer ones of the hub.

    So a run uses nothing that nobody put in force, and a rollback takes the called agents back with their caller.
    """
    wanted = lead.manifest.agents
    if not wanted:
        return {}
    deployed = {entry.agent: entry for entry in (await runtime.table(table)).entries}
    found: dict[str, Release] = {}
    for name, text in wanted.items():
        entry = deployed.get(name)
        if entry is None:
            raise NotFound(
                f"{lead.release.ref} may call {name}@{text}, but no {name} was deployed with it",
                hint=f"deploy {lead.release.ref} again, which adds what it may call",
            )
        release = await runtime.hub.release(entry.digest)
        if Version.parse(release.version) not in Range.parse(text):
            raise NotFound(
                f"{lead.release.ref} may call {name}@{text}, but {release.ref} was deployed with it",
                hint=f"deploy {lead.release.ref} again, together with a {name} in that range",
            )
        found[name] = release
    return found


def _context_digest(context: bytes) -> Digest:
    """The digest of what the context says: the order of keys, in which a caller happened to write it, does not count.

    A number with a fraction has no canonical form, so that a context with one is written with sorted keys only.
    """
    try:
        value = canonical.parse_json(context)
    except ValueError as error:
        raise UsageError(f"the context of a run: {error}") from error
    try:
        return canonical.digest_bytes(canonical.encode(value))
    except canonical.NotCanonical:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return canonical.digest_bytes(text.encode())


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
