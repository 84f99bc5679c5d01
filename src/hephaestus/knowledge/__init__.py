"""Knowledge: passages with their canonical text, shards made from them, and a person's own store."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hephaestus.knowledge.passages import PASSAGES_FILE, Passage, PassageSet, encode_passages

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


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # `python_docs` is a module and a function: importing the module binds its name here, so the function replaces it.
    value = getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    globals()[name] = value
    return value
