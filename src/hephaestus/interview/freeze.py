"""Digests of a brief's values.

TOML knows floats, dates and long integers, which canonical bytes do not: each becomes a tagged text first.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from hephaestus import canonical

if TYPE_CHECKING:
    from hephaestus.assets.brief import Brief


def brief_digest(brief: Brief) -> canonical.Digest:
    """The digest that a report names, so that a stored brief can be compared with the one that was scored."""
    return canonical.digest("hephaestus/brief/1", _plain(msgspec.to_builtins(brief)))


def frozen_digest(value: object) -> canonical.Digest:
    """The digest of any value that TOML can write."""
    return canonical.digest("hephaestus/brief-value/1", _plain(value))


def _plain(value: Any) -> Any:
    match value:
        case bool() | None | str():
            return value
        case int():
            return value if abs(value) <= canonical.MAX_INTEGER else {"toml:integer": str(value)}
        case float():
            return {"toml:float": repr(value)}
        case dt.date() | dt.time():  # a datetime is a date
            return {"toml:date": value.isoformat()}
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            raise canonical.NotCanonical(f"{type(value).__name__} is no value of a brief")
