"""Namespaces and the minimal read-only root: what an isolated child is put into before anything else.

:func:`enter` is for the supervisor (a process id namespace only holds children of the one who made it),
:func:`build_root` for the child, which is its process 1.
"""

from __future__ import annotations

import os
import struct

from hephaestus_runner import syscalls
from hephaestus_runner.config import EXCHANGE, PACKAGE, SHARD, WORK, Config, root_folder
from hephaestus_runner.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000

_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV, _AT_RECURSIVE, _AT_FDCWD = 1, 2, 4, 0x8000, -100

INNER_ID = 1000
"""Who the child is inside a user namespace; outside it stays the user who started it."""

DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom"))

MAX_INODES = 65_536
"""Files and folders in the working folder; each costs kernel memory that no size limit counts."""


def enter() -> dict[str, str]:
    """Leave the host's namespaces; the next child forked is process 1 of a new process id namespace.

    Returns:
        Feature -> "on", or the reason why not.

    Raises:
        OSError: When the kernel refuses a namespace that isolation needs.
    """
    features = {}
    if os.geteuid() == 0:
        features["user_namespace"] = "started by root: a uid of its own instead"
    else:
        uid, gid = os.geteuid(), os.getegid()
        syscalls.syscall("unshare", _NEWUSER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{INNER_ID} {uid} 1"),
            ("gid_map", f"{INNER_ID} {gid} 1"),
        ):
            _write(f"/proc/self/{name}", text)
        features["user_namespace"] = "on"
    syscalls.syscall("unshare", _NEWNET | _NEWIPC | _NEWUTS | _NEWNS | _NEWPID)
    for name in ("net", "ipc", "uts", "mount", "pid"):
        features[f"{name}_namespace"] = "on"
    try:
        syscalls.syscall("unshare", _NEWCGROUP)
        features["cgroup_namespace"] = "on"
    except OSError as error:
        # It hides names only; a kernel without cgroups has none to hide.
        features["cgroup_namespace"] = str(error)
    return features


def build_root(config: Config, *, uid: int, gid: int) -> dict[str, str]:
    """Make a root of read-only binds and a working folder of limited size, and move into it.

    Args:
        config: Says what to bind.
        uid: Who will own the working folder.
        gid: The same for the group.

    Returns:
        Feature -> "on", or the reason why not.

    Raises:
        OSError: When the kernel refuses a step.
    """
    root = root_folder(config)
    # Nothing that is mounted from here on may be seen by the host.
    syscalls.mount(None, "/", None, MS_REC | MS_PRIVATE)
    syscalls.mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for bind in config.binds:
        _bind(bind.source, root + bind.target)
    for source, target in ((config.package, PACKAGE), (config.shard, SHARD)):
        if source:
            _bind(source, root + target)
    for device in DEVICES:
        _bind(device, root + device, attributes=_ATTR_RDONLY | _ATTR_NOSUID)
    for path in config.masks:
        if os.path.isdir(root + path):
            syscalls.mount("tmpfs", root + path, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k,mode=755")
    if config.exchange:
        _bind(config.exchange, root + EXCHANGE, attributes=_ATTR_NOSUID | _ATTR_NODEV)
    _working_folder(root + WORK, config, uid=uid, gid=gid)
    features = {"private_root": "on", "disk_limit": "on", "proc": _own_proc(root + "/proc")}
    os.chdir(root)
    syscalls.syscall("pivot_root", b".", b".")
    syscalls.detach(".")
    os.chdir("/")
    syscalls.mount(None, "/", None, syscalls.MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    syscalls.sethostname(config.hostname)
    return features


def _working_folder(target: str, config: Config, *, uid: int, gid: int) -> None:
    os.makedirs(target)
    # Zero would mean: no limit.
    size = max(config.limits.disk_bytes, 4096)
    inodes = min(max(size // 4096, 64), MAX_INODES)
    options = f"size={size},nr_inodes={inodes},mode=700,uid={uid},gid={gid}"
    syscalls.mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, options)


def _own_proc(target: str) -> str:
    os.makedirs(target)
    try:
        syscalls.mount("proc", target, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError as error:
        # Containers that mask parts of /proc refuse a fresh one; without any, the child sees less, not more.
        return str(error)
    return "on"


def _bind(source: str, target: str, *, attributes: int = _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb"):
            pass
    syscalls.mount(source, target, None, MS_BIND | MS_REC)
    attr = syscalls.memory(struct.pack("=QQQQ", attributes, 0, 0, 0))
    syscalls.syscall("mount_setattr", _AT_FDCWD, target.encode() + b"\0", _AT_RECURSIVE, attr, len(attr))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
