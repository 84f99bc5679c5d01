"""What the host itself sees of a child's confinement. The child only reports; this is looked up."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from hephaestus.errors import ProtocolError
from hephaestus_runner.protocol import LEVELS, Hello, Level

NAMESPACES = ("net", "mnt", "pid", "ipc", "uts")
"""What an isolated child must not share with the host."""

Uid = Literal["own", "shared"]


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """The level that was really in force, and how the host knows."""

    level: Level
    features: dict[str, str]  # as the child reported them: feature -> "on", or the reason why not
    uid: Uid  # whether the kernel knows the child as another user than the host
    attested: tuple[str, ...]  # what the host read from the kernel itself
    unseen: tuple[str, ...] = ()  # what it was not allowed to read


def attest(hello: Hello, pid: int, *, asked: Level) -> Attestation:
    """Compare what a child says of itself with what the kernel says of it.

    Args:
        hello: The child's first message.
        pid: Its process id on the host.
        asked: The level that was asked for.

    Raises:
        ProtocolError: If they differ, or the level is lower than asked. The child must be killed.
    """
    if LEVELS.index(hello.level_reached) < LEVELS.index(asked):
        raise ProtocolError(f"level {asked} was asked for, and the child says {hello.level_reached}")
    if hello.level_reached == "none":
        return Attestation(level="none", features=hello.features, uid="shared", attested=())
    wrong: list[str] = []
    seen: list[str] = []
    unseen: list[str] = []
    status = _status(pid)
    _expect(status, "Seccomp", "2", seen, wrong)
    _expect(status, "NoNewPrivs", "1", seen, wrong)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if name == "CapBnd" and hello.level_reached == "restricted" and os.geteuid() != 0:
            continue  # an ordinary user cannot empty it, and without set-uid programs (NoNewPrivs) it means nothing
        if int(status.get(name, "1"), 16) != 0:
            wrong.append(f"{name} is {status.get(name)}")
        seen.append(name)
    ids = status.get("Uid", "0").split()
    seen.append("Uid")
    if "0" in ids:
        wrong.append("it runs as user 0 of the host")
    if hello.level_reached == "isolated":
        _namespaces(pid, status, seen, unseen, wrong)
    if wrong:
        raise ProtocolError(f"process {pid} is not as confined as it says: {'; '.join(wrong)}")
    return Attestation(
        level=hello.level_reached,
        features=hello.features,
        uid="shared" if str(os.geteuid()) in ids else "own",
        attested=tuple(seen),
        unseen=tuple(unseen),
    )


def _expect(status: dict[str, str], name: str, value: str, seen: list[str], wrong: list[str]) -> None:
    seen.append(name)
    if status.get(name) != value:
        wrong.append(f"{name} is {status.get(name)}, expected {value}")


def _namespaces(pid: int, status: dict[str, str], seen: list[str], unseen: list[str], wrong: list[str]) -> None:
    seen.append("NSpid")
    if status.get("NSpid", "").split()[-1:] != ["1"] or len(status["NSpid"].split()) < 2:
        wrong.append("it is not process 1 of a process id namespace")
    for name in NAMESPACES:
        try:
            other = os.readlink(f"/proc/{pid}/ns/{name}")
        except PermissionError:
            unseen.append(f"ns/{name}")
            continue
        seen.append(f"ns/{name}")
        if other == os.readlink(f"/proc/self/ns/{name}"):
            wrong.append(f"it shares the host's {name} namespace")


def _status(pid: int) -> dict[str, str]:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            lines = [line.partition(":") for line in file]
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProtocolError(f"process {pid} ended before the host could look at it") from error
    return {name: value.strip() for name, _, value in lines}
