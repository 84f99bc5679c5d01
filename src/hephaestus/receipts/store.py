"""Rows of the journal's tables, written and read: entries with their secrets, the tape's index, signed heads. Blocking.

Nothing here begins or ends a transaction; :mod:`~hephaestus.receipts.journal` does, and puts many callers into one.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from hephaestus import canonical
from hephaestus.canonical import Digest
from hephaestus.errors import IntegrityError, UsageError
from hephaestus.receipts import envelope, vault
from hephaestus.receipts.database import rows
from hephaestus.receipts.envelope import Commitment, Draft, Entry, Head

if TYPE_CHECKING:
    import apsw

COLUMNS: Final = "seq, schema, kind, run, body, secrets, digest, link, at, pid"


class Exchange(msgspec.Struct, frozen=True):
    """One row of the tape's index: which entry holds an exchange of an agent instance with the world."""

    run: str
    instance: str  # which agent process of the run
    ordinal: int  # counts that instance's exchanges
    request: Digest  # of the canonical request
    seq: int  # of the journal entry


class RunSummary(msgspec.Struct, frozen=True):
    """One run as the journal knows it."""

    run: str
    first: int  # seq of its first entry
    last: int
    entries: int
    at: int  # unix milliseconds of the first entry
    ended: bool  # an `ending` entry is there


class Page:
    """What one transaction writes: the chain's end as it was read under the write lock, and what was added since."""

    def __init__(self, connection: apsw.Connection, blobs: vault.Blobs) -> None:
        self.connection = connection
        self.blobs = blobs
        self.at: int = time.time_ns() // 1_000_000
        self.seq: int
        self.link: bytes
        self.seq, self.link = chain_end(connection)
        self.written: list[bytes] = []  # blobs, to be taken away if the transaction fails


def chain_end(connection: apsw.Connection) -> tuple[int, bytes]:
    """The newest entry's seq and raw link; 0 and the chain's beginning for an empty journal."""
    row = connection.execute("SELECT seq, link FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
    return (0, envelope.GENESIS) if row is None else (row[0], row[1])


def write_entry(page: Page, draft: Draft, body: bytes) -> Entry:
    """Add one entry to the chain.

    Args:
        page: The transaction.
        draft: Checked by :func:`~hephaestus.receipts.envelope.check_draft`.
        body: Its canonical body.

    Raises:
        UsageError: If the run was erased and the draft has secrets, or an exchange does not fit the tape.
    """
    commitments, sealed = _encrypt(page, draft)
    raw = envelope.envelope_digest(
        schema=envelope.SCHEMA, kind=draft.kind, run=draft.run, body=body, secrets=commitments
    )
    seq, link = page.seq + 1, envelope.chain(page.link, raw)
    pid = os.getpid()
    execute = page.connection.execute
    execute(
        f"INSERT INTO entry ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        (
            seq, envelope.SCHEMA, draft.kind, draft.run, body,
            canonical.encode(commitments) if commitments else None, raw, link, page.at, pid,
        ),
    )  # fmt: skip
    for name, data in sealed.items():
        place = "row" if len(data) <= vault.INLINE else "blob"
        if place == "blob":
            data = page.blobs.put(data)  # noqa: PLW2901 - the row holds the blob's name
            page.written.append(data)
        execute("INSERT INTO secret (seq, name, place, sealed) VALUES (?, ?, ?, ?)", (seq, name, place, data))
    if draft.kind == "exchange":
        _index(page, draft, seq)
    page.seq, page.link = seq, link
    return Entry(
        seq=seq, schema=envelope.SCHEMA, kind=draft.kind, run=draft.run, body=body, secrets=commitments,
        digest=envelope.as_digest(raw), link=envelope.as_digest(link), at=page.at, pid=pid,
    )  # fmt: skip


def exchange_key(body: dict[str, Any]) -> tuple[str, int, Digest] | None:
    """Instance, ordinal and request digest of an exchange's body, or None if it does not name them."""
    match body:
        case {"instance": str(instance), "ordinal": int(ordinal), "request": str(request)} if not isinstance(
            ordinal, bool
        ) and canonical.is_digest(request):
            return instance, ordinal, Digest(request)
    return None


def write_head(page: Page, head: Head) -> None:
    """Keep a signed head; signing the same head again replaces the row."""
    page.connection.execute(
        "INSERT OR REPLACE INTO head (seq, key_id, link, seal, at) VALUES (?, ?, ?, ?, ?)",
        (head.seq, head.key_id, bytes.fromhex(head.link.removeprefix("sha256:")), head.seal, head.at),
    )


def read_heads(connection: apsw.Connection) -> list[Head]:
    """Every signed head, oldest first."""
    found = rows(connection, "SELECT seq, link, key_id, seal, at FROM head ORDER BY seq, key_id")
    return [
        Head(seq=seq, link=envelope.as_digest(link), key_id=key_id, seal=seal, at=at)
        for seq, link, key_id, seal, at in found
    ]


