"""What of a passage goes into which column of the index.

People ask with everyday words and names are written without spaces, so a name is also indexed as the words that it is
made of (``get host by name``), and each passage knows in one sentence what the things above it are for: that
``ZipFile.read`` has to do with archives is said by its module and not by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from hephaestus_runner.search import split_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hephaestus.knowledge.passages import Passage

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_SENTENCE = re.compile(r"(?<=[.!?])\s|\n\s*\n|\n(?=[-=~^]{3,})")
MAX_SUMMARY = 240

# Short words that names are joined with; others must be three letters long to count as a part of a name.
_JOINTS = frozenset({"as", "at", "by", "if", "in", "is", "mk", "ns", "of", "on", "rm", "to", "up"})
_COMMON = 12  # a part must stand in the texts this often: rarer ones are names themselves


class Row:
    """The indexed columns of one passage, in the order of the index."""

    __slots__ = ("context", "name", "path", "summary", "text")

    def __init__(self, *, name: str, path: str, summary: str, context: str, text: str) -> None:
        self.name = name
        self.path = path
        self.summary = summary
        self.context = context
        self.text = text

    def values(self) -> tuple[str, str, str, str, str]:
        """As bound to an INSERT."""
        return self.name, self.path, self.summary, self.context, self.text


class Indexer:
    """Makes rows; knows the words of the whole set, which tell how names are to be taken apart."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        found = tuple(passages)
        counts: Counter[str] = Counter()
        for passage in found:
            counts.update(re.findall(r"[a-z]+", passage.text.lower()))
        self._counts = {word: n for word, n in counts.items() if n >= _COMMON and (len(word) > 2 or word in _JOINTS)}
        self._summaries = {passage.id: summary(passage) for passage in found}
        self._known: dict[str, list[str]] = {}

    def row(self, passage: Passage) -> Row:
        """The columns of one passage of the set."""
        text = passage.text
        own = self._summaries.get(passage.id) or summary(passage)
        if not _NAME.fullmatch(passage.id):
            return Row(
                name=" ".join(split_words(passage.title)),
                path=" ".join(split_words(passage.id)),
                summary=own,
                context="",
                text=text,
            )
        steps = passage.id.split(".")
        above = [".".join(steps[:depth]) for depth in range(1, len(steps))]
        return Row(
            name=" ".join(self.parts(steps[-1])),
            path=" ".join(word for step in steps[:-1] for word in self.parts(step)),
            summary=own,
            context="\n".join(self._summaries[id_] for id_ in above if id_ in self._summaries),
            text=text,
        )

    def parts(self, name: str) -> list[str]:
        """The words of a name, with those that are written together taken apart as well."""
        if name not in self._known:
            words = split_words(name)
            self._known[name] = words + [part for word in words if len(word) > 5 for part in self._apart(word)]
        return self._known[name]

    def _apart(self, word: str) -> list[str]:
        """``gethostbyname`` as get, host, by, name; nothing if it is not made of common words."""
        best: list[tuple[int, list[str]] | None] = [(0, [])]
        for end in range(1, len(word) + 1):
            options = []
            for start in range(max(0, end - 14), end):
                before, piece = best[start], word[start:end]
                if before is not None and piece != word and piece in self._counts:
                    # Fewer parts first, commoner ones second: integers, so that every machine decides alike.
                    options.append((before[0] + 40 - self._counts[piece].bit_length(), [*before[1], piece]))
            best.append(min(options) if options else None)
        found = best[-1]
        return found[1] if found is not None and len(found[1]) <= 5 else []


def summary(passage: Passage) -> str:
    """The first sentence of a passage, after the line that repeats its title."""
    body = passage.text
    body = body.removeprefix(passage.title)
    body = body.strip() or passage.title
    first = _SENTENCE.split(body, maxsplit=1)[0]
    if re.match(r"[\w.]+\(.*\)\s*(->.*)?$", first.split("\n")[0]) and len(first) < len(body):
        # A signature of C code, not a sentence: what it does comes next.
        rest = body[len(first.split("\n")[0]) :].strip()
        first = f"{first.split(chr(10))[0]} {_SENTENCE.split(rest, maxsplit=1)[0]}" if rest else first
    return " ".join(first.split())[:MAX_SUMMARY]
