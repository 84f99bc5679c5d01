"""Agents at work for one run: each call is a fresh confined child, and what it asks of the host is answered here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from hephaestus import canonical
from hephaestus.errors import ChildError, IsolationUnavailable, ProtocolError
from hephaestus.runtime.launch import LaunchSpec
from hephaestus.runtime.model import Completion, ModelClient, ModelError, Prompt
from hephaestus.taskforce.progress import Progress
from hephaestus_runner.protocol import Bye, Call, Event, Failure, Log, Policy, Result, Start, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from hephaestus.runtime.child import Child
    from hephaestus.runtime.workspace import Workspace
    from hephaestus.taskforce.plan import Member, Plan
    from hephaestus.taskforce.record import Record
    from hephaestus_runner.protocol import Cause

_CAUSES: frozenset[Cause] = frozenset({"agent_code", "model", "tool", "output"})
"""What an agent may say itself about the cause of its failure."""


class Agents:
    """The agents of one run.

    Attributes:
        failed: The last failure that a call was answered with.
        entries: Journal entries of the calls that failed.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        record: Record,
        place: Workspace,
        model: ModelClient | None,
        emit: Callable[[Progress], None],
        at_once: int,
    ) -> None:
        self._plan = plan
        self._record = record
        self._place = place
        self._model = model
        self._emit = emit
        self._slots = anyio.CapacityLimiter(at_once)
        self._instances: dict[str, int] = {}
        self._model_calls: dict[str, int] = {}
        self.failed: Failure | None = None
        self.entries: list[int] = []

    async def call(self, message: Call) -> Result | Failure:
        """Start the agent that a call names and wait for its answer, which may be that it failed."""
        member = self._plan.members.get(message.agent)
        if member is None:
            known = ", ".join(sorted(self._plan.members)) or "none"
            self.failed = Failure(
                message.id, "orchestration", f"no agent {message.agent!r} in this task force (it has: {known})"
            )
            return self.failed
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
            self.failed = answer
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
            data["model"] = self.may_use_model(member)
            async with self._place.launch(spec) as child:
                await self.begin(child, instance, policy, data, member=member)
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
                    cause = message.cause if message.cause in _CAUSES else "agent_code"
                    if cause == "model" and not model_failed:
                        cause = "agent_code"
                    return Failure(call.id, cause, f"{instance}: {message.message}", message.trace)
                case ToolCall():
                    answer = await self.use_tool(instance, member, message)
                    model_failed = model_failed or (isinstance(answer, Failure) and answer.cause == "model")
                    await child.send(answer)
                case Event(kind=kind, data=data):
                    self._record.event(instance, kind, data)
                    self._emit(Progress(step=_label(kind), instance=instance))
                case Log() | Bye():
                    pass
                case other:
                    raise ProtocolError(f"an agent does not send {type(other).__name__}")
        return Failure(call.id, "agent_code", f"{instance} ended without an answer ({child.exit})" + printed(child))

    async def begin(
        self, child: Child, instance: str, policy: Policy, data: dict[str, Any], *, member: Member | None = None
    ) -> None:
        """Write down what the host attests of a child, and give it its work."""
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

    def may_use_model(self, member: Member) -> bool:
        """Whether a member has the permission, and there is a model."""
        return self._model is not None and "default" in member.policy.models and member.policy.limits.model_calls > 0

    async def use_tool(self, instance: str, member: Member, call: ToolCall) -> Result | Failure:
        """Carry out what a child asks of the host, within its permissions, and write both sides down."""
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
        if self._model is None or not self.may_use_model(member):
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


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes), "files were fetched where they arrived"
    return value


def _label(kind: str) -> str:
    """An event's kind as a step name: letters only, so that an answer cannot travel in it."""
    return kind if kind.isascii() and kind.isalpha() and len(kind) <= 16 else "step"


def printed(child: Child) -> str:
    """The end of what a child printed: often the only thing that says why it died."""
    lines = [line for log in child.logs for line in log.text.splitlines() if line.strip()]
    return f"; it last printed: {lines[-1][:300]}" if lines else ""
