"""The small steps of confinement: resource limits, descriptors, capabilities, the user, who dies with whom."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import struct
import sys
from typing import TYPE_CHECKING

from hephaestus_runner import syscalls

if TYPE_CHECKING:
    from hephaestus_runner.protocol import Limits

LINUX = sys.platform == "linux"
_MOST_CAPABILITIES = 64  # their sets are 64 bits wide


def die_with_parent() -> None:
    """Be killed when the parent dies. Must be said again after a change of user, which clears it.

    Package code can undo it (threads that call exec do not inherit it), so nothing may rely on this alone.
    """
    if LINUX:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)


def be_woken_by_the_end_of_the_parent() -> None:
    """Get SIGCONT when the parent (more exactly: its thread that started this process) ends, even while stopped."""
    if LINUX:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGCONT)


def go_first_when_memory_runs_out() -> None:
    """Have the kernel end this process and what it starts, rather than the supervisor or the host."""
    # A wish, not a limit: where /proc is read-only there is no such order.
    if LINUX:
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, so that none can slip away."""
    if LINUX:
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)


def threads() -> int:
    """How many threads this process has."""
    if LINUX:
        return len(os.listdir("/proc/self/task"))
    import threading

    return threading.active_count()


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor except these."""
    low = 0
    for descriptor in sorted(keep):
        if descriptor > low:
            os.closerange(low, descriptor)  # given an empty range from 0, it would close them all
        low = descriptor + 1
    try:
        syscalls.syscall("close_range", low, 0xFFFFFFFF, 0)
    except OSError:
        # Not Linux, or before 5.9: up to the limit, above which none can be open.
        os.closerange(low, min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1 << 20))


def set_limits(limits: Limits, *, processes: int | None) -> None:
    """Bound what this process and each of its children may use.

    Args:
        limits: The figures.
        processes: For RLIMIT_NPROC, which counts all processes of a user: None where the user is shared.

    Raises:
        OSError: When a limit cannot be set.
    """
    wanted = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ]
    if LINUX:
        wanted.append((resource.RLIMIT_AS, limits.memory_bytes))
    if processes is not None:
        wanted.append((resource.RLIMIT_NPROC, processes))
    for which, value in wanted:
        _, hard = resource.getrlimit(which)
        # A host that runs under a tighter limit keeps it: only root may raise one.
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (bound, bound))


def drop_capabilities() -> None:
    """Give every capability up, from every set and for good.

    Raises:
        OSError: When the kernel refuses.
    """
    for capability in range(_MOST_CAPABILITIES):
        try:
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
        except OSError as error:
            # One past the last that this kernel knows; there may be no /proc to ask.
            if error.errno == errno.EINVAL and capability > 0:
                break
            raise
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)


def clear_capabilities() -> None:
    """Empty the effective, permitted and inheritable sets, after the last step that needs one.

    Raises:
        OSError: When the kernel refuses.
    """
    header = syscalls.memory(struct.pack("=Ii", 0x20080522, 0))  # version 3, this process
    syscalls.syscall("capset", header, syscalls.memory(bytes(24)))


def become(uid: int) -> None:
    """Change to another user and group, with no further groups.

    Raises:
        OSError: When the kernel refuses.
    """
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    die_with_parent()
