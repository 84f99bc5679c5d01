"""What a request is scored by: its words and its pairs of neighbouring words, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST = "^"
LAST = "$"
"""The ends of a request in a pair; no word of a text is either."""


def words_at(found: Sequence[str]) -> dict[str, int]:
    """Each word of a request -> its first position."""
    return dict(zip(reversed(found), range(len(found) - 1, -1, -1), strict=True))


def pairs_at(found: Sequence[str]) -> dict[str, int]:
    """Each pair ``"first second"`` of neighbours in a request -> the first position of its second word.

    ``"^ first"`` and ``"last $"`` are pairs, at 0 and at the number of words. A request without words has no pairs.
    """
    if not found:
        return {}
    pairs = [*map(" ".join, zip((FIRST, *found), (*found, LAST), strict=True))]
    return dict(zip(reversed(pairs), range(len(pairs) - 1, -1, -1), strict=True))
