"""What a kind of check is: its parameters, how they compile, and what the compiled check is handed and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import msgspec

from hephaestus.stormbreaker.result import MAX_DETAILS, Detail

Files = Callable[[str], bytes | None]
"""Reads a file of the release by its path; None where there is no such file."""


class Passages(Protocol):
    """The knowledge snapshot of a run, as the gate sees it: canonical text by passage id, and no database."""

    def text(self, id: str, /) -> str | None:  # noqa: A002 - the word of the field
        """The text of a passage, or None where the snapshot has no such passage."""
        ...


class Executor(Protocol):
    """Runs a function of the package in an isolated child. The gate is handed one; it starts no process itself."""

    async def run_check(self, entry: str, payload: bytes, *, deadline_ms: int) -> bytes:
        """Call ``module:function`` of the package with decoded JSON and return what it answered, as JSON.

        Args:
            entry: ``module:function``.
            payload: JSON object with ``artefact`` and ``params``.
            deadline_ms: Milliseconds for the whole of it, start of the child included.

        Raises:
            TimeoutError: The child did not answer in time; it is gone.
            ChildError: The child ended, was killed, raised, or answered something that is not JSON.
        """
        ...


class Subject(msgspec.Struct, frozen=True):
    """What every check of one judgement reads. No check changes it."""

    artefact: bytes  # the exact JSON
    value: Any  # that JSON, parsed strictly
    passages: Passages | None = None


class Observation(msgspec.Struct, frozen=True):
    """What a check saw. Whether that is a pass is decided in one place, by ``stormbreaker``."""

    inspected: int
    details: tuple[Detail, ...] = ()  # the first MAX_DETAILS things that are wrong
    problems: int = 0  # how many things are wrong


class DataCheck(msgspec.Struct, frozen=True):
    """A compiled check that looks at data only. It runs in a worker thread and must be linear in what it reads."""

    look: Callable[[Subject], Observation]


class CodeCheck(msgspec.Struct, frozen=True):
    """A compiled check that runs code of the package, through the handed executor and never in this process."""

    run: Callable[[Subject, Executor], Awaitable[Observation]]
    deadline_ms: int


class Compiled(msgspec.Struct, frozen=True):
    """A check that is ready to run, with the files of the release that it was made from."""

    check: DataCheck | CodeCheck
    files: dict[str, bytes] = {}  # path -> the bytes that the check depends on; their digests enter the check set's
    needs_passages: bool = False


class Kind(msgspec.Struct, frozen=True):
    """One kind of check.

    ``compile`` gets the validated parameters and ``Files``, and raises ``ValueError`` with the reason where they
    cannot make a check that proves something.
    """

    name: str
    params: type[msgspec.Struct]
    compile: Callable[[Any, Files], Compiled]


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the parameters of every kind."""


def observe(inspected: int, problems: Iterable[Detail]) -> Observation:
    """Collect what is wrong: all of it is counted, the first :data:`~.result.MAX_DETAILS` are kept."""
    kept: list[Detail] = []
    count = 0
    for problem in problems:
        count += 1
        if count <= MAX_DETAILS:
            kept.append(problem)
    return Observation(inspected=inspected, details=tuple(kept), problems=count)


def release_file(files: Files, path: str) -> bytes:
    """The bytes of a file of the release.

    Raises:
        ValueError: If the path leaves the release or there is no such file.
    """
    if path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"`{path[:200]}` is not a path inside the release")
    data = files(path)
    if data is None:
        raise ValueError(f"the release has no file `{path[:200]}`")
    return data
