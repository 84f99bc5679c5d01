"""The child's end of the pipe: synchronous, one request at a time, safe to share between threads."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, NoReturn

from hephaestus_runner.protocol import (
    Accepted,
    Bye,
    Cancel,
    Failure,
    Findings,
    FrameReader,
    Message,
    Reply,
    Result,
    Start,
    Stop,
    WireError,
    frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = Result | Failure | Findings | Accepted | Reply

_CHUNK = 65_536


class Cancelled(BaseException):
    """The host gave this work up. Not an ``Exception``, so that ordinary handlers in package code let it through."""


class HostGone(Cancelled):
    """The host closed the pipe: nobody is left to answer."""


class Channel:
    """Sends messages to the host and waits for its answers.

    Args:
        reader: Descriptor to read from.
        writer: Descriptor to write to.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader()
        self._queue: deque[Message] = deque()
        self._ids = 0
        self._stopped: str | None = None
        # One lock for each direction: a thread that waits for an answer must not keep others from reporting progress.
        self._sending = threading.Lock()
        self._asking = threading.Lock()

    def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            WireError: If it is over the frame limit; nothing was sent.
            HostGone: If the host closed the pipe.
        """
        data = memoryview(frame(message))
        with self._sending:
            try:
                while data:
                    data = data[os.write(self._writer, data) :]
            except BrokenPipeError as error:
                raise HostGone("the host closed the pipe") from error

    def next_id(self) -> int:
        """A number for a request; counts this child's requests, so it is the same when a run is repeated."""
        self._ids += 1
        return self._ids

    def request(self, make: Callable[[int], Message]) -> Answer:
        """Send a request and wait for the answer with its number.

        Args:
            make: Called with the number for the request, returns the message to send.

        Raises:
            Cancelled: If the host gives the request or the whole work up.
            HostGone: If the host closed the pipe.
            WireError: If the host answers what this protocol does not know.
        """
        with self._asking:
            if self._stopped is not None:
                raise Cancelled(self._stopped)
            number = self.next_id()
            self.send(make(number))
            while True:
                message = self._receive()
                if isinstance(message, Stop):
                    self._stop()
                if isinstance(message, Cancel):
                    # Number 0 is the work itself. A request that was already answered has nothing left to cancel.
                    if message.id == 0:
                        self._stop(message.reason)
                    if message.id == number:
                        raise Cancelled(message.reason)
                    continue
                if isinstance(message, Answer) and message.id == number:
                    return message
                if isinstance(message, Answer) and message.id < number:
                    continue  # the late answer to a request that was cancelled
                raise WireError(f"the host sent {type(message).__name__} where the answer to {number} was expected")

    def start(self) -> Start | None:
        """Wait for the work; None if the host wants none done.

        Raises:
            WireError: If something else comes first.
        """
        try:
            message = self._receive()
        except HostGone:
            return None
        if isinstance(message, Stop | Cancel):
            return None
        if not isinstance(message, Start):
            raise WireError(f"the host sent {type(message).__name__} where Start was expected")
        return message

    def end(self, usage: Bye) -> None:
        """Say goodbye; a host that is gone already need not hear it."""
        try:
            self.send(usage)
        except HostGone:
            return

    def _stop(self, reason: str = "the host asked this process to finish") -> NoReturn:
        self._stopped = reason
        raise Cancelled(reason)

    def _receive(self) -> Message:
        while not self._queue:
            data = os.read(self._reader, _CHUNK)
            if not data:
                raise HostGone("the host closed the pipe")
            self._queue.extend(self._frames.feed(data))
        return self._queue.popleft()
