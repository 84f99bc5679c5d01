"""``quotes-in-knowledge``: each quotation stands verbatim in the passage that it names.

A verbatim span proves that the words stand there, in this order and unbroken; not that they support the claim beside
them. Passages are looked up by name first, so the cost is that of the named texts and not of the whole knowledge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from hephaestus.stormbreaker.kind import (
    Compiled,
    DataCheck,
    Files,
    Kind,
    Observation,
    Params,
    Passages,
    Subject,
    observe,
)
from hephaestus.stormbreaker.pointer import EVERY, Pointer, join
from hephaestus.stormbreaker.result import Detail, detail
from hephaestus.stormbreaker.verbatim import NormalText, count_words, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_QUOTE = 20_000
"""Characters of one quotation; a longer one is not looked at and fails."""

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class QuotesParams(Params, frozen=True, kw_only=True):
    """Parameters of ``quotes-in-knowledge``."""

    quotes: Annotated[str, msgspec.Meta(max_length=500)] = "/quotations"  # JSON Pointer of the list of quotations
    id: _Key = "name"  # key of each quotation: the id of the passage
    text: _Key = "quote"  # key of each quotation: the quoted words
    min: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1  # fewer quotations fail
    max: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100  # more quotations fail
    min_words: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8  # unless it is a whole passage, line or sentence


def _compile(params: QuotesParams, files: Files) -> Compiled:  # noqa: ARG001 - the signature of every kind
    pointer = Pointer.parse(params.quotes)
    if EVERY in pointer.tokens:
        raise ValueError("`quotes` names one list of quotations, so it has no `*`")
    if params.min > params.max:
        raise ValueError(f"`min` {params.min} is over `max` {params.max}")
    if params.id == params.text:
        raise ValueError("`id` and `text` name two different keys of a quotation")

    def look(subject: Subject) -> Observation:
        if subject.passages is None:
            raise RuntimeError("no knowledge snapshot was handed to the gate")
        selected = pointer.select(subject.value)
        quotations = selected[0].value if selected else None
        if not isinstance(quotations, list):
            return observe(0, [detail(f"a list of quotations at `{params.quotes}`", _what(quotations), params.quotes)])
        if not params.min <= len(quotations) <= params.max:
            wanted = f"{params.min} to {params.max} quotations"
            return observe(len(quotations), [detail(wanted, str(len(quotations)), params.quotes)])
        known: dict[str, NormalText | None] = {}
        return observe(
            len(quotations),
            (
                problem
                for index, quotation in enumerate(quotations)
                for problem in _wrong(quotation, join(params.quotes, index), params, subject.passages, known)
            ),
        )

    return Compiled(check=DataCheck(look), needs_passages=True)


def _wrong(
    quotation: Any, where: str, params: QuotesParams, passages: Passages, known: dict[str, NormalText | None]
) -> Iterator[Detail]:
    if not isinstance(quotation, dict):
        yield detail(f"an object with `{params.id}` and `{params.text}`", _what(quotation), where)
        return
    name, quote = quotation.get(params.id), quotation.get(params.text)
    for key, value in ((params.id, name), (params.text, quote)):
        if not isinstance(value, str):
            yield detail(f"a text `{key}`", _what(value), join(where, key))
    if not isinstance(name, str) or not isinstance(quote, str):
        return
    if name not in known:
        text = passages.text(name)
        known[name] = None if text is None else NormalText(text)
    passage = known[name]
    if passage is None:
        yield detail("the name of a passage in this knowledge", name, join(where, params.id))
        return
    if len(quote) > MAX_QUOTE:
        yield detail(f"a quotation of at most {MAX_QUOTE} characters", f"{len(quote)}", join(where, params.text))
        return
    normal = normalise(quote)
    words = count_words(normal)
    if not words or not passage.holds(normal):
        yield detail(f"words that stand verbatim in `{name}`", quote, join(where, params.text))
    elif words < params.min_words and not passage.has_unit(normal):
        yield detail(
            f"at least {params.min_words} words, or a whole line or sentence of `{name}`",
            f"{words} words: {quote}",
            join(where, params.text),
        )


def _what(value: Any) -> str:
    if isinstance(value, str):
        return f'the text "{value[:100]}"'
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else str(value)[:100]


QUOTES = Kind(name="quotes-in-knowledge", params=QuotesParams, compile=_compile)
