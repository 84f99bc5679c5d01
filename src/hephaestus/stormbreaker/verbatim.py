"""Whether words stand verbatim in a text, after one stated normalisation and at the borders of words.

The normalisation: Unicode NFKC, typographic quotation marks and dashes to their ASCII forms, each run of white space to
one space, none at the ends. Case, punctuation and every letter and digit count.
"""

from __future__ import annotations

import re
import unicodedata

MAX_PLACES = 1000
"""Places of a text that are tried for one quotation; if all of these break a word, it does not stand there."""

_TYPOGRAPHY = {
    **dict.fromkeys(map(ord, "‘’‚‛′ʼ"), "'"),  # noqa: RUF001 - these are the characters that are meant
    **dict.fromkeys(map(ord, "“”„‟″«»"), '"'),
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),  # noqa: RUF001
}
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?]) ")


class NormalText:
    """A normalised text and the units of it that may be quoted whole, however short.

    Args:
        text: A passage. Its lines are units, and so are its sentences: they end with ``.``, ``!`` or ``?`` before white
            space.
    """

    def __init__(self, text: str) -> None:
        self._given = text
        self._units: frozenset[str] | None = None
        self.text: str = normalise(text)

    def holds(self, words: str) -> bool:
        """Whether normalised ``words`` stand here, cutting no word, number or contraction at either end."""
        if not words:
            return False
        start = -1
        for _ in range(MAX_PLACES):
            start = self.text.find(words, start + 1)
            if start < 0:
                return False
            end = start + len(words)
            if not _joined(self.text, start) and not _joined(self.text, end):
                return True
        return False

    def has_unit(self, words: str) -> bool:
        """Whether normalised ``words`` are the whole text, a whole line or a whole sentence of it."""
        if self._units is None:  # made when first asked for: most quotations are long enough without
            lines = [normalise(line) for line in self._given.splitlines()]
            sentences = [sentence for part in (self.text, *lines) for sentence in _SENTENCE_END.split(part)]
            self._units = frozenset(filter(None, (self.text, *lines, *sentences)))
        return words in self._units


def normalise(text: str) -> str:
    """The stated normalisation of this module."""
    if not text.isascii():  # neither step changes ASCII, and most passages are
        text = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY)
    return " ".join(text.split())


def count_words(text: str) -> int:
    """How many words a text has: runs of letters, digits and underscores."""
    return sum(1 for _ in _WORD.finditer(text))


def _joined(text: str, at: int) -> bool:
    """Whether a cut before ``text[at]`` would break a word, a number or a contraction in two.

    ``able`` does not stand in "unable", ``you can`` not in "you can't", ``blocking`` not in "non-blocking", ``5 ms``
    not in "1.5 ms" or "-5 ms": each of these cuts turns the meaning round.
    """
    if at in (0, len(text)):
        return False
    left, right = text[at - 1], text[at]
    if _in_word(left) and _in_word(right):
        return True
    if unicodedata.category(right)[0] == "M":
        return True
    before = text[at - 2] if at >= 2 else " "
    after = text[at + 1] if at + 1 < len(text) else " "
    # The joint itself may fall on either side of the cut.
    for outer, joint, inner in ((before, left, right), (left, right, after)):
        if joint in "'-" and _in_word(outer) and _in_word(inner):
            return True
        if joint in ".," and outer.isdigit() and inner.isdigit():
            return True
    return left in "-+" and right.isdigit() and not _in_word(before)


def _in_word(character: str) -> bool:
    return character == "_" or character.isalnum()
