"""What hostile package code tries, as the source of an agent, and the things of the host that it tries it on.

Every attempt first has to succeed at level ``none``, so that a refusal means something.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
from tests.support.children import agent, answer

from hephaestus.errors import IsolationUnavailable
from hephaestus_runner.protocol import Level

ATTEMPTS = """
import ctypes, os, resource, socket, subprocess

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def other(pid):
    if pid == os.getpid():
        raise ProcessLookupError("this process itself")
    return pid


def read(path):
    with open(path, "rb") as file:
        return file.read(100)


def create(path):
    with open(path, "xb") as file:
        file.write(b"x")


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(3)
        client.connect(address)


def send(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        if client.sendto(b"x", address) != 1:
            raise OSError("nothing was sent")


def link(target, place):
    path = place / "link"
    os.symlink(target, path)
    try:
        return read(path)
    finally:
        os.unlink(path)


def environ(pid, secret):
    if secret.encode() not in open(f"/proc/{other(pid)}/environ", "rb").read():
        raise OSError("it holds no secret")


def own_environ(secret):
    for pid in ("1", "self", str(os.getppid())):
        try:
            if secret.encode() in open(f"/proc/{pid}/environ", "rb").read():
                return
        except OSError:
            continue
    raise OSError("no secret found")


def seize(pid):
    check(libc.ptrace(0x4206, other(pid), None, None))
    libc.ptrace(17, pid, None, None)


def see(pid):
    name = open(f"/proc/{other(pid)}/comm").read()
    if not name:
        raise OSError("no name")


def find(path, name):
    if name not in os.listdir(path):
        raise OSError(f"no {name} in {path}")


def find_all(path, names):
    if os.listdir(path) != names:
        raise OSError("it is another folder")


def redirect(path):
    # A datagram pair whose one end is pointed at somebody else.
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with first, second:
        first.connect(path)
        first.send(b"x")


def attempts(task):
    t = task.input
    return {
        "read a file": lambda: read(t["file"]),
        "read a file through a link": lambda: link(t["file"], task.scratch),
        "read a file by a way around": lambda: read("/proc/self/root" + t["file"]),
        "list the home folder": lambda: find_all(t["home"], t["in_home"]),
        "create a file": lambda: create(t["folder"] + "/created"),
        "append to a file": lambda: open(t["file"], "ab").close(),
        "truncate a file": lambda: os.truncate(t["file"], 4),
        "change a mode": lambda: os.chmod(t["file"], 0o666),
        "change times": lambda: os.utime(t["file"], (1, 1)),
        "remove a file": lambda: os.unlink(t["doomed"]),
        "rename a file": lambda: os.rename(t["moved"], t["moved"] + "-2"),
        "make a folder": lambda: os.mkdir(t["folder"] + "/made"),
        "connect over TCP": lambda: connect(socket.AF_INET, ("127.0.0.1", t["port"])),
        "connect to a socket file": lambda: connect(socket.AF_UNIX, t["socket"]),
        "connect to an abstract socket": lambda: connect(socket.AF_UNIX, "\\0" + t["abstract"]),
        "send over UDP": lambda: send(socket.AF_INET, ("127.0.0.1", t["udp"])),
        "send to a datagram socket file": lambda: send(socket.AF_UNIX, t["datagram"]),
        "redirect a socket pair": lambda: redirect(t["datagram"]),
        "signal a process": lambda: os.kill(other(t["pid"]), 0),
        "debug a process": lambda: seize(t["pid"]),
        "limit a process": lambda: resource.prlimit(other(t["pid"]), resource.RLIMIT_CORE),
        "slow a process down": lambda: os.setpriority(os.PRIO_PROCESS, other(t["pid"]), 5),
        "pin a process": lambda: os.sched_setaffinity(other(t["pid"]), os.sched_getaffinity(0)),
        "see a process": lambda: see(t["pid"]),
        "read the environment of a process": lambda: environ(t["pid"], t["secret"]),
        "hold a process": lambda: os.close(os.pidfd_open(other(t["pid"]))),
        "share memory with a process": lambda: check(libc.shmget(t["key"], 0, 0)),
        "find a queue": lambda: check(libc.msgget(t["key"], 0)),
        "see the system": lambda: find("/sys", "kernel"),
        "use a host program": lambda: subprocess.run(["/bin/true"], check=True),
    }


def main(task):
    found = {}
    for name, attempt in attempts(task).items():
        try:
            attempt()
            found[name] = "done"
        except (OSError, ValueError) as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found
"""


_IPC_CREAT, _IPC_RMID = 0o1000, 0


def try_all(folder: Path, levels: list[Level]) -> dict[str, dict[str, str] | str]:
    """Every attempt at every level.

    Returns:
        Level -> attempt -> "done" or how it was refused; or the reason why the level is not to be had.
    """
    return anyio.run(_try_all, folder, levels)


async def _try_all(folder: Path, levels: list[Level]) -> dict[str, dict[str, str] | str]:
    found: dict[str, dict[str, str] | str] = {}
    for level in levels:
        place = folder / level
        place.mkdir()
        with host(place) as target:
            spec = agent(place, ATTEMPTS, level=level)
            try:
                found[level] = await answer(spec, place, target)
            except IsolationUnavailable as error:
                found[level] = error.message
    return found


@contextmanager
def host(folder: Path) -> Iterator[dict[str, object]]:
    """A host with things to reach, all of them open to everyone as far as ordinary permissions go."""
    for path in (folder, *folder.parents):
        if path.owner() == folder.owner() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    shared = folder / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    for name in ("file", "doomed", "moved"):
        (shared / name).write_text("a secret of the host")
        (shared / name).chmod(0o666)
    secret, key = secrets.token_hex(8), secrets.randbelow(1 << 30) + 1
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        _listen(stack, socket.SOCK_STREAM, str(shared / "stream"))
        _listen(stack, socket.SOCK_STREAM, f"\0{secret}")
        _listen(stack, socket.SOCK_DGRAM, str(shared / "datagram"))
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"],
                stdin=subprocess.PIPE,
                env={"SECRET": secret},
            )
        )
        stack.callback(process.kill)
        _share(stack, key)
        yield {
            "file": str(shared / "file"),
            "doomed": str(shared / "doomed"),
            "moved": str(shared / "moved"),
            "folder": str(shared),
            "home": str(Path.home()),
            "in_home": os.listdir(Path.home()),
            "port": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "socket": str(shared / "stream"),
            "datagram": str(shared / "datagram"),
            "abstract": secret,
            "pid": process.pid,
            "secret": secret,
            "key": key,
        }


def _listen(stack: ExitStack, kind: int, address: str) -> None:
    server = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
    server.bind(address)
    if not address.startswith("\0"):
        os.chmod(address, 0o777)
    if kind == socket.SOCK_STREAM:
        server.listen()


def _share(stack: ExitStack, key: int) -> None:
    """A System V segment and a queue."""
    libc = ctypes.CDLL(None)
    segment, queue = libc.shmget(key, 4096, _IPC_CREAT | 0o666), libc.msgget(key, _IPC_CREAT | 0o666)
    assert segment >= 0
    assert queue >= 0
    stack.callback(libc.shmctl, segment, _IPC_RMID, None)
    stack.callback(libc.msgctl, queue, _IPC_RMID, None)


def main() -> None:
    """As a script: the levels are the arguments, the answer is JSON on standard output."""
    print(json.dumps(try_all(Path.cwd(), sys.argv[1:])))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
