"""The host's side of one run: answers what the orchestrator asks until the gate or a budget ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from hephaestus.errors import ChildError, ProtocolError
from hephaestus.runtime.launch import LaunchSpec
from hephaestus.stormbreaker import Exhausted, Interrupted, Passed, SentBack, Unclear, Undecided
from hephaestus.taskforce.agents import MAX_TEXT, Told, printed
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
    from hephaestus.taskforce.tools import Tools
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
        tools: Tools,
        record: Record,
        place: Workspace,
        work: dict[str, Any],
        emit: Callable[[Progress], None],
    ) -> None:
        self._plan = plan
        self._gate = gate
        self._agents = agents
        self._tools = tools
        self._record = record
        self._place = place
        self._work = work
        self._emit = emit
        self._told = Told()
        self._sending = anyio.Lock()
        self.attempts: int = 0
        self.artefact: bytes | None = None  # the last submission, byte for byte
        self.entries: tuple[int, ...] = ()  # the journal entries that show why the run ended as it did

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
            data = {**self._work, "model": self._tools.model_for(lead)}
            release = lead.release.ref
        else:
            policy = Policy(level=lead.policy.level, limits=self._orchestrator_limits())
            spec = LaunchSpec(role="orchestrator", policy=policy, hash_seed=self._plan.lock.seed)
            data = {**self._work, "plan": {"agent": lead.release.name, "deadline_ms": lead.policy.limits.wall_ms}}
            release = "built-in"
        ending: Ending | None = None
        try:
            async with self._place.launch(spec) as child:
                await self._agents.begin(child, ORCHESTRATOR, spec.policy, data, release=release)
                async with anyio.create_task_group() as group:
                    # Inside the group, which would wrap what leaves it.
                    ending = await self._serve(child, group)
                    group.cancel_scope.cancel()
                self._record.printed(ORCHESTRATOR, child.logs)
        except (ChildError, ProtocolError) as error:
            # Once there is an ending, how the orchestrator took its leave changes nothing.
            return ending or await self._broken(error)
        assert ending is not None, "the block above sets it or raises"
        return ending

    async def _serve(self, child: Child, group: anyio.abc.TaskGroup) -> Ending:
        try:
            while (message := await child.receive()) is not None:
                match message:
                    case Call():
                        group.start_soon(self._call, child, message)
                    case ToolCall():
                        await self._tool(child, message)
                    case Submit():
                        answer = await self._submit(child, message)
                        if isinstance(answer, Passed):
                            # It passed; whether the orchestrator is still there to hear it does not matter.
                            await self._reply(child, Accepted(id=message.id))
                        if not isinstance(answer, Findings):
                            return answer
                        await self._reply(child, answer)
                    case Event(kind=kind, data=data):
                        self._record.event(ORCHESTRATOR, kind, data)
                    case Log() | Bye():
                        pass
                    case other:
                        return await self._last_word(other)
        except (ChildError, ProtocolError) as error:
            return await self._broken(error)
        return await self._orchestration(f"the orchestrator ended without a word ({child.exit})" + printed(child))

    async def _call(self, child: Child, message: Call) -> None:
        answer = await self._agents.call(message)
        self._told.add(answer)
        await self._reply(child, answer)

    async def _tool(self, child: Child, message: ToolCall) -> None:
        answer = await self._tools.use(ORCHESTRATOR, self._plan.lead, message)
        self._told.add(answer)
        await self._reply(child, answer)

    async def _reply(self, child: Child, message: Accepted | Failure | Findings | Result) -> None:
        async with self._sending:
            try:
                await child.send(message)
            except ProtocolError as error:
                if isinstance(message, Result):
                    failure = Failure(message.id, "output", f"the answer does not fit into a frame: {error}")
                    self._told.add(failure)
                    await child.send(failure)
            except ChildError:
                # That it is gone is for `receive` to say, with how it ended.
                return

    async def _last_word(self, message: Message) -> Ending:
        """What the run comes to when the orchestrator says something that ends it."""
        match message:
            case Ask(question=question):
                return Interrupted(question=question[:MAX_TEXT])
            case Failure(id=0):
                return await self._gave_up(message)
            case Result(id=0):
                return await self._orchestration("the orchestrator ended without an accepted submission")
            case other:
                return await self._orchestration(f"an orchestrator does not send {type(other).__name__}")

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
                    self.entries = (entry.seq,)
                    self._emit(Progress(step="passed", detail=f"attempt {number}"))
                    return ruling
                case SentBack(remaining=remaining, feedback=feedback):
                    self.attempts = number
                    self._emit(Progress(step="sent back", detail=f"attempt {number}: {_failing(ruling)}"))
                    return Findings(message.id, number, remaining, feedback)
                case Exhausted():
                    self.attempts = number
                    self.entries = (entry.seq,)
                    self._emit(Progress(step="refused", detail=f"attempt {number}: {_failing(ruling)}"))
                    return ruling
                case Unclear(again=True):
                    self._emit(Progress(step="undecided", detail="the checks are carried out again"))
                case Unclear():
                    self.entries = (entry.seq,)
                    checks = [
                        f"{f.check}: {f.message or f.result.value}" for f in ruling.verdict.findings if not f.passed
                    ]
                    return Undecided(cause="check", message="; ".join(checks))

    # --- endings -------------------------------------------------------------------------------------------------

    async def _gave_up(self, failure: Failure) -> Undecided:
        """The orchestrator reports a failure; it is believed where it repeats what the host told it."""
        told = self._told.find(failure)
        if told is not None:
            if (entry := self._agents.entries.get(told.message)) is not None:
                self.entries = (entry,)
            return Undecided(cause=told.cause, message=told.message)
        cause: Cause = "agent_code" if self._plan.self_directed else "orchestration"
        text = f"the orchestrator failed: {failure.message[:MAX_TEXT]}"
        self.entries = (await self._record.failure(ORCHESTRATOR, cause, text, trace=failure.trace[: 4 * MAX_TEXT]),)
        return Undecided(cause=cause, message=text)

    async def _broken(self, error: ChildError | ProtocolError) -> Undecided:
        if isinstance(error, TimeoutError):
            text = "the orchestrator used up its time"
            self.entries = (await self._record.failure(ORCHESTRATOR, "budget", text),)
            return Undecided(cause="budget", message=text)
        return await self._orchestration(str(error))

    async def _orchestration(self, message: str) -> Undecided:
        self.entries = (await self._record.failure(ORCHESTRATOR, "orchestration", message),)
        return Undecided(cause="orchestration", message=message)

    def _orchestrator_limits(self) -> Limits:
        return msgspec.structs.replace(_ORCHESTRATOR_LIMITS, wall_ms=self._plan.wall_ms)


def _failing(ruling: SentBack | Exhausted) -> str:
    return ", ".join(f.check for f in ruling.verdict.findings if not f.passed)
