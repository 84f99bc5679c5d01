"""Why a run ended as it did: its journal entries, told in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hephaestus.errors import NotFound

if TYPE_CHECKING:
    from hephaestus.receipts import Entry, Journal

_ADVICE = {
    "specification": "The package or its brief does not allow this run; `hephaestus check FOLDER` says what to change.",
    "routing": "Name the agent in the request, or change the cards; `hephaestus route REQUEST` shows every score.",
    "orchestration": "The process that directs the agents failed, or the host itself: the message says which.",
    "agent_code": "The agent's own code failed; the trace names the line.",
    "model": "The model could not be reached or did not answer in its format; try again, or name another one.",
    "tool": "A tool that the agent used failed or was not permitted; see [permissions] in agent.toml.",
    "output": "What the agent answered did not pass the checks, or was no answer; findings or message say why.",
    "check": "A check could not do its work, or there is none; its own code or parameters are to blame.",
    "isolation": "The isolation level asked for is not to be had here; `hephaestus doctor` says what is missing.",
    "budget": "The time, calls or attempts allowed were used up; see [permissions.limits] in agent.toml.",
    "caller": "The request did not fit, or the run waits for an answer or was broken off.",
}

ROUTED_ONLY = "route-"
"""How the names of decisions begin that no task force carries out (:meth:`hephaestus.runtime.Runtime.keep`)."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    entry: int  # number in the journal
    kind: str
    text: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A run in plain words."""

    run: str
    outcome: str  # kind of the ending, or "unfinished"; of a request that was only routed, the kind of the decision
    cause: str | None
    summary: str
    advice: str
    shown_by: tuple[int, ...]  # the entries that show the cause
    steps: tuple[Step, ...]


async def explain(journal: Journal, run: str) -> Explanation:
    """Read a run's entries and say what happened, which part failed and what to change.

    Raises:
        NotFound: If the journal has no such run.
    """
    entries = await journal.entries(run=run)
    if not entries:
        raise NotFound(f"the journal has no run {run!r}", hint="`hephaestus receipts list` names the runs")
    steps: list[Step] = []
    ending: dict[str, Any] | None = None
    message = ""
    for entry in entries:
        body = msgspec.json.decode(entry.body)
        if text := _tell(entry, body):
            steps.append(Step(entry=entry.seq, kind=entry.kind, text=text))
        if entry.kind == "ending":
            ending, said = body, await journal.secrets(entry)
            message = "[erased]" if said is None else said.get("message", b"").decode()
    if [entry.kind for entry in entries] == ["decision"] and run.startswith(ROUTED_ONLY):
        return _routing(entries[0], tuple(steps))
    if ending is None:
        return Explanation(
            run=run,
            outcome="unfinished",
            cause=None,
            summary="The run has no ending: it is still under way, or its host was ended before it could write one.",
            advice="Start it again; nothing that it wrote before is lost.",
            shown_by=(entries[-1].seq,),
            steps=tuple(steps),
        )
    cause = ending["cause"]
    return Explanation(
        run=run,
        outcome=ending["kind"],
        cause=cause,
        summary=await _summary(journal, entries, ending, message),
        advice="Nothing to change." if ending["kind"] == "verified" else _ADVICE.get(cause, ""),
        shown_by=tuple(ending["entries"]),
        steps=tuple(steps),
    )


def _routing(decision: Entry, steps: tuple[Step, ...]) -> Explanation:
    body = decision.value
    winner = body.get("winner")
    to = f"was routed to {winner['release']}" if winner else f"was for no one agent ({body['kind']})"
    return Explanation(
        run=decision.run,
        outcome=body["kind"],
        cause=None,
        summary=f"This is the receipt of a routing, there is no run: the request {to}, and nothing was started.",
        advice="`hephaestus run REQUEST` routes a request and has it done.",
        shown_by=(decision.seq,),
        steps=steps,
    )


def _tell(entry: Entry, body: dict[str, Any]) -> str:
    match entry.kind:
        case "decision":
            return f"routing: {body['kind']}" + (f" to {body['winner']['release']}" if body.get("winner") else "")
        case "lock":
            agents = ", ".join(f"{a['name']}@{a['version']}" for a in body["agents"])
            return f"locked: {agents}; orchestrator {body['orchestrator']}"
        case "start":
            return f"started {body['instance']} ({body['release']}) at level {body['isolation']['level']}"
        case "exchange":
            failed = f" failed: {body['cause']}" if body["cause"] else " answered"
            return f"{body['what']} of {body['instance']}{failed}"
        case "event" if body.get("kind") == "failure":
            return f"{body['instance']} failed: {body['cause']}"
        case _:
            return _tell_result(entry, body)


def _tell_result(entry: Entry, body: dict[str, Any]) -> str:
    match entry.kind:
        case "attempt":
            return f"attempt {body['attempt']}: {body['size']} bytes were submitted"
        case "verdict":
            found = ", ".join(f"{f['check']} {f['result']}" for f in body["findings"])
            return f"attempt {body['attempt']}: {body['ruling']} ({found})"
        case "certificate":
            return "certificate sealed"
        case "disposal":
            return "disposal verified" if body["verified"] else "disposal NOT verified"
        case "ending":
            return f"ended: {body['kind']}" + (f", cause {body['cause']}" if body["cause"] else "")
        case _:
            return ""


async def _summary(journal: Journal, entries: tuple[Entry, ...], ending: dict[str, Any], message: str) -> str:
    if ending["kind"] == "verified":
        return f"Verified at attempt {ending['attempts']}: every check passed."
    if ending["kind"] == "refused" and ending["cause"] == "output":
        verdict = next((e for e in reversed(entries) if e.kind == "verdict"), None)
        told = await _findings(journal, verdict) if verdict else ""
        return f"Refused after {ending['attempts']} attempt(s). {told}"
    if ending["kind"] == "interrupted":
        return f"The orchestrator asks: {message}"
    part = (ending["cause"] or "").replace("_", " ")
    return f"{ending['kind'].capitalize()}: the part that failed is {part}. {message}".strip()


async def _findings(journal: Journal, verdict: Entry) -> str:
    said = await journal.secrets(verdict)
    if said is None:
        return "What the checks found was erased."
    lines = []
    for finding in msgspec.json.decode(said["findings"]):
        for detail in finding["details"][:3]:
            where = f" at {detail['where']}" if detail["where"] else ""
            lines.append(f"{finding['check']}{where}: expected {detail['expected']}, found {detail['found']}.")
    return " ".join(lines)
