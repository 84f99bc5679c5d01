"""Names of a package that are loaded when they are first used, so that `import hephaestus` stays cheap."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def late(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` (PEP 562) of a package.

    Define it where type checkers do not look: to them, a module with a ``__getattr__`` has every name.

    Args:
        package: Its ``__name__``.
        homes: Public name -> the submodule that defines it.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        # Importing a submodule binds its name here too; a function of the same name (`probe`) takes its place.
        setattr(sys.modules[package], name, value)
        return value

    return load
