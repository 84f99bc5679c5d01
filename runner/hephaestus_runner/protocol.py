"""The wire: every message that crosses the pipe between the host and a child, and how one becomes a frame.

A frame is a little-endian u32 length and that many bytes of msgpack: one tagged Struct of the union :data:`Message`.
Nothing is ever unpickled. Both sides import this module, so both ends are one version; :class:`Hello` still says which.
JSON values cross as their exact bytes (fields typed ``bytes`` and named in the docstrings): digests are of bytes.
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

VERSION = 1
MAX_FRAME = 8 * 1024 * 1024
"""Default cap of a frame's body in bytes; an artefact above it travels as a :class:`File`."""

HEADER = struct.Struct("<I")

Level = Literal["isolated", "restricted", "none"]
LEVELS: tuple[Level, ...] = ("none", "restricted", "isolated")
"""Isolation levels, weakest first."""

Cause = Literal[
    "specification", "routing", "orchestration", "agent_code", "model", "tool", "output", "check",
    "isolation", "budget", "caller",
]  # fmt: skip
"""Which part an ending that is not a success is due to."""


class WireError(ValueError):
    """A frame that this protocol does not know: too long, cut short, not msgpack, unknown tag, wrong field."""


class _Message(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Base of all messages; the tag is the class name."""


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An artefact above the frame cap: a file in the run's exchange folder."""

    name: str  # one path component, no separators
    digest: str  # "sha256:..." of its bytes
    size: int  # bytes


class CheckNotice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A check as it is announced to the agent before the first attempt."""

    id: str
    kind: str
    about: str  # what it demands, for a reader
    params: dict[str, Any] = {}  # empty for a hidden check


class Feedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One finding of a failed attempt, bounded; empty ``expected`` where the check is hidden."""

    check: str
    expected: str
    found: str
    where: str  # JSON Pointer into the artefact, or ""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one child may use."""

    wall_ms: int = 60_000
    cpu_s: int = 30
    memory_bytes: int = 1 << 30  # address space of each process
    disk_bytes: int = 64 << 20  # size of the private working folder
    file_bytes: int = 64 << 20  # one file
    processes: int = 32
    open_files: int = 256
    model_calls: int = 0
    output_bytes: int = 1 << 20  # captured stdout and stderr, each


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a child was given: the level asked for, its limits and what it may call."""

    level: Level = "isolated"
    limits: Limits = Limits()
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    knowledge: bool = False


class Hello(_Message, frozen=True):
    """child -> host, first: who speaks, and which level it believes to have reached (the host attests it itself)."""

    version: int
    level_reached: Level
    features: dict[str, str]  # feature -> "on", or the reason why not


class Start(_Message, frozen=True):
    """host -> child, once: the work. Its answer is :class:`Result` or :class:`Failure` with id 0."""

    run: str
    release: str  # name@version
    policy: Policy
    seed: int
    input: bytes  # JSON
    checks: tuple[CheckNotice, ...]


class Call(_Message, frozen=True):
    """orchestrator -> host: have an agent do something. Answered by ``Result`` or ``Failure``."""

    id: int
    agent: str
    input: bytes  # JSON
    deadline: int  # remaining milliseconds


class Submit(_Message, frozen=True):
    """orchestrator -> host: this is the task's output. Answered by ``Findings`` or ``Accepted``."""

    id: int
    artefact: bytes | File  # JSON


class Ask(_Message, frozen=True):
    """orchestrator -> host: a question for the caller. Answered by ``Reply``, maybe much later."""

    id: int
    question: str
    schema: bytes | None = None  # JSON Schema of the reply


class ToolCall(_Message, frozen=True):
    """any child -> host: use a tool of the host (``model``, ...). Answered by ``Result`` or ``Failure``."""

    id: int
    name: str
    arguments: bytes  # JSON


class Event(_Message, frozen=True):
    """child -> host: progress, step, usage."""

    kind: str
    data: bytes  # JSON


class Log(_Message, frozen=True):
    """child -> host: text that the agent printed."""

    stream: Literal["stdout", "stderr"]
    text: str


class Result(_Message, frozen=True):
    """either way: the answer to a request."""

    id: int
    value: bytes | File  # JSON


class Failure(_Message, frozen=True):
    """either way: a request that could not be answered, and which part is to blame."""

    id: int
    cause: Cause
    message: str
    trace: str = ""


class Findings(_Message, frozen=True):
    """host -> orchestrator: the submission did not pass."""

    id: int
    attempt: int
    remaining: int  # attempts left
    findings: tuple[Feedback, ...]


class Accepted(_Message, frozen=True):
    """host -> orchestrator: the submission passed; nothing is left to do."""

    id: int


class Reply(_Message, frozen=True):
    """host -> orchestrator: what the caller answered."""

    id: int
    value: bytes  # JSON


class Cancel(_Message, frozen=True):
    """host -> child: give this request up."""

    id: int
    reason: str


class Stop(_Message, frozen=True):
    """host -> child: finish; after ``deadline`` milliseconds the process tree is killed."""

    deadline: int


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a child used, as it saw it itself."""

    cpu_ms: int = 0
    peak_bytes: int = 0


class Bye(_Message, frozen=True):
    """child -> host, last."""

    usage: Usage


Message = (
    Hello | Start | Call | Submit | Ask | ToolCall | Event | Log | Result | Failure | Findings | Accepted | Reply
    | Cancel | Stop | Bye
)  # fmt: skip

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def frame(message: Message, *, limit: int = MAX_FRAME) -> bytes:
    """One message as bytes on the wire.

    Raises:
        WireError: If the body would be longer than ``limit`` bytes.
    """
    body = _ENCODER.encode(message)
    if len(body) > limit:
        raise WireError(f"{type(message).__name__} of {len(body)} bytes is over the frame limit of {limit}")
    return HEADER.pack(len(body)) + body


def parse(body: bytes | bytearray | memoryview) -> Message:
    """The message in one frame's body.

    Raises:
        WireError: For anything that is not one known message.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a message of this protocol: {error}") from error


class FrameReader:
    """Turns a stream of bytes into messages; reads ahead, so one read may yield several.

    Args:
        limit: Cap of a frame's body in bytes. A longer length is an error before a byte of it is kept.
    """

    def __init__(self, *, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Add bytes and return the messages that they complete, in order.

        Raises:
            WireError: The stream is broken for good: drop the connection.
        """
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        start = 0
        while len(buffer) - start >= HEADER.size:
            (length,) = HEADER.unpack_from(buffer, start)
            if length > self._limit:
                raise WireError(f"a frame of {length} bytes is over the limit of {self._limit}")
            end = start + HEADER.size + length
            if len(buffer) < end:
                break
            messages.append(parse(bytes(buffer[start + HEADER.size : end])))
            start = end
        if start:
            del buffer[:start]
        return messages

    def close(self) -> None:
        """Say that the stream ended.

        Raises:
            WireError: If it ended inside a frame.
        """
        if self._buffer:
            raise WireError(f"the stream ended inside a frame ({len(self._buffer)} bytes of it had arrived)")
