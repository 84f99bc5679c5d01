"""What one journal entry is and how it is hashed: drafts, entries, envelopes, the chain, signed heads. Pure; no I/O.

The envelope ``{schema, kind, run, body}`` is hashed over its canonical bytes under the tag
``hephaestus/journal/KIND/SCHEMA``. An entry with secrets has one more member,
``secrets``: name -> keyed digest. They stand beside the body, because a body is the same bytes wherever it is replayed
and keyed digests are different in every run. Clock and process id are outside the hash for the same reason.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, Literal, NewType, get_args

import msgspec

from hephaestus import canonical
from hephaestus.canonical import Digest
from hephaestus.errors import UsageError

SCHEMA: Final = 1
"""Version of the envelope; part of the domain tag."""

Kind = Literal[
    "decision", "lock", "start", "exchange", "event", "attempt", "verdict", "certificate", "disposal", "ending"
]
KINDS: tuple[Kind, ...] = get_args(Kind)

Commitment = NewType("Commitment", str)
"""``hmac-sha256:`` and 64 hexadecimal digits: a digest that only the run's key lets anyone check."""

MAX_BODY = 1 << 20
"""Bytes of one canonical body. What is larger is an artefact or a secret, not a receipt."""
MAX_SECRET = 64 << 20
"""Bytes of one secret."""

GENESIS: Final = hashlib.sha256(canonical.tagged("hephaestus/journal/chain/1", b"")).digest()
"""What the first entry's link is computed from."""

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")
_SECRET_NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}\Z")


class Draft(msgspec.Struct, frozen=True):
    """An entry before it is written.

    Args:
        kind: One of :data:`KINDS`.
        run: Whose entry it is: up to 128 letters, digits and ``._:-``; empty for what belongs to no run.
        body: What anyone may read, for ever: integers, text, lists and dicts of these. No prompts, no answers.
            An ``exchange`` names ``instance`` (text), ``ordinal`` (integer) and ``request`` (digest): the tape's index.
        secrets: Prompts, answers and the like by name; encrypted with the run's key.
    """

    kind: Kind
    run: str
    body: dict[str, Any]
    secrets: dict[str, bytes] = {}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the journal as it is stored."""

    seq: int  # 1 for the first; no gaps
    schema: int
    kind: str
    run: str
    body: bytes  # canonical JSON
    secrets: dict[str, Commitment] = {}  # name -> keyed digest
    digest: Digest  # of the envelope
    link: Digest  # sha256(previous link || digest)
    at: int  # unix milliseconds; not hashed
    pid: int  # of the process that wrote it; not hashed

    @property
    def value(self) -> dict[str, Any]:
        """The body, parsed."""
        value: dict[str, Any] = canonical.parse_json(self.body)
        return value


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A signed statement: the journal's first ``seq`` entries end in this link."""

    seq: int
    link: Digest
    key_id: str
    seal: bytes
    at: int  # unix milliseconds; not signed


def check_draft(draft: Draft) -> bytes:
    """The canonical bytes of a draft's body, if the draft is one that the journal takes.

    Raises:
        UsageError: If kind, run, body or a secret is not what :class:`Draft` says.
    """
    if draft.kind not in KINDS:
        raise UsageError(f"expected a kind of {', '.join(KINDS)}, found {draft.kind!r}")
    check_run(draft.run)
    if not isinstance(draft.body, dict):
        raise UsageError(f"the body of a {draft.kind} entry must be a dict, not {type(draft.body).__name__}")
    try:
        body = canonical.encode(draft.body)
    except canonical.NotCanonical as error:
        raise UsageError(f"the body of a {draft.kind} entry of run {draft.run!r} cannot be hashed: {error}") from error
    if len(body) > MAX_BODY:
        raise UsageError(
            f"the body of a {draft.kind} entry has {len(body)} bytes; at most {MAX_BODY} fit",
            hint="put large values into secrets, or their digest into the body",
        )
    for name, data in draft.secrets.items():
        if not _SECRET_NAME.match(name):
            raise UsageError(f"a secret's name is lower-case letters, digits and ._-, found {name!r}")
        if not isinstance(data, bytes):
            raise UsageError(f"secret {name!r} must be bytes, not {type(data).__name__}")
        if len(data) > MAX_SECRET:
            raise UsageError(f"secret {name!r} has {len(data)} bytes; at most {MAX_SECRET} fit")
    return body


def check_run(run: str) -> None:
    """Refuse what is not the id of a run.

    Raises:
        UsageError: If ``run`` is neither empty nor up to 128 letters, digits and ``._:-``.
    """
    if run and not _RUN.match(run):
        raise UsageError(f"expected a run id of up to 128 letters, digits and ._:-, found {run[:200]!r}")


def envelope_bytes(*, schema: int, kind: str, run: str, body: bytes, secrets: dict[str, Commitment]) -> bytes:
    """The canonical bytes of an envelope around a body that already is canonical.

    The body is spliced in rather than parsed and written again; the members are in RFC 8785 order already.
    """
    parts = [
        b'{"body":', body, b',"kind":', canonical.encode(kind), b',"run":', canonical.encode(run),
        b',"schema":', canonical.encode(schema),
    ]  # fmt: skip
    if secrets:
        parts += [b',"secrets":', canonical.encode(secrets)]
    return b"".join([*parts, b"}"])


def envelope_digest(*, schema: int, kind: str, run: str, body: bytes, secrets: dict[str, Commitment]) -> bytes:
    """The raw 32 bytes of an envelope's digest under its domain tag."""
    data = envelope_bytes(schema=schema, kind=kind, run=run, body=body, secrets=secrets)
    return hashlib.sha256(canonical.tagged(f"hephaestus/journal/{kind}/{schema}", data)).digest()


def chain(previous: bytes, digest: bytes) -> bytes:
    """The raw link of an entry: ``sha256(previous link || digest)``."""
    return hashlib.sha256(previous + digest).digest()


def head_payload(seq: int, link: Digest) -> bytes:
    """What is signed (purpose ``head``) of a journal's head."""
    return canonical.encode({"link": link, "schema": SCHEMA, "seq": seq})


def as_digest(raw: bytes) -> Digest:
    """A raw sha256 as text."""
    return Digest("sha256:" + raw.hex())
