"""Calling a model: both wire formats, outages that pass, and answers that are none."""

from __future__ import annotations

import socket
import traceback
from pathlib import Path

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


async def test_the_key_is_read_from_the_environment_when_a_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", " k-123\n")
    with FakeModel(lambda path, body: openai("x")) as server:
        await complete(server.root + "/v1", key_env="SOME_KEY")
    assert server.seen[0][2]["Authorization"] == "Bearer k-123"


@pytest.mark.parametrize(
    "key", [None, "", " \n", "sk-SECRET\nX: y", "sk-SECRET\u2014", "sk-SECRET\u00e9", "sk-SECRET\x7f"]
)
async def test_a_key_that_no_header_can_carry_is_refused_before_any_call_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("SOME_KEY", key)
    with FakeModel(lambda path, body: openai("x")) as server, pytest.raises(UsageError, match="SOME_KEY") as caught:
        await complete(server.root + "/v1", key_env="SOME_KEY")
    assert server.seen == []
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


async def test_a_key_that_the_server_quotes_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-SECRET")
    answers = iter([(401, b"no such key: sk-SECRET"), (200, b"[] for sk-SECRET")])
    with FakeModel(lambda path, body: next(answers)) as server:
        for _ in range(2):
            with pytest.raises(ModelError) as caught:
                await complete(server.root + "/v1", key_env="SOME_KEY")
            assert "[key]" in str(caught.value)
            assert "SECRET" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((503, b"overloaded-7"), "the model refused with status 503"),
        ((401, b"overloaded-7"), "the model refused with status 401"),
        ((404, b"overloaded-7"), "the model refused with status 404"),
        ((200, b"overloaded-7"), "the model's answer is not in its format"),
        ((200, b'{"choices": [{"message": {"content": null}}]}'), "the model's answer is not in its format"),
        ((200, b"x" * (MAX_ANSWER + 1)), "the model's answer is too long"),
    ],
)
async def test_a_package_is_told_the_class_of_a_failure_and_nothing_that_the_server_chose(
    answer: tuple[int, bytes], told: str
) -> None:
    with FakeModel(lambda path, body: answer) as server, pytest.raises(ModelError) as caught:
        await complete(server.root + "/v1", attempts=1)
    assert caught.value.told == told


async def test_a_package_is_not_told_where_the_model_is() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ModelError) as caught:
            await complete(f"http://127.0.0.1:{free.getsockname()[1]}/v1", attempts=1)
    assert caught.value.told == "the model cannot be reached"


async def test_an_answer_that_cannot_be_unpacked_is_a_failure_of_the_model() -> None:
    packed = {"Content-Encoding": "gzip"}
    with (
        FakeModel(lambda path, body: (200, b"not gzip at all"), headers=packed) as server,
        pytest.raises(ModelError, match="gzip") as caught,
    ):
        await complete(server.root + "/v1")
    assert caught.value.told == "the model's answer is not in its format"
    assert len(server.seen) == 1
    assert server.seen[0][2]["Accept-Encoding"] == "identity"


async def test_a_redirect_is_not_followed() -> None:
    with (
        FakeModel(lambda path, body: (302, b""), headers={"Location": "/elsewhere"}) as server,
        pytest.raises(ModelError, match="302"),
    ):
        await complete(server.root + "/v1")
    assert len(server.seen) == 1


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.usefixtures("no_proxies")
async def test_a_model_on_this_machine_is_called_past_every_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "k-123")
    with FakeModel(lambda path, body: openai("told on")) as proxy, FakeModel(lambda path, body: openai("x")) as server:
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.root)
        port = server.root.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "0.0.0.0"):
            completion = await complete(f"http://{host}:{port}/v1", key_env="SOME_KEY")
            assert completion.text == "x"
    assert proxy.seen == []


@pytest.mark.usefixtures("no_proxies")
async def test_a_model_elsewhere_is_called_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FakeModel(lambda path, body: openai("through")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.root)
        completion = await complete("http://model.invalid/v1")
    assert completion.text == "through"


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True), ("LOCALHOST.", True), ("model.localhost", True), ("127.9.9.9", True), ("[::1]", True),
        ("[::ffff:127.0.0.1]", True), ("[::]", True), ("notlocalhost", False), ("localhost.example", False),
        ("10.0.0.1", False), ("[2001:db8::1]", False),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("no_proxies")
async def test_which_hosts_are_this_machine_is_read_off_their_names(
    monkeypatch: pytest.MonkeyPatch, host: str, here: bool
) -> None:
    # A proxy that cannot be used is noticed exactly where proxies are asked for.
    monkeypatch.setenv("all_proxy", "nonsense://user:SECRET@proxy")
    client = ModelClient(ModelEndpoint(url=f"http://{host}:1/v1", name="m"))
    if here:
        async with client:
            return
    with pytest.raises(UsageError, match="proxy") as caught:
        await client.__aenter__()
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


async def test_certificates_that_are_not_there_are_a_mistake_of_the_caller(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(UsageError, match="certificates"):
        await complete("https://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    "url",
    ["", "ftp://host", "127.0.0.1:80", "http://", "http://[::1", "http://h:99999/v1", "http://h:x/", "http://h\x00/",
     "http://h/v1?key=1", "http://h/v1#x"],
)  # fmt: skip
async def test_what_is_no_url_of_a_model_is_refused_at_once(url: str) -> None:
    with pytest.raises(UsageError):
        ModelClient(ModelEndpoint(url=url, name="m"))


@pytest.mark.parametrize(
    "url",
    ["http://user:SECRET@host/v1", "http://SECRET@host/v1", "http://user:SECRET/x@host/v1", "ftp://u:SECRET@host",
     "user:SECRET@host", "http://u:SECRET@[::1", "http://host/v1?key=SECRET", "ftp://host/?key=SECRET"],
)  # fmt: skip
async def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        ModelClient(ModelEndpoint(url=url, name="m"))
    assert "SECRET" not in "".join(map(str, (caught.value, caught.value.__cause__, caught.value.hint)))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
