"""A child as its host holds it: send, receive, what it printed, how it ended, and killing all of it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import msgspec

from hephaestus.errors import ChildError, ChildTimeout, ProtocolError
from hephaestus.runtime import uids
from hephaestus.runtime.channel import Channel
from hephaestus.runtime.disposal import ChildDisposal, remove_folder
from hephaestus.runtime.exchange import read_file
from hephaestus_runner.processes import kill_below, kill_of_user
from hephaestus_runner.protocol import Failure, File, Log, Message, Result

if TYPE_CHECKING:
    from hephaestus.runtime.attest import Attestation
    from hephaestus.runtime.spawn import LaunchSpec, Spawned
    from hephaestus_runner.protocol import Hello

SETTLE_S = 1.0
"""How long a child that has answered may take to say goodbye and end by itself."""

BOOT_S = 30.0
"""How long a child may take to confine itself. Its own time counts from then on."""

END_S = 5.0
"""How long the supervisor may take to end the tree before the host does it."""


class Exit(msgspec.Struct, frozen=True):
    """How a child ended."""

    code: int | None  # exit status; minus the signal's number; None if that was not seen
    why: str  # "ended", "host", "deadline", "processes", or "unknown"

    def __str__(self) -> str:
        if self.why == "processes":
            return "killed for having more processes than its limit"
        if self.code is None:
            return "how it ended was not seen"
        if self.code >= 0:
            return f"exit status {self.code}"
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-self.code).name}"
        return f"killed by signal {-self.code}"


class Child:
    """One running child. Made by :func:`hephaestus.runtime.launch.launch`, which also ends it.

    One task may receive while another sends; each at most one at a time.

    Attributes:
        hello: Its first message.
        attested: What the host saw of its confinement.
        disposal: After the context was left: what is left of it.
    """

    hello: Hello
    attested: Attestation

    def __init__(self, spawned: Spawned, spec: LaunchSpec) -> None:
        self._spawned = spawned
        self._spec = spec
        self._channel = Channel(spawned, output_bytes=spec.policy.limits.output_bytes)
        self._deadline = anyio.current_time() + BOOT_S
        self._settled = False
        self._handle: int | None = None  # a pidfd of the child itself
        self.disposal: ChildDisposal | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id on the host; None before the supervisor told it."""
        found = self._channel.notes.get("pid")
        return found if isinstance(found, int) else None

    @property
    def supervisor(self) -> int:
        """The process id of its supervisor."""
        return self._spawned.process.pid

    @property
    def logs(self) -> tuple[Log, ...]:
        """What it printed so far, one entry for each stream that holds anything, bounded by the policy."""
        streams = self._channel.printed.values()
        return tuple(Log("stderr" if one.stream == "stderr" else "stdout", one.text) for one in streams if one.text)

    @property
    def exit(self) -> Exit | None:
        """How it ended; None while it runs."""
        notes = self._channel.notes
        if "why" in notes:
            return Exit(notes.get("exit"), str(notes["why"]))
        return Exit(None, "unknown") if self._channel.gone else None

    async def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            ProtocolError: If it is over the frame limit; nothing was sent.
            ChildTimeout: If the deadline passed; the child was killed.
            ChildError: If the child closed its end.
        """
        with anyio.CancelScope(deadline=self._deadline) as scope:
            try:
                await self._channel.send(message)
            except ChildError as error:
                raise ChildError(f"{error} ({self._state()})", hint=error.hint) from error
        if scope.cancelled_caught:
            self._late()

    async def receive(self) -> Message | None:
        """The child's next message, or None when it closed its end.

        Raises:
            ProtocolError: If it sent what this protocol does not know, or too much; it was killed.
            ChildTimeout: If the deadline passed; it was killed.
        """
        message: Message | None = None
        with anyio.CancelScope(deadline=self._deadline) as scope:
            try:
                message = await self._channel.receive()
                if message is None:
                    # How it ended is what its user asks next; a child that lives on after closing its end is not news.
                    with anyio.move_on_after(SETTLE_S):
                        await self._until_gone()
            except ProtocolError:
                self.kill()
                raise
        if scope.cancelled_caught or (self.exit is not None and self.exit.why == "deadline"):
            self._late()
        self._settled = self._settled or (isinstance(message, Result | Failure) and message.id == 0)
        return message

    async def fetch(self, file: File) -> bytes:
        """The bytes of an artefact that the child put into the exchange folder.

        Raises:
            ProtocolError: If there is no such regular file, or its size or digest is another.
        """
        if self._spec.exchange is None:
            raise ProtocolError("the child names a file, and it was given no exchange folder")
        return await anyio.to_thread.run_sync(read_file, self._spec.exchange, file)

    def kill(self) -> None:
        """End the child and all that it started, now. Does not wait; leaving the context does."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                # Of an isolated child this is process 1 of its namespace, with which all others end.
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._spawned.control.shutdown(1)  # SHUT_WR: the supervisor reads the end and kills the rest

    def _late(self) -> None:
        self.kill()
        raise ChildTimeout(
            f"the {self._spec.role} took longer than {self._spec.policy.limits.wall_ms} ms and was killed",
            hint="raise wall_ms in [permissions.limits] of the package if it needs more",
        )

    def _state(self) -> str:
        return "it is still running" if self.exit is None else str(self.exit)

    async def _until_gone(self) -> None:
        while not self._channel.gone:
            await self._channel.progress()

    async def told(self, name: str) -> None:
        """Wait until the supervisor told this, or is gone."""
        while name not in self._channel.notes and not self._channel.gone:
            await self._channel.progress()

    def begin(self) -> None:
        """The child said hello and is confined: its time runs from now, and it can be killed without its supervisor."""
        self._deadline = anyio.current_time() + self._spec.policy.limits.wall_ms / 1000
        if self.pid is not None and hasattr(os, "pidfd_open"):
            with contextlib.suppress(ProcessLookupError):
                self._handle = os.pidfd_open(self.pid)

    async def dispose(self) -> None:
        """End what still runs, wait for it, remove its folder, close everything, and note what is left."""
        with anyio.CancelScope(shield=True):
            how = await self._end()
            left = self._still_there()
            descriptors = self._close()
            gone = await anyio.to_thread.run_sync(remove_folder, self._spawned.folder)
        uids.give_back(self._spawned.uid)
        self.disposal = ChildDisposal(
            verified=bool(how) and not left and gone and not descriptors,
            processes=tuple(pid for pid in (self.supervisor, self.pid) if pid is not None),
            processes_left=left,
            folder_gone=gone,
            descriptors_left=descriptors,
            how=how or "the supervisor ended before it could tell that nothing is left",
        )

    async def _end(self) -> str | None:
        """End the tree; returns what shows that nothing of it is left, None if nothing does."""
        if self._settled:
            with anyio.move_on_after(SETTLE_S):
                await self._drain()
        if not self._channel.gone:
            self.kill()
            with anyio.move_on_after(END_S):
                await self._drain()
        if not self._channel.gone:
            # The supervisor was stopped or is stuck. It is alive, so orphans of the tree are still found below it.
            await anyio.to_thread.run_sync(self._force)
        self._spawned.process.poll()
        await self._reap()
        with contextlib.suppress(ProtocolError):
            # What was printed last may still lie in the pipes.
            while self._channel.pump():
                continue
        return await anyio.to_thread.run_sync(self._evidence)

    async def _drain(self) -> None:
        while not self._channel.gone:
            # What it sends now is too late to be anything to anyone.
            with contextlib.suppress(ProtocolError):
                await self._channel.progress()
            self._channel.forget()

    def _force(self) -> None:
        until = time.monotonic() + END_S
        while kill_below(self.supervisor) and time.monotonic() < until:
            time.sleep(0.002)
        self._spawned.process.kill()

    async def _reap(self) -> None:
        process = self._spawned.process
        if process.returncode is None and hasattr(os, "pidfd_open"):
            handle = os.pidfd_open(process.pid)
            try:
                with anyio.move_on_after(END_S) as scope:
                    await anyio.wait_readable(handle)
                if scope.cancelled_caught:
                    process.kill()
                    await anyio.wait_readable(handle)
            finally:
                os.close(handle)
        await anyio.to_thread.run_sync(process.wait)

    def _evidence(self) -> str | None:
        """Blocking. What shows that no process of the tree is left."""
        if self._channel.notes.get("left") == 0:
            return "the supervisor, which adopts every orphan of the tree, waited for the last one"
        if self._handle is None and self.pid is None:
            return "the supervisor ended before it forked"
        if self._handle is None or not _ended(self._handle, END_S):
            return None
        if self._spec.policy.level == "isolated":
            return "process 1 of the process id namespace ended, and the kernel ends all others with it"
        if self._spawned.uid is not None and not kill_of_user(self._spawned.uid, END_S):
            return "every process of the user id, which is the child's alone, was killed"
        return None

    def _still_there(self) -> tuple[int, ...]:
        left = []
        if self._spawned.process.returncode is None:
            left.append(self.supervisor)
        if self.pid is not None and self._handle is not None and not _ended(self._handle, 0):
            left.append(self.pid)
        return tuple(left)

    def _close(self) -> int:
        """Close every descriptor; returns how many are still open."""
        opened = [(descriptor, _identity(descriptor)) for descriptor in self._spawned.descriptors()]
        self._channel.close()
        self._spawned.control.close()
        for descriptor in self._spawned.descriptors():
            os.close(descriptor)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        # Another thread may have been given the same number for something else by now.
        return sum(1 for descriptor, identity in opened if _identity(descriptor) == identity is not None)


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _ended(handle: int, seconds: float) -> bool:
    """Whether the process of a pidfd has ended, waiting for it at most so long."""
    return bool(select.select([handle], [], [], seconds)[0])
