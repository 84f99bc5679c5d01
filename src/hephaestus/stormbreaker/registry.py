"""The kinds of check that there are, by name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from hephaestus.errors import ChecksRefused
from hephaestus.stormbreaker.kinds.json_schema import JSON_SCHEMA
from hephaestus.stormbreaker.kinds.python import PYTHON
from hephaestus.stormbreaker.kinds.quotes import QUOTES
from hephaestus.stormbreaker.kinds.regex import REGEX

if TYPE_CHECKING:
    from hephaestus.stormbreaker.kind import Kind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (JSON_SCHEMA, PYTHON, QUOTES, REGEX)}
"""Closed on purpose: a package's code reaches the gate through ``python`` only, which never runs it in this process."""


def find_kind(name: str, *, check: str) -> Kind:
    """The kind of this name.

    Args:
        name: As a package or a caller wrote it.
        check: Id of the check that names it, for the message.

    Raises:
        ChecksRefused: If there is no such kind. A check that nobody can run must not look like one that passed.
    """
    kind = KINDS.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.5)
        raise ChecksRefused(
            f"check `{check}`: expected one of the kinds {', '.join(sorted(KINDS))}, found `{name}`",
            hint=f"did you mean `{near[0]}`?" if near else None,
        )
    return kind
