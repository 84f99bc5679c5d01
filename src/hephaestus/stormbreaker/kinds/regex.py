"""``regex``: the selected texts match a pattern, or do not.

Patterns are those of google-re2: linear time, no look-around, no back-references.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from hephaestus.stormbreaker.kind import Compiled, DataCheck, Files, Kind, Observation, Params, Subject, observe
from hephaestus.stormbreaker.patterns import MAX_WORK, compile_pattern
from hephaestus.stormbreaker.pointer import MAX_SELECTED, Pointer, Selected, TooMany, join
from hephaestus.stormbreaker.result import Detail, detail

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    select: Annotated[str, msgspec.Meta(max_length=500)] | None = None  # JSON Pointer, `*` for every item of a list
    must: Pattern | None = None
    must_not: Pattern | None = None
    min: Annotated[int, msgspec.Meta(ge=0, le=MAX_SELECTED)] = 0  # fewer selected texts are a failure


class _Patterns(msgspec.Struct, frozen=True):
    params: RegexParams
    must: Any  # compiled, or None
    must_not: Any

    def each(self, text: Selected) -> Iterator[Detail]:
        """What is wrong with one selected value."""
        if not isinstance(text.value, str):
            yield detail("a text", f"a value of type {_json_type(text.value)}", text.where)
            return
        if self.must is not None and not self.must.search(text.value):
            yield detail(f"a text that matches {self.params.must}", text.value, text.where)
        yield from self.forbidden(text)

    def whole(self, texts: list[Selected]) -> Iterator[Detail]:
        """What is wrong with a document as a whole."""
        if self.must is not None and texts and not any(self.must.search(text.value) for text in texts):
            yield detail(f"some text that matches {self.params.must}", f"none of {len(texts)} texts does")
        for text in texts:
            yield from self.forbidden(text)

    def forbidden(self, text: Selected) -> Iterator[Detail]:
        """Whether a text holds what it must not."""
        hit = None if self.must_not is None else self.must_not.search(text.value)
        if hit is not None:
            yield detail(f"no text that matches {self.params.must_not}", hit.group() or text.value, text.where)


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
        try:
            texts = list(_texts(subject.value)) if pointer is None else pointer.select(subject.value)
        except TooMany as error:
            return observe(0, [detail(f"at most {MAX_SELECTED} texts", str(error), place)])
        few = [] if len(texts) >= params.min else [detail(f"at least {params.min} texts", str(len(texts)), place)]
        wrong = patterns.whole(texts) if pointer is None else itertools.chain.from_iterable(map(patterns.each, texts))
        return observe(len(texts), itertools.chain(few, wrong))

    return Compiled(check=DataCheck(look))


def _pattern(name: str, pattern: str | None) -> Any:
    if pattern is None:
        return None
    try:
        return compile_pattern(pattern)
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error


def _texts(document: Any) -> Iterator[Selected]:
    """Every text, key and number of a document, each with its place.

    Raises:
        TooMany: If there are more than :data:`MAX_SELECTED`.
    """
    count = 0
    stack = [Selected("", document)]
    while stack:
        here = stack.pop()
        value = here.value
        if isinstance(value, dict):
            stack.extend(Selected(join(here.where, key), item) for key, item in reversed(value.items()))
            found = [Selected(here.where, key) for key in value]
        elif isinstance(value, list):
            stack.extend(Selected(join(here.where, n), value[n]) for n in range(len(value) - 1, -1, -1))
            found = []
        elif isinstance(value, str):
            found = [here]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = [Selected(here.where, str(value))]
        else:
            found = []
        count += len(found)
        if count > MAX_SELECTED:
            raise TooMany(f"more than {MAX_SELECTED} texts, keys and numbers")
        yield from found


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}[type(value)]


REGEX = Kind(name="regex", params=RegexParams, compile=_compile)