def read_entries(connection: apsw.Connection, where: str, bindings: tuple[Any, ...]) -> tuple[Entry, ...]:
    """Entries by a WHERE clause (with ORDER BY and LIMIT) of this package's own text.

    Raises:
        IntegrityError: If a row is not what the journal writes.
    """
    sql = f"SELECT {COLUMNS} FROM entry {where}"  # noqa: S608 - clauses are constants of this package
    return tuple(as_entry(row) for row in rows(connection, sql, bindings))


def as_entry(row: tuple[Any, ...]) -> Entry:
    """One row of ``entry`` as a Struct.

    Raises:
        IntegrityError: If it is not what the journal writes.
    """
    seq, schema, kind, run, body, secrets, digest, link, at, pid = row
    try:
        return Entry(
            seq=seq, schema=schema, kind=kind, run=run, body=body, secrets=parse_commitments(secrets),
            digest=envelope.as_digest(digest), link=envelope.as_digest(link), at=at, pid=pid,
        )  # fmt: skip
    except ValueError as error:
        raise IntegrityError(
            f"journal entry {seq} ({kind} of run {run!r}) is damaged: {error}",
            hint="run `hephaestus receipts verify`",
        ) from error


def parse_commitments(data: bytes | None) -> dict[str, Commitment]:
    """The ``secrets`` column.

    Raises:
        ValueError: If it is not canonical JSON of names and keyed digests.
    """
    if data is None:
        return {}
    value = canonical.decode(data)
    if not isinstance(value, dict) or not value or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("its secrets are not a list of names and keyed digests")
    return cast(dict[str, Commitment], value)


def read_secrets(connection: apsw.Connection, blobs: vault.Blobs, entry: Entry) -> dict[str, bytes] | None:
    """What an entry's secrets say, or None if the run's key was destroyed.

    Raises:
        IntegrityError: If a ciphertext is missing or is not the one that the entry commits to.
        StorageError: If a blob cannot be read.
    """
    if not entry.secrets:
        return {}
    key = vault.run_key(connection, entry.run)
    if key is None:
        return None
    found = {
        name: (place, sealed)
        for name, place, sealed in rows(
            connection, "SELECT name, place, sealed FROM secret WHERE seq = ?", (entry.seq,)
        )
    }
    opened: dict[str, bytes] = {}
    for name, commit in entry.secrets.items():
        if name not in found:
            raise IntegrityError(f"journal entry {entry.seq}: the ciphertext of secret {name!r} is missing")
        opened[name] = open_secret(key, commit, name, found[name], blobs=blobs)
    return opened


def open_secret(key: bytes, commit: Commitment, name: str, stored: tuple[str, bytes], *, blobs: vault.Blobs) -> bytes:
    """Decrypt one secret from where it lies.

    Args:
        key: The run's.
        commit: What the entry says of the secret.
        name: The secret's.
        stored: Place (``row`` or ``blob``), and the ciphertext or the raw digest of the blob.
        blobs: Where blobs lie.

    Raises:
        IntegrityError: If it is missing or not the one that the entry commits to.
        StorageError: If a blob cannot be read.
    """
    place, sealed = stored
    if place not in {"row", "blob"}:
        raise IntegrityError(f"secret {name!r} lies in a place that the journal does not know: {place!r}")
    return vault.unseal(key, commit, name, blobs.get(sealed) if place == "blob" else sealed)


def _encrypt(page: Page, draft: Draft) -> tuple[dict[str, Commitment], dict[str, bytes]]:
    if not draft.secrets:
        return {}, {}
    row = page.connection.execute("SELECT key FROM run_key WHERE run = ?", (draft.run,)).fetchone()
    if row is None:
        key = vault.new_key()
        page.connection.execute("INSERT INTO run_key (run, key, erased) VALUES (?, ?, NULL)", (draft.run, key))
    elif row[0] is None:
        raise UsageError(
            f"run {draft.run!r} was erased; it takes no more secrets",
            hint="start a new run, or append without secrets",
        )
    else:
        key = row[0]
    commitments = {name: vault.commitment(key, name, data) for name, data in draft.secrets.items()}
    return commitments, {name: vault.seal(key, commitments[name], data) for name, data in draft.secrets.items()}


def _index(page: Page, draft: Draft, seq: int) -> None:
    key = exchange_key(draft.body)
    if key is None:
        raise UsageError(
            f"an exchange of run {draft.run!r} must name instance (text), ordinal (integer) and request (digest)",
        )
    instance, ordinal, request = key
    taken = rows(
        page.connection,
        "SELECT seq FROM tape WHERE run = ? AND instance = ? AND ordinal = ?",
        (draft.run, instance, ordinal),
    )
    if taken:
        raise UsageError(
            f"exchange {ordinal} of instance {instance!r} in run {draft.run!r} is on the tape already, "
            f"as journal entry {taken[0][0]}"
        )
    page.connection.execute(
        "INSERT INTO tape (run, instance, ordinal, request, seq) VALUES (?, ?, ?, ?, ?)",
        (draft.run, instance, ordinal, request, seq),
    )
