"""What is left of one child after it ended: its record, and the removal of its private folder."""

from __future__ import annotations

import os
import stat
from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class ChildDisposal(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at after a child ended. ``verified`` is true only if nothing is left and that was seen."""

    verified: bool
    processes: tuple[int, ...]  # process ids that were looked up afterwards: the supervisor and the child
    processes_left: tuple[int, ...]
    folder_gone: bool
    descriptors_left: int  # pipe ends that the host still holds
    how: str  # what shows that no further process of the tree is left


def remove_folder(folder: Path) -> bool:
    """Remove a folder whose contents a child made, however deep and whatever their modes.

    Blocking. Follows no link. Must be called when no process of the child is left.

    Returns:
        Whether it is gone.
    """
    try:
        _flatten(folder)
    except OSError:
        # What is wrong shows in the answer, which the caller must look at anyway.
        return not os.path.lexists(folder)
    return not os.path.lexists(folder)


def _flatten(folder: Path) -> None:
    """Empty the folder by moving nested ones up, so that no depth costs a descriptor, a stack frame or a long path."""
    queue = deque([str(folder)])
    moved = 0
    while queue:
        current = queue.popleft()
        try:
            entries = list(os.scandir(current))
        except PermissionError:
            os.chmod(current, stat.S_IRWXU)
            entries = list(os.scandir(current))
        if entries and not os.access(current, os.W_OK | os.X_OK):
            os.chmod(current, stat.S_IRWXU)
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            if current == str(folder):
                queue.append(entry.path)
                continue
            moved += 1
            target = f"{folder}/.{moved}"
            _move(entry.path, target)
            queue.append(target)
        if current != str(folder):
            os.rmdir(current)
    os.rmdir(folder)


def _move(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except PermissionError:
        # Moving a folder changes its parent entry, for which it must be writable.
        os.chmod(source, stat.S_IRWXU)
        os.rename(source, target)
