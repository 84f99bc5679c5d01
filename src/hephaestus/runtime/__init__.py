"""What runs: the one long-lived object of an embedding process, isolated children, the signer, model calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hephaestus.late import late

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

if not TYPE_CHECKING:
    __getattr__ = late(__name__, _LATE)
