"""Verbs of a channel: ``deploy``, ``rollback``, ``history``."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

from hephaestus.cli.parser import add_verb
from hephaestus.cli.session import opened
from hephaestus.cli.when import day_and_time

if TYPE_CHECKING:
    import argparse

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs
    from hephaestus.hub import Generation
    from hephaestus.runtime import Runtime


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    deploy = add_verb(
        verbs,
        "deploy",
        _deploy,
        summary="Put releases in force on a channel, in one step.",
        example="hephaestus deploy stable my-agent@0.1.0",
    )
    rollback = add_verb(
        verbs,
        "rollback",
        _rollback,
        summary="Put what was in force on a channel before in force again.",
        example="hephaestus rollback stable --why 'wrong counts'",
    )
    history = add_verb(
        verbs, "history", _history, summary="List what a channel has held.", example="hephaestus history stable"
    )
    deploy.add_argument("channel", metavar="CHANNEL", help="for example stable; made if new")
    deploy.add_argument("releases", metavar="RELEASE", nargs="+", help="name, name@version, name@range or a digest")
    deploy.add_argument("--only", action="store_true", help="keep nothing else on the channel")
    for parser in (rollback, history):
        parser.add_argument("channel", metavar="CHANNEL", nargs="?", default="stable", help="(default: stable)")
    rollback.add_argument("--to", type=int, metavar="NUMBER", help="this generation (default: the one before)")
    for parser in (deploy, rollback):
        parser.add_argument("--why", default="", help="for the history")


async def _deploy(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.forge import Forge

    async with opened(arguments) as runtime:
        generation = await Forge(runtime).deploy(
            arguments.channel, arguments.releases, only=arguments.only, why=arguments.why, by=_who()
        )
        told = await _told(runtime, generation)
    _moved("deploy", told, out)
    out.next("hephaestus", "route", "--channel", arguments.channel, "your request")
    return 0


async def _rollback(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.forge import Forge

    async with opened(arguments) as runtime:
        generation = await Forge(runtime).rollback(arguments.channel, to=arguments.to, why=arguments.why, by=_who())
        told = await _told(runtime, generation)
    _moved("rollback", told, out)
    out.next("hephaestus", "history", arguments.channel)
    return 0


async def _history(arguments: argparse.Namespace, out: Output) -> int:
    async with opened(arguments) as runtime:
        generations = [await _told(runtime, one) for one in await runtime.hub.history(arguments.channel)]
    out.result("history", channel=arguments.channel, generations=generations)
    rows = [
        (one["number"], day_and_time(one["at"]), ", ".join(one["agents"]), one["by"] or "-", one["why"] or "-")
        for one in generations
    ]
    out.table(("generation", "at", "agents", "by", "why"), rows)
    if len(generations) > 1:
        out.next("hephaestus", "rollback", arguments.channel)
    return 0


def _moved(verb: str, told: dict[str, Any], out: Output) -> None:
    out.result(verb, **told)
    out.line(f"{told['channel']} is at generation {told['number']}: {', '.join(told['agents'])}", style="bold green")


async def _told(runtime: Runtime, generation: Generation) -> dict[str, Any]:
    """A generation, with the names of its releases."""
    import msgspec

    agents = [(await runtime.hub.release(digest)).ref for digest in generation.releases]
    return {**msgspec.structs.asdict(generation), "agents": agents}


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        return ""
