"""Whether a text says something that can be observed. Word lists are English; the form itself is not.

Two readings with different duties:

* :func:`reading` decides a status. It looks only for what more words cannot take away (a vague word, a placeholder),
  so that padding a text never makes it look better. Scores of free text that can be diluted are worthless: forty
  irrelevant words brought the share of vague tasks that such a score accepts from 0 % to 99 %.
* :func:`testable` is the item lint for one criterion. It wants something to observe, and serves as a finding.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from hephaestus.interview.table import FILLER_PHRASES, FILLERS

Reading = Literal["blank", "placeholder", "vague", "says"]

VAGUE: Final = frozenset(
    """
    acceptable adequate adequately amazing appropriate appropriately awesome beautiful best better convenient
    decent easily easy effective effectively efficient efficiently elegant excellent
    fast flexible friendly good great helpful high-quality ideal ideally intelligent intelligently interesting
    intuitive intuitively maximally meaningful modern neat nice nicely optimal optimally perfect perfectly performant
    powerful properly quality quickly reasonable reasonably relevant robust robustly satisfactory scalable
    seamless seamlessly sensible sensibly simple slick smart smooth smoothly somehow sophisticated stuff suitable
    suitably thing things useful user-friendly well-designed whenever-possible world-class wonderful
    """.split()  # noqa: SIM905 - a list of words is read as words
)
"""Subjective words: two people can disagree about each without either being wrong."""

OBSERVABLE: Final = frozenset(
    """
    must shall exactly zero every each never only equal equals error errors exit exits return returns reject rejects
    rejected refuse refuses refused raise raises fail fails contain contains match matches matching identical verbatim
    empty sorted unique missing absent present valid invalid unchanged always within before after least most same pass
    passes
    """.split()  # noqa: SIM905 - a list of words is read as words
)
"""Words that name something to look at."""

MAX_VAGUE_PERCENT: Final = 8

_WORD = re.compile(r"[^\W_]+(?:[-'/][^\W_]+)*")
_MARK = re.compile(
    r"\bTODO\b|(?i:\btodo:)|(?i:\b(?:tbd|tba|tbc|fixme|xxx+|wip)\b|\?\?+|\blorem ipsum\b|\[needs clarification)"
    r"|(?i:<(?:your|fill|insert|describe)\b)"
)  # "a todo is assigned" is about a list of todos
_PHRASE = re.compile(r"\b(?:to be (?:decided|determined|defined|confirmed|done|announced)|your text here)\b")
_LABEL = re.compile(r"\b[A-Z]{1,8}-?\d+(?:\.\d+)*\b")  # FR-12, US3: a name, not a number
_NUMBER = re.compile(r"(?<![\w-])\d+(?:[.,]\d+)*(?:\s?%|\s?[a-zA-Z]{1,3}\b)?(?!\w)")
_LITERAL = re.compile(r"`[^`\s][^`]*`|\"[^\"\s][^\"]*\"|(?<!\w)'[^'\s][^']*'(?!\w)|“[^”]+”")
_PATH = re.compile(r"(?<!\w)\.{0,2}/?(?:[\w.-]+/)+[\w.-]+|(?<!\w)[\w-]+\.(?:json|toml|md|txt|py|csv|ya?ml|html|xml)\b")
_CODE = re.compile(r"\b[a-z]\w*_\w+\b|\b[a-z]\w*\.[a-z]\w*\b|\b\w+\(\)|(?<!\w)--[a-z][\w-]*|\b[A-Z][a-z]+[A-Z]\w*\b")
_SHAPE = re.compile(r"\b(?:given|when|then|and|but)\b", re.IGNORECASE)


def reading(text: str | None) -> Reading:
    """What a free text amounts to. Text that is added to one that says something never improves the answer."""
    if text is None or not text.strip():
        return "blank"
    if is_placeholder(text):
        return "placeholder"
    return "vague" if vague_words(text) else "says"


def is_placeholder(text: str) -> bool:
    """Whether the text stands for one that is still to be written: a mark (``TBD``, ``<name>``), or only fillers."""
    flat = " ".join(text.casefold().split())
    if _MARK.search(text) or _PHRASE.search(flat):
        return True
    for phrase in FILLER_PHRASES:
        flat = flat.replace(phrase, " ")
    words = [word.strip(".,;:!()[]\"'") or word for word in flat.split()]
    return all(word in FILLERS or not _WORD.search(word) for word in words)


def vague_words(text: str) -> tuple[str, ...]:
    """The vague words of a text, sorted, each once."""
    return tuple(sorted({word for word in _words(text) if word in VAGUE}))


def testable(text: str) -> bool:
    """Whether one criterion names something to observe.

    It does if it holds a number, a quoted literal, a path or a name from code; or if it holds an observable word and
    vague words are at most :data:`MAX_VAGUE_PERCENT` of its words. The shape Given/When/Then counts for nothing, and
    neither do the digits of a label (``FR-12``).
    """
    if not text.strip() or is_placeholder(text):
        return False
    bare = _LABEL.sub(" ", text)
    if any(pattern.search(bare) for pattern in (_NUMBER, _LITERAL, _PATH, _CODE)):
        return True
    words = _words(_SHAPE.sub(" ", bare))
    vague = sum(word in VAGUE for word in words)
    return any(word in OBSERVABLE for word in words) and vague * 100 <= MAX_VAGUE_PERCENT * len(words)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
