"""Verbs of the hub: ``list``, ``show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hephaestus.cli.parser import add_verb
from hephaestus.cli.session import opened
from hephaestus.cli.when import day_and_time

if TYPE_CHECKING:
    import argparse

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    listed = add_verb(verbs, "list", _list, summary="List the releases of this hub.", example="hephaestus list")
    listed.add_argument("name", metavar="NAME", nargs="?", help="only of this agent")
    show = add_verb(
        verbs, "show", _show, summary="Show what one release is and holds.", example="hephaestus show my-agent@0.1.0"
    )
    show.add_argument("release", metavar="RELEASE", help="name, name@version, name@range or a digest")


async def _list(arguments: argparse.Namespace, out: Output) -> int:
    async with opened(arguments) as runtime:
        releases = await runtime.hub.releases(arguments.name)
        channels = await runtime.hub.channels()
        held = {channel: (await runtime.hub.generation(channel)).releases for channel in channels}
    on = {
        release.digest: [channel for channel, digests in held.items() if release.digest in digests]
        for release in releases
    }
    out.result("list", releases=[{"release": r, "ref": r.ref, "channels": on[r.digest]} for r in releases])
    if not releases:
        out.line("nothing is published here yet")
        out.next("hephaestus", "new", "my-agent")
        return 0
    rows = [
        (r.ref + (" (yanked)" if r.yanked else ""), ", ".join(on[r.digest]) or "-", r.score, r.summary)
        for r in releases
    ]
    out.table(("release", "channels", "score", "summary"), rows)
    out.next("hephaestus", "show", releases[0].ref)
    return 0


async def _show(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.assets import parse_card

    async with opened(arguments) as runtime:
        release = await runtime.hub.release(arguments.release)
        manifest = await runtime.manifest(release)
        card = parse_card(await runtime.hub.read(release, "card.toml"))
        files = await runtime.hub.files(release)
    out.result("show", release=release, ref=release.ref, manifest=manifest, card=card, files=files)
    out.line(release.ref, style="bold")
    facts = {
        "summary": release.summary,
        "licence": manifest.agent.licence,
        "digest": release.digest,
        "published": day_and_time(release.published_at),
        "signed by": release.signed_by or "nobody",
        "interview": f"score {release.score}" + (f"; override: {release.override}" if release.override else ""),
        "runs": f"{manifest.run.kind} {manifest.run.entry}",
        "may call": ", ".join(f"{name} {wanted}" for name, wanted in manifest.agents.items()) or "no other agent",
        "checks": ", ".join(f"{check.id} ({check.kind})" for check in (*manifest.checks, *card.checks)),
        "triggers": ", ".join(card.triggers) or "none",
        "files": f"{len(files)}, {sum(file.size for file in files):,} bytes",
    }
    for name, value in facts.items():
        out.line(f"  {name:<10} {value}")
    out.next("hephaestus", "deploy", "stable", release.ref)
    return 0
