"""``regex``: the selected texts match a pattern, or do not.

Patterns are those of google-re2: linear time, no look-around, no back-references.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec

from hephaestus.stormbreaker.kind import Compiled, DataCheck, Files, Kind, Observation, Params, Subject, observe
from hephaestus.stormbreaker.patterns import MAX_WORK, compile_pattern
from hephaestus.stormbreaker.pointer import MAX_SELECTED, Pointer, Selected, TooMany, join
from hephaestus.stormbreaker.result import Detail, detail

if TYPE_CHECKING:
    from collections.abc import Iterator

# The way to a value: the way to its parent and the last step. Written out only for what is wrong.
_Path: TypeAlias = "tuple[_Path, str | int] | None"

Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]

# A `must` that fits all of these fits everything that anyone would write.
_CANARIES = ("", "a", "0 Z\n", "é-'\"", "\x7f")


class RegexParams(Params, frozen=True, kw_only=True):
    r"""Parameters of ``regex``: at least one of ``must`` and ``must_not``.

    With ``select``, every selected text must match ``must`` and none may match ``must_not``; a selected value that is
    no text is a failure. Without it the whole artefact is looked at: every text, key and number in it by itself, of
    which at least one must match ``must`` and none may match ``must_not``. It is not the JSON as it was written: there,
    a forbidden word could hide behind ``\u`` escapes. A pattern may match anywhere in a text; ``^`` and ``$`` are its
    ends.
    """

    select: Annotated[str, msgspec.Meta(max_length=500)] | None = (
        None  # JSON Pointer, `*` for every item of a list; without it, the whole artefact
    )
    must: Pattern | None = None  # every selected text matches it; without `select`, at least one text does
    must_not: Pattern | None = None  # no selected text matches it; without `select`, no text, key or number does
    min: Annotated[int, msgspec.Meta(ge=0, le=MAX_SELECTED)] = 0  # fewer selected texts are a failure


class _Patterns(msgspec.Struct, frozen=True):
    params: RegexParams
    must: Any  # compiled, or None
    must_not: Any

    def each(self, selected: list[Selected]) -> Iterator[Detail]:
        """What is wrong with the selected values."""
        for one in selected:
            if not isinstance(one.value, str):
                yield detail("a text", f"a value of type {_json_type(one.value)}", one.where)
                continue
            if self.must is not None and not self.must.search(one.value):
                yield detail(f"a text that matches {self.params.must}", one.value, one.where)
            if self.must_not is not None and (hit := self.must_not.search(one.value)) is not None:
                yield self._forbidden(hit, one.value, one.where)

    def whole(self, texts: list[tuple[str, _Path]]) -> Iterator[Detail]:
        """What is wrong with a document as a whole."""
        # The same keys and values come again and again; each is searched once.
        distinct = dict.fromkeys(text for text, _ in texts)
        if self.must is not None and texts and not any(map(self.must.search, distinct)):
            yield detail(f"some text that matches {self.params.must}", f"none of {len(texts)} texts does")
        if self.must_not is not None:
            hits = {text: hit for text in distinct if (hit := self.must_not.search(text)) is not None}
            for text, path in texts if hits else ():
                if text in hits:
                    yield self._forbidden(hits[text], text, _where(path))

    def _forbidden(self, hit: Any, text: str, where: str) -> Detail:
        return detail(f"no text that matches {self.params.must_not}", hit.group() or text, where)


def _compile(params: RegexParams, files: Files) -> Compiled:  # noqa: ARG001 - the signature of every kind
    if params.must is None and params.must_not is None:
        raise ValueError("a regex check has `must`, `must_not` or both")
    patterns = _Patterns(
        params,
        must=_pattern("must", params.must),
        must_not=_pattern("must_not", params.must_not),
    )
    if patterns.must is not None and all(patterns.must.search(text) for text in _CANARIES):
        raise ValueError(f"`must`: {params.must!r} matches every text, so it proves nothing")
    pointer = None if params.select is None else Pointer.parse(params.select)
    instructions = sum(p.programsize for p in (patterns.must, patterns.must_not) if p is not None)
    place = params.select or ""

    def look(subject: Subject) -> Observation:
        if instructions * len(subject.artefact) > MAX_WORK:
            wanted = f"at most {MAX_WORK // instructions} bytes, for patterns of this size"
            return observe(1, [detail(wanted, f"{len(subject.artefact)} bytes")])
        wrong: Iterator[Detail]
        try:
            if pointer is None:
                texts = _texts(subject.value)
                inspected, wrong = len(texts), patterns.whole(texts)
            else:
                selected = pointer.select(subject.value)
                inspected, wrong = len(selected), patterns.each(selected)
        except TooMany as error:
            return observe(0, [detail(f"at most {MAX_SELECTED} texts", str(error), place)])
        few = [] if inspected >= params.min else [detail(f"at least {params.min} texts", str(inspected), place)]
        return observe(inspected, itertools.chain(few, wrong))

    return Compiled(check=DataCheck(look))


def _pattern(name: str, pattern: str | None) -> Any:
    if pattern is None:
        return None
    try:
        return compile_pattern(pattern)
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error


def _texts(document: Any) -> list[tuple[str, _Path]]:
    """Every text, key and number of a document in its order, each with its place.

    Raises:
        TooMany: If there are more than :data:`MAX_SELECTED`.
    """
    found: list[tuple[str, _Path]] = []
    stack: list[tuple[Any, _Path]] = [(document, None)]
    while stack:
        value, path = stack.pop()
        if isinstance(value, dict):
            found.extend((key, path) for key in value)
            stack.extend((item, (path, key)) for key, item in reversed(value.items()))
        elif isinstance(value, list):
            stack.extend((value[n], (path, n)) for n in range(len(value) - 1, -1, -1))
        elif isinstance(value, str):
            found.append((value, path))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((str(value), path))
        if len(found) > MAX_SELECTED:
            raise TooMany(f"more than {MAX_SELECTED} texts, keys and numbers")
    return found


def _where(path: _Path) -> str:
    tokens: list[str | int] = []
    while path is not None:
        path, token = path
        tokens.append(token)
    return functools.reduce(join, reversed(tokens), "")


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}[type(value)]


REGEX = Kind(name="regex", params=RegexParams, compile=_compile)
