"""From the text of a package's TOML files to Structs, with errors that name file, line, key and the nearest known key."""

from __future__ import annotations

import difflib
import re
import tomllib
import types
import typing
from typing import Any, TypeVar

import msgspec

from hephaestus.assets.brief import Brief
from hephaestus.assets.card import Card
from hephaestus.assets.manifest import Manifest
from hephaestus.assets.version import Range, Version
from hephaestus.errors import AssetError

MAX_BYTES = 1 << 20
_T = TypeVar("_T", bound=msgspec.Struct)
_SYNTAX_LINE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")
_PATH = re.compile(r" - at `(?:key in )?\$(.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`")
_MISSING = re.compile(r"Object missing required field `(.*?)`")


def parse_manifest(data: bytes, *, file: str = "agent.toml") -> Manifest:
    """Read ``agent.toml``.

    Raises:
        AssetError: Naming file, line and key.
    """
    manifest = _parse(data, Manifest, file)
    _semantic(data, file, "agent.version", Version.parse, manifest.agent.version)
    for name, wanted in manifest.agents.items():
        _semantic(data, file, f"agents.{name}", Range.parse, wanted)
    for index, source in enumerate(manifest.knowledge):
        if (source.kind == "folder") != (source.path is not None):
            raise _at(data, file, f"knowledge[{index}].kind", 'a source of kind "folder" names a path, and no other does')
    _unique_ids(data, file, manifest)
    return manifest


def parse_card(data: bytes, *, file: str = "card.toml") -> Card:
    """Read ``card.toml``.

    Raises:
        AssetError: Naming file, line and key.
    """
    card = _parse(data, Card, file)
    if not card.capabilities:
        raise _at(data, file, "capabilities", "a card names at least one capability (verb and object)")
    if not card.triggers and not card.examples:
        raise _at(data, file, "triggers", "a card without triggers and examples can never be chosen")
    _unique_ids(data, file, card)
    return card


def parse_brief(data: bytes, *, file: str = "brief.toml") -> Brief:
    """Read ``brief.toml``. Missing entries are no error here: the interview asks for them.

    Raises:
        AssetError: Naming file, line and key.
    """
    return _parse(data, Brief, file)


def _parse(data: bytes, kind: type[_T], file: str) -> _T:
    if len(data) > MAX_BYTES:
        raise AssetError(f"{len(data)} bytes are more than the {MAX_BYTES} that such a file may have", file=file)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise AssetError(f"not UTF-8: byte 0x{data[error.start]:02x}", file=file, line=line) from error
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX_LINE.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        raise AssetError(f"not TOML: {_SYNTAX_LINE.sub('', str(error)).strip()}", file=file, line=line) from error
    except RecursionError as error:
        raise AssetError("not TOML: nested too deeply", file=file) from error
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        raise _explain(error, tree, text, kind, file) from error


def _explain(error: msgspec.ValidationError, tree: dict[str, Any], text: str, kind: type, file: str) -> AssetError:
    message = str(error)
    where = _PATH.search(message)
    table = where[1].lstrip(".") if where else ""
    message = _PATH.sub("", message)
    if unknown := _UNKNOWN.fullmatch(message):
        key = f"{table}.{unknown[1]}" if table else unknown[1]
        known = _keys(kind, table)
        near = difflib.get_close_matches(unknown[1], known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(known))}"
        return AssetError(f"unknown key `{key}`", file=file, line=_line(text, key), key=key, hint=hint)
    if missing := _MISSING.fullmatch(message):
        key = f"{table}.{missing[1]}" if table else missing[1]
        return AssetError(f"required key `{key}` is missing", file=file, line=_line(text, table), key=key)
    return AssetError(f"`{table}`: {message}", file=file, line=_line(text, table), key=table or None)


def _keys(kind: Any, path: str) -> list[str]:
    """The keys that are known at a dotted path below a Struct type."""
    for step in filter(None, re.split(r"\.|\[[\d.]*\]", path)):
        field = next((f for f in msgspec.structs.fields(kind) if f.encode_name == step), None)
        if field is None:
            return []
        kind = _struct_in(field.type)
        if kind is None:
            return []
    return [f.encode_name for f in msgspec.structs.fields(kind)]


def _struct_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    if typing.get_origin(annotation) in (tuple, dict, typing.Union, types.UnionType, typing.Annotated):
        return next((found for found in map(_struct_in, typing.get_args(annotation)) if found), None)
    return None


_HEADER = re.compile(r"\s*\[(\[)?\s*([^\[\]#]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")


def _line(text: str, path: str) -> int | None:
    """The line where a dotted path (``checks[1].kind``) is written, or that of the nearest table around it."""
    wanted = [step for step in re.split(r"\.|(?=\[)", path) if step]
    best: tuple[int, int] | None = None  # (steps matched, line)
    table: list[str] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _steps(header[2])
            if header[1]:
                name = ".".join(table)
                table = [*table, f"[{counts.get(name, 0)}]"]
                counts[name] = counts.get(name, 0) + 1
            here = table
        elif key := _KEY.match(line):
            here = [*table, *_steps(key[1])]
        else:
            continue
        depth = 0
        while depth < min(len(here), len(wanted)) and here[depth] == wanted[depth]:
            depth += 1
        # Only a whole match of what is written counts: `checks[0]` is no place for `checks[1]`.
        if depth and depth == len(here) and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def _steps(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _at(data: bytes, file: str, key: str, message: str) -> AssetError:
    return AssetError(message, file=file, line=_line(data.decode("utf-8"), key), key=key)


def _semantic(data: bytes, file: str, key: str, read: Any, value: str) -> None:
    try:
        read(value)
    except ValueError as error:
        raise _at(data, file, key, f"`{key}`: {error}") from error


def _unique_ids(data: bytes, file: str, asset: Manifest | Card) -> None:
    seen: set[str] = set()
    for index, check in enumerate(asset.checks):
        if check.id in seen:
            raise _at(data, file, f"checks[{index}].id", f"two checks have the id `{check.id}`")
        seen.add(check.id)
