"""The one tree of exceptions.

Every error says what was expected, what was found and where, and, where there is one, what to do next
(:attr:`HephaestusError.hint`). An outcome of a run (``Refused``, ``Undecided``) is a value, never an exception.
"""

from __future__ import annotations

from typing import ClassVar


class HephaestusError(Exception):
    """Base of everything that this library raises on purpose.

    Args:
        message: One sentence: what was expected, what was found, where.
        hint: One sentence: what the reader can do about it, often a command.
    """

    exit_code: ClassVar[int] = 1
    """What the command line ends with when this error reaches it (`docs/endings.md`)."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(HephaestusError):
    """The caller asked for something that is not a question: wrong option, wrong combination."""

    exit_code = 2


class InvalidRequest(UsageError):
    """A request that no router reads: too long, or text that is not Unicode scalar values."""


class AssetError(HephaestusError):
    """A file of a package does not say what it must.

    Args:
        message: What was expected and what was found.
        file: The file, relative to the package.
        line: 1-based line of the offending key, or None where there is no line to name.
        key: Dotted path of the key, or None.
        hint: Usually the nearest known key.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        key: str | None = None,
        hint: str | None = None,
    ) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {message}", hint=hint)
        self.file = file
        self.line = line
        self.key = key


class BriefRefused(HephaestusError):
    """The interview refused to let a package be built; ``report`` is its ``interview.Report``."""

    exit_code = 4

    def __init__(self, message: str, *, report: object, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class ChecksRefused(HephaestusError):
    """A check set that cannot prove anything: empty, unknown kind, or parameters that do not compile."""


class NotFound(HephaestusError):
    """A release, channel, run or receipt that is not here."""


class HubError(HephaestusError):
    """The hub could not do what was asked; what it held before, it still holds."""


class AlreadyPublished(HubError):
    """This name and version exist with other bytes. A published release never changes."""


class StaleGeneration(HubError):
    """The channel moved between reading and writing it; nothing was changed."""


class StorageError(HephaestusError):
    """The disk is full, read-only or unreadable; nothing acknowledged was lost."""


class IntegrityError(HephaestusError):
    """Bytes do not match their digest, a chain is broken, a seal does not verify."""


class KnowledgeError(HephaestusError):
    """A knowledge store or query that cannot be read. Never answered with zero hits instead."""


class IsolationUnavailable(HephaestusError):
    """The asked isolation level is not to be had here; nothing was run."""

    exit_code = 6


class ProtocolError(HephaestusError):
    """The other side of a pipe sent what the protocol does not know."""


class ChildError(HephaestusError):
    """A subprocess ended before it answered, or answered too late."""


class ChildTimeout(ChildError, TimeoutError):
    """A subprocess was still at work when its time was up; its whole process tree was killed."""


class SignerError(HephaestusError):
    """The signer process could not be started or refused to sign."""
