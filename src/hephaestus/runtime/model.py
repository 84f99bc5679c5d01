"""The host's side of a model call: a package asks by message, the host calls the upstream and holds the key.

Two wire formats: OpenAI chat completions (``POST .../chat/completions``) and Ollama (``POST .../api/chat``). A URL with
``/v1`` in its path is the first, one on Ollama's port or ending in ``/api`` the second; for any other, the first is
tried and a 404 or 405 leads to the second.

Two kinds of text leave here when a call fails. The host's has the address and the reason. The package's
(:attr:`ModelError.told`) is one of a few fixed sentences, because a package can put what it is told into its output,
and what libraries and servers say about a request may quote its headers. Neither holds the key.

A server on this machine (``localhost``, loopback addresses) is called directly, whatever ``HTTP_PROXY`` and
``ALL_PROXY`` say; for any other the usual proxy variables hold.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
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

_OUTAGE = "the model cannot be reached"
_OUT_OF_FORMAT = "the model's answer is not in its format"
_TOO_LONG = "the model's answer is too long"


class ModelError(HephaestusError):
    """The model could not be reached, refused, or answered something else than its format.

    Args:
        message: For the host: which server, and what it said or what the network said.
        told: For the package that asked: a fixed sentence for this class of failures, with a status at most.
        hint: For the host.
    """

    def __init__(self, message: str, *, told: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.told = told


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
    """Calls one endpoint. Use as an async context manager; the key is read when it is entered.

    Raises:
        UsageError: On creation, if the URL is not one of a model server. On entering, if the key is missing or cannot
            be sent, or if the proxy or the certificates that the environment names cannot be used.
    """

    def __init__(self, endpoint: ModelEndpoint) -> None:
        self._endpoint = endpoint
        self._base, self._host, self._wires = _address(endpoint.url)
        self._key: str | None = None
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        import httpx

        self._key = _key(self._endpoint.key_env)
        try:
            # A transport of one's own is what keeps httpx from asking the environment for proxies, and only that:
            # trust_env=False would drop SSL_CERT_FILE too.
            direct = httpx.AsyncHTTPTransport() if _is_here(self._host) else None
            self._client = httpx.AsyncClient(timeout=self._endpoint.timeout_s, transport=direct)
        except OSError as error:
            raise UsageError(
                f"the certificates to trust cannot be read: {error.strerror}",
                hint="look at SSL_CERT_FILE and SSL_CERT_DIR",
            ) from error
        except (ValueError, ImportError, httpx.InvalidURL):
            # Not chained: what httpx says quotes the proxy's URL, and that may hold a password.
            raise UsageError(
                "the proxy of the environment cannot be used to call a model",
                hint="look at HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or name the model's host in NO_PROXY",
            ) from None
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
            told=_OUT_OF_FORMAT,
            hint="give the URL up to and including /v1, or the root of an Ollama server",
        )

    async def _post(self, wire: Wire, prompt: Prompt) -> Completion | None:
        """One call in one format; None where the server does not know the path."""
        import httpx

        assert self._client is not None, "use the client as a context manager"
        path, body = _request(wire, self._endpoint.name, prompt)
        # Unpacked bytes only: their number is what the limit is about, and there is nothing to fail in unpacking them.
        headers = {"Accept-Encoding": "identity"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        url = self._base + ("" if self._base.endswith(path) else _join(self._base, path))
        try:
            async with self._client.stream("POST", url, json=body, headers=headers) as response:
                data = await _read(response)
                status, packed = response.status_code, response.headers.get("Content-Encoding", "identity")
        except httpx.HTTPError as error:
            raise _Unavailable(
                f"the model at {self._base} cannot be reached: {self._hide(str(error)) or type(error).__name__}",
                told=_OUTAGE,
                hint="is the server running, and is the URL right?",
            ) from error
        if status in (404, 405) and len(self._wires) > 1:
            return None
        refused = f"the model refused with status {status}"
        if status in _RETRIED:
            raise _Unavailable(f"the model at {self._base} answered status {status}", told=refused)
        if status != 200:
            raise ModelError(f"the model at {self._base} answered status {status}: {self._excerpt(data)}", told=refused)
        if packed.lower() != "identity":
            raise ModelError(
                f"the answer of the model at {self._base} is packed ({packed[:40]!r}), which was not asked for",
                told=_OUT_OF_FORMAT,
            )
        try:
            return _completion(wire, data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ModelError(
                f"the answer of the model at {self._base} is not in its format: {error}; "
                f"it began {self._excerpt(data)}",
                told=_OUT_OF_FORMAT,
            ) from error

    def _hide(self, text: str) -> str:
        # Some servers quote the key that they refuse.
        return text if self._key is None else text.replace(self._key, "[key]")

    def _excerpt(self, data: bytes) -> str:
        return repr(self._hide(data.decode("utf-8", "replace"))[:200])


async def _read(response: httpx.Response) -> bytes:
    import httpx

    data = bytearray()
    try:
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > MAX_ANSWER:
                # Leaving the loop would leave httpx's inner generators open; a closed response ends them all.
                await response.aclose()
    except (httpx.StreamError, httpx.TransportError):
        if len(data) <= MAX_ANSWER:
            raise
    if len(data) > MAX_ANSWER:
        raise ModelError(f"the model's answer is over {MAX_ANSWER} bytes", told=_TOO_LONG)
    return bytes(data)


def _address(url: str) -> tuple[str, str, tuple[Wire, ...]]:
    """Base URL, host and the formats to try. No message quotes what may be a secret: user names, passwords, queries."""
    import httpx

    example = "for example http://127.0.0.1:11434 or https://host/v1"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        # Not chained: these errors quote the part that they could not read, and that may be of a password.
        raise UsageError("the URL of the model cannot be read", hint=example) from None
    if parts.scheme not in ("http", "https") or not host:
        shown = url.rpartition("@")[2].partition("?")[0]
        raise UsageError(
            f"a model URL starts with http:// or https:// and names a host, not {shown[:200]!r}", hint=example
        )
    if "@" in parts.netloc:
        raise UsageError(
            "a model URL holds no user name and no password",
            hint="put the key into an environment variable and name that",
        )
    if parts.query or parts.fragment:
        raise UsageError("a model URL ends with its path, without ? and #", hint=example)
    return url.rstrip("/?#"), host, _wires(parts.path.rstrip("/"), port)


def _key(variable: str | None) -> str | None:
    """The key in an environment variable, as it can stand in a header."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"the environment variable {variable} should hold the model's key, and is not set or empty")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            f"the environment variable {variable} should hold the model's key, and holds more than printable ASCII",
            hint="was more than the key copied, a line break or a quotation mark of a text editor?",
        )
    return key


def _is_here(host: str) -> bool:
    """Whether a host is this machine, by its name or address alone; no name is looked up."""
    if f".{host.rstrip('.')}".endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    # Connecting to the unspecified address reaches this machine too, and servers print it as theirs.
    return any(one.is_loopback or one.is_unspecified for one in (address, mapped) if one is not None)


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
    if wire == "openai":
        said = msgspec.json.decode(data, type=_OpenAIAnswer)
        usage = said.usage or _OpenAIUsage()
        text = said.choices[0].message.content
        if text is None:
            raise ModelError("the model answered without any text", told=_OUT_OF_FORMAT)
        return Completion(text, said.model, usage.prompt_tokens, usage.completion_tokens)
    told = msgspec.json.decode(data, type=_OllamaAnswer)
    return Completion(told.message.content, told.model, told.prompt_eval_count, told.eval_count)
