"""The gate of one run: counts attempts, notices a run that goes in circles, and says what happens next."""

from __future__ import annotations

import enum
import itertools
from typing import TYPE_CHECKING

import anyio
import msgspec

from hephaestus import canonical
from hephaestus.errors import UsageError
from hephaestus.stormbreaker.checks import Origin
from hephaestus.stormbreaker.mint import Mint
from hephaestus.stormbreaker.outcome import UnverifiedOutput
from hephaestus.stormbreaker.result import Finding, Result, Verdict
from hephaestus_runner.protocol import Feedback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hephaestus.canonical import Digest
    from hephaestus.stormbreaker.stormbreaker import Stormbreaker

MAX_FEEDBACK = 12
"""Findings that go back to an agent. They replace those of the attempt before."""

MAX_FEEDBACK_BYTES = 400
"""UTF-8 bytes of each text of a finding that goes back."""

_PASSED = Mint("Gate.submit")


class Budget(msgspec.Struct, frozen=True):
    """How often a run may try.

    Raises:
        UsageError: If it allows no attempt, or less than nothing.
    """

    attempts: int = 3  # judged artefacts, the passing one included
    undecided: int = 1  # judgements that may come to nothing before the run ends as undecided; they cost no attempt

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.undecided < 0:
            raise UsageError(f"expected at least 1 attempt and 0 undecided, found {self.attempts} and {self.undecided}")


class State(enum.Enum):
    """Where a gate stands. The last three are final."""

    RUNNING = "running"
    CHECKING = "checking"
    RETRY = "retry"
    CERTIFIED = "certified"
    REFUSED = "refused"
    UNDECIDED = "undecided"


FINAL = frozenset({State.CERTIFIED, State.REFUSED, State.UNDECIDED})


class Passed(msgspec.Struct, frozen=True, tag=True):
    """Every check passed. What :func:`~hephaestus.stormbreaker.seal_certificate` turns into a certificate.

    Only :meth:`Gate.submit` makes one.
    """

    verdict: Verdict
    attempt: int
    origins: dict[Origin, tuple[str, ...]]  # ids of the checks by who demanded them

    def __post_init__(self) -> None:
        _PASSED.check(self)


class SentBack(msgspec.Struct, frozen=True, tag=True):
    """A failed attempt with others left."""

    verdict: Verdict
    attempt: int
    remaining: int
    feedback: tuple[Feedback, ...]  # for the agent; empty when findings are withheld


class Exhausted(msgspec.Struct, frozen=True, tag=True):
    """A failed attempt and no other: the budget is spent, or the run repeats itself."""

    verdict: Verdict
    attempt: int
    stalled: bool  # ended early, because an artefact or a set of findings came a second time


class Unclear(msgspec.Struct, frozen=True, tag=True):
    """Some check could not do its work. Costs no attempt."""

    verdict: Verdict
    again: bool  # whether the same or another artefact may be submitted; else the run is undecided


Ruling = Passed | SentBack | Exhausted | Unclear


class Gate:
    """The gate of one run.

    Args:
        stormbreaker: Judges every submission.
        budget: How often the run may try.
        feedback: Whether the agent gets to see findings.
    """

    def __init__(self, stormbreaker: Stormbreaker, budget: Budget = Budget(), *, feedback: bool = True) -> None:  # noqa: B008 - a Budget never changes
        self._stormbreaker = stormbreaker
        self._budget = budget
        self._feedback = feedback
        self._hidden = frozenset(check.id for check in stormbreaker.checks.checks if check.hidden)
        self._one = anyio.Lock()
        self._artefacts: set[Digest] = set()
        self._failures: set[Digest] = set()
        self.state: State = State.RUNNING
        self.attempts: int = 0
        """Attempts that were judged so far, passed or failed."""
        self.undecided: int = 0
        """Judgements so far that came to nothing."""
        self.candidate: UnverifiedOutput | None = None
        """The last artefact that failed, for a person to look at."""

    async def submit(self, artefact: bytes) -> Ruling:
        """Judge one artefact and rule on the run. Concurrent submissions are ruled on one after the other.

        Cancelled while it judges, it leaves the gate as it was: nothing was ruled, nothing is counted.

        Raises:
            UsageError: If this gate has already ruled for good.
        """
        async with self._one:
            if self.state in FINAL:
                raise UsageError(f"this run's gate has ruled for good ({self.state.value}); it judges nothing more")
            before, self.state = self.state, State.CHECKING
            try:
                verdict = await self._stormbreaker.judge(artefact)
                # No await from here on: a ruling and its counts are one step.
                ruling, before = self._rule(verdict, bytes(artefact))
            finally:
                self.state = before
            return ruling

    def _rule(self, verdict: Verdict, artefact: bytes) -> tuple[Ruling, State]:
        if verdict.undecided:
            self.undecided += 1
            again = self.undecided <= self._budget.undecided
            return Unclear(verdict, again=again), State.RETRY if again else State.UNDECIDED
        self.attempts += 1
        if verdict.passed:
            with _PASSED.open():
                passed = Passed(verdict, attempt=self.attempts, origins=self._stormbreaker.checks.origins())
            return passed, State.CERTIFIED
        self.candidate = UnverifiedOutput(digest=verdict.artefact, unverified=artefact)
        stalled = self._stalled(verdict)
        remaining = self._budget.attempts - self.attempts
        if stalled or remaining <= 0:
            return Exhausted(verdict, attempt=self.attempts, stalled=stalled), State.REFUSED
        feedback = feedback_of(verdict, hidden=self._hidden) if self._feedback else ()
        return SentBack(verdict, attempt=self.attempts, remaining=remaining, feedback=feedback), State.RETRY

    def _stalled(self, verdict: Verdict) -> bool:
        """Whether this artefact, or exactly what is wrong with it, was seen in an earlier attempt of the run."""
        failures = canonical.digest("hephaestus/failures/1", _failing(verdict))
        seen = verdict.artefact in self._artefacts or failures in self._failures
        self._artefacts.add(verdict.artefact)
        self._failures.add(failures)
        return seen


def feedback_of(verdict: Verdict, *, hidden: frozenset[str] = frozenset()) -> tuple[Feedback, ...]:
    """What an agent is told about a failed attempt: bounded in number and size, the first detail of each check first.

    Args:
        verdict: Of the attempt.
        hidden: Ids of checks whose expectations are kept from the agent.
    """
    rounds = itertools.zip_longest(*(_told(finding, hidden) for finding in _failing(verdict)))
    ordered = (told for turn in rounds for told in turn if told is not None)
    return tuple(itertools.islice(ordered, MAX_FEEDBACK))


def _told(finding: Finding, hidden: frozenset[str]) -> Iterator[Feedback]:
    for detail in finding.details:
        yield Feedback(
            check=finding.check,
            expected="" if finding.check in hidden else _cut(detail.expected),
            found=_cut(detail.found),
            where=_cut(detail.where),
        )


def _failing(verdict: Verdict) -> list[Finding]:
    # An ERROR beside a FAIL is no news for the agent: it is not about its output.
    return [finding for finding in verdict.findings if finding.result is Result.FAIL]


def _cut(text: str) -> str:
    data = text.encode("utf-8")
    if len(data) <= MAX_FEEDBACK_BYTES:
        return text
    return data[: MAX_FEEDBACK_BYTES - 3].decode("utf-8", "ignore") + "…"
