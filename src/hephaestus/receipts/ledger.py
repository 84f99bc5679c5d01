"""The ledger: which steps with an outside effect were begun and which are done, so that resuming never does one twice.

A step is begun durably before its effect starts, and done in the same transaction as the entry that holds its answer. A
step found begun but not done is in doubt: whether its effect happened, only the outside knows. Blocking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from hephaestus.canonical import Digest, is_digest
from hephaestus.errors import UsageError
from hephaestus.receipts.database import rows

if TYPE_CHECKING:
    import apsw

State = Literal["begun", "done"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run."""

    run: str
    step: str  # its key: the same in a resumed run
    state: State
    request: Digest  # of what was asked for
    seq: int | None  # of the entry with the answer, once done
    fresh: bool = False  # begun just now by this very call; otherwise a step found "begun" is in doubt


def check(step: str, request: str) -> None:
    """Refuse what is not the key of a step and the digest of a request.

    Raises:
        UsageError: If ``step`` is empty, over 512 characters or not Unicode scalar values, or ``request`` no digest.
    """
    try:
        step.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError("a step's key holds a lone surrogate") from error
    if not 0 < len(step) <= 512:
        raise UsageError(f"a step's key has 1 to 512 characters, found {len(step)}")
    if not is_digest(request):
        raise UsageError(f"a step's request must be a digest, found {request[:80]!r}")


def find(connection: apsw.Connection, run: str, step: str) -> Step | None:
    """The step as it stands, or None if it was never begun."""
    found = rows(connection, "SELECT state, request, seq FROM ledger WHERE run = ? AND step = ?", (run, step))
    if not found:
        return None
    state, request, seq = found[0]
    return Step(run=run, step=step, state=state, request=request, seq=seq)


def begin(connection: apsw.Connection, run: str, step: str, request: Digest) -> Step:
    """Begin a step, or say how far it got.

    Raises:
        UsageError: If the step was begun before with another request: the run went another way.
    """
    known = find(connection, run, step)
    if known is None:
        connection.execute(
            "INSERT INTO ledger (run, step, state, request, seq) VALUES (?, ?, 'begun', ?, NULL)", (run, step, request)
        )
        return Step(run=run, step=step, state="begun", request=request, seq=None, fresh=True)
    if known.request != request:
        raise UsageError(
            f"step {step!r} of run {run!r} was begun with request {known.request}, now with {request}: "
            "the run does not repeat itself",
            hint="start a new run instead of resuming this one",
        )
    return known


def commit(connection: apsw.Connection, run: str, step: str, seq: int) -> Step:
    """Say that a begun step is done and which entry holds its answer.

    Raises:
        UsageError: If the step was never begun, or is done already.
    """
    known = find(connection, run, step)
    if known is None:
        raise UsageError(f"step {step!r} of run {run!r} was never begun")
    if known.state == "done":
        raise UsageError(f"step {step!r} of run {run!r} is done already, by journal entry {known.seq}")
    connection.execute("UPDATE ledger SET state = 'done', seq = ? WHERE run = ? AND step = ?", (seq, run, step))
    return Step(run=run, step=step, state="done", request=known.request, seq=seq)
