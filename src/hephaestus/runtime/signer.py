"""The host's side of the signer process: starts it when something is first sealed, asks it, ends it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast

import anyio
import anyio.to_thread
import msgspec

from hephaestus.errors import SignerError
from hephaestus.runtime import keyring, signer_process
from hephaestus.seals import Seal

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE: Final = 5.0
"""Seconds that a signer has to end when its client is closed, before it is killed."""
TIMEOUT: Final = 30.0
"""Seconds for one request, the start of the process included. A seal takes 0.1 ms; this is for a machine in trouble."""

T = TypeVar("T", bound=signer_process.Answer)

_BOOT: Final = (
    "import runpy, sys; sys.path += sys.argv[4:]; sys.argv[:] = sys.argv[1:4]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Run by path, so that starting the signer imports neither site hooks nor the rest of the runtime."""


class _Process:
    """One signer process and the socket to it."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self.popen = subprocess.Popen(
                    [
                        sys.executable, "-I", "-S", *(["-B"] if sys.dont_write_bytecode else []), "-c", _BOOT,
                        signer_process.__file__, str(theirs.fileno()), os.fspath(folder.absolute()), *_import_roots(),
                    ],
                    env={}, cwd="/", pass_fds=(theirs.fileno(),), start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )  # fmt: skip
            ours.setblocking(False)
        except BaseException:
            ours.close()
            raise
        self.socket = ours
        self._buffer = bytearray()
        self._decoder: msgspec.msgpack.Decoder[signer_process.Answer] = msgspec.msgpack.Decoder(signer_process.Answer)

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self.socket)

    @property
    def gone(self) -> bool:
        """Whether nothing that is sent now would be read: it ended, or closed its end."""
        poll = select.poll()
        poll.register(self.socket, 0)  # that the other end is closed is told without asking
        return self.popen.poll() is not None or bool(poll.poll(0))

    async def receive(self) -> signer_process.Answer:
        """The next answer.

        Raises:
            EOFError: The process closed its end.
            ValueError: It sent what is no answer.
        """
        size = signer_process.HEADER.size
        while True:
            if len(self._buffer) >= size:
                (length,) = signer_process.HEADER.unpack_from(self._buffer)
                if length > signer_process.MAX_FRAME:
                    raise ValueError(f"a frame of {length} bytes")
                if len(self._buffer) >= size + length:
                    body = bytes(self._buffer[size : size + length])
                    del self._buffer[: size + length]
                    return self._decoder.decode(body)
            try:
                data = self.socket.recv(1 << 16)
            except BlockingIOError:
                await anyio.wait_readable(self.socket)
                continue
            if not data:
                raise EOFError
            self._buffer += data

    async def end(self, *, patience: float) -> str:
        """Close the socket, wait for the process, kill it after ``patience`` seconds; says how it ended."""
        self.socket.close()
        with anyio.move_on_after(patience):
            await _wait(self.popen)
        if self.popen.returncode is None:
            self.popen.kill()
            await _wait(self.popen)
        stream = self.popen.stderr
        said = ""
        if stream is not None:
            with stream:
                os.set_blocking(stream.fileno(), False)
                said = (stream.read(4096) or b"").decode("utf-8", "replace").strip()
        code = self.popen.returncode
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"{how}: {said.splitlines()[-1]}" if said else how


class SignerClient:
    """The connection to the signer; use as ``async with SignerClient.open(folder) as signer``.

    It fits :class:`hephaestus.seals.Signer`. Requests of several tasks are answered one after the other. A signer that
    died while nobody asked it anything is started again by the next request, once, and nobody notices. One that dies
    with a request in hand is an error of that request: whether it sealed or made a key is not known.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: _Process | None = None
        self._count = 0
        self._open = False

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> SignerClient:
        """A client for the keys in this folder; nothing is started and no file made before something is sealed."""
        return cls(Path(folder))

    async def __aenter__(self) -> Self:
        self._turn = anyio.Lock()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        with anyio.CancelScope(shield=True):
            async with self._turn:
                if self._process is not None:
                    await self._process.end(patience=PATIENCE)
                    self._process = None

    async def start(self) -> None:
        """Start the process now, if it is not running, so that the first seal need not wait for it.

        Raises:
            SignerError: If it does not start.
        """
        with anyio.CancelScope(shield=True):
            async with self._turn:
                await self._running()

    async def sign(self, tag: str, payload: bytes) -> Seal:
        """Seal ``payload``.

        Args:
            tag: The purpose: ``certificate``, ``head`` or ``release``.
            payload: Up to about 1 MB; seal a digest of what is larger.

        Raises:
            SignerError: If the purpose is unknown, the key is lost, revoked or readable by others, or the process died.
        """
        self._count += 1
        signed = await self._ask(signer_process.Sign(self._count, tag, payload), signer_process.Signed)
        return Seal(signed.key_id, signed.seal)

    async def rotate(self, name: keyring.KeyName) -> str:
        """Make a new active key and return its id; the old public key stays trusted.

        Raises:
            SignerError: As :meth:`sign`.
        """
        self._count += 1
        return (await self._ask(signer_process.Rotate(self._count, name), signer_process.Rotated)).key_id

    async def public_keys(self, purpose: str) -> dict[str, bytes]:
        """Key id -> 32 raw bytes of every key whose seals for this purpose are trusted; see :mod:`.keyring`.

        Raises:
            SignerError: If the purpose is unknown.
            IntegrityError: If the folder's public files are damaged.
            StorageError: If the folder cannot be read.
        """
        return await anyio.to_thread.run_sync(keyring.trusted, self.folder, purpose)

    async def _ask(self, request: signer_process.Request, expected: type[T]) -> T:
        try:
            data = signer_process.frame(request)
        except ValueError as error:
            raise SignerError(str(error), hint="seal a digest instead of the bytes") from error
        async with self._turn:
            with anyio.CancelScope(shield=True):  # half a request in the socket would spoil every one behind it
                process = await self._running()
                answer = await self._exchange(process, data)
                if answer.id != request.id or not isinstance(answer, expected | signer_process.Refused):
                    raise await self._broken(process, f"answered {type(answer).__name__} {answer.id} out of turn")
        if isinstance(answer, signer_process.Refused):
            raise SignerError(answer.message, hint=answer.hint or None)
        return cast(T, answer)

    async def _running(self) -> _Process:
        if not self._open:
            raise SignerError("the signer is not open", hint="use it inside `async with SignerClient.open(folder)`")
        if self._process is not None and self._process.gone:
            dead, self._process = self._process, None
            await dead.end(patience=1)
        if self._process is None:
            try:
                self._process = _Process(self.folder)
            except OSError as error:
                raise SignerError(f"the signer process could not be started: {error}") from error
            ready = await self._exchange(self._process, b"")
            if not isinstance(ready, signer_process.Ready):
                raise await self._broken(self._process, f"said {type(ready).__name__} instead of being ready")
        return self._process

    async def _exchange(self, process: _Process, data: bytes) -> signer_process.Answer:
        try:
            with anyio.fail_after(TIMEOUT):
                await process.send(data)
                return await process.receive()
        except TimeoutError as error:
            process.popen.kill()
            raise await self._broken(process, f"did not answer within {TIMEOUT:g} s") from error
        except (EOFError, OSError) as error:
            raise await self._broken(process, "") from error
        except ValueError as error:  # msgspec's errors are ValueErrors
            raise await self._broken(process, f"sent what is no answer: {error}") from error

    async def _broken(self, process: _Process, what: str) -> SignerError:
        """Give the process up. The caller still has the turn."""
        if self._process is process:
            self._process = None
        with anyio.CancelScope(shield=True):
            how = await process.end(patience=1)
        return SignerError(
            f"the signer process {what + '; it ' if what else ''}{how}; no answer came",
            hint="try again: the next request starts it anew",
        )


async def _wait(popen: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a process without blocking the event loop."""
    try:
        fd = os.pidfd_open(popen.pid)
    except (AttributeError, OSError):  # not Linux, or a kernel before 5.3
        await anyio.to_thread.run_sync(popen.wait, abandon_on_cancel=True)
        return
    try:
        await anyio.wait_readable(fd)
    finally:
        os.close(fd)
    popen.wait()


def _import_roots() -> list[str]:
    """The folders from which the signer imports; nothing is imported here to find them."""
    roots: dict[str, None] = {}
    for name in ("hephaestus", "msgspec", "cryptography", "_cffi_backend"):
        with contextlib.suppress(ModuleNotFoundError):
            spec = importlib.util.find_spec(name)
            if spec is not None and spec.origin is not None:
                package = spec.submodule_search_locations is not None
                roots[str(Path(spec.origin).parents[1 if package else 0])] = None
    return list(roots)
