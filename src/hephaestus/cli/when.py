"""Times for people."""

from __future__ import annotations

import datetime as dt


def day_and_time(seconds: float) -> str:
    """A time in UTC, to the second. ``seconds`` are Unix seconds."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s"
