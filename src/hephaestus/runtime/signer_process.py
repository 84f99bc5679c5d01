"""The signer: the only process that holds private keys. It reads requests from one socket and signs, or says why not.

It is run by path (see :mod:`hephaestus.runtime.signer`) with an empty environment, prints nothing, and ends when its
socket closes. It signs what it is told to, but only for a known purpose, and the purpose is inside what is signed. A
process that could reach its socket could therefore have things sealed; what no process gets from it is a key.

In the key folder (0700) lies one folder per key name, ``seal`` and ``release``: ``ID.key`` (PKCS 8, PEM, 0600),
``ID.pub`` (one line of text) and ``active``, which holds the id of the key that signs. ``revoked`` lists ids that sign
no more.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import re
import signal
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from hephaestus.seals import key_id, signed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_FRAME: Final = 1 << 20
HEADER: Final = struct.Struct("<I")

KEY_OF: Final = {"certificate": "seal", "head": "seal", "release": "release"}
"""Purpose -> name of the key. What a runtime seals and what a hub publishes never share a key."""

KEY_ID: Final = re.compile(r"[0-9a-f]{16}\Z")


class _Frame(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Base of all messages; ``id`` of an answer is that of its request, 0 for what nobody asked for."""

    id: int


class Sign(_Frame, frozen=True):
    """host -> signer. Answered by :class:`Signed`."""

    purpose: str
    payload: bytes


class Rotate(_Frame, frozen=True):
    """host -> signer: make a new active key. Answered by :class:`Rotated`."""

    key: str


class Ready(_Frame, frozen=True):
    """signer -> host, first."""


class Signed(_Frame, frozen=True):
    """signer -> host."""

    key_id: str
    seal: bytes


class Rotated(_Frame, frozen=True):
    """signer -> host."""

    key_id: str


class Refused(_Frame, frozen=True):
    """signer -> host: why not, and what to do."""

    message: str
    hint: str


Request = Sign | Rotate
Answer = Ready | Signed | Rotated | Refused


class Fault(Exception):
    """A request that cannot be granted; becomes :class:`Refused`."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def frame(message: Request | Answer) -> bytes:
    """One message as bytes on the socket.

    Raises:
        ValueError: If it is longer than :data:`MAX_FRAME`.
    """
    body = msgspec.msgpack.encode(message)
    if len(body) > MAX_FRAME:
        raise ValueError(f"a message of {len(body)} bytes is over the signer's limit of {MAX_FRAME}")
    return HEADER.pack(len(body)) + body


class Keys:
    """The private keys of one folder. Every fault names the file and the way out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[str, Ed25519PrivateKey] = {}

    def sign(self, purpose: str, payload: bytes) -> tuple[str, bytes]:
        """Key id and seal.

        Raises:
            Fault: If the purpose is unknown, or its key is lost, revoked or readable by others.
        """
        name = KEY_OF.get(purpose)
        if name is None:
            raise Fault(f"the signer seals {', '.join(KEY_OF)}, not {purpose[:80]!r}")
        # Read at every signature: another process may have rotated or revoked meanwhile.
        active = self._active(name) or self._first(name)
        if active in revoked(self.folder):
            raise Fault(f"key {active} ({name}) is revoked", f"make a new one: rotate key {name!r}")
        return active, self._private(name, active).sign(signed_bytes(purpose, payload))

    def rotate(self, name: str) -> str:
        """Make a new active key; the old public key stays where verifiers find it.

        Raises:
            Fault: If there is no key of that name, or the folder is not safe.
        """
        if name not in KEY_OF.values():
            raise Fault(f"there is no key {name[:80]!r}, only {', '.join(sorted(set(KEY_OF.values())))}")
        with self._locked(name):
            return self._create(name)

    def _first(self, name: str) -> str:
        with self._locked(name) as folder:
            active = self._active(name)  # another process may have been faster
            if active is not None:
                return active
            if any(folder.glob("*.key")):
                raise Fault(
                    f"{folder} holds private keys, but {folder / 'active'} does not say which one signs",
                    f"write the id of the right one into {folder / 'active'}, or rotate key {name!r}",
                )
            return self._create(name)

    def _active(self, name: str) -> str | None:
        path = self.folder / name / "active"
        try:
            text = path.read_text("ascii").strip()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            text = ""
        if not KEY_ID.match(text):
            raise Fault(f"{path} holds no key id", f"write the id of the right key into it, or rotate key {name!r}")
        return text

    def _private(self, name: str, active: str) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if active in self._loaded:
            return self._loaded[active]
        path = self.folder / name / f"{active}.key"
        require_private(self.folder, folder=True)
        require_private(path.parent, folder=True)
        try:
            require_private(path, folder=False)
        except FileNotFoundError as error:
            raise Fault(
                f"the private key {path} is missing",
                f"put it back from a backup, or rotate key {name!r}; with {active}.pub kept, old seals still verify",
            ) from error
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise Fault(f"{path} is not an unencrypted PKCS 8 key in PEM", "put it back from a backup") from error
        if not isinstance(private, Ed25519PrivateKey) or key_id(private.public_key().public_bytes_raw()) != active:
            raise Fault(f"{path} holds another key than its name says", "put it back from a backup")
        with contextlib.suppress(FileExistsError):  # lost, or never written before a crash
            write_new(
                path.with_suffix(".pub"), public_line(active, private.public_key().public_bytes_raw()), mode=0o644
            )
        self._loaded[active] = private
        return private

    def _create(self, name: str) -> str:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        new = key_id(public)
        folder = self.folder / name
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_new(folder / f"{new}.key", pem, mode=0o600)
        write_new(folder / f"{new}.pub", public_line(new, public), mode=0o644)
        replace(folder / "active", f"{new}\n".encode())
        self._loaded[new] = private
        return new

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[Path]:
        folder = self.folder / name
        for place in (self.folder, folder):
            with contextlib.suppress(FileExistsError):
                place.mkdir(mode=0o700)
            require_private(place, folder=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(fd)


def require_private(path: Path, *, folder: bool) -> None:
    """Refuse a key file or folder that somebody else could read or has put there.

    Raises:
        Fault: If it is a link, of another kind, of another owner, or open to group or others.
        FileNotFoundError: If it is missing.
    """
    found = path.lstat()
    if not (stat.S_ISDIR(found.st_mode) if folder else stat.S_ISREG(found.st_mode)):
        raise Fault(f"{path} is not a {'folder' if folder else 'regular file'}", "move it away")
    if found.st_uid != os.geteuid():
        raise Fault(f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}", "have its owner move it away")
    if found.st_mode & 0o077:
        wanted = "700" if folder else "600"
        raise Fault(
            f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):o}, expected {wanted})",
            f"chmod {wanted} {path}; if others may have read the key, rotate it and revoke this one",
        )


