"""What type checkers must see of the public API. Read by mypy and pyright, and never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_never, assert_type

import hephaestus


async def from_a_folder_to_an_outcome(home: Path) -> None:
    config = hephaestus.Config(level="restricted", model=hephaestus.ModelEndpoint(url="http://127.0.0.1:1", name="m"))
    async with hephaestus.Runtime.open(home, config=config) as runtime:
        assert_type(runtime, hephaestus.Runtime)
        assert_type(runtime.hub, hephaestus.Hub)
        assert_type(runtime.journal, hephaestus.Journal)
        forge = hephaestus.Forge(runtime)
        release = await forge.publish("agents/stdlib-guide")
        assert_type(release, hephaestus.Release)
        assert_type(release.ref, str)
        assert_type(await forge.deploy("stable", [release, "other@^1"]), hephaestus.Generation)
        router = await runtime.router("stable")
        assert_type(router, hephaestus.Router)
        decision = router.route("a request")
        assert_type(decision, hephaestus.Routed | hephaestus.Ambiguous | hephaestus.NoRoute)
        assert_type(router.route_many(["one", "two"]), list[hephaestus.Decision])
        async with hephaestus.TaskForce(runtime, decision) as force:
            assert_type(force, hephaestus.TaskForce)
            outcome = await force.run()
        assert_type(force.run_id, str)
        report(outcome)


def report(outcome: hephaestus.Outcome) -> str:
    # No case is missing: an ending that is added must be added here.
    match outcome:
        case hephaestus.Verified(value=value, certificate=certificate):
            assert_type(value, Any)
            assert_type(certificate, hephaestus.Certificate)
            return certificate.run
        case hephaestus.Refused(findings=findings):
            return ", ".join(finding.check for finding in findings)
        case hephaestus.Undecided(cause=cause, message=message):
            return f"{cause}: {message}"
        case hephaestus.Interrupted(question=question):
            return question
        case _:
            assert_never(outcome)


def told(decision: hephaestus.Decision) -> str:
    match decision:
        case hephaestus.Routed(winner=winner):
            return winner.agent
        case hephaestus.Ambiguous(clarify=clarify):
            return clarify
        case hephaestus.NoRoute(nearest=nearest):
            return ", ".join(candidate.agent for candidate in nearest)
        case _:
            assert_never(decision)


async def judging_without_a_run(check: hephaestus.CheckSpec) -> None:
    verdict = await hephaestus.Stormbreaker([check]).judge(b"{}")
    assert_type(verdict, hephaestus.Verdict)
    assert_type(verdict.passed, bool)


def a_name_that_does_not_exist_is_an_error() -> None:
    hephaestus.Runtme  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType]  # noqa: B018


def an_error_has_a_message_and_a_hint(error: hephaestus.HephaestusError) -> None:
    assert_type(error.message, str)
    assert_type(error.hint, str | None)
    assert_type(hephaestus.__version__, str)
