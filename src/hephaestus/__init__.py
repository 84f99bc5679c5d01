"""Agents that you can run like software: the public names, and nothing else.

Names are loaded when they are first used (PEP 562): ``import hephaestus`` imports no library, starts no thread and
opens no file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hephaestus.errors import HephaestusError

    __version__: str

__all__ = [
    "HephaestusError",
    "__version__",
]

_HOMES = {
    "HephaestusError": "hephaestus.errors",
}

# Hidden from type checkers: to them, a module with a __getattr__ has every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        import importlib

        if name == "__version__":
            from importlib.metadata import version

            value = version("hephaestus-os")
        elif name in _HOMES:
            value = getattr(importlib.import_module(_HOMES[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
