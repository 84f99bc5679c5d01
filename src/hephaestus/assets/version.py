"""Agent versions: strict SemVer 2.0 without build metadata, and cargo's ranges over them.

Build metadata (``+...``) is refused because a release reference must fit an OCI tag, which has no plus sign.
Source: https://semver.org/spec/v2.0.0.html and the cargo book on version requirements.
"""

from __future__ import annotations

import operator
import re
from typing import Self

import msgspec

_NUMBER = r"0|[1-9]\d*"
_PART = rf"(?:{_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PART}(?:\.{_PART})*))?", re.ASCII)
_PARTIAL = re.compile(
    rf"(\^|~|=|>=|>|<=|<)?\s*({_NUMBER})(?:\.({_NUMBER})(?:\.({_NUMBER})(?:-({_PART}(?:\.{_PART})*))?)?)?", re.ASCII
)
MAX_LENGTH = 128


class Version(msgspec.Struct, frozen=True):
    """One version; ordered by SemVer precedence."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[int | str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``1.2.3`` or ``1.2.3-rc.1``.

        Raises:
            ValueError: If ``text`` is anything else.
        """
        found = _VERSION.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if found is None:
            plus = " (build metadata is not part of an agent version)" if "+" in text else ""
            raise ValueError(f"{text[:MAX_LENGTH]!r} is not a SemVer 2.0 version like 1.2.3 or 1.2.3-rc.1{plus}")
        return cls(int(found[1]), int(found[2]), int(found[3]), _prerelease(found[4]))

    def __str__(self) -> str:
        tail = "-" + ".".join(map(str, self.prerelease)) if self.prerelease else ""
        return f"{self.major}.{self.minor}.{self.patch}{tail}"

    # functools.total_ordering takes the comparisons of Struct's own type for ours and adds nothing.
    def __lt__(self, other: Version) -> bool:
        return self.sort_key() < other.sort_key()

    def __le__(self, other: Version) -> bool:
        return self.sort_key() <= other.sort_key()

    def __gt__(self, other: Version) -> bool:
        return self.sort_key() > other.sort_key()

    def __ge__(self, other: Version) -> bool:
        return self.sort_key() >= other.sort_key()

    def sort_key(self) -> bytes:
        """Bytes whose order is the versions' order, for an index.

        Numbers carry their own length; a version with a prerelease sorts before the one without; numeric identifiers
        before alphanumeric ones; fewer identifiers first.
        """
        key = b"".join(_number(n) for n in (self.major, self.minor, self.patch))
        if not self.prerelease:
            return key + b"\x02"
        parts = [b"\x01" + _number(p) if isinstance(p, int) else b"\x02" + p.encode() + b"\0" for p in self.prerelease]
        return key + b"\x01" + b"".join(parts) + b"\0"


def _number(value: int) -> bytes:
    digits = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes([len(digits)]) + digits


def _prerelease(text: str | None) -> tuple[int | str, ...]:
    return tuple(int(part) if part.isdigit() else part for part in text.split(".")) if text else ()


class Range(msgspec.Struct, frozen=True):
    """A version range: comparators joined by commas, all of which must hold (``^1.2``, ``~1.2.3``, ``>=1, <3``).

    A bare ``1.2`` means ``^1.2``. A prerelease matches only where a comparator names one of the same
    major.minor.patch, as in cargo.
    """

    text: str
    bounds: tuple[tuple[str, Version], ...]  # operators ">=", ">", "<", "<="
    prereleases: tuple[tuple[int, int, int], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a range.

        Raises:
            ValueError: With the comparator that is none.
        """
        bounds: list[tuple[str, Version]] = []
        named: list[tuple[int, int, int]] = []
        for part in text.split(","):
            found = _PARTIAL.fullmatch(part.strip()) if len(text) <= MAX_LENGTH else None
            if found is None:
                raise ValueError(f"{part.strip()[:MAX_LENGTH]!r} is not a version range like ^1.2, ~1.2.3 or >=1, <3")
            comparator, given = found[1] or "^", [int(found[i]) for i in (2, 3, 4) if found[i] is not None]
            low = _filled(given, _prerelease(found[5]))
            if low.prerelease:
                named.append((low.major, low.minor, low.patch))
            bounds += _bounds(comparator, low, given)
        return cls(text, tuple(bounds), tuple(named))

    def __contains__(self, version: Version) -> bool:
        if version.prerelease and (version.major, version.minor, version.patch) not in self.prereleases:
            return False
        return all(_HOLDS[comparator](version, bound) for comparator, bound in self.bounds)

    def __str__(self) -> str:
        return self.text


def _filled(numbers: list[int], prerelease: tuple[int | str, ...]) -> Version:
    major, minor, patch = [*numbers, 0, 0][:3]
    return Version(major, minor, patch, prerelease)


_HOLDS = {">=": operator.ge, ">": operator.gt, "<": operator.lt, "<=": operator.le}


def _bounds(comparator: str, low: Version, given: list[int]) -> list[tuple[str, Version]]:
    lowest: tuple[int | str, ...] = (0,)  # the smallest prerelease of all: "below 2.0.0" must not let 2.0.0-rc.1 in
    match comparator:
        case "^":
            place = next((i for i, n in enumerate(given) if n), len(given) - 1)
        case "~":
            place = min(1, len(given) - 1)
        case "=" | ">" | "<=":
            place = len(given) - 1
        case "<" if len(given) < 3:  # "<1.2" lets no prerelease of 1.2.0 in either
            return [("<", msgspec.structs.replace(low, prerelease=lowest))]
        case _:
            return [(comparator, low)]
    above = [*given[:place], given[place] + 1]
    end = _filled(above, lowest)
    if comparator == ">":
        return [(">", low)] if len(given) == 3 else [(">=", end)]
    if comparator == "<=":
        return [("<=", low)] if len(given) == 3 else [("<", end)]
    if comparator == "=" and len(given) == 3:
        return [(">=", low), ("<=", low)]
    return [(">=", low), ("<", end)]
