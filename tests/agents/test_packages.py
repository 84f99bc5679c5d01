"""The example packages are well-formed; two of them build, and the vague one is refused for being vague only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agents.conftest import AGENTS, questions

from hephaestus.assets import parse_brief, parse_card, parse_manifest
from hephaestus.canonical import digest_bytes
from hephaestus.interview import Report, assess
from hephaestus.routing import Ambiguous, CardEntry, CardTable, NoRoute, Routed, Router, compile_cards
from hephaestus.stormbreaker import compile_checks

GUIDES = ("stdlib-guide", "careless-guide")


def reader(folder: Path) -> Callable[[str], bytes | None]:
    return lambda path: (folder / path).read_bytes() if (folder / path).is_file() else None


def report(name: str) -> Report:
    folder = AGENTS / name
    manifest = parse_manifest((folder / "agent.toml").read_bytes())
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    checks = {check.id: check.kind for check in manifest.checks}
    return assess(parse_brief((folder / "brief.toml").read_bytes()), checks=checks, files=files)


@pytest.mark.parametrize("name", [*GUIDES, "vague-helper"])
def test_every_package_parses_and_its_checks_compile(name: str) -> None:
    folder = AGENTS / name
    manifest = parse_manifest((folder / "agent.toml").read_bytes())
    parse_card((folder / "card.toml").read_bytes())
    assert manifest.agent.name == name
    assert compile_checks([("package", check) for check in manifest.checks], files=reader(folder)).checks
    assert (folder / manifest.contract.output).is_file()


@pytest.mark.parametrize("name", GUIDES)
def test_the_guides_build_with_a_margin(name: str) -> None:
    found = report(name)
    assert found.builds
    assert found.score <= 10
    assert max(found.axes.values()) <= 20
    assert (found.blocking, found.contradictions) == ((), ())


def test_the_vague_package_is_refused_on_every_axis() -> None:
    found = report("vague-helper")
    assert not found.builds
    assert min(found.axes.values()) > 40
    assert {"goal.outcome", "goal.acceptance", "constraint.budget", "scope.out", "context.inputs"} <= set(
        found.blocking
    )


@pytest.fixture(scope="module")
def router() -> Router:
    entries = [
        CardEntry(
            agent=name,
            release=f"{name}@1.0.0",
            digest=digest_bytes(name.encode()),
            card=parse_card((AGENTS / name / "card.toml").read_bytes()),
        )
        for name in GUIDES
    ]
    return Router(CardTable.load(compile_cards(entries)))


@pytest.mark.parametrize(
    ("request_", "agent"),
    [
        ("how do I read one file out of a zip archive without extracting it?", "stdlib-guide"),
        ("which function of the standard library joins two paths?", "stdlib-guide"),
        ("quick answer from memory: how do I make my program sleep?", "careless-guide"),
        ("off the top of your head, how do I sort a list?", "careless-guide"),
    ],
)
def test_each_guide_gets_the_requests_that_are_for_it(router: Router, request_: str, agent: str) -> None:
    decision = router.route(request_)
    assert isinstance(decision, Routed)
    assert decision.winner.agent == agent


def test_a_request_that_both_claim_is_ambiguous(router: Router) -> None:
    decision = router.route("give me a quick answer about zip files")
    assert isinstance(decision, Ambiguous)
    assert {candidate.agent for candidate in decision.candidates} == set(GUIDES)
    assert decision.clarify


@pytest.mark.parametrize(
    "request_",
    [
        "book me a table for two tonight",
        "what is the weather like in Rome?",
        "make me a list of birthday presents",
        "text my mother",
        "what is the process for getting a visa?",
    ],
)
def test_a_request_about_something_else_has_no_route(router: Router, request_: str) -> None:
    assert isinstance(router.route(request_), NoRoute)


@pytest.mark.parametrize("library", ["pandas", "Django", "numpy", "Flask"])
def test_a_third_party_library_vetoes_both(router: Router, library: str) -> None:
    decision = router.route(f"how do I read a zip archive with {library}?")
    assert isinstance(decision, NoRoute)
    assert {candidate.agent for candidate in decision.vetoed} == set(GUIDES)


def test_a_question_about_functions_written_in_c_is_not_vetoed(router: Router) -> None:
    decision = router.route("how do I call a C function from Python?")
    assert isinstance(decision, Routed)
    assert decision.winner.agent == "stdlib-guide"


def test_most_questions_find_the_guide(router: Router) -> None:
    asked = questions("questions.toml")
    routed = [q for q in asked if isinstance(router.route(q.ask), Routed)]
    assert len(routed) * 100 >= 80 * len(asked)
