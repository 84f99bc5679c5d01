"""Agents at work for one run: each call is a fresh confined child, attended until it has answered."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec

from hephaestus import canonical
from hephaestus.errors import ChildError, IsolationUnavailable, ProtocolError
from hephaestus.runtime.launch import LaunchSpec
from hephaestus.taskforce.progress import Progress
from hephaestus_runner.protocol import Bye, Call, Event, Failure, Log, Policy, Result, Start, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from hephaestus.runtime.child import Child
    from hephaestus.runtime.workspace import Workspace
    from hephaestus.taskforce.plan import Member, Plan
    from hephaestus.taskforce.record import Record
    from hephaestus.taskforce.tools import Tools
    from hephaestus_runner.protocol import Cause

MAX_CALLS = 256
"""Calls of one run, and so agents that it may start."""

MAX_WAITING = 32
"""Calls that may wait for their answer at the same time; each holds its input in the host's memory."""

MAX_TEXT = 4_000
"""Characters of a message that a child wrote, where it goes on to a person."""


class Told:
    """The failures that a child was told of: what it reports itself is believed only where it repeats one of them."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []

    def add(self, answer: Result | Failure) -> None:
        """Keep the answer if it is a failure; a success puts an end to what failed before it."""
        self._failures = [*self._failures[-63:], answer] if isinstance(answer, Failure) else []

    def find(self, reported: Failure) -> Failure | None:
        """The failure that ``reported`` repeats, or None."""
        for told in reversed(self._failures):
            if told.cause == reported.cause and told.message[:200] in reported.message:
                return told
        return None


class Agents:
    """The agents of one run.

    Attributes:
        entries: Journal entry of each call that failed, by the failure's message.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        record: Record,
        place: Workspace,
        tools: Tools,
        emit: Callable[[Progress], None],
        at_once: int,
    ) -> None:
        self._plan = plan
        self._record = record
        self._place = place
        self._tools = tools
        self._emit = emit
        self._slots = anyio.CapacityLimiter(at_once)
        self._instances: dict[str, int] = {}
        self._calls = 0
        self._waiting = 0
        self.entries: dict[str, int] = {}

    async def call(self, message: Call) -> Result | Failure:
        """Start the agent that a call names and wait for its answer, which may be that it failed."""
        self._calls += 1
        if self._calls > MAX_CALLS or self._waiting >= MAX_WAITING or self._record.full:
            # Not journaled: the flood that this ends would only go on there.
            return Failure(message.id, "budget", f"a run makes at most {MAX_CALLS} calls, {MAX_WAITING} at a time")
        member = self._plan.members.get(message.agent)
        name = "unknown" if member is None else message.agent
        number = self._instances[name] = self._instances.get(name, 0) + 1
        instance = f"{name}#{number}"
        self._emit(Progress(step="calling", instance=instance))
        answer: Result | Failure
        if member is None:
            known = ", ".join(sorted(self._plan.members)) or "none"
            text = f"no agent {message.agent[:80]!r} in this task force (it has: {known})"
            answer = Failure(message.id, "orchestration", text)
        else:
            self._waiting += 1
            try:
                async with self._slots:
                    answer = await self._agent(instance, member, message)
            finally:
                self._waiting -= 1
        entry = await self._record.exchange(instance, "call", request=message.input, answer=answer)
        if isinstance(answer, Failure):
            self.entries[answer.message] = entry.seq
        self._emit(Progress(step="failed" if isinstance(answer, Failure) else "answered", instance=instance))
        return answer

    async def _agent(self, instance: str, member: Member, call: Call) -> Result | Failure:
        wall_ms = max(1, min(member.policy.limits.wall_ms, call.deadline))
        policy = msgspec.structs.replace(
            member.policy, limits=msgspec.structs.replace(member.policy.limits, wall_ms=wall_ms)
        )
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
        except ValueError as error:
            return Failure(call.id, "orchestration", f"the input of {instance} is not JSON: {error}")
        if not isinstance(data, dict):
            return Failure(call.id, "orchestration", "an agent's input is a JSON object")
        data["model"] = self._tools.model_for(member)
        try:
            async with self._place.launch(spec) as child:
                try:
                    await self.begin(child, instance, policy, data, release=member.release.ref)
                    return await self._attend(child, instance, member, call)
                finally:
                    self._record.printed(instance, child.logs)
        except TimeoutError:
            return Failure(call.id, "budget", f"{instance} took longer than {wall_ms} ms")
        except IsolationUnavailable as error:
            return Failure(call.id, "isolation", str(error))
        except (ChildError, ProtocolError) as error:
            return Failure(call.id, "agent_code", f"{instance}: {error}", error.hint or "")

    async def _attend(self, child: Child, instance: str, member: Member, call: Call) -> Result | Failure:
        told = Told()
        while (message := await child.receive()) is not None:
            match message:
                case Result(id=0, value=value):
                    data = value if isinstance(value, bytes) else await child.fetch(value)
                    return await self._result(instance, call, data)
                case Failure(id=0):
                    return self._failure(instance, call, message, told)
                case ToolCall():
                    answer = await self._tools.use(instance, member, message)
                    told.add(answer)
                    await child.send(answer)
                case Event(kind=kind, data=data):
                    if self._record.event(instance, kind, data):
                        self._emit(Progress(step="working", instance=instance))
                case Log() | Bye():
                    pass
                case other:
                    raise ProtocolError(f"an agent does not send {type(other).__name__}")
        died = child.exit
        if died is not None and died.code == -signal.SIGKILL and died.why == "ended":
            # Nobody here killed it: what does so by itself is the kernel, when a limit is used up.
            limits = member.policy.limits
            text = f"{instance} used up its {limits.cpu_s} s of CPU time or the machine's memory ({died})"
            return Failure(call.id, "budget", text)
        return Failure(call.id, "agent_code", f"{instance} ended without an answer ({died})" + printed(child))

    async def _result(self, instance: str, call: Call, data: bytes) -> Result | Failure:
        """A child's value is JSON only once the host has read it as such."""
        try:
            await anyio.to_thread.run_sync(canonical.parse_json, data)
        except ValueError as error:
            return Failure(call.id, "output", f"{instance} answered with what is no JSON: {str(error)[:MAX_TEXT]}")
        return Result(call.id, data)

    def _failure(self, instance: str, call: Call, reported: Failure, told: Told) -> Failure:
        """A child's word on the cause counts only where the host saw it happen."""
        found = told.find(reported)
        cause: Cause = "agent_code" if found is None else found.cause
        if reported.cause == "output":  # it blames nobody else
            cause = "output"
        return Failure(call.id, cause, f"{instance}: {reported.message[:MAX_TEXT]}", reported.trace[: 4 * MAX_TEXT])

    async def begin(self, child: Child, instance: str, policy: Policy, data: dict[str, Any], *, release: str) -> None:
        """Write down what the host attests of a child, and give it its work."""
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


def printed(child: Child) -> str:
    """The end of what a child printed: often the only thing that says why it died."""
    lines = [line for log in child.logs for line in log.text.splitlines() if line.strip()]
    return f"; it last printed: {lines[-1][:300]}" if lines else ""
