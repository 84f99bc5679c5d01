"""What a run tells whoever watches it."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a run, for a person to watch. Never holds text of an answer."""

    step: str  # "launched", "calling", "answered", "failed", "judging", "sent back", "passed", "refused", ...
    instance: str = ""
    detail: str = ""  # names and counts that the host made itself
