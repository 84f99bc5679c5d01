"""What a caller may set about a runtime, and where a runtime lives on disk."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from hephaestus.errors import UsageError
from hephaestus_runner.protocol import Level


class ModelEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model server that speaks the OpenAI chat format or Ollama's."""

    url: str  # for example http://127.0.0.1:11434 or https://host/v1
    name: str
    key_env: str | None = None  # the environment variable that holds the key; read when a run begins, never written
    timeout_s: float = 120.0
    attempts: int = 3  # tries of one call, for outages and rate limits only


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a :class:`~hephaestus.runtime.Runtime`."""

    level: Level = "isolated"
    """The lowest isolation level that runs may have. Lower than ``isolated`` only by naming it here."""
    model: ModelEndpoint | None = None
    """What packages reach as the model ``default``; without one they are told that there is none."""
    agents_at_once: int = 8
    """Children of one task force that may run at the same time."""


def default_home() -> Path:
    """``$HEPHAESTUS_HOME``, else the user's data folder for this system.

    Raises:
        UsageError: If this user has no home folder.
    """
    if named := os.environ.get("HEPHAESTUS_HOME"):
        return Path(named)
    try:
        return _data_folder() / "hephaestus"
    except RuntimeError as error:  # of pathlib, for a user without an entry, as in containers
        raise UsageError(
            "this user has no home folder to keep things in", hint="name one with --home or HEPHAESTUS_HOME"
        ) from error


def _data_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
