"""The manifest: what ``agent.toml`` says, as Structs. How the text becomes one is in ``parse``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*\Z", max_length=64)]
"""Of an agent or a check: lower-case words joined by hyphens."""

EntryPoint = Annotated[str, Meta(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*\Z", max_length=200)]
"""``module:object``."""

RelativePath = Annotated[str, Meta(pattern=r"^[^/\\\x00-\x1f][^\\\x00-\x1f]*\Z", max_length=240)]
"""A path inside the package, with forward slashes. That it stays inside is checked where it is used."""

NonEmpty = Annotated[str, Meta(min_length=1)]
Positive = Annotated[int, Meta(ge=1)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: immutable, and an unknown key is an error."""


class AgentSection(_Section, frozen=True, kw_only=True):
    """``[agent]``: who it is."""

    name: Name
    version: NonEmpty  # strict SemVer 2.0, checked by parse_manifest
    summary: Annotated[str, Meta(min_length=1, max_length=500)]
    licence: NonEmpty
    authors: tuple[str, ...] = ()


class RunSection(_Section, frozen=True, kw_only=True):
    """``[run]``: what is started."""

    kind: Literal["python"]
    entry: EntryPoint  # a function of one argument, hephaestus_runner.sdk.Task
    role: Literal["agent", "orchestrator"] = "agent"


class PythonSection(_Section, frozen=True, kw_only=True):
    """``[python]``: what the code needs. A package without dependencies runs in the host's interpreter."""

    requires: str | None = None
    dependencies: tuple[str, ...] = ()


class ContractSection(_Section, frozen=True, kw_only=True):
    """``[contract]``: JSON Schema (draft 2020-12) files of input and output."""

    input: RelativePath | None = None
    output: RelativePath


class LimitsSection(_Section, frozen=True, kw_only=True):
    """``[permissions.limits]``: what one attempt of this agent may use."""

    wall_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 60
    cpu_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 30
    memory_mb: Annotated[int, Meta(ge=64, le=1_048_576)] = 1024
    disk_mb: Annotated[int, Meta(ge=1, le=65_536)] = 64
    processes: Annotated[int, Meta(ge=1, le=4096)] = 32
    attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    model_calls: Annotated[int, Meta(ge=0, le=10_000)] = 0


class PermissionsSection(_Section, frozen=True, kw_only=True):
    """``[permissions]``: what it may reach. Nothing is reachable that is not named here."""

    models: tuple[NonEmpty, ...] = ()  # names of models of the host; "default" is the one the caller configured
    hosts: tuple[NonEmpty, ...] = ()
    tools: tuple[NonEmpty, ...] = ()
    knowledge: bool = True  # its own shard
    limits: LimitsSection = LimitsSection()


class CheckSpec(_Section, frozen=True, kw_only=True):
    """One ``[[checks]]`` entry: a deterministic test that the output must pass."""

    id: Name
    kind: NonEmpty  # a kind of the registry in hephaestus.stormbreaker
    about: NonEmpty  # what it demands, for the agent and for people
    params: dict[str, Any] = {}
    hidden: bool = False  # parameters and expectations are kept from the agent


class KnowledgeSource(_Section, frozen=True, kw_only=True):
    """One ``[[knowledge]]`` entry: text that becomes passages of the release's shard at build."""

    kind: Literal["folder", "python-docs"]
    path: RelativePath | None = None  # of a folder in the package; only for kind "folder"


class Manifest(_Section, frozen=True, kw_only=True):
    """The whole of ``agent.toml``."""

    schema: Literal[1]
    agent: AgentSection
    run: RunSection
    python: PythonSection = PythonSection()
    agents: dict[Name, NonEmpty] = {}  # other agents it may call -> version range
    contract: ContractSection
    permissions: PermissionsSection = PermissionsSection()
    checks: tuple[CheckSpec, ...] = ()
    knowledge: tuple[KnowledgeSource, ...] = ()
