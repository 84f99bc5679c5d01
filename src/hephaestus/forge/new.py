"""A new package from the template: small, real, and publishable as it is."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import resources
from typing import TYPE_CHECKING

from hephaestus.errors import StorageError, UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

_TAKEN = frozenset({"apsw", "hephaestus", "hephaestus_runner", "msgspec", "tests"})
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def new_package(folder: Path, *, name: str | None = None) -> tuple[str, ...]:
    """Write a package into a folder that does not exist yet or is empty. Blocking.

    In the template's paths and text, ``__NAME__`` stands for the agent's name and ``__MODULE__`` for its module.

    Args:
        folder: Where.
        name: Of the agent; by default the folder's.

    Returns:
        The paths that were written, relative to the folder.

    Raises:
        UsageError: If the name is none, or the folder holds something.
        StorageError: If it cannot be written.
    """
    name = folder.name if name is None else name
    if not _NAME.fullmatch(name) or len(name) > 64:
        raise UsageError(
            f"{name!r} is no agent name: lower-case words joined by hyphens, at most 64 characters",
            hint="for example `hephaestus new text-statistics`",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty", hint="name a folder that does not exist yet")
    written: list[str] = []
    try:
        _copy(
            resources.files("hephaestus.forge") / "template",
            folder,
            {"__NAME__": name, "__MODULE__": _module(name)},
            written,
        )
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
    return tuple(str(path) for path in sorted(written))


def _module(name: str) -> str:
    """The agent's module: named as the agent, but never a keyword or a module that its own code may need."""
    module = name.replace("-", "_")
    taken = keyword.iskeyword(module) or module in sys.stdlib_module_names or module in _TAKEN
    return f"{module}_agent" if taken else module


def _copy(source: Traversable, target: Path, names: dict[str, str], written: list[str], base: str = "") -> None:
    target.mkdir(parents=True, exist_ok=True)
    for item in source.iterdir():
        if item.name == "__pycache__":
            continue
        name = _put(item.name, names).removesuffix(".tmpl")
        if item.is_dir():
            _copy(item, target / name, names, written, f"{base}{name}/")
        else:
            (target / name).write_text(_put(item.read_text("utf-8"), names), "utf-8")
            written.append(base + name)


def _put(text: str, names: dict[str, str]) -> str:
    for word, value in names.items():
        text = text.replace(word, value)
    return text
