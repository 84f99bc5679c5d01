"""Running the checks that are code of a package: each in its own isolated child, over plain data, never in the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hephaestus.runtime.launch import LaunchSpec
from hephaestus.runtime.workspace import errand
from hephaestus_runner.protocol import Limits, Policy

if TYPE_CHECKING:
    from hephaestus.runtime.workspace import Workspace
    from hephaestus.taskforce.plan import Member
    from hephaestus_runner.protocol import Level

_LIMITS = Limits(cpu_s=30, memory_bytes=1 << 30, disk_bytes=16 << 20, processes=8)


class PackageExecutor:
    """Runs a function of one release on data. What the gate calls an Executor.

    Args:
        place: Where the children belong.
        member: Whose code.
        level: The isolation level that the child must have.
    """

    def __init__(self, place: Workspace, member: Member, level: Level) -> None:
        self._place = place
        self._member = member
        self._level = level

    async def run_check(self, entry: str, payload: bytes, *, deadline_ms: int) -> bytes:
        """Call ``entry`` in a fresh child.

        Args:
            entry: ``module:function`` of the package.
            payload: JSON for it.
            deadline_ms: After which it is killed.

        Returns:
            Its answer, JSON, not yet validated.

        Raises:
            TimeoutError: If it took too long.
            ChildError: If it failed.
        """
        policy = Policy(level=self._level, limits=msgspec.structs.replace(_LIMITS, wall_ms=deadline_ms))
        spec = LaunchSpec(role="check", policy=policy, package=self._member.package)
        data = msgspec.json.encode({"entry": entry, "payload": msgspec.Raw(payload)})
        return await errand(self._place, spec, data, release=self._member.release.ref)
