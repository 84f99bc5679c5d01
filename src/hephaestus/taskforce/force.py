"""The task force: the agents of one decision, assembled, run through the gate, and thrown away."""

from __future__ import annotations

import json
import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.to_thread
import msgspec

from hephaestus import canonical
from hephaestus.errors import (
    ChecksRefused,
    HephaestusError,
    IsolationUnavailable,
    NotFound,
    SignerError,
    UsageError,
)
from hephaestus.routing import Routed
from hephaestus.runtime.model import ModelClient
from hephaestus.runtime.workspace import workspace
from hephaestus.stormbreaker import (
    Budget,
    Exhausted,
    Finding,
    Gate,
    Interrupted,
    Isolation,
    Override,
    Passed,
    Refused,
    Result,
    RunFacts,
    Stormbreaker,
    Undecided,
    schema_problems,
    seal_certificate,
    verified,
)
from hephaestus.taskforce.agents import Agents
from hephaestus.taskforce.checks import PackageExecutor
from hephaestus.taskforce.conduct import Conduct, Ending
from hephaestus.taskforce.disposal import Disposal, dispose
from hephaestus.taskforce.plan import Plan, make_plan
from hephaestus.taskforce.progress import Progress
from hephaestus.taskforce.record import Record
from hephaestus.taskforce.tools import Tools
from hephaestus_runner.protocol import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from hephaestus.assets import CheckSpec
    from hephaestus.receipts import Entry
    from hephaestus.routing import Decision
    from hephaestus.runtime import Runtime
    from hephaestus.runtime.attest import Attestation
    from hephaestus.runtime.workspace import Workspace
    from hephaestus.stormbreaker import Outcome
    from hephaestus_runner.protocol import Level


MAX_CONTEXT = 1 << 20


