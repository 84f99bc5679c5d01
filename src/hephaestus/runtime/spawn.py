"""Starting the process: pipes, private folder, an empty environment, the configuration. Nothing is waited for here.

``subprocess.Popen`` in the calling thread, not a helper of the event loop: a parent-death signal follows the thread
that started the process, and such helpers may use one that ends.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec

from hephaestus.errors import ChildError, IsolationUnavailable, StorageError, UsageError
from hephaestus.runtime import uids
from hephaestus.runtime.layout import layout
from hephaestus_runner.config import Config
from hephaestus_runner.protocol import Policy

Role = Literal["agent", "orchestrator", "check", "search", "inspect", "probe"]
"""What a child is for: the module of ``hephaestus_runner.roles`` that it runs."""

_MAIN: str | None = None
"""Instead of the runner's own main script. For the tests, which measure their coverage of what runs in children."""
_EXTRA_FDS: tuple[int, ...] = ()
"""Descriptors that children keep. For the same."""

_PIPE_ROOM = 60_000  # a pipe takes 64 KiB before a write to it waits


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to start. Paths are the host's; an isolated child sees them under fixed names, all but one read-only."""

    role: Role
    policy: Policy
    package: Path | None = None  # release folder: /package
    shard: Path | None = None  # knowledge shard, one file: /knowledge/shard
    exchange: Path | None = None  # writable folder for artefacts above the frame limit, this child's only: /exchange
    entry: str = ""  # module:object, for agents and orchestrators; "" is the built-in orchestrator
    hash_seed: int = 0  # of Python's hashes, 0 to 2**32 - 1; from the run's lock, so that a run can be repeated
    hostname: str = "hephaestus"


class Spawned(msgspec.Struct):
    """A started process and the host's ends of everything that it was given. ``close`` is for the owner to call."""

    process: subprocess.Popen[bytes]
    folder: Path
    uid: int | None
    reader: int  # child -> host
    writer: int  # host -> child
    control: socket.socket
    stdout: int
    stderr: int

    def descriptors(self) -> tuple[int, ...]:
        """The host's open ends."""
        control = self.control.fileno()
        return (self.reader, self.writer, self.stdout, self.stderr, *([] if control < 0 else [control]))


def spawn(spec: LaunchSpec, runs: Path, *, lock: int | None = None) -> Spawned:
    """Start a supervisor, which confines a child of its own.

    Args:
        spec: What to start.
        runs: Folder in which the child's private folder is made.
        lock: A descriptor for the supervisor to keep open until it ends; the child does not get it.

    Raises:
        UsageError: If a path of ``spec`` does not exist or the configuration is too long.
        IsolationUnavailable: If no user id is free.
        StorageError: If the private folder cannot be made.
        ChildError: If the process cannot be started.
    """
    for what, path in (("package", spec.package), ("shard", spec.shard), ("exchange", spec.exchange)):
        if path is not None and not path.exists():
            raise UsageError(f"{what} {path} does not exist")
    _check_readable(spec)
    if spec.policy.level != "none" and not hasattr(os, "pidfd_open"):
        raise IsolationUnavailable(
            f"level {spec.policy.level} needs Linux", hint="name the level none to run without confinement"
        )
    uid = uids.take() if spec.policy.level != "none" else None
    folder = runs.absolute() / f"child-{secrets.token_hex(8)}"
    with ExitStack() as undo:
        undo.callback(uids.give_back, uid)
        try:
            _make_folder(folder, spec, uid, undo)
        except OSError as error:
            raise StorageError(f"the private folder {folder} of a child cannot be made: {error}") from error
        try:
            spawned = _start(spec, folder, uid, undo, lock=lock)
        except OSError as error:
            raise ChildError(f"no process could be started for the {spec.role}: {error}") from error
        undo.pop_all()
    return spawned


def _start(spec: LaunchSpec, folder: Path, uid: int | None, undo: ExitStack, *, lock: int | None) -> Spawned:
    pipes = []
    for _ in range(5):
        pipes.append(os.pipe())
        undo.callback(_close, pipes[-1])
    (child_in, writer), (reader, child_out), (stdout, printed), (stderr, complained), (config_in, config_out) = pipes
    near, far = socket.socketpair()
    undo.callback(near.close)
    undo.callback(far.close)
    config = _config(spec, folder, uid, reader=child_in, writer=child_out, control=far.fileno())
    with far:
        process = subprocess.Popen(
            _command(),
            executable=layout().python,
            stdin=config_in,
            stdout=printed,
            stderr=complained,
            env={"LANG": "C.UTF-8", "PYTHONHASHSEED": str(spec.hash_seed)},
            cwd="/",
            pass_fds=(child_in, child_out, far.fileno(), *(() if lock is None else (lock,)), *_EXTRA_FDS),
            start_new_session=True,
        )
    # It fits into the pipe, so this does not wait for the process to read.
    os.write(config_out, config)
    _close((child_in, child_out, printed, complained, config_in, config_out))
    for descriptor in (reader, writer, stdout, stderr):
        os.set_blocking(descriptor, False)
    near.setblocking(False)
    return Spawned(process, folder, uid, reader, writer, near, stdout, stderr)


def _check_readable(spec: LaunchSpec) -> None:
    """A child that root starts becomes somebody else, and must still be able to read what it is given."""
    if spec.policy.level == "none" or os.geteuid() != 0:
        return
    for what, path, needed in (("package", spec.package, 0o005), ("shard", spec.shard, 0o004)):
        if path is not None and path.stat().st_mode & needed != needed:
            raise UsageError(
                f"{what} {path} can be read by its owner only, and the child will be another user",
                hint=f"chmod -R o+rX {path}",
            )


def _command() -> list[str]:
    # What -I means, save that the environment, which is all ours, may set the hash seed.
    return [layout().python, "-P", "-s", "-S", "-B", _MAIN or layout().main]


def _make_folder(folder: Path, spec: LaunchSpec, uid: int | None, undo: ExitStack) -> None:
    folder.mkdir(mode=0o700)
    undo.callback(folder.rmdir)
    # Others may pass through but not list: the child may have a user id of its own. Not left to this process's umask.
    folder.chmod(0o711)
    inner = folder / ("root" if spec.policy.level == "isolated" else "work")
    inner.mkdir(mode=0o700)
    undo.callback(inner.rmdir)
    if uid is not None:
        for path in (inner, spec.exchange):
            if path is not None:
                os.chown(path, uid, uid)


def _config(spec: LaunchSpec, folder: Path, uid: int | None, *, reader: int, writer: int, control: int) -> bytes:
    found = layout()
    config = Config(
        role=spec.role,
        entry=spec.entry,
        level=spec.policy.level,
        limits=spec.policy.limits,
        uid=uid,
        homes=found.homes,
        binds=found.binds,
        masks=found.masks,
        python=found.python,
        folder=str(folder),
        package=_text(spec.package),
        shard=_text(spec.shard),
        exchange=_text(spec.exchange),
        hostname=spec.hostname,
        reader=reader,
        writer=writer,
        control=control,
        keep=_EXTRA_FDS,
    )
    data = msgspec.json.encode(config)
    if len(data) > _PIPE_ROOM:
        raise UsageError(f"the configuration of a child has {len(data)} bytes; at most {_PIPE_ROOM} fit")
    return data


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _close(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        try:
            os.close(descriptor)
        except OSError:
            continue  # closed before, on the way out of a failure
