"""The supervisor: forks the child, waits for it, and kills all that it started when the host is gone or time is up.

It stays outside of the confinement with nothing to do but this, tells the host over the control socket what happened
(one JSON object per line: ``{"pid": ...}``, then ``{"exit": ..., "left": ..., "why": ...}``), and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, Literal, NoReturn

from hephaestus_runner import confine, limits
from hephaestus_runner.processes import descendants, kill_below
from hephaestus_runner.protocol import Failure, frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from hephaestus_runner.config import Config

Why = Literal["ended", "host", "deadline", "processes"]
"""Why the child is no more: by itself, the host closed or asked, its time was up, it started too many processes."""

GRACE_MS = 10_000
"""How much later than the host the supervisor enforces the deadline: the host explains better, if it is there."""

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TICK_MS = 100
_SWEEP_S = 5.0


def run(config: Config, body: Callable[[dict[str, str]], None]) -> NoReturn:
    """Confine a fresh child, run ``body`` in it, outlive it, and exit.

    Args:
        config: From the host.
        body: Called in the confined child with its features; the child ends when it returns.
    """
    host = os.getppid()
    limits.adopt_orphans()
    try:
        features = confine.leave(config)
    except confine.Unconfined as error:
        refuse(config, str(error))
        os._exit(1)
    # Not killed: it must live to end what the child started. The end of the control socket says the same, unless some
    # other process of the host still holds it.
    limits.be_woken_by_the_end_of_the_parent()
    child = os.fork()
    if child == 0:
        _child(config, features, body)
    for descriptor in (config.reader, config.writer):
        os.close(descriptor)
    # The host reads the end of the child's output when the child is gone, not when this process is.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    _tell(config.control, {"pid": child})
    why, status = _watch(child, config, host)
    status, left = _sweep(child, status)
    code = None if status is None else os.waitstatus_to_exitcode(status)
    _tell(config.control, {"exit": code, "left": left, "why": why})
    os._exit(0)


def _child(config: Config, features: dict[str, str], body: Callable[[dict[str, str]], None]) -> NoReturn:
    code = 1
    try:
        limits.die_with_parent()
        features = features | confine.confine(config)
        os.umask(0o077)  # at the level none too: what it makes is its own affair
        body(features)
        code = 0
    except confine.Unconfined as error:
        refuse(config, str(error))
    except BaseException:  # noqa: BLE001 - whatever happens in the child must end in the child
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def refuse(config: Config, reason: str) -> None:
    """Tell the host, in place of the first message, that the level cannot be reached."""
    # Short enough for one atomic write to a pipe that nobody else writes to.
    os.write(config.writer, frame(Failure(0, "isolation", reason[:2000])))


def _tell(control: int, note: dict[str, object]) -> None:
    # A host that is gone needs no telling.
    with contextlib.suppress(OSError):
        os.write(control, json.dumps(note).encode() + b"\n")


class _Signals:
    """Signals that arrived, for a poll to see.

    Their handlers raise nothing: the host's end comes as a signal and as the end of the control socket at about the
    same time, and an exception out of the second one, while the first is being dealt with, would keep the supervisor
    from ending what it watches over.
    """

    def __init__(self) -> None:
        self.arrived: list[int] = []
        self.reader, self._writer = os.pipe()
        for descriptor in (self.reader, self._writer):
            os.set_blocking(descriptor, False)
            os.set_inheritable(descriptor, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (*_ENDING, signal.SIGCONT):
            signal.signal(number, self._note)

    def _note(self, number: int, stack: FrameType | None) -> None:  # noqa: ARG002
        self.arrived.append(number)

    def say_end(self, host: int) -> bool:
        """Whether what arrived means that the child must end."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.reader, 512)
        numbers, self.arrived = self.arrived, []
        # SIGCONT also comes when only a thread of the host ended, or from whoever stopped this process.
        return any(number in _ENDING for number in numbers) or os.getppid() != host

    def close(self) -> None:
        """From now on none of them does anything."""
        for number in (*_ENDING, signal.SIGCONT):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        os.close(self.reader)
        os.close(self._writer)


def _watch(child: int, config: Config, host: int) -> tuple[Why, int | None]:
    """Wait until the child ends or must; then its wait status, or None if it is still there."""
    deadline = time.monotonic() + (config.limits.wall_ms + GRACE_MS) / 1000
    counting = config.level != "isolated" and limits.LINUX
    signals = _Signals()
    poll = select.poll()
    poll.register(config.control, select.POLLIN)
    poll.register(signals.reader, select.POLLIN)
    descriptor = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
    if descriptor is not None:
        poll.register(descriptor, select.POLLIN)
    try:
        while True:
            if signals.say_end(host):
                return "host", None
            left = int((deadline - time.monotonic()) * 1000)
            if left <= 0:
                return "deadline", None
            ready = {
                fd for fd, _ in poll.poll(left if descriptor is not None and not counting else min(left, _TICK_MS))
            }
            status = _reap(child)
            if status is not None:
                return "ended", status
            if config.control in ready:
                return "host", None
            if counting and len(descendants(os.getpid())) > config.limits.processes:
                return "processes", None
    finally:
        signals.close()


def _reap(child: int) -> int | None:
    """Collect every child that ended, adopted ones too; the wait status of ``child`` if it was among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _sweep(child: int, status: int | None) -> tuple[int | None, int]:
    """Kill and collect all that is left: the child, and what it started and left behind.

    Returns:
        The child's wait status, None if it would not die; and how many processes would not.
    """
    until = time.monotonic() + _SWEEP_S
    while True:
        with contextlib.suppress(ProcessLookupError):
            if status is None:
                # Of an isolated child this is all: with its process 1 the kernel ends the whole namespace.
                os.kill(child, signal.SIGKILL)
        left = _kill_rest(child)
        found = _reap(child)
        status = found if status is None else status
        # No child to wait for means no descendant: every orphan would have become a child of this process.
        if _childless():
            return status, 0
        if time.monotonic() > until:
            return status, max(left, 1)
        time.sleep(0.002)


def _childless() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def _kill_rest(child: int) -> int:
    if not limits.LINUX:
        # Without orphans to adopt, the session is what can be reached.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        return 0
    return kill_below(os.getpid())
