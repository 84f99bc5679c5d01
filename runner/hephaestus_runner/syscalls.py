"""System calls that Python does not wrap, through ctypes: numbers per machine, one caller, prctl and mount.

Nothing here is called at import, and the module imports on every platform; calling it is for Linux.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform

# (x86_64, aarch64), from the kernel's unistd_64.h and asm-generic/unistd.h; None: that machine has no such call.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "unshare": (272, 97), "pivot_root": (155, 41), "seccomp": (317, 277), "close_range": (436, 436),
    "mount_setattr": (442, 442), "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446), "capset": (126, 91), "pidfd_open": (434, 434),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "mount": (165, 40), "umount2": (166, 39),
    "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "open_tree_attr": (467, 467),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "setns": (308, 268), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, None), "ioperm": (173, None), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "nfsservctl": (180, 42), "lookup_dcookie": (212, 18), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "kcmp": (312, 272), "fanotify_init": (300, 262), "syslog": (103, 116),
    "vhangup": (153, 58), "uselib": (134, None), "ustat": (136, None), "sysfs": (139, None),
    "modify_ldt": (154, None), "personality": (135, 92), "pidfd_getfd": (438, 438),
    "memfd_secret": (447, 447), "vmsplice": (278, 75), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "mbind": (237, 235), "set_mempolicy": (238, 237),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "statmount": (457, 457),
    "listmount": (458, 458), "lsm_set_self_attr": (460, 460), "clone": (56, 220), "clone3": (435, 435),
    "ioctl": (16, 29), "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203),
    "bind": (49, 200), "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242), "chmod": (90, None),
    "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54), "utime": (132, None),
    "utimes": (235, None), "utimensat": (280, 88), "futimesat": (261, None), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195),
    "shmdt": (67, 197), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "semget": (64, 190), "semop": (65, 193), "semtimedop": (220, 192), "semctl": (66, 191),
    "mq_open": (240, 180), "mq_unlink": (241, 181), "pidfd_send_signal": (424, 424),
    "prlimit64": (302, 261), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "sendto": (44, 206),
    "sendmsg": (46, 211), "sendmmsg": (307, 269), "inotify_init": (253, None), "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
}  # fmt: skip

ARCHES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}
"""Machine -> column of :data:`NUMBERS` and the architecture word that seccomp shows."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2


class Unsupported(OSError):
    """This kernel or machine lacks what confinement needs; the text says what."""


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def number(name: str, machine: str | None = None) -> int | None:
    """The number of a system call on this machine, or None where it has none.

    Raises:
        Unsupported: For a machine without a table.
    """
    machine = machine or platform.machine()
    if machine not in ARCHES:
        raise Unsupported(f"no table of system calls for {machine}; there is one for x86_64 and one for aarch64")
    return NUMBERS[name][ARCHES[machine][0]]


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def syscall(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make one system call. Integers go as C longs; bytes and buffers as pointers.

    Raises:
        OSError: With the call's name, when the kernel refuses.
        Unsupported: When this machine has no such call.
    """
    found = number(name)
    if found is None:
        raise Unsupported(f"{platform.machine()} has no system call {name}")
    converted = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return _check(int(_libc().syscall(ctypes.c_long(found), *converted)), name)


def prctl(option: int, value: int = 0, third: int = 0) -> None:
    """Set an attribute of this process.

    Raises:
        OSError: When the kernel refuses.
    """
    _check(_libc().prctl(option, value, third, 0, 0), f"prctl {option}")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a file system, make a bind, or change how one is mounted.

    Raises:
        OSError: With the target, when the kernel refuses.
    """
    raw = [item.encode() if item is not None else None for item in (source, target, kind, data)]
    result = _libc().mount(raw[0], raw[1], raw[2], ctypes.c_ulong(flags), raw[3])
    _check(result, f"mount {kind or source or 'attributes'} on {target}")


def detach(target: str) -> None:
    """Unmount lazily, as umount2 with MNT_DETACH.

    Raises:
        OSError: When the kernel refuses.
    """
    _check(_libc().umount2(target.encode(), MNT_DETACH), f"detach {target}")


def sethostname(name: str) -> None:
    """Name this UTS namespace.

    Raises:
        OSError: When the kernel refuses.
    """
    raw = name.encode()
    _check(_libc().sethostname(raw, len(raw)), "sethostname")


def memory(data: bytes) -> ctypes.Array[ctypes.c_char]:
    """A buffer that holds exactly these bytes, for :func:`syscall`."""
    return ctypes.create_string_buffer(data, len(data))
