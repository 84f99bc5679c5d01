"""Being told to stop: Ctrl-C, a terminal that goes away, whoever ends the process. All three end a command in order.

A signal is written down when it arrives and acted on where that is safe: an event loop is cancelled, so that what runs
is ended and its ending is in the journal; a read from a person is broken off. In between, nothing is interrupted.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Self

    import anyio

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

_held: list[Signals] = []
"""Of the command that is running; empty outside of one."""


class Stopped(BaseException):
    """A signal asked for the end of the command; not an error, so that nothing on the way handles it as one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What shells expect: 130, 143, 129."""
        return 128 + self.number

    def __str__(self) -> str:
        name = signal.Signals(self.number).name
        return "interrupted" if name == "SIGINT" else f"interrupted by {name}"


class Signals:
    """Holds signals off from here to the end of the context, in which one command runs.

    Those that whoever started the process has set to be ignored (``nohup``) stay ignored. Outside of the main thread,
    where Python hands no signals out, it does nothing.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._interruptible = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is None or signal.getsignal(number) in (signal.SIG_IGN, None):
                continue
            with contextlib.suppress(ValueError):  # another thread
                self._before[number] = signal.signal(number, self._on_signal)
        _held.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        _held.remove(self)
        os.close(self._reader)
        os.close(self._writer)

    def _on_signal(self, number: int, stack: FrameType | None) -> None:  # noqa: ARG002
        # Only the first counts: the end that it asked for is already under way, and it is a short one.
        if self.number is None:
            self.number = number
            with contextlib.suppress(BlockingIOError):
                os.write(self._writer, b"!")
        if self._interruptible:
            raise Stopped(self.number)

    def check(self) -> None:
        """Stop here if that was asked for.

        Raises:
            Stopped: If it was.
        """
        if self.number is not None:
            raise Stopped(self.number)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Around what may wait for a person: a signal breaks it off."""
        self._interruptible = True
        try:
            self.check()
            yield
        finally:
            self._interruptible = False

    async def cancel(self, scope: anyio.CancelScope) -> None:
        """Wait for a signal, then cancel a scope. A signal that came before counts too."""
        import anyio

        # A pipe and not the loop's own signal handlers: those would lose what arrives before and after the loop.
        await anyio.wait_readable(self._reader)
        scope.cancel()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """:meth:`Signals.interruptible` of the command that is running, if there is one."""
    with _held[-1].interruptible() if _held else contextlib.nullcontext():
        yield
