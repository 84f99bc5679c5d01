"""The script that the host starts: read the configuration, find the few packages by name, become the supervisor.

Run as ``python -P -s -S -B main.py`` with an empty environment. It imports the standard library only until
:class:`Finder` is in place, and never puts a folder of installed packages on the path.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


class Finder:
    """Finds the packages it was told of and no others, wherever they lie; nested modules are the packages' own affair.

    Args:
        homes: Top-level package -> folder that holds it.
    """

    def __init__(self, homes: dict[str, str]) -> None:
        self._homes = dict(homes)

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the protocol of sys.meta_path
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """As importlib asks for it."""
        home = self._homes.get(name)
        return None if home is None else PathFinder.find_spec(name, [home])

    def move(self, folder: str) -> None:
        """The packages now all lie in ``folder``: what is loaded looks for its further modules there."""
        for name in self._homes:
            self._homes[name] = folder
            module = sys.modules.get(name)
            if module is not None:
                module.__path__ = [f"{folder}/{name}"]


def read_config() -> dict[str, Any]:
    """The configuration, all of standard input, which afterwards is empty.

    Raises:
        ValueError: If it is not JSON.
    """
    parts = []
    while data := os.read(0, 65536):
        parts.append(data)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    found: dict[str, Any] = json.loads(b"".join(parts))
    return found


def main() -> NoReturn:
    """Never returns."""
    # Whoever started the host may have set another, and then a child could not read the root that is made for it.
    os.umask(0o022)
    raw = read_config()
    finder = Finder(raw["homes"])
    sys.meta_path.insert(0, finder)
    # Its own folder holds modules with common names; nothing may find them but as parts of the package.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path and os.path.abspath(path) != here]

    import msgspec

    from hephaestus_runner import boot, supervise
    from hephaestus_runner.config import OPT, Config

    config = msgspec.convert(raw, Config)

    def body(features: dict[str, str]) -> None:
        if config.level == "isolated":
            finder.move(OPT)
        boot.run(config, features)

    supervise.run(config, body)


if __name__ == "__main__":
    main()
