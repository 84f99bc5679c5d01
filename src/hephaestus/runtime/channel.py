"""The host's ends of one child's pipes: non-blocking, bounded, and waited for on whichever event loop runs.

One kernel object (epoll, kqueue) stands for all of them, so one task at a time waits and whoever else wants something
from this child waits for that task. Nothing runs in the background: reading happens while somebody sends or receives.
"""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import anyio.lowlevel
import msgspec

from hephaestus.errors import ChildError, ProtocolError
from hephaestus_runner.protocol import (
    Ask,
    Bye,
    Call,
    Event,
    Failure,
    FrameReader,
    Hello,
    Log,
    Message,
    Result,
    Submit,
    ToolCall,
    WireError,
    frame,
)

if TYPE_CHECKING:
    from hephaestus.runtime.spawn import Spawned

MAX_QUEUE = 256
"""Messages that wait to be received before the pipe is left alone."""

RATE, BURST = 2_000, 10_000
"""Messages per second on average, and at once; more ends the child."""

_CHUNK = 65_536
_FROM_CHILD = (Hello, Call, Submit, Ask, ToolCall, Event, Log, Result, Failure, Bye)
_NOTE = "\n[the rest was dropped: more than {} bytes]\n"


class Printed:
    """What a child wrote to one stream, up to a bound."""

    def __init__(self, stream: str, limit: int) -> None:
        self.stream = stream
        self._limit = limit
        self._data = bytearray()
        self._dropped = False

    def add(self, data: bytes) -> None:
        """Keep what fits, and drop the rest."""
        room = self._limit - len(self._data)
        self._data += data[:room]
        self._dropped = self._dropped or len(data) > room

    @property
    def text(self) -> str:
        """What was kept; what is no UTF-8 is replaced."""
        return self._data.decode("utf-8", "replace") + (_NOTE.format(self._limit) if self._dropped else "")


class Channel:
    """Frames, prints and the supervisor's notes of one child.

    Args:
        spawned: Whose descriptors to use; they stay the caller's to close, after :meth:`close`.
        output_bytes: How much of each of stdout and stderr to keep.
    """

    def __init__(self, spawned: Spawned, *, output_bytes: int) -> None:
        self._reader, self._writer = spawned.reader, spawned.writer
        self._control = spawned.control
        self._frames = FrameReader()
        self._queue: deque[Message] = deque()
        self._allowance, self._counted = float(BURST), time.monotonic()
        self._notes = b""
        self._waiting: anyio.Event | None = None
        self._selector = selectors.DefaultSelector()
        self.printed: dict[int, Printed] = {
            spawned.stdout: Printed("stdout", output_bytes),
            spawned.stderr: Printed("stderr", output_bytes),
        }
        self._read_frames = True
        self.ended: bool = False
        """Whether the child's end of the message pipe is closed."""
        self.gone: bool = False
        """Whether the supervisor's end of the control socket is closed."""
        self.notes: dict[str, Any] = {}
        """What the supervisor told: pid, exit, left, why."""
        for descriptor in (self._reader, self._control.fileno(), *self.printed):
            self._selector.register(descriptor, selectors.EVENT_READ)

    async def send(self, message: Message) -> None:
        """Send one message whole. One caller at a time.

        Raises:
            ProtocolError: If it is over the frame limit; nothing was sent.
            ChildError: If the child closed its end.
        """
        try:
            data = memoryview(frame(message))
        except WireError as error:
            raise ProtocolError(str(error), hint="send large values as a file of the exchange folder") from error
        await anyio.lowlevel.checkpoint()
        while data:
            try:
                data = data[os.write(self._writer, data) :]
            except BlockingIOError:
                await self.progress(write=True)
            except BrokenPipeError as error:
                raise ChildError("the child closed its end of the pipe before it was told everything") from error

    async def receive(self) -> Message | None:
        """The next message, or None after the last one.

        Raises:
            ProtocolError: If what came is no message, or too many came; nothing more can be received.
        """
        while not self._queue:
            if self.ended:
                return None
            await self.progress()
        await anyio.lowlevel.checkpoint()
        return self._queue.popleft()

    async def progress(self, *, write: bool = False) -> None:
        """Wait until something happened on any of the descriptors, and take it in.

        Args:
            write: Also wait for room in the pipe to the child.

        Raises:
            ProtocolError: As for :meth:`receive`.
        """
        self._balance()
        if write:
            # Also where another task waits already: what it waits for may be changed beneath it.
            self._selector.register(self._writer, selectors.EVENT_WRITE)
        try:
            if self._waiting is not None:
                await self._waiting.wait()
                return
            self._waiting = anyio.Event()
            try:
                await anyio.wait_readable(self._selector.fileno())
            finally:
                # Whoever waited for this task looks for itself now, also when this one was cancelled.
                self._waiting.set()
                self._waiting = None
        finally:
            if write:
                self._selector.unregister(self._writer)
        self.pump()

    def pump(self) -> int:
        """Take in what is there, without waiting.

        Returns:
            On how many descriptors there was something.

        Raises:
            ProtocolError: As for :meth:`receive`.
        """
        ready = self._selector.select(0)
        for key, _ in ready:
            descriptor = key.fd
            if descriptor == self._reader:
                self._take_frames()
            elif descriptor == self._control.fileno():
                self._take_notes()
            elif descriptor in self.printed:
                data = _read(descriptor)
                if data:
                    self.printed[descriptor].add(data)
                elif data is not None:
                    self._selector.unregister(descriptor)
        self._balance()
        return len(ready)

    def forget(self) -> None:
        """Drop the messages that nobody will receive any more."""
        self._queue.clear()

    def _take_frames(self) -> None:
        data = _read(self._reader)
        if data is None:
            return
        try:
            if not data:
                self.ended = True
                self._frames.close()
                return
            messages = self._frames.feed(data)
        except WireError as error:
            self._broken(f"the child broke the protocol: {error}", error)
        for message in messages:
            if not isinstance(message, _FROM_CHILD):
                self._broken(f"the child sent {type(message).__name__}, which only a host sends")
        self._count(len(messages))
        self._queue.extend(messages)

    def _count(self, messages: int) -> None:
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._counted) * RATE) - messages
        self._counted = now
        if self._allowance < 0:
            self._broken(f"the child sent more than {BURST} messages at once or {RATE} in a second")

    def _broken(self, text: str, error: Exception | None = None) -> NoReturn:
        self.ended = True
        self._queue.clear()
        self._balance()
        raise ProtocolError(text) from error

    def _balance(self) -> None:
        """Listen for frames only while there is room for them."""
        wanted = not self.ended and len(self._queue) < MAX_QUEUE
        if wanted != self._read_frames:
            if wanted:
                self._selector.register(self._reader, selectors.EVENT_READ)
            else:
                self._selector.unregister(self._reader)
            self._read_frames = wanted

    def _take_notes(self) -> None:
        try:
            data = self._control.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.gone = True
            self._selector.unregister(self._control)
            return
        *lines, self._notes = (self._notes + data).split(b"\n")
        for line in lines:
            try:
                self.notes |= msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError as error:
                raise ProtocolError(f"the supervisor wrote {line[:80]!r}") from error

    def close(self) -> None:
        """Let go of the kernel object. Nobody may be waiting."""
        self._selector.close()


def _read(descriptor: int) -> bytes | None:
    """What is there; empty at the end; None when there is nothing yet."""
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None
