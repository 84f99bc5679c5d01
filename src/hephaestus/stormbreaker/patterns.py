"""Patterns from packages and callers: google-re2, so their time is linear in the text, and a bound on the factor."""

from __future__ import annotations

from typing import Any

MAX_MEMORY = 8 << 20
"""Bytes that re2 may use for one pattern; a pattern that needs more does not compile."""

MAX_WORK = 1 << 32
"""Instructions of patterns times bytes of text. The worst pattern takes about a nanosecond for one of these."""


def compile_pattern(pattern: str) -> Any:
    """A compiled pattern; its ``search`` takes text, its ``programsize`` says how many instructions it has.

    Raises:
        ValueError: If re2 does not know such a pattern, or it is too large.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(
            f"{pattern!r} is not a pattern of re2 ({said}); look-around, back-references and repetitions over 1000"
            " do not exist there"
        ) from error
