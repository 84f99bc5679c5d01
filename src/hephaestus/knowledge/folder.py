"""Passages from a folder of text: Markdown and plain files, split at headings and paragraphs, quoted as they stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hephaestus.errors import KnowledgeError
from hephaestus.knowledge.passages import MAX_ID, Passage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SUFFIXES = (".md", ".markdown", ".txt")
TARGET = 1500
"""Characters after which a passage ends at the next paragraph."""

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def folder_passages(files: Mapping[str, bytes]) -> list[Passage]:
    """The passages of every ``.md``, ``.markdown`` and ``.txt`` file, sorted by id.

    Args:
        files: Path below the folder, with forward slashes, to the file's bytes. Other suffixes are passed over.

    Raises:
        KnowledgeError: Naming the file that is not UTF-8, or if no file had any text.
    """
    passages: list[Passage] = []
    for path in sorted(files):
        if path.lower().endswith(SUFFIXES):
            passages += _file(path, files[path])
    if not passages:
        raise KnowledgeError(
            f"no text in the knowledge folder: {len(files)} files, none of them {', '.join(SUFFIXES)} with a word in it"
        )
    return sorted(passages, key=lambda p: p.id)


def _file(path: str, data: bytes) -> list[Passage]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise KnowledgeError(f"{path}:{line}: not UTF-8: byte 0x{data[error.start]:02x}") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise KnowledgeError(f"{path}: holds a NUL, so it is not text")
    if len(path) > MAX_ID - 10:
        raise KnowledgeError(f"{path[:80]}...: a path of {len(path)} characters is too long to be part of an id")
    markdown = not path.lower().endswith(".txt")
    found = []
    for number, (title, body) in enumerate(_pieces(text, title=path.rpartition("/")[2], markdown=markdown), 1):
        found.append(Passage(id=f"{path}#{number:04d}", title=title[:200], source=path[:300], text=body))
    return found


def _pieces(text: str, *, title: str, markdown: bool) -> Iterator[tuple[str, str]]:
    """(title, text) of each piece; a title is the chain of headings above it."""
    chain: list[tuple[int, str]] = []
    block: list[str] = []
    fence = ""

    def above() -> str:
        return " / ".join(heading for _, heading in chain) or title

    for line in text.split("\n"):
        mark = _FENCE.match(line) if markdown else None
        heading = _HEADING.match(line) if markdown and not fence and mark is None else None
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        long = sum(map(len, block)) >= TARGET and not line.strip() and not fence
        if heading or long:
            yield from _piece(above(), block)
            block = []
        if heading:
            level = len(heading[1])
            chain = [entry for entry in chain if entry[0] < level] + [(level, heading[2])]
        block.append(line)
    yield from _piece(above(), block)


def _piece(title: str, block: list[str]) -> Iterator[tuple[str, str]]:
    body = "\n".join(block).strip("\n")
    only_heading = len([line for line in block if line.strip()]) == 1 and _HEADING.match(body)
    if body.strip() and not only_heading:
        # A line longer than a passage may be: cut it, rather than refuse a whole folder for one table.
        for start in range(0, len(body), 50_000):
            if part := body[start : start + 50_000].strip():
                yield title, part
