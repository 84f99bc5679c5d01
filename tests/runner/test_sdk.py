"""The task that package code is handed: what each request sends, and what each answer becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hephaestus.knowledge import Passage, PassageSet, build_shard, encode_passages
from hephaestus_runner.channel import Channel
from hephaestus_runner.config import Config, Places
from hephaestus_runner.protocol import (
    Accepted,
    Failure,
    Feedback,
    File,
    Findings,
    Limits,
    Message,
    Policy,
    Reply,
    Result,
    Start,
    ToolCall,
    WireError,
)
from hephaestus_runner.roles import search
from hephaestus_runner.sdk import AgentFailed, ModelFailed, NotGranted, RequestFailed, Task, ToolFailed
from hephaestus_runner.work import WorkFailed


class Scripted(Channel):
    """A channel whose host says what the test wrote."""

    def __init__(self, *answers: Message) -> None:
        super().__init__(-1, -1)
        self.sent: list[Message] = []
        self._queue.extend(answers)

    def send(self, message: Message) -> None:
        self.sent.append(message)


def task(*answers: Message, value: Any = None, shard: str | None = None) -> Task:
    start = Start("run-1", "a@1.0.0", Policy(), 7, json.dumps(value).encode(), ())
    return Task(Scripted(*answers), start, Places("/scratch", None, shard, None))


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("shard") / "shard"
    passages = [
        Passage(
            id="zipfile.ZipFile.read", title="ZipFile.read", source="zipfile", text="Return the bytes of a member."
        ),
        Passage(id="json.dumps", title="dumps", source="json", text="Serialize an object to a JSON text."),
    ]
    build_shard(PassageSet.parse(encode_passages(passages)), path)
    return str(path)


def test_the_first_attempt_has_no_feedback_and_a_later_one_what_was_found() -> None:
    first = task(value={"request": "q"})
    assert (first.attempt, first.feedback, first.model, first.run, first.seed) == (1, (), None, "run-1", 7)
    found = Feedback("schema", "an object", "a list", "")
    later = task(value={"attempt": 2, "feedback": [msgspec.to_builtins(found)], "model": True})
    assert (later.attempt, later.feedback) == (2, (found,))
    assert later.model is not None
    assert task(value=[1]).attempt == 1
    assert later.scratch == Path("/scratch")


def test_a_tool_answers_with_its_value_or_fails_as_a_tool() -> None:
    assert task(Result(1, b'{"a":1}')).tool("clock", {}) == {"a": 1}
    with pytest.raises(ToolFailed, match="no such tool") as caught:
        task(Failure(1, "tool", "no such tool")).tool("clock", {})
    assert caught.value.cause == "tool"
    with pytest.raises(WireError, match="a file"):
        task(Result(1, File("a", "sha256:", 1))).tool("clock", {})
    with pytest.raises(WireError, match="Accepted"):
        task(Accepted(1)).tool("clock", {})


@pytest.mark.parametrize("answer", [b"null", b'{"text":1}', b'"text"'])
def test_a_model_that_answers_no_text_failed(answer: bytes) -> None:
    asked = task(Result(1, answer), value={"model": True})
    assert asked.model is not None
    with pytest.raises(ModelFailed) as caught:
        asked.model.complete([])
    assert caught.value.cause == "model"


def test_a_failed_agent_keeps_the_cause_that_the_host_gave() -> None:
    with pytest.raises(AgentFailed, match="out of time") as caught:
        task(Failure(1, "budget", "out of time")).call("other", {})
    assert caught.value.cause == "budget"


def test_a_submission_is_accepted_or_sent_back_and_anything_else_is_an_error() -> None:
    findings = Findings(1, 1, 2, ())
    assert task(findings).submit({}) == findings
    assert task(Accepted(1)).submit({}) == Accepted(1)
    with pytest.raises(RequestFailed, match="spent"):
        task(Failure(1, "budget", "spent")).submit({})
    with pytest.raises(WireError):
        task(Reply(1, b"1")).submit({})


def test_a_question_gets_its_reply() -> None:
    assert task(Reply(1, b"[1]")).ask("which?") == [1]
    with pytest.raises(RequestFailed, match="nobody"):
        task(Failure(1, "caller", "nobody is there")).ask("which?", {"type": "string"})


def test_progress_is_an_event() -> None:
    asked = task()
    asked.progress("half way")
    assert asked._channel.sent[0].kind == "progress"  # type: ignore[attr-defined]


def test_knowledge_is_searched_where_it_was_granted(shard: str) -> None:
    granted = task(shard=shard).knowledge
    assert [hit.id for hit in granted.search("read the bytes of a zip member", limit=1)] == ["zipfile.ZipFile.read"]
    found = granted.get("json.dumps")
    assert found is not None
    assert found.text == "Serialize an object to a JSON text."
    assert granted.get("gone") is None
    with pytest.raises(NotGranted, match="no knowledge"):
        task().knowledge.get("json.dumps")


def config() -> Config:
    return Config(
        role="search", level="none", limits=Limits(), homes={}, python="", folder="", reader=0, writer=1, control=2
    )


def run_search(order: object, shard: str | None) -> Any:
    start = Start("r", "", Policy(), 0, json.dumps(order).encode(), ())
    return json.loads(search.run(Scripted(), start, config(), Places("", None, shard, None)))


def test_the_search_role_answers_with_hits(shard: str) -> None:
    hits = run_search({"query": "bytes member", "limit": 1}, shard)
    assert [hit["id"] for hit in hits] == ["zipfile.ZipFile.read"]
    assert set(hits[0]) == {"id", "title", "source", "text", "score"}


def test_the_search_role_says_what_is_wrong(shard: str, tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="no knowledge shard") as caught:
        run_search({"query": "x"}, None)
    assert caught.value.cause == "specification"
    (tmp_path / "broken").write_bytes(b"no database")
    with pytest.raises(WorkFailed, match="cannot be opened") as caught:
        run_search({"query": "x"}, str(tmp_path / "broken"))
    assert caught.value.cause == "tool"
    with pytest.raises(msgspec.ValidationError):
        run_search({"query": "x", "sql": "drop"}, shard)


def test_a_tool_call_carries_exact_json() -> None:
    asked = task(Result(1, b"1"))
    asked.tool("t", {"ä": [1.5]})
    assert asked._channel.sent == [ToolCall(1, "t", '{"ä":[1.5]}'.encode())]  # type: ignore[attr-defined]
