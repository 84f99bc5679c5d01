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
_LISTED = re.compile(
    r"^[ \t*-]*([A-Za-z_]\w+)(?:\([^)\n]*\))?(?:[ \t]{2,}|[ \t]+-{1,2}>?[ \t]+|:[ \t]+)(\S.*)$", re.MULTILINE
)
MAX_SUMMARY = 240

# Short words that names are joined with; others must be three letters long to count as a part of a name.
_JOINTS = frozenset({"as", "at", "by", "if", "in", "is", "mk", "ns", "of", "on", "rm", "to", "up"})
_COMMON = 12  # a part must stand in the texts this often: rarer ones are names themselves
_MOST_PARTS = 5

ABBREVIATIONS = {
    "abs": "absolute", "addr": "address", "arg": "argument", "args": "arguments", "attr": "attribute",
    "auth": "authentication", "buf": "buffer", "char": "character", "chr": "character", "cmd": "command",
    "cmp": "compare", "col": "column", "conf": "configuration", "config": "configuration", "conn": "connection",
    "ctx": "context", "cur": "current", "cwd": "current working directory", "db": "database", "decl": "declaration",
    "def": "define", "del": "delete", "desc": "description", "dest": "destination", "dict": "dictionary",
    "dir": "directory", "dirs": "directories", "dist": "distance", "div": "division", "doc": "documentation",
    "dst": "destination", "env": "environment", "environ": "environment", "err": "error", "eval": "evaluate",
    "exc": "exception", "exec": "execute", "expr": "expression", "ext": "extension", "fd": "file descriptor",
    "fmt": "format", "func": "function", "gen": "generate", "hex": "hexadecimal", "id": "identifier",
    "idx": "index", "info": "information", "init": "initialize", "int": "integer", "iter": "iterate",
    "len": "length", "lib": "library", "loc": "location", "max": "maximum", "mem": "memory", "min": "minimum",
    "mk": "make", "mod": "module", "msg": "message", "mul": "multiply", "neg": "negative", "num": "number",
    "obj": "object", "op": "operation", "ord": "ordinal", "param": "parameter", "perf": "performance",
    "pos": "position", "pow": "power", "prev": "previous", "proc": "process", "prod": "product", "ptr": "pointer",
    "pwd": "password", "rand": "random", "recv": "receive", "ref": "reference", "rel": "relative",
    "repr": "representation", "req": "request", "res": "result", "rm": "remove", "sched": "schedule",
    "sep": "separator", "seq": "sequence", "sqrt": "square root", "src": "source", "stat": "status",
    "stdev": "standard deviation", "str": "string", "sub": "substitute", "sync": "synchronize", "sys": "system",
    "temp": "temporary", "tmp": "temporary", "tz": "time zone", "val": "value", "var": "variable",
}  # fmt: skip
"""What programmers shorten in names. Added to the indexed words of a name, never to the text that is quoted."""


class Row:
    """The indexed columns of one passage, in the order of the index."""

    __slots__ = ("context", "name", "path", "summary", "text")

    def __init__(self, *, name: str, path: str, summary: str, context: str, text: str) -> None:
        self.name: str = name
        self.path: str = path
        self.summary: str = summary
        self.context: str = context
        self.text: str = text

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
        self._lists = {passage.id: _listed(passage.text) for passage in found}
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
            summary=f"{own} {self._told_above(passage.id)}".strip(),
            context="\n".join(self._summaries[id_] for id_ in above if id_ in self._summaries),
            text=text,
        )

    def parts(self, name: str) -> list[str]:
        """The words of a name, with those that are written together taken apart, and short forms written out."""
        if name not in self._known:
            words = split_words(name)
            words += [part for word in words if len(word) > 4 for part in self._apart(word)]
            self._known[name] = words + [ABBREVIATIONS[word] for word in dict.fromkeys(words) if word in ABBREVIATIONS]
        return self._known[name]

    def _apart(self, word: str) -> list[str]:
        """``gethostbyname`` as get, host, by, name; nothing if it is not made of common words."""
        best: list[tuple[int, list[str]] | None] = [(0, [])]
        for end in range(1, len(word) + 1):
            options = []
            for start in range(max(0, end - 14), end):
                before, piece = best[start], word[start:end]
                if before is not None and piece != word and self._usual(piece):
                    # Fewer parts first, commoner ones second: integers, so that every machine decides alike.
                    options.append((before[0] + 40 - self._counts.get(piece, 1).bit_length(), [*before[1], piece]))
            best.append(min(options) if options else None)
        found = best[-1]
        return found[1] if found is not None and len(found[1]) <= _MOST_PARTS else []

    def _usual(self, piece: str) -> bool:
        return piece in self._counts or piece in _JOINTS or (piece in ABBREVIATIONS and len(piece) > 2)

    def _told_above(self, name: str) -> str:
        """What the passage above says of a name in a list of its own, as in ``mean   Arithmetic mean of data``."""
        head, _, last = name.rpartition(".")
        return " ".join(self._lists.get(head, {}).get(last, ()))


def _listed(text: str) -> dict[str, list[str]]:
    """Names at the beginning of a line and what stands beside them after a gap or a dash."""
    found: dict[str, list[str]] = {}
    for name, said in _LISTED.findall(text):
        found.setdefault(name, []).append(said.strip())
    return found


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
