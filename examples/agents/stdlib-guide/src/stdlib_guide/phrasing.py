"""What becomes of a model's words: code holds them to what is quoted, because a model keeps no rules.

In an answer, backticks mark names that are quoted beside it, and nothing else. A model puts other things in them, or
nothing at all. Its sentences are kept, except those that mark a part of the library that no quotation speaks for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BLOCK = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_BETWEEN = re.compile(r"((?<=[.!?])\s+|\n+)")  # between sentences, lines and items of a list
_NAME = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*)(?:\(.*\))?", re.DOTALL)  # with or without a call's parentheses


def held_to(text: str, quoted: Sequence[str], *, known: Callable[[str], bool], limit: int) -> str:
    """A model's text as an answer that marks at least one name, and only names that are quoted.

    Args:
        text: What the model said.
        quoted: The names of the quotations, the best one first.
        known: Whether the documentation has a passage of this name.
        limit: Characters that the answer may have.

    Returns:
        The answer, or an empty text if no sentence is left. Whether a sentence is true is not looked at.
    """
    pieces = _BETWEEN.split(_BLOCK.sub("", text).strip())
    answer = ""
    for number in range(0, len(pieces), 2):
        sentence = _sentence(pieces[number], quoted, known)
        if not sentence:
            continue
        longer = answer + (pieces[number - 1] if answer else "") + sentence
        if len(_naming(longer, quoted)) > limit:
            break
        answer = longer
    return _naming(answer, quoted) if answer else ""


def _naming(text: str, quoted: Sequence[str]) -> str:
    """A text with the names of the quotations below it, unless it names one itself."""
    return text if "`" in text else f"{text}\n\nIn the documentation: {', '.join(f'`{name}`' for name in quoted)}."


def _sentence(text: str, quoted: Sequence[str], known: Callable[[str], bool]) -> str:
    """A sentence with the marks that it may have; an empty text if it marks what no quotation speaks for."""
    # Every second piece was marked; a mark without its other half starts none.
    pieces = text.split("`")
    for number in range(1, len(pieces) - 1, 2):
        marked = _marked(pieces[number].strip(), quoted, known)
        if marked is None:
            return ""
        pieces[number] = marked
    return "".join(pieces).strip()


def _marked(said: str, quoted: Sequence[str], known: Callable[[str], bool]) -> str | None:
    """What to put in the place of something marked; None if it is a part of the library that is not quoted."""
    shape = _NAME.fullmatch(said)
    if shape is None:
        return said  # a piece of code, a value
    name = shape[1]
    if name in quoted:
        return f"`{name}`"
    ends = [full for full in quoted if full.endswith(f".{name}")]
    if len(ends) == 1:
        return f"`{ends[0]}`"
    if ends or any(full.startswith(f"{name}.") for full in quoted):
        return said  # the last part of several, or the module or class of one
    head = name.partition(".")[0]
    # Also what does not exist: an invented name begins with a module, or with a class that is quoted from. A single
    # word is left alone: most are types, values and variables.
    of_library = known(head) or any(head in full.split(".") for full in quoted)
    return None if head != name and of_library else said
