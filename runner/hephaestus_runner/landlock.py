"""Landlock: which paths, ports and scopes a process may still use, as the kernel's rule sets.

Every right that the running kernel knows is handled, so what no rule names is refused.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import TYPE_CHECKING

from hephaestus_runner.syscalls import memory, syscall

if TYPE_CHECKING:
    from collections.abc import Iterable

READ = 0b1101  # execute, read a file, list a folder
_FILE_RIGHTS = 0b0111 | 1 << 14 | 1 << 15  # what a rule on something that is no folder may name: also truncate, ioctl
_MAKE_CHAR, _MAKE_BLOCK, _REFER, _TRUNCATE, _IOCTL_DEV = 1 << 6, 1 << 11, 1 << 13, 1 << 14, 1 << 15
DEVICE = 0b0110  # read and write, no ioctl

SCOPES_ABI = 6
"""The first version that can keep signals and abstract sockets inside."""


def abi() -> int:
    """The Landlock version of this kernel, 1 or more.

    Raises:
        OSError: Where there is no Landlock, or it is switched off.
    """
    return syscall("landlock_create_ruleset", None, 0, 1)


def file_rights(version: int) -> int:
    """Every file system right that this version knows."""
    rights = (1 << 13) - 1
    if version >= 2:
        rights |= _REFER
    if version >= 3:
        rights |= _TRUNCATE
    if version >= 5:
        rights |= _IOCTL_DEV
    return rights


def attributes(version: int) -> bytes:
    """The ``landlock_ruleset_attr`` that handles all: files, TCP from version 4, scopes from version 6."""
    attr = struct.pack("=Q", file_rights(version))
    if version >= 4:
        attr += struct.pack("=Q", 0b11)
    if version >= SCOPES_ABI:
        attr += struct.pack("=Q", 0b11)
    return attr


def apply(*, read_only: Iterable[str], writable: Iterable[str], devices: Iterable[str], version: int) -> None:
    """Confine this process, which must have one thread and NO_NEW_PRIVS, and all that it starts.

    Args:
        read_only: Folders and files that may be read and executed.
        writable: Folders in which everything but making device files is allowed.
        devices: Device files that may be read and written.
        version: From :func:`abi`.

    Raises:
        OSError: When the kernel refuses, or a path cannot be opened.
    """
    known = file_rights(version)
    attr = attributes(version)
    rules = syscall("landlock_create_ruleset", memory(attr), len(attr), 0)
    try:
        for paths, rights in (
            (read_only, READ),
            (writable, known & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)),
            (devices, DEVICE),
        ):
            for path in paths:
                _allow(rules, path, rights & known)
        syscall("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    # Linux only, like all that calls this; elsewhere os has no O_PATH.
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS  # otherwise EINVAL
        syscall("landlock_add_rule", rules, 1, memory(struct.pack("=Qi", rights, descriptor)), 0)
    finally:
        os.close(descriptor)
