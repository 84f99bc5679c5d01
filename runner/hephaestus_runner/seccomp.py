"""The seccomp filter: which system calls a confined child is refused, as a BPF program built by hand.

A deny-list with ``EPERM``: unmodified packages meet an ordinary error, not a kill. Two shapes: ``isolated``, where the
namespaces do most of the work, and ``restricted``, where there are none, so that the filter itself must keep sockets,
other processes and other people's file attributes out of reach.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from typing import TYPE_CHECKING

from hephaestus_runner.syscalls import ARCHES, Unsupported, memory, number, syscall

if TYPE_CHECKING:
    from hephaestus_runner.protocol import Level

DENIED = (
    # Other processes, kernel interfaces with a history of holes, keys, clocks and the machine itself.
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_getfd",
    "bpf", "perf_event_open", "userfaultfd", "add_key", "request_key", "keyctl", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot",
    "swapon", "swapoff", "acct", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "iopl", "ioperm",
    "quotactl", "quotactl_fd", "nfsservctl", "lookup_dcookie", "syslog", "vhangup", "uselib", "ustat", "sysfs",
    "modify_ldt", "personality", "memfd_secret", "vmsplice", "migrate_pages", "move_pages", "mbind", "set_mempolicy",
    "lsm_set_self_attr",
    # Namespaces, mounts and names: confinement is not for the child to rearrange.
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr",
    "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "statmount", "listmount", "sethostname",
    "setdomainname", "open_by_handle_at", "name_to_handle_at", "fanotify_init",
)  # fmt: skip

DENIED_RESTRICTED = (
    # No socket but a connected pair. A datagram pair could be pointed elsewhere, so that type is refused below.
    "socket", "connect", "bind", "listen", "accept", "accept4",
    # Landlock knows no right for these: a child that may read a file could change its mode or times.
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat", "utime", "utimes",
    "utimensat", "futimesat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr",
    "fremovexattr", "removexattrat", "file_setattr",
    # There is no IPC namespace: System V objects and message queues would be the host's.
    "shmget", "shmat", "shmctl", "shmdt", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop",
    "semctl", "mq_open", "mq_unlink",
    "pidfd_open", "pidfd_send_signal",
    "inotify_init", "inotify_init1",
)  # fmt: skip

SELF_ONLY = ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr")
"""In ``restricted``: the first argument names a process and must be 0, the caller. A fully landlocked child of the same
uid killed its host through prlimit."""

SELF_ONLY_WHICH = {"setpriority": 0, "ioprio_set": 1}
"""In ``restricted``: the first argument must say "a process" in the way of that call, the second 0, the caller."""

_LOAD, _RETURN, _AND, _EQUAL, _SET, _AT_LEAST = 0x20, 0x06, 0x54, 0x15, 0x45, 0x35
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EPERM, _ENOSYS, _NO_FAMILY = 0x50000 | 1, 0x50000 | 38, 0x50000 | 97
_NR, _ARCH, _ARGUMENT = 0, 4, (16, 24, 32)  # offsets in struct seccomp_data, low halves of the arguments

# NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NEW_NAMESPACES = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_SOCK_STREAM, _SOCK_RAW, _SOCK_SEQPACKET = 1, 3, 5


class _Program:
    """Instructions in order. Every rule leaves the accumulator holding the call's number again, or returns."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []

    def add(self, code: int, value: int) -> None:
        self.code.append((code, 0, 0, value))

    def jump(self, code: int, value: int, yes: int, no: int) -> None:
        self.code.append((code, yes, no, value))

    def on(self, call: int, body: list[tuple[int, int, int, int]]) -> None:
        """Run ``body``, which must return, for this call only."""
        self.jump(_EQUAL, call, 0, len(body))
        self.code += body

    def deny(self, call: int, answer: int = _EPERM) -> None:
        self.on(call, [(_RETURN, 0, 0, answer)])

    def bytes(self) -> bytes:
        return b"".join(struct.pack("=HBBI", *item) for item in self.code)