class TaskForce:
    """Carries one decision out. An asynchronous context manager; :meth:`run` is called once inside it.

    Args:
        runtime: What it borrows from.
        decision: Of a router of the same runtime. One that is not ``Routed`` ends as ``Undecided`` with the cause
            ``routing``.
        checks: Checks of the caller, added to those of card and package.
        context: JSON-able values that the agent gets besides the request; at most 1 MiB.
        level: The isolation level that every child must have; by default the runtime's.
        feedback: Whether the agent is told what its checks found. Without it, it can only guess.
        keep_candidate: Whether a refusal carries the rejected artefact.
        on_event: Called with each :class:`Progress`, in the order of events; it must not block.

    Raises:
        UsageError: On creation, if ``context`` has no JSON form or is too large.
    """

    def __init__(
        self,
        runtime: Runtime,
        decision: Decision,
        *,
        checks: Iterable[CheckSpec] = (),
        context: dict[str, Any] | None = None,
        level: Level | None = None,
        feedback: bool = True,
        keep_candidate: bool = False,
        on_event: Callable[[Progress], None] | None = None,
    ) -> None:
        self._runtime = runtime
        self._decision = decision
        self._checks = tuple(checks)
        self._context = _checked_context(context or {})
        self._level: Level = level or runtime.config.level
        self._feedback = feedback
        self._keep_candidate = keep_candidate
        self._emit = on_event or _ignore
        self._record = Record(runtime.journal, f"run-{secrets.token_hex(8)}")
        self._stack = AsyncExitStack()
        self._place: Workspace | None = None
        self._started = False
        self._ended = False
        self._decided: tuple[int, ...] = ()  # the entry of the decision
        self.disposal: Disposal | None = None
        """What was left of the task force; set when :meth:`run` has returned."""
        self.attempts: int = 0
        """Attempts that were judged."""

    @property
    def run_id(self) -> str:
        """The run's name in the journal."""
        return self._record.run

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        self._place = await self._stack.enter_async_context(workspace(self._runtime.runs, self.run_id))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._started and not self._ended:
                # Cancelled or broken off: the children are gone already; say so before the error travels on.
                with anyio.CancelScope(shield=True):
                    await self._cut_short(error)
        finally:
            await self._stack.__aexit__(kind, error, trace)

    async def _cut_short(self, error: BaseException | None) -> None:
        broken = isinstance(error, Exception)
        cut = Undecided(
            cause="orchestration" if broken else "caller",
            message=f"the host failed: {error}" if broken else "the run was broken off",
        )
        try:
            if self.disposal is None:
                await self._dispose()
            await self._end(cut, entries=self._decided, artefact=None)
        except HephaestusError:
            # The first error is the one to tell; often it is the journal itself that cannot be written.
            if error is None:
                raise

    async def run(self) -> Outcome:
        """Carry the decision out.

        Returns:
            ``Verified`` with the value and its certificate, ``Refused``, ``Undecided`` or ``Interrupted``. The ending
            and the disposal are durable in the journal when this returns.

        Raises:
            UsageError: If called twice, or outside ``async with``.
            StorageError: If the journal cannot be written.
        """
        if self._place is None or self._started:
            raise UsageError("run() is called once, inside `async with TaskForce(...)`")
        self._started = True
        self._decided = ((await self._record.decision(self._decision)).seq,)
        try:
            outcome, entries, artefact = await self._carry_out(self._place)
        except (ChecksRefused, IsolationUnavailable, NotFound, InputRefused) as error:
            outcome, entries, artefact = _before_the_start(error), self._decided, None
        if self.disposal is None:
            await self._dispose()
        entries = entries or self._decided
        if not hasattr(outcome, "certificate"):
            outcome = msgspec.structs.replace(outcome, entries=entries)
        await self._end(outcome, entries=entries, artefact=artefact)
        return outcome

    async def _carry_out(self, place: Workspace) -> tuple[Outcome, tuple[int, ...], bytes | None]:
        decision = self._decision
        if not isinstance(decision, Routed):
            return Undecided(cause="routing", message=_unrouted(decision)), (), None
        context = msgspec.json.encode(self._context)
        plan = await make_plan(
            self._runtime,
            decision,
            level=self._level,
            context=context,
            checks=self._checks,
            feedback=self._feedback,
        )
        await _check_input(plan, decision.request, self._runtime)
        locked = await self._record.lock(plan.lock)
        stormbreaker = Stormbreaker(
            plan.checks, passages=plan.passages, executor=PackageExecutor(place, plan.lead, self._level)
        )
        gate = Gate(
            stormbreaker, Budget(attempts=plan.lead.manifest.permissions.limits.attempts), feedback=self._feedback
        )
        async with AsyncExitStack() as stack:
            model = None
            if self._runtime.config.model is not None and plan.lock.model is not None:
                try:
                    model = await stack.enter_async_context(ModelClient(self._runtime.config.model))
                except UsageError as error:
                    return Undecided(cause="model", message=str(error)), (locked.seq,), None
            tools = Tools(record=self._record, model=model)
            agents = Agents(
                plan,
                record=self._record,
                place=place,
                tools=tools,
                emit=self._emit,
                at_once=self._runtime.config.agents_at_once,
            )
            conduct = Conduct(
                plan,
                gate=gate,
                agents=agents,
                tools=tools,
                record=self._record,
                place=place,
                work={"request": decision.request, "context": self._context},
                emit=self._emit,
            )
            ending = await conduct.run()
        self.attempts = conduct.attempts
        entries = conduct.entries or (locked.seq,)
        outcome = await self._outcome(ending, plan, conduct, gate)
        return outcome, entries, conduct.artefact

    async def _outcome(self, ending: Ending, plan: Plan, conduct: Conduct, gate: Gate) -> Outcome:
        match ending:
            case Passed():
                # Disposal comes first, so that the certificate points at its record and what is left was seen before.
                receipt = await self._dispose()
                assert conduct.artefact is not None
                assert self._place is not None
                facts = RunFacts(
                    run=self.run_id,
                    lock=plan.lock.digest,
                    knowledge=None if plan.passages is None else plan.passages.digest,
                    isolation=_weakest(self._place.attested),
                    overrides=_overrides(plan, self._level),
                    receipt=receipt.link,
                    replayable=False,  # this version keeps no tape that a run could be carried out from again
                )
                signer = self._runtime.signer
                try:
                    certificate = await seal_certificate(ending, facts, signer=signer)
                except SignerError as error:
                    # Nothing is a success without its seal, and nothing was found out against it either.
                    return Undecided(
                        cause="check", message=f"every check passed, but nobody could seal it: {_told(error)}"
                    )
                await self._record.certificate(certificate)
                return verified(certificate, await signer.public_keys("certificate"), artefact=conduct.artefact)
            case Exhausted():
                candidate = gate.candidate if self._keep_candidate else None
                return Refused(findings=ending.verdict.findings, candidate=candidate)
            case Undecided() | Interrupted():
                return ending

    async def _dispose(self) -> Entry:
        assert self._place is not None
        self.disposal = await anyio.to_thread.run_sync(dispose, self._place.folder, self._place.disposals)
        entry = await self._record.disposal(self.disposal)
        self._emit(Progress(step="disposed", detail=f"{self.disposal.children} processes gone"))
        return entry

    async def _end(self, outcome: Outcome, *, entries: tuple[int, ...], artefact: bytes | None) -> None:
        digest = None if artefact is None else canonical.digest_bytes(artefact)
        await self._record.ending(outcome, attempts=self.attempts, entries=entries, artefact=digest)
        self._ended = True
        try:
            await self._runtime.journal.sign_head(self._runtime.signer)
        except SignerError:
            # The ending is durable; the next head covers it, and verifying says how many entries none covers.
            self._emit(Progress(step="head unsigned"))


