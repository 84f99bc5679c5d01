"""Passages and their canonical text: the record of truth of an agent's knowledge.

The release digest covers these bytes; the search index is made from them and has a digest of its own. A citation is
checked against them and never against an index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from hephaestus.canonical import Digest, NotCanonical, decode, digest_bytes, encode
from hephaestus.errors import KnowledgeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PASSAGES_FILE = "knowledge/passages.jsonl"
"""Where the passages of a release stand in its tree."""

MAX_ID = 500
MAX_LINE = 300
MAX_TEXT = 100_000
MAX_PASSAGES = 1_000_000


class Passage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One piece of text that can be found and quoted."""

    id: str  # unique in its set: a qualified name, or path and number
    title: str  # one line: a signature, a heading
    source: str  # where it is from: a file, a module and version
    text: str  # what is searched and quoted


def encode_passages(passages: Iterable[Passage]) -> bytes:
    """Canonical JSON, one passage a line, sorted by id.

    Raises:
        KnowledgeError: If an id stands there twice, or a passage has no canonical form.
    """
    found: dict[str, Passage] = {}
    for passage in passages:
        _sound(passage, where=f"passage {passage.id[:80]!r}")
        if passage.id in found:
            raise KnowledgeError(f"two passages have the id {passage.id!r}", hint="give one of them another id")
        found[passage.id] = passage
    lines = []
    for id_ in sorted(found):
        try:
            lines.append(encode(found[id_]) + b"\n")
        except NotCanonical as error:
            raise KnowledgeError(f"passage {id_[:80]!r}: {error}") from error
    return b"".join(lines)


class PassageSet:
    """All passages of one release: an immutable mapping from id to passage, with the digest of its bytes."""

    __slots__ = ("_by_id", "digest")

    def __init__(self, by_id: Mapping[str, Passage], *, digest: Digest) -> None:
        self._by_id = dict(by_id)
        self.digest: Digest = digest  # of the canonical bytes, equal to that of the file in the tree

    @classmethod
    def of(cls, passages: Iterable[Passage]) -> Self:
        """A set of passages.

        Raises:
            KnowledgeError: As :func:`encode_passages`.
        """
        found = tuple(passages)
        data = encode_passages(found)
        return cls({p.id: p for p in sorted(found, key=lambda p: p.id)}, digest=digest_bytes(data))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the bytes that :func:`encode_passages` wrote, and nothing else.

        Raises:
            KnowledgeError: Naming the line that is not canonical, not a passage, out of order or there twice.
        """
        if data and not data.endswith(b"\n"):
            raise KnowledgeError("the last line of the passages has no end; the file was cut short")
        lines = data.split(b"\n")[:-1]
        if len(lines) > MAX_PASSAGES:
            raise KnowledgeError(f"{len(lines)} passages are more than the {MAX_PASSAGES} that a set may have")
        found: dict[str, Passage] = {}
        last: str | None = None
        for number, line in enumerate(lines, 1):
            try:
                passage = msgspec.convert(decode(line), Passage)
            except (NotCanonical, msgspec.ValidationError) as error:
                raise KnowledgeError(f"line {number} of the passages is not one: {error}") from error
            _sound(passage, where=f"line {number} of the passages")
            if last is not None and passage.id <= last:
                raise KnowledgeError(
                    f"line {number} of the passages: {passage.id[:80]!r} is there twice or out of order"
                )
            last = passage.id
            found[passage.id] = passage
        return cls(found, digest=digest_bytes(data))

    def text(self, id: str, /) -> str | None:  # noqa: A002
        """The text of a passage, or None where there is none of that id."""
        passage = self._by_id.get(id)
        return None if passage is None else passage.text

    def get(self, id: str, /) -> Passage | None:  # noqa: A002
        """The passage of that id, or None."""
        return self._by_id.get(id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Passage]:
        return iter(self._by_id.values())

    def __contains__(self, key: object) -> bool:
        return key in self._by_id

    def __repr__(self) -> str:
        return f"PassageSet({len(self)} passages, {self.digest})"


def _sound(passage: Passage, *, where: str) -> None:
    """Bounds that hold for every passage, so that readers need none of their own."""
    for field, limit in (("id", MAX_ID), ("title", MAX_LINE * 10), ("source", MAX_LINE), ("text", MAX_TEXT)):
        value: str = getattr(passage, field)
        if len(value) > limit:
            raise KnowledgeError(f"{where}: {field} has {len(value)} characters, more than {limit}")
        if "\0" in value:
            # SQLite would keep what is before it and drop the rest.
            raise KnowledgeError(f"{where}: {field} holds a NUL")
    if not passage.id or not passage.text.strip():
        raise KnowledgeError(f"{where}: id and text must not be empty")