def revoked(folder: Path) -> dict[str, str]:
    """Revoked key id -> reason.

    Raises:
        Fault: If the list cannot be understood: nothing is trusted then.
    """
    path = folder / "revoked"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise Fault(f"{path} is not text", "put it back from a backup") from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, _, reason = line.partition(" ")
        if not KEY_ID.match(name):
            raise Fault(f"{path}:{number}: expected a key id and a reason, found {line[:80]!r}", "correct the line")
        found[name] = reason
    return found


def public_line(name: str, public: bytes) -> bytes:
    """The content of a ``.pub`` file."""
    return f"hephaestus-ed25519 {name} {base64.b64encode(public).decode()}\n".encode()


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Make a file that is not there yet, durably."""
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)  # nothing half-written keeps the name
        raise


def replace(path: Path, data: bytes) -> None:
    """Put new content into a file in one step, durably."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        write_new(scratch, data, mode=0o600)
        scratch.rename(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def answer(keys: Keys, request: Request) -> Answer:
    """Do what a request asks for; every reason why not is an answer too."""
    try:
        if isinstance(request, Sign):
            name, seal = keys.sign(request.purpose, request.payload)
            return Signed(request.id, name, seal)
        return Rotated(request.id, keys.rotate(request.key))
    except Fault as error:
        return Refused(request.id, str(error), error.hint)
    except OSError as error:
        return Refused(request.id, f"the key folder cannot be used: {error.strerror}: {error.filename}", "")


def serve(connection: socket.socket, keys: Keys) -> int:
    """Answer requests until the other side closes.

    Returns:
        0 at the end of the stream; 2 after bytes that are no request, because nothing behind them can be trusted.
    """
    decoder = msgspec.msgpack.Decoder(Request)
    with connection, connection.makefile("rb") as stream:
        connection.sendall(frame(Ready(0)))
        while header := stream.read(HEADER.size):
            try:
                if len(header) < HEADER.size:
                    raise ValueError("the stream ended inside a frame")
                (length,) = HEADER.unpack(header)
                if length > MAX_FRAME:
                    raise ValueError(f"a frame of {length} bytes is over the limit of {MAX_FRAME}")
                body = stream.read(length)
                if len(body) < length:
                    raise ValueError("the stream ended inside a frame")
                request = decoder.decode(body)
            except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
                with contextlib.suppress(OSError):
                    connection.sendall(frame(Refused(0, f"not a request: {error}", "")))
                return 2
            connection.sendall(frame(answer(keys, request)))
    return 0


def harden() -> None:
    """Keep the keys out of core files and out of reach of a debugger of the same user."""
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the host decides when sealing is over, not Ctrl-C
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        pr_set_dumpable = 4
        ctypes.CDLL(None).prctl(pr_set_dumpable, 0, 0, 0, 0)


def main(arguments: list[str]) -> NoReturn:
    """Run as a process.

    Args:
        arguments: The number of the socket's descriptor and the key folder.
    """
    harden()
    connection = socket.socket(fileno=int(arguments[0]))
    try:
        code = serve(connection, Keys(Path(arguments[1])))
    except (BrokenPipeError, ConnectionResetError):
        code = 0  # the host is gone
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:3])
