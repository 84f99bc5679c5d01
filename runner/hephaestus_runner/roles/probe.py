"""The role of a probe: try what a level must forbid, and say how each attempt ended. Harmless where all is allowed."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
from typing import TYPE_CHECKING

import msgspec

from hephaestus_runner.work import clean, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from hephaestus_runner.channel import Channel
    from hephaestus_runner.config import Config, Places
    from hephaestus_runner.protocol import Start

_SEIZE, _DETACH = 0x4206, 17  # ptrace requests; unlike attaching, seizing does not stop the other process


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of the host to try."""

    file: str  # holds something; must not be readable
    folder: str  # must not be writable
    port: int  # somebody listens there on 127.0.0.1
    socket: str  # a listening AF_UNIX socket
    pid: int  # a process of the host


def run(channel: Channel, start: Start, config: Config, place: Places) -> bytes:  # noqa: ARG001
    """Attempt -> "done", or how it was refused, as JSON."""
    target = msgspec.convert(json.loads(start.input), Target)
    attempts: dict[str, Callable[[], object]] = {
        "read a file of the host": lambda: _read(target.file),
        "write into a folder of the host": lambda: _create(f"{target.folder}/made-by-the-probe"),
        "connect to a port of the host": lambda: socket.create_connection(("127.0.0.1", target.port), 2).close(),
        "connect to a socket file of the host": lambda: _connect(target.socket),
        "signal a process of the host": lambda: os.kill(_other(target.pid), 0),
        "debug a process of the host": lambda: _seize(_other(target.pid)),
        "limit a process of the host": lambda: _prlimit(_other(target.pid)),
        "read the environment of a process of the host": lambda: _read(f"/proc/{_other(target.pid)}/environ"),
        "run as user 0": lambda: None if os.getuid() == 0 else _refuse(f"it runs as user {os.getuid()}"),
    }
    return to_json({name: _attempt(do) for name, do in attempts.items()})


def _attempt(do: Callable[[], object]) -> str:
    try:
        do()
    except OSError as error:
        return clean(str(error)) or type(error).__name__
    return "done"


def _refuse(text: str) -> None:
    raise PermissionError(text)


def _read(path: str) -> None:
    with open(path, "rb") as file:
        file.read(1)


def _create(path: str) -> None:
    with open(path, "xb"):
        pass


def _connect(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def _other(pid: int) -> int:
    # In a namespace of its own the number may be this very process's.
    if pid == os.getpid():
        raise ProcessLookupError(f"{pid} is this process itself")
    return pid


def _prlimit(pid: int) -> None:
    if not hasattr(resource, "prlimit"):
        _refuse("this system cannot")
    resource.prlimit(pid, resource.RLIMIT_CORE)


def _seize(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(_SEIZE, pid, None, None) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    libc.ptrace(_DETACH, pid, None, None)
