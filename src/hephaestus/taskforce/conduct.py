"""The host's side of one run: answers what the orchestrator asks until the gate or a budget ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from hephaestus import canonical
from hephaestus.errors import ChildError, IsolationUnavailable, ProtocolError
from hephaestus.runtime.launch import LaunchSpec
from hephaestus.runtime.model import Completion, ModelClient, ModelError, Prompt
from hephaestus.stormbreaker import Exhausted, Interrupted, Passed, SentBack, Unclear, Undecided
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
    Start,
    Submit,
    ToolCall,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hephaestus.runtime.child import Child
    from hephaestus.runtime.workspace import Workspace
    from hephaestus.stormbreaker import Gate
    from hephaestus.taskforce.plan import Member, Plan
    from hephaestus.taskforce.record import Record
    from hephaestus_runner.protocol import Cause

ORCHESTRATOR = "orchestrator"
_ORCHESTRATOR_LIMITS = Limits(cpu_s=60, memory_bytes=512 << 20, disk_bytes=8 << 20, processes=4)
_AGENT_CAUSES: frozenset[Cause] = frozenset({"agent_code", "model", "tool", "output"})
Ending = Undecided | Interrupted | Passed | Exhausted


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a run, for a person to watch. Never holds text of an answer."""

    step: str  # "launched", "calling", "answered", "failed", "judging", "sent back", "passed", "refused", ...
    instance: str = ""
    detail: str = ""  # names and counts that the host made itself


