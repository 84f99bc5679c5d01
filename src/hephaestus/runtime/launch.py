"""Launching: from a :class:`LaunchSpec` to a confined, attested child that waits for its work, and its end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hephaestus.errors import ChildError, IsolationUnavailable, ProtocolError
from hephaestus.runtime.advice import advice
from hephaestus.runtime.attest import attest
from hephaestus.runtime.child import Child
from hephaestus.runtime.spawn import LaunchSpec, Role, spawn
from hephaestus_runner import protocol
from hephaestus_runner.protocol import Failure, Hello

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["Child", "LaunchSpec", "Role", "launch"]

_TAIL = 2_000


@asynccontextmanager
async def launch(spec: LaunchSpec, *, runs: Path) -> AsyncIterator[Child]:
    """Start a child. When the block is left, its process tree is ended and ``child.disposal`` says what is left.

    Args:
        spec: What to start. ``spec.policy.level`` is what the child reaches; it is never silently lower.
        runs: Folder for its private folder.

    Yields:
        The child, confined and attested. No code of the package was loaded yet: send it a ``Start``.

    Raises:
        IsolationUnavailable: If the level is not to be had here.
        ChildError: If the process cannot be started, or ended before it was ready.
        ProtocolError: If it is not as confined as it says.
        UsageError: If a path of ``spec`` does not exist.
        StorageError: If the private folder cannot be made.
    """
    child = Child(spawn(spec, runs), spec)
    try:
        await _greet(child, spec)
        yield child
    finally:
        await child.dispose()


async def _greet(child: Child, spec: LaunchSpec) -> None:
    message = await child.receive()
    match message:
        case Hello(version=protocol.VERSION):
            await child.told("pid")
        case Hello(version=other):
            raise ProtocolError(f"the child speaks version {other} of the protocol, the host {protocol.VERSION}")
        case Failure(cause="isolation", message=reason):
            raise IsolationUnavailable(reason, hint=advice(spec.policy.level, reason))
        case None:
            printed = "".join(log.text for log in child.logs).strip()
            raise ChildError(
                f"the {spec.role} ended before it was ready ({child.exit})",
                hint=f"it printed: ...{printed[-_TAIL:]}" if printed else None,
            )
        case other:
            raise ProtocolError(f"the child began with {type(other).__name__} where Hello was expected")
    if child.pid is None:
        raise ChildError(f"the supervisor of the {spec.role} ended before the child was ready ({child.exit})")
    child.begin()
    child.hello = message
    child.attested = attest(message, child.pid, asked=spec.policy.level)
