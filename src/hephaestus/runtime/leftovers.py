"""What a host that was killed leaves behind: whose private folders are still in use, and tidying up those that are not.

Every folder below ``runs`` has a lock file beside it, which its host and the supervisors of its children hold open. The
system lets go of the lock when the last of them is gone, however they ended; then nobody is left to remove the folder.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from hephaestus.errors import StorageError
from hephaestus.receipts import Draft
from hephaestus.runtime.disposal import remove_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hephaestus.receipts import Entry, Journal

ENDED: Final = "the host was ended before the run was"
"""What the ending of such a run says."""

_OURS: Final = re.compile(r"(?:run|errand)-[0-9a-f]{16}")
_SUFFIX: Final = ".lock"
_HOW: Final = (
    "the host was ended, so nobody saw the processes of the run end",
    "the lock of the run was free: its host and every supervisor of its children, which end them, are gone",
    "the private folder of the run was removed and looked up afterwards",
)


def take(runs: Path, name: str) -> int:
    """Say that ``runs/name`` is in use, before it is made. Blocking.

    Args:
        runs: The folder of private folders; it must exist.
        name: Of one that is not there yet.

    Returns:
        A descriptor; the folder counts as used until every copy of it is closed.

    Raises:
        OSError: If the lock file cannot be made.
    """
    # Shared, so that nobody who tidies up finds the file before it is locked.
    with _turn(runs, fcntl.LOCK_SH):
        lock = os.open(runs / (name + _SUFFIX), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # Some file systems have no locks. There nothing is ever tidied up, because no lock can be had then either.
        _lock(lock)
    return lock


def release(runs: Path, name: str, lock: int) -> None:
    """The folder is gone, and so is whoever used it. Blocking."""
    try:
        (runs / (name + _SUFFIX)).unlink(missing_ok=True)
    finally:
        os.close(lock)


async def sweep(runs: Path, journal: Journal) -> tuple[str, ...]:
    """Remove the private folders that nobody uses any more, and end their runs in the journal.

    A run that has no ending gets one (``undecided``, cause ``caller``), and a disposal, which is not verified: nobody
    saw the processes end. What cannot be removed or written now is tried again the next time.

    Args:
        runs: The folder of private folders.
        journal: Where their runs are written down.

    Returns:
        Names of the folders that are gone now.

    Raises:
        IntegrityError: If the journal is damaged.
    """
    swept = []
    abandoned = await anyio.to_thread.run_sync(_abandoned, runs)
    try:
        while abandoned:
            name, lock = abandoned[-1]
            if await _bury(runs / name, journal):
                await anyio.to_thread.run_sync((runs / (name + _SUFFIX)).unlink)
                swept.append(name)
            abandoned.pop()
            os.close(lock)
    finally:
        for _, lock in abandoned:
            os.close(lock)
    return tuple(swept)


async def _bury(folder: Path, journal: Journal) -> bool:
    gone = await anyio.to_thread.run_sync(remove_folder, folder)
    try:
        await _end(folder.name, journal, folder_gone=gone)
    except StorageError:
        # The disk is full, perhaps. The lock file stays, and with it the reason to come back to this run.
        return False
    return gone


async def _end(run: str, journal: Journal, *, folder_gone: bool) -> None:
    entries = await journal.entries(run=run)
    kinds = {entry.kind for entry in entries}
    if not entries or "ending" in kinds:
        return
    drafts = [] if "disposal" in kinds else [Draft(kind="disposal", run=run, body=_disposal(run, entries, folder_gone))]
    erased = await journal.secrets(entries[0]) is None
    secrets = {} if erased else {"message": ENDED.encode()}
    await journal.append(*drafts, Draft(kind="ending", run=run, body=_ending(entries), secrets=secrets))


def _disposal(run: str, entries: tuple[Entry, ...], folder_gone: bool) -> dict[str, Any]:
    """The body that a task force writes of itself (``hephaestus.taskforce.Disposal``)."""
    return {
        "verified": False,
        "children": sum(entry.kind == "start" for entry in entries),
        "processes_left": [],
        "folders_left": [] if folder_gone else [run],
        "descriptors_left": 0,
        "how": list(_HOW if folder_gone else _HOW[:-1]),
    }


def _ending(entries: tuple[Entry, ...]) -> dict[str, Any]:
    judged = [entry.value for entry in entries if entry.kind == "verdict"]
    submitted = [entry.value for entry in entries if entry.kind == "attempt"]
    return {
        "kind": "undecided",
        "cause": "caller",
        "attempts": max((one["attempt"] for one in judged if one["ruling"] != "Unclear"), default=0),
        "entries": [entries[-1].seq],
        "artefact": submitted[-1]["artefact"] if submitted else None,
    }


def _abandoned(runs: Path) -> list[tuple[str, int]]:
    """Names below ``runs`` that nobody holds the lock of, each with that lock, taken."""
    if not os.listdir(runs):
        return []
    found = []
    with _turn(runs, fcntl.LOCK_EX) as alone:
        names = {name.removesuffix(_SUFFIX) for name in os.listdir(runs)} if alone else set()
        for name in sorted(name for name in names if _OURS.fullmatch(name)):
            # A folder without a lock file is of a host that was killed while it tidied up.
            lock = os.open(runs / (name + _SUFFIX), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            # No name any more: its host ended in an orderly way just now.
            if _lock(lock) and os.fstat(lock).st_nlink:
                found.append((name, lock))
            else:
                os.close(lock)
    return found


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def _turn(runs: Path, how: int) -> Iterator[bool]:
    """Wait for a turn at the folder itself; yields whether there is such a thing here."""
    folder = os.open(runs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(folder, how)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(folder)
