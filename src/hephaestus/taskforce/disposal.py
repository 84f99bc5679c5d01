"""The disposal record: that nothing of a task force is left, and how that was verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hephaestus.runtime.disposal import remove_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hephaestus.runtime.disposal import ChildDisposal


class Disposal(msgspec.Struct, frozen=True, kw_only=True):
    """What was left of a task force after it ended. ``verified`` is true only if that is nothing."""

    verified: bool
    children: int  # subprocesses that were started
    processes_left: tuple[int, ...]  # process ids
    folders_left: tuple[str, ...]  # names below the hub's folder of runs
    descriptors_left: int  # pipe ends that the host still holds
    how: tuple[str, ...]  # what was looked at, in words


def dispose(folder: Path, children: Sequence[ChildDisposal]) -> Disposal:
    """Remove a run's private folder and say what is left. Blocking: call it in a worker thread."""
    folders = () if remove_folder(folder) else (folder.name,)
    processes = tuple(pid for child in children for pid in child.processes_left)
    descriptors = sum(child.descriptors_left for child in children)
    verified = not folders and not processes and not descriptors and all(child.verified for child in children)
    return Disposal(
        verified=verified,
        children=len(children),
        processes_left=processes,
        folders_left=folders,
        descriptors_left=descriptors,
        how=(
            "every process of each child's tree was waited for, and its process id was looked up afterwards",
            "the private folder of the run was removed and looked up afterwards",
            "every pipe end that the host opened for a child was closed",
        ),
    )