class Conduct:
    """One run under way. :meth:`run` is called once."""

    def __init__(
        self,
        plan: Plan,
        *,
        gate: Gate,
        record: Record,
        place: Workspace,
        model: ModelClient | None,
        work: dict[str, Any],
        emit: Callable[[Progress], None],
        agents_at_once: int,
    ) -> None:
        self._plan = plan
        self._gate = gate
        self._record = record
        self._place = place
        self._model = model
        self._work = work
        self._emit = emit
        self._slots = anyio.CapacityLimiter(agents_at_once)
        self._instances: dict[str, int] = {}
        self._model_calls: dict[str, int] = {}
        self._failed: Failure | None = None  # the last failure that an agent's call was answered with
        self.attempts = 0
        self.artefact: bytes | None = None  # the last submission, byte for byte
        self.entries: list[int] = []  # journal entries that show why the run ended as it did

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
            data = {**self._work, "model": self._may_use_model(lead)}
        else:
            policy = Policy(level=lead.policy.level, limits=self._orchestrator_limits())
            spec = LaunchSpec(role="orchestrator", policy=policy, hash_seed=self._plan.lock.seed)
            data = {**self._work, "plan": {"agent": lead.release.name, "deadline_ms": lead.policy.limits.wall_ms}}
        try:
            async with self._place.launch(spec) as child:
                await self._begin(child, ORCHESTRATOR, spec.policy, data)
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
            await reply(await self._call(message))

        async def tool(message: ToolCall) -> None:
            await reply(await self._tool(ORCHESTRATOR, self._plan.lead, message))

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
        return self._orchestration(f"the orchestrator ended without a word ({child.exit})" + _printed(child))

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

    # --- agents --------------------------------------------------------------------------------------------------

    async def _call(self, message: Call) -> Result | Failure:
        member = self._plan.members.get(message.agent)
        if member is None:
            known = ", ".join(sorted(self._plan.members)) or "none"
            self._failed = Failure(
                message.id, "orchestration", f"no agent {message.agent!r} in this task force (it has: {known})"
            )
            return self._failed
        number = self._instances[message.agent] = self._instances.get(message.agent, 0) + 1
        instance = f"{message.agent}#{number}"
        self._emit(Progress(step="calling", instance=instance))
        async with self._slots:
            answer = await self._agent(instance, member, message)
        failed = isinstance(answer, Failure)
        entry = await self._record.exchange(
            instance,
            "call",
            request=message.input,
            answer=answer.message.encode() if isinstance(answer, Failure) else _bytes(answer.value),
            cause=answer.cause if isinstance(answer, Failure) else None,
        )
        if isinstance(answer, Failure):
            self._failed = answer
            self.entries.append(entry.seq)
        self._emit(Progress(step="failed" if failed else "answered", instance=instance))
        return answer

    async def _agent(self, instance: str, member: Member, call: Call) -> Result | Failure:
        limits = msgspec.structs.replace(
            member.policy.limits, wall_ms=max(1, min(member.policy.limits.wall_ms, call.deadline))
        )
        policy = msgspec.structs.replace(member.policy, limits=limits)
        spec = LaunchSpec(
            role="agent",
            policy=policy,
            package=member.package,
            shard=member.shard,
            entry=member.manifest.run.entry,
            hash_seed=self._plan.lock.seed,
        )
        try:
            data = canonical.parse_json(call.input)
            if not isinstance(data, dict):
                return Failure(call.id, "orchestration", "an agent's input is a JSON object")
            data["model"] = self._may_use_model(member)
            async with self._place.launch(spec) as child:
                await self._begin(child, instance, policy, data, member=member)
                return await self._attend(child, instance, member, call)
        except TimeoutError:
            return Failure(call.id, "budget", f"{instance} took longer than {limits.wall_ms} ms")
        except ValueError as error:
            return Failure(call.id, "orchestration", f"the input of {instance} is not JSON: {error}")
        except IsolationUnavailable as error:
            return Failure(call.id, "isolation", str(error))
        except (ChildError, ProtocolError) as error:
            return Failure(call.id, "agent_code", f"{instance}: {error}", error.hint or "")

    async def _attend(self, child: Child, instance: str, member: Member, call: Call) -> Result | Failure:
        model_failed = False
        while (message := await child.receive()) is not None:
            match message:
                case Result(id=0, value=value):
                    data = value if isinstance(value, bytes) else await child.fetch(value)
                    return Result(call.id, data)
                case Failure(id=0):
                    # A child's word on the cause counts only where the host saw it happen.
                    cause = message.cause if message.cause in _AGENT_CAUSES else "agent_code"
                    if cause == "model" and not model_failed:
                        cause = "agent_code"
                    return Failure(call.id, cause, f"{instance}: {message.message}", message.trace)
                case ToolCall():
                    answer = await self._tool(instance, member, message)
                    model_failed = model_failed or (isinstance(answer, Failure) and answer.cause == "model")
                    await child.send(answer)
                case Event(kind=kind, data=data):
                    self._record.event(instance, kind, data)
                    self._emit(Progress(step=_label(kind), instance=instance))
                case Log() | Bye():
                    pass
                case other:
                    raise ProtocolError(f"an agent does not send {type(other).__name__}")
        return Failure(call.id, "agent_code", f"{instance} ended without an answer ({child.exit})" + _printed(child))

    async def _begin(
        self, child: Child, instance: str, policy: Policy, data: dict[str, Any], *, member: Member | None = None
    ) -> None:
        release = (member or self._plan.lead).release.ref if member or self._plan.self_directed else "built-in"
        await self._record.start(instance, release=release, attested=child.attested)
        self._emit(Progress(step="launched", instance=instance, detail=child.attested.level))
        await child.send(
            Start(
                run=self._record.run,
                release=release,
                policy=policy,
                seed=self._plan.lock.seed,
                input=msgspec.json.encode(data),
                checks=self._plan.checks.notices(),
            )
        )

    # --- tools ---------------------------------------------------------------------------------------------------

    def _may_use_model(self, member: Member) -> bool:
        return self._model is not None and "default" in member.policy.models and member.policy.limits.model_calls > 0

    async def _tool(self, instance: str, member: Member, call: ToolCall) -> Result | Failure:
        answer = await self._use(instance, member, call)
        await self._record.exchange(
            instance,
            f"tool {call.name[:64]}",
            request=call.arguments,
            answer=answer.message.encode() if isinstance(answer, Failure) else _bytes(answer.value),
            cause=answer.cause if isinstance(answer, Failure) else None,
        )
        return answer

    async def _use(self, instance: str, member: Member, call: ToolCall) -> Result | Failure:
        if call.name != "model":
            return Failure(call.id, "tool", f"there is no tool {call.name[:64]!r}")
        if self._model is None or not self._may_use_model(member):
            return Failure(call.id, "tool", "this package has no permission to call a model, or none is configured")
        used = self._model_calls[instance] = self._model_calls.get(instance, 0) + 1
        if used > member.policy.limits.model_calls:
            return Failure(call.id, "budget", f"more than the {member.policy.limits.model_calls} model calls allowed")
        try:
            prompt = msgspec.json.decode(call.arguments, type=Prompt)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Failure(call.id, "tool", f"not a prompt: {error}")
        try:
            completion: Completion = await self._model.complete(prompt)
        except ModelError as error:
            return Failure(call.id, "model", str(error))
        return Result(call.id, msgspec.json.encode(completion))

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
                    self.entries = [entry.seq]
                    self._emit(Progress(step="passed", detail=f"attempt {number}"))
                    return ruling
                case SentBack(remaining=remaining, feedback=feedback):
                    self.attempts = number
                    self._emit(Progress(step="sent back", detail=f"attempt {number}: {_failing(ruling)}"))
                    return Findings(message.id, number, remaining, feedback)
                case Exhausted():
                    self.attempts = number
                    self.entries = [entry.seq]
                    self._emit(Progress(step="refused", detail=f"attempt {number}: {_failing(ruling)}"))
                    return ruling
                case Unclear(again=True):
                    self._emit(Progress(step="undecided", detail="the checks are carried out again"))
                case Unclear():
                    self.entries = [entry.seq]
                    checks = [
                        f"{f.check}: {f.message or f.result.value}" for f in ruling.verdict.findings if not f.passed
                    ]
                    return Undecided(cause="check", message="; ".join(checks))

    # --- endings -------------------------------------------------------------------------------------------------

    def _gave_up(self, failure: Failure) -> Undecided:
        """The orchestrator reports a failure; it is believed where it repeats what the host told it."""
        told = self._failed
        if told is not None and (told.cause == failure.cause or not self._plan.self_directed):
            return Undecided(cause=told.cause, message=told.message)
        cause: Cause = "agent_code" if self._plan.self_directed else "orchestration"
        return Undecided(cause=cause, message=f"the orchestrator failed: {failure.message}")

    def _orchestration(self, message: str) -> Undecided:
        return Undecided(cause="orchestration", message=message)

    def _orchestrator_limits(self) -> Limits:
        return msgspec.structs.replace(_ORCHESTRATOR_LIMITS, wall_ms=self._plan.wall_ms)


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes), "files were fetched where they arrived"
    return value


def _label(kind: str) -> str:
    """An event's kind as a step name: letters only, so that an answer cannot travel in it."""
    return kind if kind.isascii() and kind.isalpha() and len(kind) <= 16 else "step"


def _failing(ruling: SentBack | Exhausted) -> str:
    return ", ".join(f.check for f in ruling.verdict.findings if not f.passed)


def _printed(child: Child) -> str:
    """The end of what a child printed: often the only thing that says why it died."""
    lines = [line for log in child.logs for line in log.text.splitlines() if line.strip()]
    return f"; it last printed: {lines[-1][:300]}" if lines else ""
