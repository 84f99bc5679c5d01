"""A tree of processes as /proc shows it: who is below one, and killing all of them. Linux; used by both sides."""

from __future__ import annotations

import contextlib
import os
import signal
import time


def descendants(root: int) -> list[int]:
    """The living processes below ``root``, from /proc; those that ended and wait to be collected are left out."""
    below: dict[int, list[int]] = {}
    ended: set[int] = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The name in parentheses may hold anything, so read from the last one on: state, parent, ...
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        below.setdefault(int(fields[1]), []).append(int(name))
        if _has_ended(fields[0], threads=fields[17]):
            ended.add(int(name))
    found, queue = [], [root]
    while queue:
        children = below.get(queue.pop(), [])
        found += [pid for pid in children if pid not in ended]
        queue += children
    return found


def _has_ended(state: bytes, *, threads: bytes) -> bool:
    # A process whose first thread ended looks like one that did, and goes on in its other threads.
    return state in (b"Z", b"X") and int(threads) <= 1


def kill_below(root: int) -> int:
    """Kill every living process below ``root``, which must be where their orphans end up. Collects none of them.

    Returns:
        How many there were.
    """
    # Stopped first, until a look finds nothing new, so that none forks while its siblings are killed.
    stopped: set[int] = set()
    while fresh := set(descendants(root)) - stopped:
        for pid in fresh:
            _signal(pid, signal.SIGSTOP)
        stopped |= fresh
    for pid in stopped:
        _signal(pid, signal.SIGKILL)
    return len(stopped)


def of_user(uid: int) -> list[int]:
    """The living processes of one user id, real, effective or saved."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/status", "rb") as file:
                fields = dict(line.split(b":", 1) for line in file)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"%d" % uid not in fields[b"Uid"].split():
            continue
        if not _has_ended(fields[b"State"].split()[0], threads=fields.get(b"Threads", b"0")):
            found.append(int(name))
    return found


def kill_of_user(uid: int, seconds: float) -> int:
    """Kill every process of a user id, again until none is left or the time is over.

    Returns:
        How many are left.
    """
    until = time.monotonic() + seconds
    while (left := of_user(uid)) and time.monotonic() < until:
        for pid in left:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.002)
    return len(left)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
