"""The verb ``knowledge search``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hephaestus.cli.parser import add_level, add_noun, add_verb
from hephaestus.cli.session import opened

if TYPE_CHECKING:
    import argparse

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs

_SHOWN = 240


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    noun = add_noun(verbs, "knowledge", summary="Look into what a release knows.")
    search = add_verb(
        noun,
        "search",
        _search,
        summary="Search the passages of a release, in an isolated process.",
        example="hephaestus knowledge search stdlib-guide read a zip file",
    )
    search.add_argument("release", metavar="RELEASE", help="name, name@version, name@range or a digest")
    search.add_argument("query", metavar="WORD", nargs="+", help="words to look for")
    search.add_argument("--limit", type=int, default=5, help="hits at most, 1 to 100 (default: 5)")
    add_level(search)


async def _search(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.errors import UsageError

    if not 1 <= arguments.limit <= 100:
        raise UsageError(f"--limit is 1 to 100, not {arguments.limit}")
    query = " ".join(arguments.query)
    with out.working("searching"):
        async with opened(arguments) as runtime:
            release = await runtime.hub.release(arguments.release)
            hits = await runtime.search(release, query, limit=arguments.limit)
    out.result("knowledge.search", release=release.ref, query=query, hits=hits)
    if not hits:
        out.line(f"no passage of {release.ref} holds these words")
        return 0
    for hit in hits:
        text = " ".join(hit.text.split())
        out.line(f"{hit.title}   score {hit.score / 1000:.3f}   {hit.source}", style="bold")
        out.line(f"  {text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'}")
    return 0
