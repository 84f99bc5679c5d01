"""Verbs of a package folder: ``new``, ``check``, ``publish``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hephaestus.cli.interview import show_report
from hephaestus.cli.parser import add_level, add_verb
from hephaestus.cli.session import opened

if TYPE_CHECKING:
    import argparse

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    new = add_verb(
        verbs, "new", _new, summary="Write a new package that publishes as it is.", example="hephaestus new my-agent"
    )
    new.add_argument("name", metavar="NAME", help="of the agent: lower-case words joined by hyphens")
    new.add_argument("--folder", type=Path, help="where to write it (default: a folder of that name)")
    check = add_verb(
        verbs,
        "check",
        _check,
        summary="Say everything that would stop a package from being published.",
        example="hephaestus check my-agent",
    )
    publish = add_verb(
        verbs,
        "publish",
        _publish,
        summary="Make a release of a package; it never changes again.",
        example="hephaestus publish my-agent",
    )
    for parser in (check, publish):
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="the package")
        add_level(parser)
    publish.add_argument(
        "--allow-ambiguous",
        metavar="REASON",
        help="publish although the interview refuses; the reason marks every certificate of the agent",
    )


def _new(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.forge.new import new_package

    folder = arguments.folder or Path(arguments.name)
    files = new_package(folder, name=arguments.name)
    out.result("new", name=arguments.name, folder=str(folder), files=files)
    out.line(f"wrote {len(files)} files to {folder}")
    out.next("hephaestus", "check", str(folder))
    return 0


async def _check(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.forge import Forge

    with out.working(f"checking {arguments.folder}"):
        async with opened(arguments) as runtime:
            found = await Forge(runtime).check(arguments.folder)
    manifest = found.manifest
    out.result(
        "check",
        folder=str(arguments.folder),
        publishes=found.publishes,
        name=manifest.agent.name if manifest else None,
        version=manifest.agent.version if manifest else None,
        files=len(found.tree.files),
        problems=found.problems,
        interview=found.report,
    )
    for problem in found.problems:
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        text = problem.message if problem.message.startswith(place) else f"{place}: {problem.message}"
        out.line(text, style="red")
        if problem.hint:
            out.line(f"  {problem.hint}")
    if found.report is not None:
        show_report(found.report, out)
    if found.publishes:
        out.next("hephaestus", "publish", str(arguments.folder))
        return 0
    if not found.problems and found.report is not None:
        out.next("hephaestus", "interview", str(arguments.folder))
        return 4
    return 1


async def _publish(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.forge import Forge

    with out.working(f"publishing {arguments.folder}"):
        async with opened(arguments) as runtime:
            release = await Forge(runtime).publish(arguments.folder, override=arguments.allow_ambiguous)
    out.result("publish", release=release, ref=release.ref)
    out.line(f"published {release.ref}", style="bold green")
    out.line(f"  digest     {release.digest}")
    out.line(f"  interview  score {release.score} (0 is clear, 100 is ambiguous)")
    if release.override is not None:
        out.line(f"  override   {release.override}", style="yellow")
    out.line(f"  signed by  {release.signed_by or 'nobody'}")
    out.next("hephaestus", "deploy", "stable", release.ref)
    return 0