class InputRefused(HephaestusError):
    """The request does not fit the input schema of the package."""


async def _check_input(plan: Plan, request: str, runtime: Runtime) -> None:
    path = plan.lead.manifest.contract.input
    if path is None:
        return
    schema, document = await runtime.hub.read(plan.lead.release, path), canonical.encode({"request": request})
    found = await anyio.to_thread.run_sync(lambda: schema_problems(schema, document, name=path))
    if found:
        raise InputRefused(f"the request does not fit {path} of {plan.lead.release.ref}: {found[0].expected}")


def _before_the_start(error: HephaestusError) -> Outcome:
    text = _told(error)
    match error:
        case ChecksRefused():
            said = Finding(check="checks", result=Result.ERROR, inspected=0, details=(), message=text)
            return Refused(findings=(said,), cause="check")
        case IsolationUnavailable():
            return Undecided(cause="isolation", message=text)
        case InputRefused():
            return Undecided(cause="caller", message=text)
        case _:
            return Undecided(cause="specification", message=text)


def _told(error: HephaestusError) -> str:
    return str(error) if error.hint is None else f"{error} ({error.hint})"


def _overrides(plan: Plan, level: Level) -> tuple[Override, ...]:
    found = []
    if (reason := plan.lead.release.override) is not None:
        found.append(Override(what="interview", reason=reason))
    if level != "isolated":
        found.append(Override(what="isolation", reason=f"the caller named the level {level}"))
    return tuple(found)


def _weakest(attested: Sequence[Attestation]) -> Isolation:
    """What held for every child of the run."""
    level = min((one.level for one in attested), key=LEVELS.index)
    features: dict[str, str] = {}
    for one in attested:
        for name, state in one.features.items():
            # "on" only where it was on in every one of them.
            if features.get(name, "on").startswith("on"):
                features[name] = state
    uid: Literal["own", "shared"] = "own" if all(one.uid == "own" for one in attested) else "shared"
    return Isolation(level=level, features=features, uid=uid)


def _unrouted(decision: Decision) -> str:
    if decision.kind == "ambiguous":
        names = ", ".join(candidate.agent for candidate in decision.candidates)
        return f"several cards claim the request: {names}"
    return "no card claims the request"


def _checked_context(context: dict[str, Any]) -> dict[str, Any]:
    try:
        data = json.dumps(context, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the context has no JSON form: {error}") from error
    if len(data) > MAX_CONTEXT:
        raise UsageError(f"the context has {len(data)} bytes; at most {MAX_CONTEXT} fit")
    return dict(json.loads(data))


def _ignore(progress: Progress) -> None:
    """No one is watching."""
