"""Calling a model: both wire formats, outages that pass, and answers that are none."""

from __future__ import annotations

import socket

import pytest
from tests.support.fake_model import FakeModel, ollama, openai

from hephaestus.errors import UsageError
from hephaestus.runtime.config import ModelEndpoint
from hephaestus.runtime.model import MAX_ANSWER, ChatMessage, ModelClient, ModelError, Prompt

pytestmark = pytest.mark.anyio
PROMPT = Prompt(messages=(ChatMessage("user", "say hello"),), max_tokens=16)


async def complete(url: str, **settings: object) -> object:
    async with ModelClient(ModelEndpoint(url=url, name="m", **settings)) as client:  # type: ignore[arg-type]
        return await client.complete(PROMPT)


async def test_openai_format_is_spoken_at_v1() -> None:
    with FakeModel(lambda path, body: openai("hello")) as server:
        completion = await complete(server.root + "/v1")
    assert (completion.text, completion.prompt_tokens, completion.completion_tokens) == ("hello", 7, 3)
    path, body, _ = server.seen[0]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": "say hello"}]
    assert body["max_tokens"] == 16


@pytest.mark.parametrize("suffix", ["/api", "/api/chat"])
async def test_ollama_format_is_spoken_at_api(suffix: str) -> None:
    with FakeModel(lambda path, body: ollama("hi")) as server:
        completion = await complete(server.root + suffix)
    path, body, _ = server.seen[0]
    assert (path, body["stream"], completion.text) == ("/api/chat", False, "hi")


async def test_at_a_bare_root_the_format_that_answers_is_found_and_kept() -> None:
    def script(path: str, body: dict) -> tuple[int, bytes]:
        return ollama("hi") if path == "/api/chat" else (404, b"not found")

    with FakeModel(script) as server:
        async with ModelClient(ModelEndpoint(url=server.root, name="m")) as client:
            await client.complete(PROMPT)
            await client.complete(PROMPT)
    assert [path for path, _, _ in server.seen] == ["/v1/chat/completions", "/api/chat", "/api/chat"]


async def test_a_server_of_neither_format_is_an_error_that_says_so() -> None:
    with FakeModel(lambda path, body: (404, b"nothing here")) as server:
        with pytest.raises(ModelError) as caught:
            await complete(server.root + "/v1")
        with pytest.raises(ModelError, match="neither"):
            await complete(server.root)
    assert "404" in str(caught.value)


async def test_an_outage_that_passes_is_tried_again() -> None:
    answers = iter([(503, b"busy"), (429, b"slow down"), openai("at last")])
    with FakeModel(lambda path, body: next(answers)) as server:
        completion = await complete(server.root + "/v1", attempts=3)
    assert completion.text == "at last"
    assert len(server.seen) == 3


async def test_an_outage_that_stays_ends_after_the_tries_allowed() -> None:
    with FakeModel(lambda path, body: (503, b"busy")) as server, pytest.raises(ModelError, match="503"):
        await complete(server.root + "/v1", attempts=2)
    assert len(server.seen) == 2


async def test_a_refusal_is_not_tried_again() -> None:
    with FakeModel(lambda path, body: (401, b"no key")) as server, pytest.raises(ModelError, match="401"):
        await complete(server.root + "/v1", attempts=3)
    assert len(server.seen) == 1


async def test_a_server_that_is_not_there_is_an_error_with_a_hint() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(ModelError, match="cannot be reached") as caught:
            await complete(url, attempts=1)
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b"[" * 100_000]
)
async def test_an_answer_out_of_format_is_an_error(data: bytes) -> None:
    with FakeModel(lambda path, body: (200, data)) as server, pytest.raises(ModelError):
        await complete(server.root + "/v1")


async def test_an_answer_without_end_is_cut_off() -> None:
    with (
        FakeModel(lambda path, body: (200, b"x" * (MAX_ANSWER + 1))) as server,
        pytest.raises(ModelError, match="over"),
    ):
        await complete(server.root + "/v1")


async def test_the_key_is_read_from_the_environment_when_the_call_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "k-123")
    with FakeModel(lambda path, body: openai("x")) as server:
        await complete(server.root + "/v1", key_env="SOME_KEY")
    assert server.seen[0][2]["Authorization"] == "Bearer k-123"


@pytest.mark.parametrize("url", ["", "ftp://host", "127.0.0.1:80", "http://"])
async def test_what_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(UsageError):
        ModelClient(ModelEndpoint(url=url, name="m"))
