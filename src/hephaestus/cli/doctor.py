"""Verbs about the installation: ``doctor``, ``version``."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hephaestus.cli.parser import add_verb
from hephaestus.cli.session import opened

if TYPE_CHECKING:
    import argparse

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    add_verb(
        verbs,
        "doctor",
        _doctor,
        summary="Try what this machine can do, and verify what the home holds.",
        example="hephaestus doctor",
    )
    add_verb(verbs, "version", _version, summary="Print the version.", example="hephaestus version")


async def _doctor(arguments: argparse.Namespace, out: Output) -> int:
    import anyio.to_thread

    from hephaestus.errors import HephaestusError
    from hephaestus.runtime import probe

    with out.working("trying the isolation levels"):
        isolation = await anyio.to_thread.run_sync(probe)
    problems: list[str] = []
    home = ""
    writable = False
    with out.working("verifying the home"):
        try:
            async with opened(arguments) as runtime:
                home, writable = str(runtime.home), runtime.hub.writable
                problems += await runtime.hub.audit()
            problems += await anyio.to_thread.run_sync(_journal, Path(home))
        except HephaestusError as error:
            problems.append(error.message)
    healthy = not problems and writable
    code = 1 if not healthy else 0 if isolation.level == "isolated" else 6
    out.result(
        "doctor",
        ok=code == 0,
        isolation=isolation,
        home={"path": home or None, "writable": writable, "problems": problems},
        python=sys.version.split()[0],
        platform=sys.platform,
        rich=find_spec("rich") is not None,
    )
    reached = isolation.level == "isolated"
    out.line(f"isolation: {isolation.level}", style="bold green" if reached else "bold yellow")
    out.table(("feature", "state"), sorted(isolation.features.items()))
    for level, reason in isolation.reasons.items():
        out.line(f"  {level} is not to be had: {reason}")
    if isolation.advice:
        out.line(f"  what to do: {isolation.advice}")
    out.line(f"home: {home or 'cannot be used'}" + ("" if writable or not home else " (read-only)"))
    for problem in problems:
        out.line(f"  {problem}", style="red")
    out.line(f"python: {sys.version.split()[0]} on {sys.platform}")
    if code == 0:
        out.next("hephaestus", "demo")
    return code


def _journal(home: Path) -> list[str]:
    """What is wrong with the receipts, by the keys that lie beside them."""
    from hephaestus.receipts import verify_journal
    from hephaestus.runtime import keyring
    from hephaestus.runtime.runtime import JOURNAL

    keys = {**keyring.trusted(home / "keys", "certificate"), **keyring.trusted(home / "keys", "head")}
    return [str(problem) for problem in verify_journal(home / JOURNAL, keys=keys).problems[:20]]


def _version(arguments: argparse.Namespace, out: Output) -> int:  # noqa: ARG001 - every handler takes both
    import hephaestus
    from hephaestus_runner.protocol import VERSION

    facts: dict[str, Any] = {"version": hephaestus.__version__, "protocol": VERSION, "python": sys.version.split()[0]}
    out.result("version", **facts)
    out.line(f"hephaestus {facts['version']} (wire protocol {facts['protocol']}, Python {facts['python']})")
    return 0
