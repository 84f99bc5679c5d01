"""Where each key of a TOML text is written. ``tomllib`` reads values and forgets their places.

Only for texts that ``tomllib`` has accepted: this scanner finds the structure and checks nothing.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final

Path = tuple[str | int, ...]
"""Keys and, inside arrays, 0-based places: ``("checks", 1, "kind")``."""

_SPACE = re.compile(r"[ \t\r\n]*(?:#[^\n]*[ \t\r\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_STRINGS: Final = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    _BASIC,
    _LITERAL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def lines(text: str) -> dict[Path, int]:
    """The 1-based line of every key, table and array entry of a valid TOML text."""
    return _Scanner(text).scan()


def line_of(text: str, path: Path) -> int | None:
    """The line where ``path`` is written, or that of the nearest table or key around it; None if there is none."""
    known = lines(text)
    while path and path not in known:
        path = path[:-1]
    return known.get(path)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted = (0, 1)  # a place and its line; lines are counted forwards, once
        self._found: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}  # array of tables -> entries so far

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self._space()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._space()
        return self._found

    def _header(self) -> Path:
        line = self._line()
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        key = self._key()
        self._at = self._text.index("]", self._at) + (2 if array else 1)
        path: Path = ()
        for place, part in enumerate(key, 1):
            path = (*path, part)
            self._found.setdefault(path, line)
            if array and place == len(key):
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
                self._found.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._found.setdefault(path, line)
        self._space()
        self._at += 1  # the equals sign
        self._space()
        self._value(path)

    def _value(self, path: Path) -> None:
        for string in _STRINGS:
            if found := string.match(self._text, self._at):
                self._at = found.end()
                return
        match self._text[self._at]:
            case "[":
                self._entries(path, "]")
            case "{":
                self._entries(path, "}")
            case _:
                self._skip(_SCALAR)

    def _entries(self, path: Path, end: str) -> None:
        self._at += 1
        count = 0
        while True:
            self._space()
            if self._text[self._at] == end:
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
            elif end == "]":
                self._found.setdefault((*path, count), self._line())
                self._value((*path, count))
                count += 1
            else:
                self._pair(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._space()
            found = next(m for p in (_BARE, _BASIC, _LITERAL) if (m := p.match(self._text, self._at)))
            quoted = found[0][0] in "\"'"
            parts.append(str(tomllib.loads(f"k={found[0]}")["k"]) if quoted else found[0])
            self._at = found.end()
            self._space()
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _space(self) -> None:
        self._skip(_SPACE)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _line(self) -> int:
        place, line = self._counted
        self._counted = (self._at, line + self._text.count("\n", place, self._at))
        return self._counted[1]
