"""The verb ``interview``, and how a report reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hephaestus.cli.parser import add_verb
from hephaestus.cli.session import standard_input
from hephaestus.cli.signals import interruptible
from hephaestus.errors import AssetError, UsageError

if TYPE_CHECKING:
    import argparse

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs
    from hephaestus.interview import Interview, Report


def add(verbs: Verbs) -> None:
    """Add the verb of this module."""
    parser = add_verb(
        verbs,
        "interview",
        _interview,
        summary="Score a package's specification and ask for what is missing.",
        example="hephaestus interview my-agent --answer 'scope.out=Questions about other programs'",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the package")
    answers = parser.add_argument_group("answering", "these write brief.toml anew; comments in it are not kept")
    answers.add_argument("--ask", action="store_true", help="ask one question at a time on standard input")
    answers.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="an option of the question, text, or a value as in brief.toml; may be given several times",
    )
    answers.add_argument(
        "--later", action="append", default=[], metavar="FIELD=REASON", help="put a field off; it stays missing"
    )
    answers.add_argument("--rounds", type=int, default=8, metavar="NUMBER", help="questions at most (default: 8)")


def _interview(arguments: argparse.Namespace, out: Output) -> int:
    if arguments.ask and out.json:
        raise UsageError("--ask talks with a person and --json does not", hint="use --answer FIELD=VALUE")
    interview = _begin(arguments)
    for words, step in ((arguments.answer, "answer_typed"), (arguments.later, "skip")):
        for text in words:
            field, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f"{text!r} is not FIELD=...", hint="for example --answer constraint.network=none")
            interview = getattr(interview, step)(field.strip(), value.strip())
    if arguments.answer or arguments.later:
        _write(interview, arguments.folder)
    if arguments.ask:
        interview = _ask(interview, arguments.folder, out)
    report = interview.report
    out.result("interview", folder=str(arguments.folder), report=report, question=interview.next_question())
    show_report(report, out, points=True)
    if report.builds:
        out.next("hephaestus", "publish", str(arguments.folder))
        return 0
    out.next("hephaestus", "interview", str(arguments.folder), "--ask")
    return 4


def _begin(arguments: argparse.Namespace) -> Interview:
    from hephaestus.assets import parse_brief, parse_card, parse_manifest
    from hephaestus.hub import Tree
    from hephaestus.interview import Interview

    tree = Tree.read(arguments.folder)
    brief, manifest, card = tree.get("brief.toml"), tree.get("agent.toml"), tree.get("card.toml")
    if brief is None:
        raise AssetError("is missing", file="brief.toml", hint="`hephaestus new NAME` writes a package with all files")
    # An interview may begin before the rest of the package is there: then there are no checks to bind to.
    specs = [*(parse_manifest(manifest).checks if manifest else ()), *(parse_card(card).checks if card else ())]
    checks = {spec.id: spec.kind for spec in specs}
    return Interview(parse_brief(brief), checks=checks, files=tuple(tree.files), rounds=arguments.rounds)


def _ask(interview: Interview, folder: Path, out: Output) -> Interview:
    """One question at a time; every answer is on the disk before the next question."""
    while question := interview.next_question():
        out.line(f"{question.field}: {question.text}", style="bold")
        for number, option in enumerate(question.options, 1):
            out.line(f"  {number}. {option}")
        out.line("  a number, your own answer, `later: REASON`, or nothing to stop")
        out.flush()
        with interruptible():
            text = standard_input().readline().strip()
        if not text:
            break
        try:
            if text.casefold().startswith("later:"):
                interview = interview.skip(question.field, text.partition(":")[2].strip())
            elif text.isascii() and text.isdigit() and 1 <= int(text) <= len(question.options):
                interview = interview.answer_typed(question.field, question.options[int(text) - 1])
            else:
                interview = interview.answer_typed(question.field, text)
        except UsageError as error:
            out.line(error.message, style="red")
            continue
        _write(interview, folder)
    return interview


def _write(interview: Interview, folder: Path) -> None:
    from hephaestus.assets.write import write_brief

    try:
        data = write_brief(interview.brief)
    except ValueError as error:
        raise UsageError(f"brief.toml cannot hold this: {error}") from error
    made = folder / "brief.toml.new"
    made.write_bytes(data)
    made.replace(folder / "brief.toml")


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
