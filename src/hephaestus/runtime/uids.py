"""User ids for children that root starts: one each, so that limits per user hold and files stay apart.

Unique among the living children of this process; two hosts on one machine start at different places of the range.
"""

from __future__ import annotations

import os
import threading

from hephaestus.errors import IsolationUnavailable

FIRST, COUNT = 61_000, 4_000

_lock = threading.Lock()
_taken: set[int] = set()


def take() -> int | None:
    """A user id that no living child of this process has; None when this process is not root and cannot give one.

    Raises:
        IsolationUnavailable: When all are in use.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    start = os.getpid() * 37
    with _lock:
        for step in range(COUNT):
            uid = FIRST + (start + step) % COUNT
            if uid not in _taken:
                _taken.add(uid)
                return uid
    raise IsolationUnavailable(
        f"all {COUNT} user ids for children are in use", hint="run fewer children at the same time"
    )


def give_back(uid: int | None) -> None:
    """The child with this user id is gone."""
    if uid is not None:
        with _lock:
            _taken.discard(uid)
