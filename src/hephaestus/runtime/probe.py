"""Which isolation levels are to be had on this machine, found by trying what each must forbid in a throw-away child."""

from __future__ import annotations

import functools
import os
import socket
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import anyio
import msgspec

from hephaestus.errors import HephaestusError
from hephaestus.runtime.advice import advice
from hephaestus.runtime.launch import LaunchSpec, launch
from hephaestus_runner.protocol import Failure, Level, Limits, Policy, Result, Start

TRIED: tuple[Level, ...] = ("isolated", "restricted")
"""Strongest first."""

_LIMITS = Limits(wall_ms=20_000)


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine can do."""

    level: Level  # the strongest that was reached and held
    features: dict[str, str]  # of that level: feature -> "on" or the reason why not; attempt -> "refused"
    reasons: dict[Level, str]  # level that is not to be had -> why
    advice: str | None  # how to reach the strongest level, if it was not


def probe() -> Isolation:
    """Try each level, once per process. Blocks for some hundred milliseconds the first time: call it in a thread."""
    with _lock:
        return _probe()


_lock = threading.Lock()


@functools.cache
def _probe() -> Isolation:
    if sys.platform != "linux":
        reason = f"{sys.platform} has no namespaces, Landlock or seccomp"
        reasons: dict[Level, str] = dict.fromkeys(TRIED, reason)
        return Isolation(level="none", features={}, reasons=reasons, advice=advice("isolated", reason))
    # A loop of its own in a thread of its own: the caller may be inside one or inside none.
    with ThreadPoolExecutor(1, "hephaestus-probe") as pool:
        try:
            return pool.submit(anyio.run, _try_all).result()
        except OSError as error:
            raise HephaestusError(f"the isolation levels could not be tried: {error}") from error


async def _try_all() -> Isolation:
    reasons: dict[Level, str] = {}
    best: tuple[Level, dict[str, str]] | None = None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hephaestus-probe-")))
        target = _target(folder, stack)
        for level in TRIED:
            try:
                features, attempts = await _try(level, folder, target)
            except HephaestusError as error:
                reasons[level] = error.message
                continue
            open_doors = [name for name, how in attempts.items() if how == "done"]
            if open_doors:
                reasons[level] = f"it was reached, but a child could {', '.join(open_doors)}"
            elif best is None:
                best = level, features | dict.fromkeys(attempts, "refused")
    level, features = best or ("none", {})
    missing = reasons.get("isolated")
    return Isolation(
        level=level,
        features=features,
        reasons=reasons,
        advice=None if missing is None else advice("isolated", missing),
    )


def _target(folder: Path, stack: ExitStack) -> bytes:
    """Things of the host to try, which ordinary permissions would let everyone reach."""
    folder.chmod(0o711)
    secret = folder / "host-only"
    secret.write_bytes(b"not for a child")
    secret.chmod(0o644)
    shared = folder / "host-folder"
    shared.mkdir()
    shared.chmod(0o777)
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    local = stack.enter_context(socket.socket(socket.AF_UNIX))
    local.bind(str(folder / "s"))
    (folder / "s").chmod(0o777)
    local.listen()
    return msgspec.json.encode(
        {
            "file": str(secret),
            "folder": str(shared),
            "port": listener.getsockname()[1],
            "socket": str(folder / "s"),
            "pid": os.getpid(),
        }
    )


async def _try(level: Level, folder: Path, target: bytes) -> tuple[dict[str, str], dict[str, str]]:
    policy = Policy(level=level, limits=_LIMITS)
    async with launch(LaunchSpec(role="probe", policy=policy), runs=folder) as child:
        await child.send(Start("probe", "", policy, 0, target, ()))
        while (message := await child.receive()) is not None:
            match message:
                case Result(id=0, value=bytes() as value):
                    return child.attested.features, msgspec.json.decode(value, type=dict[str, str])
                case Failure(message=text):
                    raise HephaestusError(f"the probe failed: {text}")
                case _:
                    continue
    raise HephaestusError(f"the probe ended without an answer ({child.exit})")
