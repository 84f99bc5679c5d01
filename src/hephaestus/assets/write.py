"""From a brief back to the text of ``brief.toml``. Python reads TOML and does not write it.

Reading what is written here gives the same brief again. Comments of an earlier text are not kept: a brief is its
values.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from hephaestus.assets.brief import Brief

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 100


def write_brief(brief: Brief) -> bytes:
    """The text of ``brief.toml`` for a brief.

    Raises:
        ValueError: If some value has no form in TOML: a null inside an example, text with a lone surrogate.
    """
    lines = [f"schema = {brief.schema}"]
    for table in ("goal", "constraint", "scope", "context", "provenance"):
        entries = _entries(getattr(brief, table))
        if entries:
            lines += [
                "",
                f"[{table}]",
                *(f"{_key(key)} = {_value(value, wide=True)}" for key, value in entries.items()),
            ]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _entries(table: Any) -> dict[str, Any]:
    """What a table says, without what it would say anyway."""
    if isinstance(table, dict):
        return dict(sorted(table.items()))
    return {
        field.encode_name: value
        for field in msgspec.structs.fields(table)
        if (value := getattr(table, field.name)) != field.default or field.required
    }


def _value(value: Any, *, wide: bool = False) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return _text(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case list() | tuple():
            items = [_value(item) for item in value]
            flat = f"[{', '.join(items)}]"
            # Only values of the form's own fields get lines of their own: an inline table has to stay on one.
            return flat if not wide or len(flat) <= _WIDTH else "[\n" + "".join(f"  {item},\n" for item in items) + "]"
        case None:
            raise ValueError("null has no form in TOML")
    entries = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in _entries(value).items())
    return f"{{ {entries} }}" if entries else "{}"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    # JSON escapes what TOML does, but for DEL; its escapes are TOML's.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
