"""Verbs of a run: ``run``, ``explain``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hephaestus.cli.parser import add_level, add_model, add_verb
from hephaestus.cli.session import opened, request_text
from hephaestus.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs
    from hephaestus.runtime import Runtime
    from hephaestus.stormbreaker import Finding, Outcome, Verified
    from hephaestus.taskforce import Disposal, Progress

_RULINGS = {"sent back": "yellow", "passed": "green", "refused": "red", "undecided": "yellow"}
"""Steps at which the gate speaks, and how they look."""

_BY_CAUSE = {"routing": 5, "isolation": 6}
"""Exit codes of an ``Undecided`` whose cause has one of its own."""


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    run = add_verb(
        verbs,
        "run",
        _run,
        summary="Route a request and have the agent do it, isolated and checked.",
        example="hephaestus run how do I read a zip file",
    )
    run.add_argument("request", metavar="REQUEST", nargs="+", help="words, or - for standard input")
    run.add_argument("--channel", default="stable", help="whose agents (default: stable)")
    run.add_argument("--output", type=Path, metavar="FILE", help="write the verified output there, byte for byte")
    run.add_argument("--certificate", type=Path, metavar="FILE", help="write the certificate there")
    add_level(run)
    add_model(run)
    explain = add_verb(
        verbs,
        "explain",
        _explain,
        summary="Say in plain words how a run ended, which part failed and what to change.",
        example="hephaestus explain run-0123456789abcdef",
    )
    explain.add_argument("run", metavar="RUN", help="as `hephaestus receipts list` names it")


def exit_code(outcome: Outcome) -> int:
    """What a run's outcome ends the command with (CONTRACTS section 3)."""
    if outcome.kind == "undecided":
        return _BY_CAUSE.get(outcome.cause, outcome.exit_code)
    return outcome.exit_code


def _run(arguments: argparse.Namespace, out: Output) -> Awaitable[int]:
    for path in (arguments.output, arguments.certificate):
        if path is not None:
            _check_target(path)
    # Read before the event loop runs, which it would stop.
    return _carry_out(request_text(arguments.request), arguments, out)


async def _carry_out(request: str, arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.routing import decision_body, render
    from hephaestus.taskforce import TaskForce

    def watch(progress: Progress) -> None:
        show_progress(progress, out)

    async with opened(arguments) as runtime:
        decision = (await runtime.router(arguments.channel)).route(request)
        receipt = render(decision)
        out.text(receipt)
        with out.working("running"):
            async with TaskForce(runtime, decision, on_event=watch) as force:
                outcome = await force.run()
        unwritten = await _write(runtime, force.run_id, outcome, arguments) if outcome.kind == "verified" else []
    assert force.disposal is not None
    out.result(
        "run",
        run=force.run_id,
        decision=decision_body(decision),
        receipt=receipt,
        outcome={**outcome_body(outcome), "attempts": force.attempts},
        certificate={**_builtins(outcome.certificate), "verified": True} if outcome.kind == "verified" else None,
        disposal=force.disposal,
        receipts=str(runtime.journal_path),
        unwritten=unwritten,
    )
    show_outcome(outcome, out)
    show_disposal(force.disposal, out)
    for one in unwritten:
        out.line(f"{one['file']} could not be written: {one['problem']}", style="red")
    out.next("hephaestus", "explain", force.run_id)
    return 1 if unwritten else exit_code(outcome)


def outcome_body(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values."""
    told: dict[str, Any] = {"kind": outcome.kind, "cause": outcome.cause, "exit_code": exit_code(outcome)}
    match outcome.kind:
        case "verified":
            told["value"] = outcome.value
        case "refused":
            told |= {"findings": _builtins(outcome.findings), "entries": outcome.entries}
        case "undecided":
            told |= {"message": outcome.message, "entries": outcome.entries}
        case "interrupted":
            told |= {"question": outcome.question, "entries": outcome.entries}
    return told


def show_progress(progress: Progress, out: Output) -> None:
    """A step for people: what the gate said stays to be read, the rest makes room for what comes next."""
    text = " ".join(filter(None, (progress.step, progress.instance, progress.detail)))
    if progress.step in _RULINGS and not out.json:
        out.line(text, style=_RULINGS[progress.step])
    else:
        out.progress(text)


def show_outcome(outcome: Outcome, out: Output) -> None:
    """An outcome for people."""
    import json

    match outcome.kind:
        case "verified":
            out.line("VERIFIED", style="bold green")
            out.text(json.dumps(outcome.value, indent=2, ensure_ascii=False))
            certificate = outcome.certificate
            checks = ", ".join(check for ids in certificate.origins.values() for check in ids)
            out.line(
                f"certificate: {checks} passed at attempt {certificate.attempt}, level {certificate.isolation.level}"
            )
            for override in certificate.overrides:
                out.line(f"  override of the {override.what}: {override.reason}", style="yellow")
        case "refused":
            out.line(f"REFUSED, cause {outcome.cause}", style="bold red")
            for finding in outcome.findings:
                _show_finding(finding, out)
        case "undecided":
            out.line(f"UNDECIDED, cause {outcome.cause}: {outcome.message}", style="bold yellow")
        case "interrupted":
            out.line(f"WAITS FOR AN ANSWER: {outcome.question}", style="bold yellow")


def show_disposal(disposal: Disposal, out: Output) -> None:
    """A disposal record for people."""
    left = "nothing is left" if disposal.verified else "SOMETHING IS LEFT"
    out.line(
        f"disposal: {disposal.children} processes were started, {left}", style=None if disposal.verified else "red"
    )


def _show_finding(finding: Finding, out: Output) -> None:
    out.line(f"  {finding.check}: {finding.result.value} {finding.message}".rstrip())
    for detail in finding.details:
        out.line(f"    at {detail.where or 'the whole'}: expected {detail.expected}, found {detail.found}")


def _check_target(path: Path) -> None:
    """Find out before the work and not after it that its result has nowhere to go."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}", hint="make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{path} cannot be written: permission denied")


async def _write(
    runtime: Runtime, run: str, outcome: Verified, arguments: argparse.Namespace
) -> list[dict[str, str | None]]:
    """Write what was asked for; returns the files that could not be written, as the result is there all the same."""
    from hephaestus.stormbreaker import certificate_bytes

    data: dict[Path, bytes] = {}
    if arguments.certificate is not None:
        data[arguments.certificate] = certificate_bytes(outcome.certificate)
    if arguments.output is not None:
        # The certificate is about these bytes; the parsed value could be written in many ways.
        attempts = await runtime.journal.entries(run=run, kind="attempt")
        secrets = await runtime.journal.secrets(attempts[-1])
        assert secrets is not None
        data[arguments.output] = secrets["artefact"]
    unwritten: list[dict[str, str | None]] = []
    for path, content in data.items():
        try:
            path.write_bytes(content)
        except OSError as error:
            unwritten.append({"file": str(path), "problem": error.strerror})
    return unwritten


def _builtins(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


async def _explain(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.taskforce import explain

    async with opened(arguments) as runtime:
        found = await explain(runtime.journal, arguments.run)
    out.result("explain", **_builtins(found))
    out.line(f"{found.run}: {found.outcome}", style="bold")
    out.line(found.summary)
    if found.advice:
        out.line(f"what to change: {found.advice}")
    for step in found.steps:
        mark = "*" if step.entry in found.shown_by else " "
        out.line(f" {mark} {step.entry:>5}  {step.text}")
    if found.shown_by:
        out.next("hephaestus", "receipts", "show", str(found.shown_by[-1]))
    return 0
