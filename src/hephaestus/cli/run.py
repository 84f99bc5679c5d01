"""Verbs of a run: ``run``, ``explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hephaestus.cli.parser import add_level, add_model, add_verb
from hephaestus.cli.session import opened, request_text

if TYPE_CHECKING:
    import argparse

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs
    from hephaestus.runtime import Runtime
    from hephaestus.stormbreaker import Finding, Outcome, Verified
    from hephaestus.taskforce import Disposal, Progress

_BY_CAUSE = {"specification": 4, "routing": 5, "isolation": 6}
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


async def _run(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.routing import decision_body, render
    from hephaestus.taskforce import TaskForce

    request = request_text(arguments.request)

    def watch(progress: Progress) -> None:
        out.progress(" ".join(filter(None, (progress.step, progress.instance, progress.detail))))

    async with opened(arguments) as runtime:
        decision = (await runtime.router(arguments.channel)).route(request)
        receipt = render(decision)
        out.line(receipt)
        with out.working("running"):
            async with TaskForce(runtime, decision, on_event=watch) as force:
                outcome = await force.run()
        if outcome.kind == "verified":
            await _write(runtime, force.run_id, outcome, arguments)
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
    )
    show_outcome(outcome, out)
    show_disposal(force.disposal, out)
    out.next("hephaestus", "explain", force.run_id)
    return exit_code(outcome)


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


def show_outcome(outcome: Outcome, out: Output) -> None:
    """An outcome for people."""
    import json

    match outcome.kind:
        case "verified":
            out.line("VERIFIED", style="bold green")
            out.line(json.dumps(outcome.value, indent=2, ensure_ascii=False))
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


async def _write(runtime: Runtime, run: str, outcome: Verified, arguments: argparse.Namespace) -> None:
    from hephaestus.stormbreaker import certificate_bytes

    if arguments.certificate is not None:
        arguments.certificate.write_bytes(certificate_bytes(outcome.certificate))
    if arguments.output is not None:
        # The certificate is about these bytes; the parsed value could be written in many ways.
        attempts = await runtime.journal.entries(run=run, kind="attempt")
        secrets = await runtime.journal.secrets(attempts[-1])
        assert secrets is not None
        arguments.output.write_bytes(secrets["artefact"])


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
