"""Launching: from a :class:`LaunchSpec` to a confined, attested child that waits for its work, and its end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hephaestus.errors import ChildError, IsolationUnavailable, ProtocolError
from hephaestus.runtime.advice import advice
from hephaestus.runtime.attest import attest
from hephaestus.runtime.child import Child
from hephaestus.runtime.disposal import ChildDisposal
from hephaestus.runtime.spawn import LaunchSpec, Role, spawn
from hephaestus_runner import protocol
from hephaestus_runner.protocol import Failure, Hello

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

__all__ = ["Child", "LaunchSpec", "Role", "launch"]

_TAIL = 2_000


@asynccontextmanager
async def launch(
    spec: LaunchSpec, *, runs: Path, lock: int | None = None, gone: Callable[[ChildDisposal], None] | None = None
) -> AsyncIterator[Child]:
    """Start a child. When the block is left, its process tree is ended and ``child.disposal`` says what is left.

    Args:
        spec: What to start. ``spec.policy.level`` is what the child reaches; it is never silently lower.
        runs: Folder for its private folder.
        lock: A descriptor that the supervisor keeps open as long as anything of the child may be left.
        gone: Told what is left of a process once it was started, also when it never became a child that is yielded.

    Yields:
        The child, confined and attested. No code of the package was loaded yet: send it a ``Start``.

    Raises:
        IsolationUnavailable: If the level is not to be had here.
        ChildError: If the process cannot be started, or ended before it was ready.
        ProtocolError: If it is not as confined as it says.
        UsageError: If a path of ``spec`` does not exist.
        StorageError: If the private folder cannot be made.
    """
    child = Child(spawn(spec, runs, lock=lock), spec)
    try:
        await _greet(child, spec)
        yield child
    finally:
        try:
            await child.dispose()
        finally:
            if gone is not None:
                gone(child.disposal or _unseen(child))


def _unseen(child: Child) -> ChildDisposal:
    return ChildDisposal(
        verified=False,
        processes=(child.supervisor,),
        processes_left=(),
        folder_gone=False,
        descriptors_left=0,
        how="looking for what is left failed",
    )


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
