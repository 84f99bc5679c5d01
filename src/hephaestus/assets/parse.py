"""From the text of a package's TOML files to Structs; errors name file, line, key and the nearest known key."""

from __future__ import annotations

import copy
import difflib
import json
import re
import tomllib
import types
import typing
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from hephaestus.assets.brief import Brief
from hephaestus.assets.card import Card
from hephaestus.assets.lines import Path, line_of
from hephaestus.assets.manifest import Manifest
from hephaestus.assets.version import Range, Version
from hephaestus.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
_T = TypeVar("_T", bound=msgspec.Struct)
_SYNTAX_LINE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?:^|[{{,\[])[ \t]*+({_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MAX_DEPTH}}})", re.MULTILINE)
_PATH = re.compile(r" - at `(?:key in )?\$(.*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`")
_MISSING = re.compile(r"Object missing required field `(.*?)`")


def parse_manifest(data: bytes, *, file: str = "agent.toml") -> Manifest:
    """Read ``agent.toml``.

    Raises:
        AssetError: Naming file, line and key.
    """
    manifest = _parse(data, Manifest, file)
    _semantic(data, file, ("agent", "version"), Version.parse, manifest.agent.version)
    for name, wanted in manifest.agents.items():
        _semantic(data, file, ("agents", name), Range.parse, wanted)
    for index, source in enumerate(manifest.knowledge):
        if (source.kind == "folder") != (source.path is not None):
            raise _at(
                data, file, ("knowledge", index, "kind"), 'a source of kind "folder" names a path, and no other does'
            )
    _unique_ids(data, file, manifest)
    return manifest


def parse_card(data: bytes, *, file: str = "card.toml") -> Card:
    """Read ``card.toml``.

    Raises:
        AssetError: Naming file, line and key.
    """
    card = _parse(data, Card, file)
    if not card.capabilities:
        raise _at(data, file, ("capabilities",), "a card names at least one capability (verb and object)")
    if not card.triggers and not card.examples:
        raise _at(data, file, ("triggers",), "a card without triggers and examples can never be chosen")
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
    text = _text(data, file)
    if found := _LONG_KEY.search(text):
        # tomllib takes quadratic time over the parts of one key: 120 kB of "a.a.a" kept it busy for 70 seconds.
        line = text.count("\n", 0, found.start(1)) + 1
        raise AssetError(f"a key of more than {MAX_DEPTH} parts", file=file, line=line)
    try:
        tree = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number with more digits than int() reads
        raise _no_toml(error, text, file) from error
    except RecursionError as error:
        raise AssetError(f"nested deeper than {MAX_DEPTH}", file=file) from error
    if deep := _too_deep(tree):
        raise AssetError(
            f"`{deep}` is nested deeper than {MAX_DEPTH}", file=file, line=line_of(text, (deep,)), key=deep
        )
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        raise _explain(error, tree, text, kind, file) from error


def _text(data: bytes, file: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise AssetError(f"not UTF-8: byte 0x{data[error.start]:02x}", file=file, line=line) from error
    if text.startswith("\ufeff"):
        raise AssetError("starts with a byte order mark, which TOML does not know", file=file, line=1,
                         hint="save it as UTF-8 without BOM")  # fmt: skip
    return text


def _no_toml(error: ValueError, text: str, file: str) -> AssetError:
    message = str(error)
    if not isinstance(error, tomllib.TOMLDecodeError):
        return AssetError("not TOML: a number with thousands of digits", file=file)
    found = _SYNTAX_LINE.search(message)
    line = int(found[1]) if found and found[1] else text.count("\n") + 1
    return AssetError(f"not TOML: {_SYNTAX_LINE.sub('', message).strip()}", file=file, line=line)


def _too_deep(tree: dict[str, Any]) -> str | None:
    """The key at the top of what is nested too deeply, if anything is. No recursion: the depth is not known yet."""
    level = list(tree.items())
    for _ in range(MAX_DEPTH):
        level = [(key, inner) for key, value in level for inner in _inside(value)]
        if not level:
            return None
    return level[0][0]


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _explain(error: msgspec.ValidationError, tree: dict[str, Any], text: str, kind: type, file: str) -> AssetError:
    message = str(error)
    where = _PATH.search(message)
    path = _steps(where[1], tree, kind) if where else ()
    message = _PATH.sub("", message)
    if unknown := _UNKNOWN.fullmatch(message):
        full = (*path, unknown[1])
        known = _keys(kind, path)
        near = difflib.get_close_matches(unknown[1], known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(known))}"
        key = _dotted(full)
        return AssetError(f"unknown key `{key}`", file=file, line=line_of(text, full), key=key, hint=hint)
    if missing := _MISSING.fullmatch(message):
        key = _dotted((*path, missing[1]))
        return AssetError(f"required key `{key}` is missing", file=file, line=line_of(text, path), key=key)
    key = _dotted(path)
    return AssetError(f"`{key}`: {message}", file=file, line=line_of(text, path), key=key or None)


def _steps(path: str, tree: dict[str, Any], kind: type) -> Path:
    """Msgspec's path (``.checks[1].kind``) as steps; keys of free tables, left out there (``[...]``), are found."""
    steps: Path = ()
    node: Any = tree
    for name, place in re.findall(r"\.([^.\[]+)|\[([\d.]+)\]", path):
        if place == "...":
            step: str | int = next((key for key in node if _fails(tree, kind, steps, key)), "")
        else:
            step = int(place) if place else name
        steps = (*steps, step)
        node = node[step] if isinstance(step, int) else node.get(step)
    return steps


def _fails(tree: dict[str, Any], kind: type, table: Path, key: str) -> bool:
    """Whether the whole still fails if this is the only key of a free table."""
    only = copy.copy(tree)
    node: Any = only
    for step in table[:-1]:
        node[step] = copy.copy(node[step])
        node = node[step]
    node[table[-1]] = {key: node[table[-1]][key]}
    try:
        msgspec.convert(only, kind)
    except msgspec.ValidationError:
        return True
    return False


def _keys(kind: Any, path: Path) -> list[str]:
    """The keys that are known at a path below a Struct type."""
    for step in path:
        if isinstance(step, str):
            field = next((f for f in msgspec.structs.fields(kind) if f.encode_name == step), None)
            kind = _struct_in(field.type) if field else None
        if kind is None:
            return []
    return [f.encode_name for f in msgspec.structs.fields(kind)]


def _struct_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    if typing.get_origin(annotation) in (tuple, dict, typing.Union, types.UnionType, typing.Annotated):
        return next((found for found in map(_struct_in, typing.get_args(annotation)) if found), None)
    return None


def _dotted(path: Path) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            part = step if _BARE.fullmatch(step) else json.dumps(step, ensure_ascii=False)
            text += f".{part}" if text else part
    return text


def _at(data: bytes, file: str, path: Path, message: str) -> AssetError:
    return AssetError(message, file=file, line=line_of(data.decode("utf-8"), path), key=_dotted(path))


def _semantic(data: bytes, file: str, path: Path, read: Callable[[str], object], value: str) -> None:
    try:
        read(value)
    except ValueError as error:
        raise _at(data, file, path, f"`{_dotted(path)}`: {error}") from error


def _unique_ids(data: bytes, file: str, asset: Manifest | Card) -> None:
    seen: set[str] = set()
    for index, check in enumerate(asset.checks):
        if check.id in seen:
            raise _at(data, file, ("checks", index, "id"), f"two checks have the id `{check.id}`")
        seen.add(check.id)
