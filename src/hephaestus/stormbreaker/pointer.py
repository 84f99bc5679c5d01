"""JSON Pointer (RFC 6901), with ``*`` for every item of an array, over parsed JSON; bounded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_POINTER = 500
"""Characters of a pointer."""

MAX_STEPS = 16
MAX_SELECTED = 100_000
"""Values that one pointer may select."""

EVERY = "*"
"""The token for every item of an array."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_BAD_ESCAPE = re.compile(r"~(?![01])")


class TooMany(ValueError):
    """A pointer that selects more than :data:`MAX_SELECTED` values."""


class Selected(msgspec.Struct, frozen=True):
    """One selected value and the pointer that leads to exactly it."""

    where: str
    value: Any


class Pointer(msgspec.Struct, frozen=True):
    """A parsed pointer: its reference tokens, unescaped. ``*`` stands for every item where it meets an array."""

    tokens: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pointer:
        """Read ``/quotations/*/name``; the empty pointer selects the whole document.

        Raises:
            ValueError: If it does not begin with ``/``, holds a ``~`` that is no escape, or is too long.
        """
        if len(text) > MAX_POINTER:
            raise ValueError(f"a pointer has at most {MAX_POINTER} characters, not {len(text)}")
        if text and not text.startswith("/"):
            raise ValueError(f"a JSON Pointer is empty or begins with `/`: `{text}`")
        if _BAD_ESCAPE.search(text):
            raise ValueError(f"in a JSON Pointer `~` is written `~0` and `/` is written `~1`: `{text}`")
        tokens = tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])
        if len(tokens) > MAX_STEPS:
            raise ValueError(f"a pointer has at most {MAX_STEPS} steps, not {len(tokens)}")
        return cls(tokens)

    def select(self, document: Any) -> list[Selected]:
        """Every value that the pointer leads to, in document order; none where a step leads nowhere.

        Raises:
            TooMany: If there are more than :data:`MAX_SELECTED`.
        """
        found = [Selected("", document)]
        for token in self.tokens:
            step: list[Selected] = []
            for here in found:
                step.extend(_children(here, token))
                if len(step) > MAX_SELECTED:
                    raise TooMany(f"more than {MAX_SELECTED} values are selected")
            found = step
        return found


def join(where: str, token: str | int) -> str:
    """The pointer one step below ``where``."""
    return f"{where}/{str(token).replace('~', '~0').replace('/', '~1')}"


def _children(here: Selected, token: str) -> Iterator[Selected]:
    value = here.value
    if isinstance(value, dict):
        if token in value:
            yield Selected(join(here.where, token), value[token])
    elif isinstance(value, list):
        if token == EVERY:
            for index, item in enumerate(value[: MAX_SELECTED + 1]):
                yield Selected(join(here.where, index), item)
        elif _INDEX.fullmatch(token) and int(token) < len(value):
            yield Selected(join(here.where, token), value[int(token)])
