"""What the host tells a fresh process about itself: one :class:`Config` as JSON on standard input.

Also where things lie once the process is confined: :func:`places`.
"""

from __future__ import annotations

import msgspec

from hephaestus_runner.protocol import Level, Limits

OPT = "/opt/hephaestus"
"""Where an isolated child finds the few packages that it may import."""

WORK = "/work"
PACKAGE = "/package"
SHARD = "/knowledge/shard"
EXCHANGE = "/exchange"


class Bind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One path of the host that an isolated child sees, read-only."""

    source: str
    target: str


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that a process needs to confine itself and to find its work. All paths are the host's."""

    role: str
    entry: str = ""  # module:object, for the roles that run package code
    level: Level
    limits: Limits
    uid: int | None = None  # to become, when started by root
    homes: dict[str, str]  # importable package -> folder that holds it
    binds: tuple[Bind, ...] = ()  # the interpreter and shared libraries
    masks: tuple[str, ...] = ()  # folders inside the binds that are covered with an empty one
    python: str  # the interpreter, links resolved
    folder: str  # private, empty, removed by the host afterwards
    package: str | None = None
    shard: str | None = None
    exchange: str | None = None
    hostname: str = "hephaestus"
    reader: int  # descriptor of the pipe host -> child
    writer: int  # descriptor of the pipe child -> host
    control: int  # descriptor of the socket between host and supervisor; never the child's
    keep: tuple[int, ...] = ()  # further descriptors that the child keeps; tests measure coverage with one


class Places(msgspec.Struct, frozen=True):
    """Where a confined child finds its things."""

    scratch: str
    package: str | None
    shard: str | None
    exchange: str | None


def root_folder(config: Config) -> str:
    """The mount point of an isolated child's root."""
    return config.folder + "/root"


def scratch_folder(config: Config) -> str:
    """The working folder of a child that has no root of its own."""
    return config.folder + "/work"


def places(config: Config) -> Places:
    """Where the child finds its things: fixed names in a root of its own, the host's names otherwise."""
    if config.level != "isolated":
        return Places(scratch_folder(config), config.package, config.shard, config.exchange)
    return Places(
        WORK,
        config.package and PACKAGE,
        config.shard and SHARD,
        config.exchange and EXCHANGE,
    )
