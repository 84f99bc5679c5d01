"""What package code may use: the :class:`Task` that an entry function is handed. All of it is synchronous."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hephaestus_runner.protocol import (
    Accepted,
    Ask,
    Call,
    Cause,
    CheckNotice,
    Event,
    Failure,
    Feedback,
    File,
    Findings,
    Reply,
    Result,
    Start,
    Submit,
    ToolCall,
    WireError,
)
from hephaestus_runner.work import clean, pack, to_json

if TYPE_CHECKING:
    from hephaestus_runner.channel import Answer, Channel
    from hephaestus_runner.config import Places
    from hephaestus_runner.search import Hit, Shard

__all__ = [
    "Accepted", "AgentFailed", "CheckNotice", "Feedback", "Findings", "Knowledge", "Model", "ModelFailed",
    "NotGranted", "RequestFailed", "Task", "ToolFailed",
]  # fmt: skip

DEFAULT_DEADLINE_MS = 60_000


class RequestFailed(Exception):
    """The host could not do what was asked.

    Args:
        message: One sentence.
        cause: Which part is to blame; what an uncaught failure is reported as.
    """

    def __init__(self, message: str, *, cause: Cause) -> None:
        super().__init__(message)
        self.message = message
        self.cause: Cause = cause


class ModelFailed(RequestFailed):
    """The model could not be asked, or its answer could not be read."""


class ToolFailed(RequestFailed):
    """A tool of the host refused or failed."""


class AgentFailed(RequestFailed):
    """The agent that was called did not answer."""


class NotGranted(Exception):
    """The package asked for something that its manifest's permissions do not name."""


class Model:
    """The model that the host lets this agent ask."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def complete(self, messages: list[dict[str, str]], max_tokens: int = 1024) -> str:
        """Have the model continue a conversation.

        Args:
            messages: Each ``{"role": "system" | "user" | "assistant", "content": text}``.
            max_tokens: The most it may write.

        Returns:
            The text it wrote.

        Raises:
            ModelFailed: If it could not be asked or answered something else.
        """
        arguments = to_json({"messages": messages, "max_tokens": max_tokens})
        value = _value(self._channel.request(lambda number: ToolCall(number, "model", arguments)), ModelFailed)
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            raise ModelFailed("the model's answer holds no text", cause="model")
        return str(value["text"])


class Knowledge:
    """The package's own passages, read-only."""

    def __init__(self, path: str | None) -> None:
        self._path = path

    @cached_property
    def _shard(self) -> Shard:
        if self._path is None:
            raise NotGranted("this agent has no knowledge: its agent.toml names no [knowledge] folders")
        from hephaestus_runner.search import Shard

        return Shard.open(self._path)

    def search(self, query: str, limit: int = 10) -> list[Hit]:
        """Passages that hold the words of ``query``, best first.

        Args:
            query: Plain text; no query language.
            limit: The most to return.

        Raises:
            hephaestus_runner.search.QueryError: If the query holds no word to look for.
            NotGranted: If the package has no knowledge.
        """
        return self._shard.search(query, limit=limit)

    def get(self, id: str) -> Hit | None:  # noqa: A002 - the passage's own field name
        """One passage by its id, or None.

        Raises:
            NotGranted: If the package has no knowledge.
        """
        return self._shard.get(id)


class Task:
    """One piece of work, and what may be used to do it.

    Attributes:
        run: The run that this is part of.
        input: The decoded JSON input.
        checks: What the output must pass, announced before the first attempt.
        seed: For every random choice, so that a run can be repeated.
        knowledge: The package's passages.
        scratch: A private folder that is gone after the run.
    """

    def __init__(self, channel: Channel, start: Start, place: Places) -> None:
        self._channel = channel
        self._exchange = place.exchange
        self.run = start.run
        self.input: Any = json.loads(start.input)
        self.checks: tuple[CheckNotice, ...] = start.checks
        self.seed = start.seed
        self.knowledge = Knowledge(place.shard)
        self.scratch = Path(place.scratch)

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return int(self._field("attempt", 1))

    @property
    def feedback(self) -> tuple[Feedback, ...]:
        """What was found wrong with the attempt before; empty at the first."""
        return msgspec.convert(self._field("feedback", ()), tuple[Feedback, ...])

    @property
    def model(self) -> Model | None:
        """The model, or None if this run has none."""
        return Model(self._channel) if self._field("model", False) else None

    def tool(self, name: str, arguments: object) -> Any:
        """Use a tool of the host.

        Args:
            name: As the package's permissions name it.
            arguments: Anything with a JSON form.

        Raises:
            ToolFailed: If it refused or failed.
        """
        raw = to_json(arguments)
        return _value(self._channel.request(lambda number: ToolCall(number, name, raw)), ToolFailed)

    def progress(self, text: str) -> None:
        """Tell whoever watches the run what is being done."""
        self._channel.send(Event("progress", to_json({"text": clean(text)})))

    def call(self, agent: str, input: object, *, deadline_ms: int = DEFAULT_DEADLINE_MS) -> Any:  # noqa: A002
        """For orchestrators: have another agent do something.

        Args:
            agent: Its name.
            input: Anything with a JSON form.
            deadline_ms: How long it may take.

        Raises:
            AgentFailed: If it did not answer.
        """
        raw = to_json(input)
        return _value(self._channel.request(lambda number: Call(number, agent, raw, deadline_ms)), AgentFailed)

    def submit(self, value: object) -> Accepted | Findings:
        """For orchestrators: this is the task's output.

        Returns:
            ``Accepted``, after which nothing is left to do, or ``Findings`` with what is wrong with it.

        Raises:
            RequestFailed: If it could not be judged.
        """
        artefact = pack(to_json(value), self._exchange)
        answer = self._channel.request(lambda number: Submit(number, artefact))
        if isinstance(answer, Accepted | Findings):
            return answer
        raise _failed(answer, RequestFailed)

    def ask(self, question: str, schema: object = None) -> Any:
        """For orchestrators: ask the caller, who may answer much later.

        Args:
            question: For a person.
            schema: JSON Schema of the reply, if it must have a form.

        Raises:
            RequestFailed: If nobody can be asked.
        """
        raw = None if schema is None else to_json(schema)
        answer = self._channel.request(lambda number: Ask(number, clean(question), raw))
        if isinstance(answer, Reply):
            return json.loads(answer.value)
        raise _failed(answer, RequestFailed)

    def _field(self, name: str, default: Any) -> Any:
        return self.input.get(name, default) if isinstance(self.input, dict) else default


def _value(answer: Answer, kind: type[RequestFailed]) -> Any:
    if not isinstance(answer, Result):
        raise _failed(answer, kind)
    if isinstance(answer.value, File):
        raise WireError("the host sent a file where a value was expected")
    return json.loads(answer.value)


def _failed(answer: Answer, kind: type[RequestFailed]) -> Exception:
    if not isinstance(answer, Failure):
        return WireError(f"the host answered with {type(answer).__name__}")
    if answer.cause == "model" and kind is not AgentFailed:
        kind = ModelFailed
    return kind(answer.message, cause=answer.cause)
