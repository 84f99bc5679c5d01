"""The verb ``interview``, and how a report reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hephaestus.cli.parser import add_verb

if TYPE_CHECKING:
    import argparse

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs
    from hephaestus.interview import Report


def add(verbs: Verbs) -> None:
    """Add the verb of this module."""
    parser = add_verb(
        verbs,
        "interview",
        _interview,
        summary="Score a package's specification and ask for what is missing; nothing is changed.",
        example="hephaestus interview my-agent",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the package")


def _interview(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.assets import parse_brief, parse_card, parse_manifest
    from hephaestus.errors import AssetError
    from hephaestus.hub import Tree
    from hephaestus.interview import assess

    tree = Tree.read(arguments.folder)
    brief, manifest, card = tree.get("brief.toml"), tree.get("agent.toml"), tree.get("card.toml")
    if brief is None:
        raise AssetError("is missing", file="brief.toml", hint="`hephaestus new NAME` writes a package with all files")
    # An interview may begin before the rest of the package is there: then there are no checks to bind to.
    specs = [*(parse_manifest(manifest).checks if manifest else ()), *(parse_card(card).checks if card else ())]
    report = assess(parse_brief(brief), checks={spec.id: spec.kind for spec in specs}, files=tuple(tree.files))
    out.result("interview", folder=str(arguments.folder), report=report)
    show_report(report, out, points=True)
    if report.builds:
        out.next("hephaestus", "publish", str(arguments.folder))
        return 0
    out.line("next: answer in brief.toml, then ask again", style="dim")
    return 4


def show_report(report: Report, out: Output, *, points: bool = False) -> None:
    """A report for people: the score per axis, what blocks, what to answer."""
    from hephaestus.interview.score import UNITS
    from hephaestus.interview.table import MAX_AXIS, MAX_SCORE

    verdict = "builds" if report.builds else "REFUSED"
    out.line(f"interview: score {report.score} of at most {MAX_SCORE}, {verdict}", style="bold")
    axes = "  ".join(f"{axis} {value}" for axis, value in report.axes.items())
    out.line(f"  axes (at most {MAX_AXIS} each): {axes}")
    if points:
        for point in report.points:
            out.line(f"  {point.share / UNITS:6.2f}  {point.field:<26} {point.status:<12} {point.why}")
    if report.blocking:
        out.line(f"  nothing is built without: {', '.join(report.blocking)}", style="red")
    for text in report.contradictions:
        out.line(f"  contradiction: {text}", style="red")
    for text in report.hints:
        out.line(f"  hint: {text}")
    for number, question in enumerate(report.next_questions, 1):
        out.line(f"  {number}. {question.field}: {question.text}")
        for option in question.options:
            out.line(f"       - {option}")
