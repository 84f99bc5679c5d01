"""The host's side of one run: answers what the orchestrator asks until the gate or a budget ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from hephaestus.errors import ChildError, ProtocolError
from hephaestus.runtime.launch import LaunchSpec
from hephaestus.stormbreaker import Exhausted, Interrupted, Passed, SentBack, Unclear, Undecided
from hephaestus.taskforce.agents import printed
from hephaestus.taskforce.progress import Progress
from hephaestus_runner.protocol import (
    Accepted,
    Ask,
    Bye,
    Call,
    Event,
    Failure,
    Findings,
    Limits,
    Log,
    Message,
    Policy,
    Result,
    Submit,
    ToolCall,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hephaestus.runtime.child import Child
    from hephaestus.runtime.workspace import Workspace
    from hephaestus.stormbreaker import Gate
    from hephaestus.taskforce.agents import Agents
    from hephaestus.taskforce.plan import Plan
    from hephaestus.taskforce.record import Record
    from hephaestus_runner.protocol import Cause

ORCHESTRATOR = "orchestrator"
_ORCHESTRATOR_LIMITS = Limits(cpu_s=60, memory_bytes=512 << 20, disk_bytes=8 << 20, processes=4)
Ending = Undecided | Interrupted | Passed | Exhausted


class Conduct:
    """One run under way. :meth:`run` is called once."""

    def __init__(
        self,
        plan: Plan,
        *,
        gate: Gate,
        agents: Agents,
        record: Record,
        place: Workspace,
        work: dict[str, Any],
        emit: Callable[[Progress], None],
    ) -> None:
        self._plan = plan
        self._gate = gate
        self._agents = agents
        self._record = record
        self._place = place
        self._work = work
        self._emit = emit
        self._shown_by: list[int] = []
        self.attempts = 0
        self.artefact: bytes | None = None  # the last submission, byte for byte

    @property
    def entries(self) -> tuple[int, ...]:
        """The journal entries that show why the run ended as it did."""
        return tuple(self._shown_by or self._agents.entries)

    async def run(self) -> Ending:
        """Start the orchestrator and serve it.

        Raises:
            IsolationUnavailable: If the level of the plan is not to be had. Nothing of a package ran.
        """
        ending: Ending | None = None
        with anyio.move_on_after(self._plan.wall_ms / 1000):
            ending = await self._direct()
        if ending is None:
            return Undecided(cause="budget", message=f"the run took longer than its {self._plan.wall_ms} ms")
        return ending

    async def _direct(self) -> Ending:
        lead = self._plan.lead
        if self._plan.self_directed:
            spec = LaunchSpec(
                role="orchestrator",
                policy=lead.policy,
                package=lead.package,
                shard=lead.shard,
                entry=lead.manifest.run.entry,
                hash_seed=self._plan.lock.seed,
            )
            data = {**self._work, "model": self._agents.may_use_model(lead)}
        else:
            policy = Policy(level=lead.policy.level, limits=self._orchestrator_limits())
            spec = LaunchSpec(role="orchestrator", policy=policy, hash_seed=self._plan.lock.seed)
            data = {**self._work, "plan": {"agent": lead.release.name, "deadline_ms": lead.policy.limits.wall_ms}}
        try:
            async with self._place.launch(spec) as child:
                await self._agents.begin(child, ORCHESTRATOR, spec.policy, data)
                async with anyio.create_task_group() as group:
                    ending = await self._serve(child, group)
                    group.cancel_scope.cancel()
                return ending
        except TimeoutError:
            return Undecided(cause="budget", message="the orchestrator used up its time")
        except (ChildError, ProtocolError) as error:
            return self._orchestration(str(error))

    async def _serve(self, child: Child, group: anyio.abc.TaskGroup) -> Ending:
        sending = anyio.Lock()

        async def reply(message: Message) -> None:
            async with sending:
                await child.send(message)

        async def call(message: Call) -> None:
            await reply(await self._agents.call(message))

        async def tool(message: ToolCall) -> None:
            await reply(await self._agents.use_tool(ORCHESTRATOR, self._plan.lead, message))

        while (message := await child.receive()) is not None:
            match message:
                case Call():
                    group.start_soon(call, message)
                case ToolCall():
                    group.start_soon(tool, message)
                case Submit():
                    answer = await self._submit(child, message)
                    if not isinstance(answer, Findings):
                        if isinstance(answer, Passed):
                            await reply(Accepted(id=message.id))
                        return answer
                    await reply(answer)
                case Event(kind=kind, data=data):
                    self._record.event(ORCHESTRATOR, kind, data)
                case Log() | Bye():
                    pass
                case other:
                    return self._last_word(other)
        return self._orchestration(f"the orchestrator ended without a word ({child.exit})" + printed(child))

    def _last_word(self, message: Message) -> Ending:
        """What the run comes to when the orchestrator says something that ends it."""
        match message:
            case Ask(question=question):
                return Interrupted(question=question)
            case Failure(id=0):
                return self._gave_up(message)
            case Result(id=0):
                return self._orchestration("the orchestrator ended without an accepted submission")
            case other:
                return self._orchestration(f"an orchestrator does not send {type(other).__name__}")

    # --- the gate ------------------------------------------------------------------------------------------------

    async def _submit(self, child: Child, message: Submit) -> Findings | Ending:
        artefact = message.artefact if isinstance(message.artefact, bytes) else await child.fetch(message.artefact)
        self.artefact = artefact
        number = self.attempts + 1
        await self._record.attempt(number, artefact)
        while True:
            self._emit(Progress(step="judging", detail=f"attempt {number}"))
            ruling = await self._gate.submit(artefact)
            entry = await self._record.verdict(number, ruling.verdict, type(ruling).__name__)
            match ruling:
                case Passed():
                    self.attempts = number
                    self._shown_by = [entry.seq]
                    self._emit(Progress(step="passed", detail=f"attempt {number}"))
                    return ruling
                case SentBack(remaining=remaining, feedback=feedback):
                    self.attempts = number
                    self._emit(Progress(step="sent back", detail=f"attempt {number}: {_failing(ruling)}"))
                    return Findings(message.id, number, remaining, feedback)
                case Exhausted():
                    self.attempts = number
                    self._shown_by = [entry.seq]
                    self._emit(Progress(step="refused", detail=f"attempt {number}: {_failing(ruling)}"))
                    return ruling
                case Unclear(again=True):
                    self._emit(Progress(step="undecided", detail="the checks are carried out again"))
                case Unclear():
                    self._shown_by = [entry.seq]
                    checks = [
                        f"{f.check}: {f.message or f.result.value}" for f in ruling.verdict.findings if not f.passed
                    ]
                    return Undecided(cause="check", message="; ".join(checks))

    # --- endings -------------------------------------------------------------------------------------------------

    def _gave_up(self, failure: Failure) -> Undecided:
        """The orchestrator reports a failure; it is believed where it repeats what the host told it."""
        told = self._agents.failed
        if told is not None and (told.cause == failure.cause or not self._plan.self_directed):
            return Undecided(cause=told.cause, message=told.message)
        cause: Cause = "agent_code" if self._plan.self_directed else "orchestration"
        return Undecided(cause=cause, message=f"the orchestrator failed: {failure.message}")

    def _orchestration(self, message: str) -> Undecided:
        return Undecided(cause="orchestration", message=message)

    def _orchestrator_limits(self) -> Limits:
        return msgspec.structs.replace(_ORCHESTRATOR_LIMITS, wall_ms=self._plan.wall_ms)


def _failing(ruling: SentBack | Exhausted) -> str:
    return ", ".join(f.check for f in ruling.verdict.findings if not f.passed)
