"""What runs: the one long-lived object of an embedding process, isolated children, the signer, model calls."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hephaestus.runtime.config import Config, ModelEndpoint, default_home
    from hephaestus.runtime.probe import probe
    from hephaestus.runtime.runtime import Runtime, SearchHit

__all__ = ["Config", "ModelEndpoint", "Runtime", "SearchHit", "default_home", "probe"]

# Reading the configuration must not load SQLite, cryptography and the rest.
_LATE = {
    "Config": "config",
    "ModelEndpoint": "config",
    "Runtime": "runtime",
    "SearchHit": "runtime",
    "default_home": "config",
    "probe": "probe",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # `probe` is a module and a function: importing the module binds its name here, so the function replaces it.
    value = getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    globals()[name] = value
    return value
