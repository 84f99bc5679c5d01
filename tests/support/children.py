"""Packages of a few lines, children that run them, and what this machine can do."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hephaestus.runtime.child import Child
from hephaestus.runtime.launch import LaunchSpec, launch
from hephaestus_runner.protocol import Level, Limits, Message, Policy, Start

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="children are confined on Linux only")
root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become the users that this needs"
)


def package(folder: Path, source: str, **more: str) -> Path:
    """A package folder with one module ``agent``, readable for every user; ``more`` are further modules."""
    made = folder / "package"
    (made / "src").mkdir(parents=True)
    for name, text in {"agent": source, **more}.items():
        (made / "src" / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    for path in (made, *made.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return made


def policy(level: Level = "isolated", **limits: int) -> Policy:
    """A policy with these limits."""
    return Policy(level=level, limits=Limits(**limits))


def agent(
    folder: Path, source: str, *, level: Level = "isolated", exchange: Path | None = None, **limits: int
) -> LaunchSpec:
    """What starts ``main(task)`` of a package with this source."""
    return LaunchSpec(
        role="agent",
        policy=policy(level, **limits),
        package=package(folder, source),
        entry="agent:main",
        exchange=exchange,
    )


def start(spec: LaunchSpec, value: object = None) -> Start:
    """The work for a child."""
    return Start("run", "test@1.0.0", spec.policy, 7, json.dumps(value).encode(), ())


@asynccontextmanager
async def working(spec: LaunchSpec, folder: Path, value: object = None) -> AsyncIterator[Child]:
    """A child that was given its work."""
    runs = folder / "runs"
    runs.mkdir(exist_ok=True)
    async with launch(spec, runs=runs) as child:
        await child.send(start(spec, value))
        yield child
    assert child.disposal is not None
    assert child.disposal.verified, child.disposal
    assert list(runs.iterdir()) == []


async def messages(spec: LaunchSpec, folder: Path, value: object = None) -> tuple[list[Message], Child]:
    """Everything that a child says, and the child afterwards."""
    found = []
    async with working(spec, folder, value) as child:
        while (message := await child.receive()) is not None:
            found.append(message)
    return found, child


async def answer(spec: LaunchSpec, folder: Path, value: object = None) -> Any:
    """The decoded result of a child, or its ``Failure``."""
    found, child = await messages(spec, folder, value)
    first = next((one for one in found if getattr(one, "id", None) == 0), None)
    assert first is not None, (found, child.exit, child.logs)
    return msgspec.json.decode(first.value) if hasattr(first, "value") else first
