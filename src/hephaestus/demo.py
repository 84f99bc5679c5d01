"""The main job from end to end on real input: build, refuse, route, run, send back, certify, dispose. No printing.

It needs no key and no network. The knowledge is the documentation of the Python that runs it.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec

from hephaestus.errors import AlreadyPublished, BriefRefused, IntegrityError, NotFound
from hephaestus.forge import Forge
from hephaestus.hub.admission import BUILT_FILE
from hephaestus.knowledge import PASSAGES_FILE
from hephaestus.receipts.verify import Verification, verify_journal
from hephaestus.routing import Routed, render
from hephaestus.stormbreaker import Outcome, Verified, verify_certificate
from hephaestus.taskforce import Disposal, TaskForce
from hephaestus_runner.protocol import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hephaestus.forge import Examination
    from hephaestus.hub import Release
    from hephaestus.interview import Report
    from hephaestus.routing import Decision
    from hephaestus.runtime import Runtime
    from hephaestus.stormbreaker import Certificate

CHANNEL = "stable"
GOOD = ("stdlib-guide", "careless-guide")
VAGUE = "vague-helper"
QUESTION = "how do I read one file out of a zip archive without extracting it?"
CARELESS_QUESTION = "quick answer from memory: how do I make my program sleep?"
REQUESTS = (
    QUESTION,
    "tell me from memory how to compress a string",  # two cards claim it
    "what will the weather be in Lisbon tomorrow?",  # no card covers it
    "how do I read a zipped csv file with pandas?",  # an anti-trigger
    CARELESS_QUESTION,
)


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one package."""

    name: str
    status: str  # "published" or "refused"
    reused: bool = False  # published before, from the same files, by a Python with another documentation
    release: str | None = None
    digest: str | None = None
    passages: int | None = None
    score: int
    axes: dict[str, int]
    blocking: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One routed request."""

    request: str
    kind: str
    agent: str | None
    vetoed_by: tuple[str, ...]  # anti-triggers that spoke
    entry: int  # of the journal
    receipt: str  # as a person reads it


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a task force."""

    run: str
    request: str
    agent: str
    outcome: Outcome
    attempts: int
    certified: bool  # whether the certificate's seal holds for the exact bytes that were submitted
    disposal: Disposal


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. The last run is the one that is sent back at least once."""

    isolation: Level
    builds: tuple[Build, ...]
    decisions: tuple[Decided, ...]
    runs: tuple[Run, ...]
    journal: str  # where the receipts lie
    verification: Verification  # of the whole journal


@contextmanager
def example_packages() -> Iterator[Path]:
    """A copy of the example packages, from the installed library or from the checkout that it is run from.

    A copy, because some installers hard-link files, and a package with a second name for a file is refused.

    Raises:
        NotFound: If they are in neither place.
    """
    installed = Path(str(resources.files("hephaestus"))) / "_examples"
    checkout = Path(__file__).resolve().parents[2] / "examples" / "agents"
    for folder in (installed, checkout):
        if (folder / GOOD[0] / "agent.toml").is_file():
            with TemporaryDirectory(prefix="hephaestus-examples-") as copy:
                for name in (*GOOD, VAGUE):
                    shutil.copytree(folder / name, Path(copy) / name)
                yield Path(copy)
                return
    raise NotFound("the example packages are not installed", hint="name their folder with --examples")


async def demonstrate(
    runtime: Runtime,
    *,
    examples: Path,
    stubborn: bool = False,
    withhold_findings: bool = False,
    show: Callable[[object], None],
) -> DemoReport:
    """Do the whole main job.

    Args:
        runtime: On a fresh home or a lasting one.
        examples: The folder of the example packages.
        stubborn: Whether the careless agent ignores what it is told.
        withhold_findings: Whether the careless agent is told nothing.
        show: Called with every :class:`Build`, :class:`Decided`, :class:`Run`, :class:`Progress` and heading (text).
    """
    forge = Forge(runtime)
    show("Building packages")
    builds: list[Build] = []
    for name in (*GOOD, VAGUE):
        builds.append(await _build(runtime, forge, examples / name))
        show(builds[-1])
    await forge.deploy(CHANNEL, [b.release for b in builds if b.release], why="demo")
    router = await runtime.router(CHANNEL)

    show("Routing requests")
    decisions: list[Decided] = []
    for request in REQUESTS:
        decision = router.route(request)
        entry = await runtime.keep(decision)
        decisions.append(
            Decided(
                request=request,
                kind=decision.kind,
                agent=decision.winner.agent if isinstance(decision, Routed) else None,
                vetoed_by=vetoes(decision),
                entry=entry.seq,
                receipt=render(decision),
            )
        )
        show(decisions[-1])

    runs: list[Run] = []
    for request, careless in ((QUESTION, False), (CARELESS_QUESTION, True)):
        show(f"Running: {request}")
        force = TaskForce(
            runtime,
            router.route(request),
            context={"stubborn": True} if careless and stubborn else None,
            feedback=not (careless and withhold_findings),
            on_event=show,
        )
        async with force:
            outcome = await force.run()
        runs.append(await _run(runtime, force, request, outcome))
        show(runs[-1])

    keys = await runtime.seal_keys()
    verification = await anyio.to_thread.run_sync(lambda: verify_journal(runtime.journal_path, keys=keys))
    return DemoReport(
        isolation=runtime.config.level,
        builds=tuple(builds),
        decisions=tuple(decisions),
        runs=tuple(runs),
        journal=str(runtime.journal_path),
        verification=verification,
    )


async def _build(runtime: Runtime, forge: Forge, folder: Path) -> Build:
    reused = False
    try:
        release = await forge.publish(folder)
    except BriefRefused as refusal:
        report: Report = refusal.report  # type: ignore[assignment]
        return Build(
            name=folder.name,
            status="refused",
            score=report.score,
            axes=report.axes,
            blocking=report.blocking,
            questions=tuple(question.text for question in report.next_questions),
        )
    except AlreadyPublished as refusal:
        release, reused = await _there(runtime, await forge.check(folder), refusal), True
    passages = await runtime.passages(release)
    found = await forge.check(folder)
    assert found.report is not None
    return Build(
        name=release.name,
        status="published",
        reused=reused,
        release=release.ref,
        digest=release.digest,
        passages=None if passages is None else len(passages),
        score=found.report.score,
        axes=found.report.axes,
    )


async def _there(runtime: Runtime, found: Examination, refusal: AlreadyPublished) -> Release:
    """The release of the same files that another Python made of them, from its own documentation.

    Raises:
        AlreadyPublished: If anything else differs, because that would be the release of another package.
    """
    assert found.manifest is not None
    release = await runtime.hub.release(f"{found.manifest.agent.name}@{found.manifest.agent.version}")
    rows = (await runtime.hub.tree(release)).rows
    if tuple(row for row in rows if row.path not in (PASSAGES_FILE, BUILT_FILE)) != found.tree.rows:
        raise AlreadyPublished(
            refusal.message, hint="this home has the examples of another version: name another --home, or none"
        ) from refusal
    return release


def vetoes(decision: Decision) -> tuple[str, ...]:
    """The anti-triggers that spoke in a decision."""
    return tuple(dict.fromkeys(match.text for candidate in decision.vetoed for match in candidate.vetoes))


async def _run(runtime: Runtime, force: TaskForce, request: str, outcome: Outcome) -> Run:
    assert force.disposal is not None
    (decided,) = await runtime.journal.entries(run=force.run_id, kind="decision")
    certified = isinstance(outcome, Verified) and await _verifies(runtime, force.run_id, outcome.certificate)
    return Run(
        run=force.run_id,
        request=request,
        agent=(decided.value.get("winner") or {}).get("agent", ""),
        outcome=outcome,
        attempts=force.attempts,
        certified=certified,
        disposal=force.disposal,
    )


async def _verifies(runtime: Runtime, run: str, certificate: Certificate) -> bool:
    """Whether the seal holds for the exact bytes that were submitted last."""
    attempt = (await runtime.journal.entries(run=run, kind="attempt"))[-1]
    kept = await runtime.journal.secrets(attempt)
    if kept is None:
        return False
    try:
        verify_certificate(certificate, await runtime.seal_keys(), run=run, artefact=kept["artefact"])
    except IntegrityError:
        return False
    return True
