"""Verification of a journal: every envelope, the chain, the signed heads, the secrets, the index of the tape. Blocking.

It only reads, trusts nothing that it reads, and goes on after a problem, so that one report names all of them.

Not part of what is hashed are the columns ``at`` and ``pid`` (clock and process id), the state of the ledger, and bytes
of the file that hold nothing; damage there is seen by the sums of a closed journal, forgery is not. Not to be seen in
any file by itself: that the whole journal was put back to an older state; compare with a head that was kept elsewhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hephaestus import canonical, seals
from hephaestus.errors import HephaestusError, IntegrityError
from hephaestus.receipts import database, envelope, store, sums, vault
from hephaestus.receipts.envelope import Commitment, Head
from hephaestus.receipts.journal import ERASED, blobs_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import apsw

ERASED_BODY: Final = canonical.encode(ERASED)


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not as it was written."""

    seq: int | None  # the entry, or None for the file as a whole
    what: str
    kind: str | None = None  # of the entry, as stored
    run: str | None = None  # of the entry, as stored

    def __str__(self) -> str:
        if self.seq is None:
            return self.what
        of = "" if self.kind is None else f" ({self.kind} of run {self.run or 'none'})"
        return f"entry {self.seq}{of}: {self.what}"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying a journal found."""

    entries: int
    head: Head | None  # the newest one that a trusted key signed and that fits the chain
    unsealed: int  # entries behind that head: chained, but they could be cut off unseen
    erased: int  # entries whose secrets were destroyed on purpose
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_journal(path: Path, *, keys: Mapping[str, bytes], head: Head | None = None) -> Verification:
    """Verify everything that can be verified.

    Args:
        path: The database.
        keys: Key id -> raw public key of the keys whose heads are trusted. A head by another key is a problem.
        head: A head that was kept elsewhere; the journal must still contain it.

    Raises:
        NotFound: If there is no journal.
        StorageError: If it cannot be read.
        IntegrityError: If it is not a journal at all, or too damaged to be opened as one.
    """
    connection = database.connect_readonly(path)
    try:
        with database.explained(path, "verify"):
            pages = sums.changed(path, connection)
            connection.execute("BEGIN")  # one state, although others may be writing
            return _Scan(connection, blobs_folder(path), keys).run(head, pages)
    finally:
        connection.close()


class _Scan:
    """One pass over one journal."""

    def __init__(self, connection: apsw.Connection, blobs: Path, keys: Mapping[str, bytes]) -> None:
        self.connection = connection
        self.blobs = vault.Blobs(blobs)
        self.keys = keys
        self.problems: list[Problem] = []
        self.last = 0
        self.count = 0
        self.links = [envelope.GENESIS]  # what the next entry's link may be computed from
        self.wanted: dict[int, bytes | None] = {}  # seq of a head -> link of that entry
        self.names: dict[int, tuple[str, str]] = {}  # of entries with secrets or on the tape: kind and run
        self.sealed: set[tuple[int, str]] = set()  # secrets that some entry commits to
        self.taped: set[tuple[Any, ...]] = set()
        self.run_keys: dict[str, Any] = {}
        self.keyless: dict[str, list[int]] = {}  # run -> entries whose secrets have no key
        self.erasures: set[str] = set()
        self.broken = False  # the entries could not be read to their end

    def run(self, elsewhere: Head | None, pages: list[tuple[int, list[int]]]) -> Verification:
        heads = self._guarded("the signed heads", self._heads) or []
        if elsewhere is not None:
            heads.append(elsewhere)
        self.wanted = dict.fromkeys((head.seq for head in heads), None)
        self._guarded("the keys of runs", self._keys)
        self._guarded("the entries", self._entries)
        newest = self._check_heads(heads)
        if not self.broken:  # else everything that belongs to an unread entry would seem to belong to none
            self._guarded("the secrets", self._strays)
            self._guarded("the index of the tape", self._tape)
        erased = self._erasures()
        self._guarded("the file", self._file)
        if not self.problems:  # else it is said already, and more exactly
            self._pages(pages)
        return Verification(
            entries=self.count,
            head=newest,
            unsealed=self.last - (newest.seq if newest else 0),
            erased=erased,
            problems=tuple(self.problems),
        )

    def _guarded(self, part: str, work: Any) -> Any:
        import apsw

        try:
            return work()
        except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, UnicodeDecodeError) as error:
            if part == "the entries":
                self.broken = True
                self._say(self.last + 1, f"it and what follows cannot be read: the file is damaged there ({error})")
            else:
                self._say(None, f"{part} cannot be read: the file is damaged ({error})")

    def _say(self, seq: int | None, what: str, kind: str | None = None, run: str | None = None) -> None:
        self.problems.append(Problem(seq, what, kind, run))

    # --- entries --------------------------------------------------------------------------------------------

    def _entries(self) -> None:
        # Texts as bytes: a changed byte need not be UTF-8 any more, and has to be named all the same.
        sql = (
            "SELECT seq, schema, CAST(kind AS BLOB), CAST(run AS BLOB), body, secrets, digest, link "
            "FROM entry ORDER BY seq"
        )
        for seq, *columns in self.connection.execute(sql):
            self.count += 1
            kind, run = (_shown(column) for column in columns[1:3])
            if seq != self.last + 1:
                self._say(seq, f"the chain goes from entry {self.last} to entry {seq}: some are missing", kind, run)
                self.links = []
            self._entry(seq, kind, run, columns)
            self.last = seq

    def _entry(self, seq: int, kind: str, run: str, columns: list[Any]) -> None:
        schema, raw_kind, raw_run, body, raw_secrets, digest, link = columns
        computed: bytes | None = None
        secrets: dict[str, Commitment] = {}
        try:
            if not isinstance(body, bytes) or not isinstance(schema, int):
                raise ValueError("a column has a value of another type")
            secrets = store.parse_commitments(raw_secrets)
            computed = envelope.envelope_digest(
                schema=schema, kind=raw_kind.decode(), run=raw_run.decode(), body=body, secrets=secrets
            )
            if computed != digest:
                self._say(seq, "body, kind, run, schema or secrets are not what the digest was made of", kind, run)
            elif not isinstance(value := canonical.decode(body), dict) or kind not in envelope.KINDS:
                self._say(seq, f"it is no entry of this schema: {type(value).__name__} of kind {kind}", kind, run)
        except ValueError as error:
            self._say(seq, f"it is not what the journal writes: {error}", kind, run)
        self._link(seq, kind, run, (computed, digest, link))
        if seq in self.wanted:
            self.wanted[seq] = link
        if kind == "event" and body == ERASED_BODY:
            self.erasures.add(run)
        if secrets:
            self.names[seq] = (kind, run)
            self._secrets(seq, kind, run, secrets)
        if kind == "exchange" and isinstance(body, bytes):
            self.names[seq] = (kind, run)
            self._exchange(seq, kind, run, body)

    def _link(self, seq: int, kind: str, run: str, hashes: tuple[Any, Any, Any]) -> None:
        """Compare an entry's link; then remember what the next one may be computed from.

        Both the stored and the computed link are, so that one changed link or digest is named once and not at every
        entry behind it.
        """
        computed, digest, link = hashes
        digests = dict.fromkeys(item for item in (computed, digest) if isinstance(item, bytes))
        possible = [envelope.chain(previous, item) for previous in self.links for item in digests]
        if self.links and link not in possible:
            self._say(seq, "its link does not follow from the entry before it", kind, run)
        stored = [link] if isinstance(link, bytes) else []
        # Bounded: in a journal that is wrong everywhere the possibilities would double at every entry.
        self.links = stored if link in possible else [*stored, *possible[:8]]

    # --- secrets --------------------------------------------------------------------------------------------

    def _keys(self) -> None:
        for run, key in database.rows(self.connection, "SELECT CAST(run AS BLOB), key FROM run_key"):
            self.run_keys[_shown(run)] = key

    def _secrets(self, seq: int, kind: str, run: str, secrets: dict[str, Commitment]) -> None:
        self.sealed |= {(seq, name) for name in secrets}
        key = self.run_keys.get(run)
        if key is None:
            self.keyless.setdefault(run, []).append(seq)
            return
        found = {
            _shown(name): (_shown(place), sealed)
            for name, place, sealed in database.rows(
                self.connection,
                "SELECT CAST(name AS BLOB), CAST(place AS BLOB), sealed FROM secret WHERE seq = ?",
                (seq,),
            )
        }
        for name, commit in secrets.items():
            try:
                if name not in found:
                    raise IntegrityError(f"the ciphertext of secret {name!r} is missing")
                if not isinstance(key, bytes) or not isinstance(found[name][1], bytes):
                    raise IntegrityError(f"the ciphertext of secret {name!r} or its key has another type")
                store.open_secret(key, commit, name, found[name], blobs=self.blobs)
            except HephaestusError as error:
                self._say(seq, error.message, kind, run)

    def _strays(self) -> None:
        for seq, raw in database.rows(self.connection, "SELECT seq, CAST(name AS BLOB) FROM secret ORDER BY seq, name"):
            name = _shown(raw)
            kind, run = self.names.get(seq, (None, None))
            if (seq, name) not in self.sealed:
                self._say(seq, f"it does not commit to the secret {name!r} that is stored for it", kind, run)

    def _erasures(self) -> int:
        count = 0
        for run, entries in self.keyless.items():
            if run in self.erasures:
                count += len(entries)
            else:
                kind, _ = self.names[entries[0]]
                self._say(
                    entries[0],
                    f"the key of its run is gone, and the journal does not say that the run was erased "
                    f"({len(entries)} entries cannot be read)",
                    kind,
                    run,
                )
        return count

    # --- the tape's index -----------------------------------------------------------------------------------

    def _exchange(self, seq: int, kind: str, run: str, body: bytes) -> None:
        try:
            key = store.exchange_key(canonical.parse_json(body))
        except ValueError:
            return  # already a problem
        if key is None:
            self._say(seq, "an exchange without instance, ordinal and request", kind, run)
        else:
            self.taped.add((run, *key, seq))

    def _tape(self) -> None:
        sql = "SELECT CAST(run AS BLOB), CAST(instance AS BLOB), ordinal, CAST(request AS BLOB), seq FROM tape"
        rows = {
            (_shown(run), _shown(instance), ordinal, _shown(request), seq)
            for run, instance, ordinal, request, seq in database.rows(self.connection, sql)
        }
        for row in sorted(rows ^ self.taped, key=lambda row: (row[-1], row in rows)):
            what = "points to it with other words than its own" if row in rows else "does not find it by its own words"
            self._say(row[-1], f"the index of the tape {what}", *self.names.get(row[-1], (None, None)))

    # --- heads and file -------------------------------------------------------------------------------------

    def _heads(self) -> list[Head]:
        heads: list[Head] = []
        sql = "SELECT seq, CAST(key_id AS BLOB), link, seal, at FROM head ORDER BY seq, key_id"
        for seq, key_id, link, seal, at in database.rows(self.connection, sql):
            if isinstance(link, bytes) and isinstance(seal, bytes):
                heads.append(Head(seq=seq, link=envelope.as_digest(link), key_id=_shown(key_id), seal=seal, at=at))
            else:
                self._say(seq, "its signed head is damaged")
        return heads

    def _check_heads(self, heads: list[Head]) -> Head | None:
        newest: Head | None = None
        for head in heads:
            try:
                payload = envelope.head_payload(head.seq, head.link)
                seals.verify_trusted("head", payload, seals.Seal(head.key_id, head.seal), self.keys)
            except (IntegrityError, canonical.NotCanonical) as error:
                self._say(head.seq, f"the signed head at this entry does not hold: {error}")
                continue
            link = self.wanted.get(head.seq)
            if link is None and self.broken:
                continue
            if link is None:
                self._say(
                    head.seq,
                    f"a signed head says that there were {head.seq} entries, the last of those here is {self.last}: "
                    "the journal was cut off",
                )
            elif envelope.as_digest(link) != head.link:
                self._say(head.seq, "the signed head at this entry has another link: the chain was written anew")
            elif newest is None or head.seq >= newest.seq:
                newest = head
        return newest

    def _pages(self, pages: list[tuple[int, list[int]]]) -> None:
        what = "changed since the journal was closed, beside what is hashed (clock, process id or free space)"
        for number, seqs in pages:
            if number == 0:
                self._say(None, "the file, or the sums beside it, are not as they were when the journal was closed")
            elif seqs:
                self._say(seqs[0], f"page {number} of the file, with entries {min(seqs)} to {max(seqs)}, {what}")
            else:
                self._say(None, f"page {number} of the file {what}")

    def _file(self) -> None:
        for (line,) in database.rows(self.connection, "PRAGMA integrity_check(20)"):
            if line != "ok":
                lost = re.match(r"row (\d+) missing from index entry_run", line)  # whose copy of `run` was changed
                self._say(int(lost[1]) if lost else None, f"the database file is damaged: {line}")


def _shown(raw: object) -> str:
    """Bytes that should be text, as text; what is not UTF-8 is escaped and so never equal to what was written."""
    return raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else f"?{raw!r}"