def build(level: Level, machine: str | None = None) -> bytes:
    """The filter of one level as BPF instructions of eight bytes.

    Raises:
        Unsupported: For a machine without a table of system calls.
    """
    machine = machine or platform.machine()
    if machine not in ARCHES:
        raise Unsupported(f"no seccomp filter for {machine}; there is one for x86_64 and one for aarch64")
    program = _Program()
    program.add(_LOAD, _ARCH)
    program.jump(_EQUAL, ARCHES[machine][1], 1, 0)
    program.add(_RETURN, _KILL)  # another ABI has other numbers
    program.add(_LOAD, _NR)
    if machine == "x86_64":
        program.jump(_AT_LEAST, 0x40000000, 0, 1)
        program.add(_RETURN, _KILL)  # x32
    names = DENIED + DENIED_RESTRICTED if level == "restricted" else DENIED
    for name in names:
        call = number(name, machine)
        if call is not None:
            program.deny(call)
    # libc falls back to clone, whose flags can be inspected.
    program.deny(_known("clone3", machine), _ENOSYS)
    program.on(_known("clone", machine), _unless_set(0, _NEW_NAMESPACES))
    # The kernel reads the low 32 bits of the command only, and so does this.
    program.on(_known("ioctl", machine), _unless_any(1, (_TIOCSTI, _TIOCLINUX)))
    if level == "restricted":
        program.on(_known("socketpair", machine), _pairs())
        for name in SELF_ONLY:
            program.on(_known(name, machine), _only_zero((0, 0)))
        for name, which in SELF_ONLY_WHICH.items():
            program.on(_known(name, machine), _only_zero((0, which), (1, 0)))
    else:
        for name in ("socket", "socketpair"):
            program.on(_known(name, machine), _families())
    program.add(_RETURN, _ALLOW)
    return program.bytes()


def _known(name: str, machine: str) -> int:
    call = number(name, machine)
    assert call is not None  # these exist on every machine that has a table
    return call


def _unless_set(argument: int, mask: int) -> list[tuple[int, int, int, int]]:
    return [(_LOAD, 0, 0, _ARGUMENT[argument]), (_SET, 0, 1, mask), (_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]


def _unless_any(argument: int, values: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    first, second = values
    return [
        (_LOAD, 0, 0, _ARGUMENT[argument]),
        (_EQUAL, 1, 0, first),
        (_EQUAL, 0, 1, second),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _only_zero(*wanted: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    body: list[tuple[int, int, int, int]] = []
    for argument, value in wanted:
        body += [(_LOAD, 0, 0, _ARGUMENT[argument]), (_EQUAL, 1, 0, value), (_RETURN, 0, 0, _EPERM)]
    return [*body, (_RETURN, 0, 0, _ALLOW)]


def _families() -> list[tuple[int, int, int, int]]:
    """AF_UNIX, AF_INET and AF_INET6 (all inside the child's own network namespace), and never a raw socket."""
    return [
        (_LOAD, 0, 0, _ARGUMENT[0]),
        (_EQUAL, 3, 0, _AF_UNIX),
        (_EQUAL, 2, 0, _AF_INET),
        (_EQUAL, 1, 0, _AF_INET6),
        (_RETURN, 0, 0, _NO_FAMILY),
        (_LOAD, 0, 0, _ARGUMENT[1]),
        (_AND, 0, 0, 0xF),
        (_EQUAL, 0, 1, _SOCK_RAW),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _pairs() -> list[tuple[int, int, int, int]]:
    """Connected AF_UNIX pairs whose ends cannot be pointed at another address."""
    return [
        (_LOAD, 0, 0, _ARGUMENT[0]),
        (_EQUAL, 1, 0, _AF_UNIX),
        (_RETURN, 0, 0, _NO_FAMILY),
        (_LOAD, 0, 0, _ARGUMENT[1]),
        (_AND, 0, 0, 0xF),
        (_EQUAL, 2, 0, _SOCK_STREAM),
        (_EQUAL, 1, 0, _SOCK_SEQPACKET),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


class _Fprog(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def apply(level: Level) -> None:
    """Refuse these calls to this process and all it starts, for good. Needs NO_NEW_PRIVS.

    Raises:
        OSError: When the kernel refuses.
    """
    install(build(level))


def install(code: bytes) -> None:
    """Install a filter of BPF instructions.

    Raises:
        OSError: When the kernel refuses.
    """
    buffer = memory(code)
    program = _Fprog(len(code) // 8, ctypes.addressof(buffer))
    syscall("seccomp", 1, 0, memory(bytes(program)))
