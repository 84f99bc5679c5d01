"""Gathering a package's knowledge at build: from its ``[[knowledge]]`` sources to canonical passages."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from hephaestus.errors import KnowledgeError
from hephaestus.knowledge import Passage, encode_passages, folder_passages, python_docs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hephaestus.assets.manifest import KnowledgeSource
    from hephaestus.hub import Tree


def gather(sources: Iterable[KnowledgeSource], tree: Tree) -> bytes:
    """The passages of all sources, as the canonical bytes that go into the release. Blocking.

    Raises:
        KnowledgeError: If a source yields nothing, or two yield the same id.
    """
    passages: dict[str, Passage] = {}
    for source in sources:
        found = _documentation() if source.kind == "python-docs" else _folder(source, tree)
        if not found:
            raise KnowledgeError(f"[[knowledge]] kind {source.kind!r} {source.path or ''} yields no passage")
        for passage in found:
            if passages.setdefault(passage.id, passage) != passage:
                raise KnowledgeError(f"two knowledge sources yield a passage {passage.id!r} with different text")
    return encode_passages(passages.values())


@functools.cache
def _documentation() -> tuple[Passage, ...]:
    """The interpreter's documentation does not change while it runs, and rendering it takes seconds."""
    return tuple(python_docs())


def _folder(source: KnowledgeSource, tree: Tree) -> list[Passage]:
    prefix = (source.path or "").rstrip("/") + "/"
    return folder_passages({path: file.data for path, file in tree.files.items() if path.startswith(prefix)})
