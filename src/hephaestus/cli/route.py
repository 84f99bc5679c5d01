"""The verb ``route``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hephaestus.cli.parser import add_verb
from hephaestus.cli.session import opened, request_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs


def add(verbs: Verbs) -> None:
    """Add the verb of this module."""
    parser = add_verb(
        verbs,
        "route",
        _route,
        summary="Say which agent a request is for, and why; nothing is run.",
        example="hephaestus route how do I read a zip file",
    )
    parser.add_argument("request", metavar="REQUEST", nargs="+", help="words, or - for standard input")
    parser.add_argument("--channel", default="stable", help="whose agents (default: stable)")


def _route(arguments: argparse.Namespace, out: Output) -> Awaitable[int]:
    # Read before the event loop runs, which it would stop.
    return _routed(request_text(arguments.request), arguments, out)


async def _routed(request: str, arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.routing import decision_body, render

    async with opened(arguments) as runtime:
        decision = (await runtime.router(arguments.channel)).route(request)
        entry = await runtime.keep(decision)
    receipt = render(decision)
    out.result(
        "route",
        kind=decision.kind,
        agent=decision.winner.agent if decision.kind == "routed" else None,
        release=decision.winner.release if decision.kind == "routed" else None,
        decision=decision_body(decision),
        receipt=receipt,
        entry=entry.seq,
        channel=arguments.channel,
    )
    out.text(receipt)
    out.line(f"receipt: entry {entry.seq}")
    if decision.kind == "routed":
        channel = () if arguments.channel == "stable" else ("--channel", arguments.channel)
        words = arguments.request
        dashes = ("--",) if words != ["-"] and any(word.startswith("-") for word in words) else ()
        out.next("hephaestus", "run", *channel, *dashes, *words)
        return 0
    out.next("hephaestus", "list")
    return 5
