"""A workspace: the private folder of one piece of work, and every child that was started for it.

Whoever starts children does it through a workspace, so that one place knows what has to be gone afterwards.
"""

from __future__ import annotations

import os
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio.to_thread

from hephaestus.errors import ChildError
from hephaestus.runtime import leftovers
from hephaestus.runtime.disposal import remove_folder
from hephaestus.runtime.launch import LaunchSpec, launch
from hephaestus_runner.protocol import Event, Failure, Log, Result, Start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hephaestus.runtime.attest import Attestation
    from hephaestus.runtime.child import Child
    from hephaestus.runtime.disposal import ChildDisposal


class Workspace:
    """One run's private folder below ``runs``. Opened by :func:`workspace`.

    Attributes:
        disposals: One for every child that was started and is gone, also of those that never got ready.
        attested: One for every child that got ready.
    """

    def __init__(self, folder: Path, *, lock: int | None = None) -> None:
        self.folder = folder
        self._lock = lock
        self.disposals: list[ChildDisposal] = []
        self.attested: list[Attestation] = []

    @asynccontextmanager
    async def launch(self, spec: LaunchSpec) -> AsyncIterator[Child]:
        """Start a child; when the block is left, its whole process tree is gone and its disposal is noted here.

        Raises:
            IsolationUnavailable: If the level of ``spec.policy`` is not to be had; nothing of the package ran.
            ChildError: If the child could not be started.
        """
        async with launch(spec, runs=self.folder, lock=self._lock, gone=self.disposals.append) as child:
            self.attested.append(child.attested)
            yield child


@asynccontextmanager
async def workspace(runs: Path, name: str | None = None) -> AsyncIterator[Workspace]:
    """Make a private folder ``runs/name`` and remove it, with whatever is in it, at the end.

    A host that is killed cannot; :func:`hephaestus.runtime.leftovers.sweep` does it later.
    """
    folder = runs / (name or f"errand-{secrets.token_hex(8)}")
    lock = await anyio.to_thread.run_sync(_make, folder)
    try:
        yield Workspace(folder, lock=lock)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_remove, folder, lock)


def _make(folder: Path) -> int:
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = leftovers.take(folder.parent, folder.name)
    try:
        folder.mkdir()
        # A child with a user id of its own must be able to pass through, whatever this process's umask is; nothing
        # secret is kept in here.
        folder.chmod(0o755)
    except BaseException:
        leftovers.release(folder.parent, folder.name, lock)
        raise
    return lock


def _remove(folder: Path, lock: int) -> None:
    if remove_folder(folder):
        leftovers.release(folder.parent, folder.name, lock)
    else:
        os.close(lock)  # the lock file stays, and with it the reason to try again


async def errand(place: Workspace, spec: LaunchSpec, data: bytes, *, release: str = "") -> bytes:
    """Have one child answer one question and be gone.

    Args:
        place: Where the child belongs.
        spec: What to start; ``spec.policy.limits.wall_ms`` is its deadline.
        data: The input, JSON.
        release: Name and version of the release that it works for.

    Returns:
        The answer, JSON. It comes from a child: parse it as hostile.

    Raises:
        TimeoutError: If the deadline passed first.
        ChildError: If it failed or ended without an answer.
        ProtocolError: If it sent what is no answer.
    """
    async with place.launch(spec) as child:
        start = Start(run=place.folder.name, release=release, policy=spec.policy, seed=0, input=data, checks=())
        await child.send(start)
        while (message := await child.receive()) is not None:
            match message:
                case Result(id=0, value=bytes() as value):
                    return value
                case Failure(id=0, message=reason, trace=trace):
                    raise ChildError(f"{spec.role}: {reason}", hint=trace or None)
                case Event() | Log():
                    pass
                case other:
                    raise ChildError(f"{spec.role}: a child of this role does not send {type(other).__name__}")
    raise ChildError(f"{spec.role}: the child ended without an answer ({child.exit})")
