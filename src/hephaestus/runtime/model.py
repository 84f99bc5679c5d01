"""The host's side of a model call: a package asks by message, the host calls the upstream and holds the key.

Two wire formats: OpenAI chat completions (``POST .../chat/completions``) and Ollama (``POST .../api/chat``). A URL with
``/v1`` in its path is the first, one on Ollama's port or ending in ``/api`` the second; for any other, the first is
tried and a 404 or 405 leads to the second.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import anyio
import msgspec
from msgspec import Meta

from hephaestus.errors import HephaestusError, UsageError

if TYPE_CHECKING:
    import httpx

    from hephaestus.runtime.config import ModelEndpoint

MAX_ANSWER = 4 << 20
OLLAMA_PORT = 11434
_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
Wire = Literal["openai", "ollama"]


class ModelError(HephaestusError):
    """The model could not be reached, refused, or answered something else than its format."""


class _Unavailable(ModelError):
    """A failure that may pass: an outage, a time-out, a rate limit."""


class ChatMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Meta(max_length=1 << 20)]


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a child asks of a model: the arguments of the tool ``model``."""

    messages: Annotated[tuple[ChatMessage, ...], Meta(min_length=1, max_length=200)]
    max_tokens: Annotated[int, Meta(ge=1, le=32_768)] = 1024


class Completion(msgspec.Struct, frozen=True):
    """What the model said."""

    text: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ModelClient:
    """Calls one endpoint. Use as an async context manager.

    Raises:
        UsageError: On creation, if the URL is not http or https with a host.
    """

    def __init__(self, endpoint: ModelEndpoint) -> None:
        parts = urlsplit(endpoint.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"a model URL starts with http:// or https:// and names a host, not {endpoint.url!r}")
        self._endpoint = endpoint
        self._base = endpoint.url.rstrip("/")
        self._wires = _wires(parts.path.rstrip("/"), parts.port)
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        import httpx

        self._client = httpx.AsyncClient(timeout=self._endpoint.timeout_s, follow_redirects=False)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def complete(self, prompt: Prompt) -> Completion:
        """One answer; outages, time-outs and rate limits are tried again with growing pauses.

        Raises:
            ModelError: With the reason, when the tries are spent or the answer is no answer.
        """
        import tenacity

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_Unavailable),
            stop=tenacity.stop_after_attempt(self._endpoint.attempts),
            wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=5.0),
            sleep=anyio.sleep,
            reraise=True,
        )
        return await retrying(self._once, prompt)

    async def _once(self, prompt: Prompt) -> Completion:
        for wire in self._wires:
            answer = await self._post(wire, prompt)
            if answer is not None:
                self._wires = (wire,)
                return answer
        raise ModelError(
            f"{self._base} answers neither the OpenAI chat format nor Ollama's",
            hint="give the URL up to and including /v1, or the root of an Ollama server",
        )

    async def _post(self, wire: Wire, prompt: Prompt) -> Completion | None:
        """One call in one format; None where the server does not know the path."""
        import httpx

        assert self._client is not None, "use the client as a context manager"
        path, body = _request(wire, self._endpoint.name, prompt)
        headers = {}
        if self._endpoint.key_env and (key := os.environ.get(self._endpoint.key_env)):
            headers["Authorization"] = f"Bearer {key}"
        url = self._base + ("" if self._base.endswith(path) else _join(self._base, path))
        try:
            async with self._client.stream("POST", url, json=body, headers=headers) as response:
                data = await _read(response)
                status = response.status_code
        except httpx.InvalidURL as error:
            raise UsageError(f"{url!r} is not a URL: {error}") from error
        except httpx.TransportError as error:
            raise _Unavailable(
                f"the model at {self._base} cannot be reached: {str(error) or type(error).__name__}",
                hint="is the server running, and is the URL right?",
            ) from error
        if status in (404, 405) and len(self._wires) > 1:
            return None
        if status in _RETRIED:
            raise _Unavailable(f"the model at {self._base} answered status {status}")
        if status != 200:
            raise ModelError(f"the model at {self._base} answered status {status}: {_excerpt(data)}")
        return _completion(wire, bytes(data))


async def _read(response: httpx.Response) -> bytearray:
    import httpx

    data = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > MAX_ANSWER:
                # Leaving the loop would leave httpx's inner generators open; a closed response ends them all.
                await response.aclose()
    except (httpx.StreamError, httpx.TransportError):
        if len(data) <= MAX_ANSWER:
            raise
    if len(data) > MAX_ANSWER:
        raise ModelError(f"the model's answer is over {MAX_ANSWER} bytes")
    return data


def _wires(path: str, port: int | None) -> tuple[Wire, ...]:
    if "/v1" in path or path.endswith("/chat/completions"):
        return ("openai",)
    if port == OLLAMA_PORT or path.endswith(("/api", "/api/chat")):
        return ("ollama",)
    return ("openai", "ollama")


def _join(base: str, path: str) -> str:
    # The user may have given the root, the API's root, or the whole path.
    path_of_base = urlsplit(base).path
    if path == "/chat/completions" and "/v1" not in path_of_base:
        return "/v1" + path
    if path == "/api/chat" and path_of_base.endswith("/api"):
        return "/chat"
    return path


def _request(wire: Wire, model: str, prompt: Prompt) -> tuple[str, dict[str, Any]]:
    messages = msgspec.to_builtins(prompt.messages)
    if wire == "openai":
        return "/chat/completions", {"model": model, "messages": messages, "max_tokens": prompt.max_tokens}
    options = {"num_predict": prompt.max_tokens}
    return "/api/chat", {"model": model, "messages": messages, "stream": False, "options": options}


class _OpenAIMessage(msgspec.Struct):
    content: str | None = None


class _OpenAIChoice(msgspec.Struct):
    message: _OpenAIMessage


class _OpenAIUsage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _OpenAIAnswer(msgspec.Struct):
    choices: Annotated[list[_OpenAIChoice], Meta(min_length=1)]
    model: str = ""
    usage: _OpenAIUsage | None = None


class _OllamaMessage(msgspec.Struct):
    content: str


class _OllamaAnswer(msgspec.Struct):
    message: _OllamaMessage
    model: str = ""
    prompt_eval_count: int = 0
    eval_count: int = 0


def _completion(wire: Wire, data: bytes) -> Completion:
    try:
        if wire == "openai":
            said = msgspec.json.decode(data, type=_OpenAIAnswer)
            usage = said.usage or _OpenAIUsage()
            text = said.choices[0].message.content
            if text is None:
                raise ModelError("the model answered without any text")
            return Completion(text, said.model, usage.prompt_tokens, usage.completion_tokens)
        told = msgspec.json.decode(data, type=_OllamaAnswer)
        return Completion(told.message.content, told.model, told.prompt_eval_count, told.eval_count)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"the model's answer is not in its format: {error}; it began {_excerpt(data)}") from error


def _excerpt(data: bytes | bytearray) -> str:
    return repr(bytes(data[:200]).decode("utf-8", "replace"))
