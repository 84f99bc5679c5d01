"""Knowledge: passages with their canonical text, shards made from them, and a person's own store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hephaestus.knowledge.passages import PASSAGES_FILE, Passage, PassageSet, encode_passages
from hephaestus.late import late

if TYPE_CHECKING:
    from hephaestus.knowledge.folder import folder_passages
    from hephaestus.knowledge.python_docs import python_docs
    from hephaestus.knowledge.shard import BUILDER, ShardInfo, build_shard
    from hephaestus.knowledge.store import Knowledge

__all__ = [
    "BUILDER",
    "PASSAGES_FILE",
    "Knowledge",
    "Passage",
    "PassageSet",
    "ShardInfo",
    "build_shard",
    "encode_passages",
    "folder_passages",
    "python_docs",
]

# SQLite and subprocesses are loaded by those who use them: `import hephaestus` stays cheap.
_LATE = {
    "BUILDER": "shard",
    "Knowledge": "store",
    "ShardInfo": "shard",
    "build_shard": "shard",
    "folder_passages": "folder",
    "python_docs": "python_docs",
}

if not TYPE_CHECKING:
    __getattr__ = late(__name__, _LATE)
