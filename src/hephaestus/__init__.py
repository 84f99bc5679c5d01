"""Agents that you can run like software: the public names, and nothing else.

Names are loaded when they are first used (PEP 562): ``import hephaestus`` imports no library, starts no thread and
opens no file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hephaestus.assets import CheckSpec
    from hephaestus.errors import HephaestusError
    from hephaestus.forge import Forge
    from hephaestus.hub import Generation, Hub, Release
    from hephaestus.interview import Interview
    from hephaestus.knowledge import Knowledge
    from hephaestus.receipts import Journal
    from hephaestus.routing import Ambiguous, Decision, NoRoute, Routed, Router
    from hephaestus.runtime import Config, ModelEndpoint, Runtime
    from hephaestus.stormbreaker import (
        Certificate,
        Interrupted,
        Outcome,
        Refused,
        Stormbreaker,
        Undecided,
        Verdict,
        Verified,
        verify_certificate,
    )
    from hephaestus.taskforce import TaskForce

    __version__: str

__all__ = [
    "Ambiguous",
    "Certificate",
    "CheckSpec",
    "Config",
    "Decision",
    "Forge",
    "Generation",
    "HephaestusError",
    "Hub",
    "Interrupted",
    "Interview",
    "Journal",
    "Knowledge",
    "ModelEndpoint",
    "NoRoute",
    "Outcome",
    "Refused",
    "Release",
    "Routed",
    "Router",
    "Runtime",
    "Stormbreaker",
    "TaskForce",
    "Undecided",
    "Verdict",
    "Verified",
    "__version__",
    "verify_certificate",
]

_HOMES = {
    "Ambiguous": "hephaestus.routing",
    "Certificate": "hephaestus.stormbreaker",
    "CheckSpec": "hephaestus.assets",
    "Config": "hephaestus.runtime",
    "Decision": "hephaestus.routing",
    "Forge": "hephaestus.forge",
    "Generation": "hephaestus.hub",
    "HephaestusError": "hephaestus.errors",
    "Hub": "hephaestus.hub",
    "Interrupted": "hephaestus.stormbreaker",
    "Interview": "hephaestus.interview",
    "Journal": "hephaestus.receipts",
    "Knowledge": "hephaestus.knowledge",
    "ModelEndpoint": "hephaestus.runtime",
    "NoRoute": "hephaestus.routing",
    "Outcome": "hephaestus.stormbreaker",
    "Refused": "hephaestus.stormbreaker",
    "Release": "hephaestus.hub",
    "Routed": "hephaestus.routing",
    "Router": "hephaestus.routing",
    "Runtime": "hephaestus.runtime",
    "Stormbreaker": "hephaestus.stormbreaker",
    "TaskForce": "hephaestus.taskforce",
    "Undecided": "hephaestus.stormbreaker",
    "Verdict": "hephaestus.stormbreaker",
    "Verified": "hephaestus.stormbreaker",
    "verify_certificate": "hephaestus.stormbreaker",
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
