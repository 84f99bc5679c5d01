"""What a child may ask of the host while it works: today, a model. Permissions and budgets are kept here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hephaestus.runtime.model import Completion, ModelClient, ModelError, Prompt
from hephaestus_runner.protocol import Failure, Result

if TYPE_CHECKING:
    from hephaestus.taskforce.plan import Member
    from hephaestus.taskforce.record import Record
    from hephaestus_runner.protocol import ToolCall

MAX_CALLS = 1_000
"""Tool calls of one child. Each is an entry of the journal, refused ones too."""


class Tools:
    """The host tools of one run."""

    def __init__(self, *, record: Record, model: ModelClient | None) -> None:
        self._record = record
        self._model = model
        self._calls: dict[str, int] = {}
        self._model_calls: dict[str, int] = {}

    def model_for(self, member: Member) -> bool:
        """Whether a member has the permission, and there is a model."""
        return self._model is not None and "default" in member.policy.models and member.policy.limits.model_calls > 0

    async def use(self, instance: str, member: Member, call: ToolCall) -> Result | Failure:
        """Carry out what a child asks, within its permissions, and write both sides down."""
        number = self._calls[instance] = self._calls.get(instance, 0) + 1
        if number > MAX_CALLS or self._record.full:
            return Failure(call.id, "budget", f"{instance} asked more of the host than a run may")
        answer = await self._carry_out(instance, member, call)
        await self._record.exchange(
            instance,
            # The journal's bodies are for ever: a name that a child made up is not one of ours.
            "tool model" if call.name == "model" else "tool unknown",
            request=call.arguments if call.name == "model" else call.name[:1000].encode("utf-8", "replace"),
            answer=answer,
        )
        return answer

    async def _carry_out(self, instance: str, member: Member, call: ToolCall) -> Result | Failure:
        if call.name != "model":
            return Failure(call.id, "tool", f"there is no tool {call.name[:64]!r}")
        if self._model is None or not self.model_for(member):
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
            # The child hears what kind of trouble it is; the rest is for the host's own record.
            await self._record.failure(instance, "model", str(error))
            return Failure(call.id, "model", error.told)
        return Result(call.id, msgspec.json.encode(completion))
