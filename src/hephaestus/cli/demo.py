"""The verb ``demo``: the main job from end to end, shown as it happens."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hephaestus.cli.parser import add_level, add_model, add_verb
from hephaestus.cli.run import exit_code, outcome_body, show_disposal, show_outcome, show_progress
from hephaestus.cli.session import opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs
    from hephaestus.demo import Build, DemoReport, Run


def add(verbs: Verbs) -> None:
    """Add the verb of this module."""
    demo = add_verb(
        verbs,
        "demo",
        _demo,
        summary="Build two agents and refuse a third, route requests, run, send back, certify: no key, no network.",
        example="hephaestus demo --stubborn",
    )
    demo.add_argument("--stubborn", action="store_true", help="the careless agent never corrects itself (exit code 3)")
    demo.add_argument("--withhold-findings", action="store_true", help="nobody tells the careless agent what is wrong")
    demo.add_argument("--examples", type=Path, metavar="FOLDER", help="where the example packages are")
    add_level(demo)
    add_model(demo)


async def _demo(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.demo import demonstrate, example_packages

    if arguments.home is None:
        # A fresh one, which stays, so that its receipts can be read afterwards.
        arguments.home = Path(tempfile.mkdtemp(prefix="hephaestus-demo-"))
        out.home = arguments.home
    with (
        out.working("starting"),
        nullcontext(arguments.examples) if arguments.examples else example_packages() as examples,
    ):
        async with opened(arguments) as runtime:
            report = await demonstrate(
                runtime,
                examples=examples,
                stubborn=arguments.stubborn,
                withhold_findings=arguments.withhold_findings,
                show=_shown(out),
            )
    out.result("demo", **_body(report))
    _close(report, out)
    return exit_code(report.runs[-1].outcome)


def _shown(out: Output) -> Callable[[object], None]:
    from hephaestus.demo import Build, Decided, Run
    from hephaestus.taskforce import Progress

    def show(what: object) -> None:
        match what:
            case str():
                out.line()
                out.line(f"== {what}", style="bold")
            case Build():
                _show_build(what, out)
            case Decided():
                out.line()
                out.line(what.request, style="bold cyan")
                out.text(what.receipt.rstrip())
            case Progress():
                show_progress(what, out)
            case Run():
                show_outcome(what.outcome, out)
                show_disposal(what.disposal, out)

    return show


def _show_build(build: Build, out: Output) -> None:
    axes = ", ".join(f"{axis} {score}" for axis, score in build.axes.items())
    scored = f"ambiguity {build.score} of 100 ({axes})"
    if build.status == "published":
        knowledge = f", {build.passages} passages of knowledge" if build.passages else ""
        how = "found in this home" if build.reused else "published"
        out.line(f"{how} {build.release}: {scored}{knowledge}", style="green")
        out.line(f"  {build.digest}")
        return
    out.line(f"refused {build.name}: {scored}", style="yellow")
    out.line(f"  nothing is built without: {', '.join(build.blocking)}")
    for question in build.questions:
        out.line(f"  ? {question}")


def _body(report: DemoReport) -> dict[str, Any]:
    runs = [_run_body(run) for run in report.runs]
    verification = report.verification
    return {
        "builds": report.builds,
        "decisions": report.decisions,
        "runs": runs,
        # Of the last run, which is the one that is sent back.
        "outcome": runs[-1]["outcome"],
        "certificate": runs[-1]["certificate"],
        "disposal": runs[-1]["disposal"],
        "isolation": report.isolation,
        "receipts": report.journal,
        "receipts_verified": verification.ok,
        "problems": [str(problem) for problem in verification.problems],
    }


def _run_body(run: Run) -> dict[str, Any]:
    import msgspec

    certificate = None
    if run.outcome.kind == "verified":
        certificate = {**msgspec.to_builtins(run.outcome.certificate), "verified": run.certified}
    return {
        "run": run.run,
        "request": run.request,
        "agent": run.agent,
        "outcome": {**outcome_body(run.outcome), "attempts": run.attempts},
        "certificate": certificate,
        "disposal": run.disposal,
    }


def _close(report: DemoReport, out: Output) -> None:
    last = report.runs[-1]
    out.line()
    out.line("== In short", style="bold")
    for run in report.runs:
        out.line(f"{run.agent}: {run.outcome.kind} after {run.attempts} attempt(s), {run.run}")
    state = "verified" if report.verification.ok else "NOT verified"
    out.line(f"{report.verification.entries} receipts, {state}: {report.journal}")
    out.next("hephaestus", "explain", last.run)
    out.next("hephaestus", "receipts", "verify")
