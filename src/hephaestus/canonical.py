"""Canonical bytes and digests. Everything that is hashed goes through here.

Canonical form: JSON after RFC 8785 (keys in UTF-16 order, shortest escapes, no white space) with integers only, of at
most 53 bits, so that the bytes are the same on every platform and in every language. Text that is not Unicode scalar
values (lone surrogates) has no canonical form and is refused.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NewType

import msgspec

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hexadecimal digits."""

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64

_SHORT = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}
_ESCAPES = {code: _SHORT.get(code, f"\\u{code:04x}") for code in (*range(0x20), 0x22, 0x5C)}


class NotCanonical(ValueError):
    """A value without a canonical form: a float, a number over 53 bits, a lone surrogate, a key that is no text."""


def encode(value: object) -> bytes:
    """The canonical bytes of ``value``.

    Args:
        value: None, bool, int, str, and lists, tuples and dicts of these; msgspec Structs are taken as their fields,
            sets as their sorted members, bytes as base64 text.

    Raises:
        NotCanonical: If some part of it has no canonical form.
    """
    parts: list[str] = []
    try:
        # Sets must be sorted: their own order follows the hash seed of the process.
        plain = msgspec.to_builtins(value, order="deterministic", enc_hook=_no_form)
    except RecursionError as error:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH}") from error
    except TypeError as error:
        raise NotCanonical(f"keys of a dict or members of a set have no common order: {error}") from error
    _write(plain, parts, 0)
    try:
        return "".join(parts).encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("text holds a lone surrogate; only Unicode scalar values can be hashed") from error


def decode(data: bytes) -> Any:
    """Read canonical bytes back.

    Raises:
        NotCanonical: If ``data`` is not JSON, or is JSON but not in canonical form.
    """
    try:
        value = parse_json(data)
    except ValueError as error:
        raise NotCanonical(str(error)) from error
    if encode(value) != data:
        raise NotCanonical("the bytes are JSON, but not in canonical form")
    return value


def digest_bytes(data: bytes) -> Digest:
    """The digest of exactly these bytes."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def digest(tag: str, value: object) -> Digest:
    """The digest of a value's canonical bytes under a domain tag, so that equal bodies of two kinds never collide.

    Args:
        tag: The domain, for example ``hephaestus/certificate/1``. Must not hold NUL.
        value: As for :func:`encode`.
    """
    return digest_bytes(tagged(tag, encode(value)))


def tagged(tag: str, data: bytes) -> bytes:
    """``tag``, NUL, ``data``: what is hashed or signed."""
    if "\0" in tag:
        raise ValueError("a domain tag holds no NUL")
    return tag.encode("ascii") + b"\0" + data


def is_digest(text: str) -> bool:
    """Whether ``text`` has the form of a :data:`Digest`."""
    head, _, tail = text.partition(":")
    return head == "sha256" and len(tail) == 64 and set(tail) <= set("0123456789abcdef")


def parse_json(data: bytes | str) -> Any:
    """Parse JSON from outside, strictly: UTF-8, no duplicate keys, no NaN or Infinity, bounded depth.

    ``json`` and msgspec both keep the last of two equal keys, which lets a reader and a checker see two different
    documents; here it is an error.

    Raises:
        ValueError: With the reason, for anything that is not one such JSON value.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        _bound(value, 0)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from error
    return value


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"number out of range: {text[:40]}")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key[:80]!r}")
        found[key] = value
    return found


def _bound(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        _scalar(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _scalar(key)
            _bound(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _bound(item, depth + 1)


def _scalar(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("text holds a lone surrogate") from error


def _no_form(value: object) -> object:
    raise NotCanonical(f"{type(value).__name__} has no canonical form")


def _write(value: Any, parts: list[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH}")
    match value:
        case None:
            parts.append("null")
        case True:
            parts.append("true")
        case False:
            parts.append("false")
        case int():
            if abs(value) > MAX_INTEGER:
                raise NotCanonical(f"integer over 53 bits: {value}")
            parts.append(str(value))
        case str():
            parts.append('"' + value.translate(_ESCAPES) + '"')
        case list() | tuple():
            parts.append("[")
            for index, item in enumerate(value):
                if index:
                    parts.append(",")
                _write(item, parts, depth + 1)
            parts.append("]")
        case dict():
            parts.append("{")
            for index, key in enumerate(sorted(value, key=_utf16)):
                if index:
                    parts.append(",")
                parts.append('"' + key.translate(_ESCAPES) + '":')
                _write(value[key], parts, depth + 1)
            parts.append("}")
        case _:
            raise NotCanonical(f"{type(value).__name__} has no canonical form")


def _utf16(key: object) -> bytes:
    if not isinstance(key, str):
        raise NotCanonical(f"a key must be text, not {type(key).__name__}")
    try:
        return key.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise NotCanonical("a key holds a lone surrogate") from error
