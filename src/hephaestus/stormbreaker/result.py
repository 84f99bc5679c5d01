"""What checks say: result, detail, finding, verdict. Values only; who makes them is in ``stormbreaker``."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from hephaestus import canonical
from hephaestus.canonical import Digest

MAX_DETAILS = 20
"""Details that one finding keeps; its message counts the rest."""

MAX_TEXT = 400
"""Characters of each text of a detail, and of a message."""


class Result(enum.Enum):
    """What one check answers. Only ``PASS`` passes; ``ERROR`` and ``TIMEOUT`` leave the attempt undecided."""

    PASS = "pass"  # noqa: S105 - a result, not a password
    FAIL = "fail"
    ERROR = "error"
    TIMEOUT = "timeout"


class Detail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that is wrong with an artefact. Make it with :func:`detail`, which bounds the texts."""

    expected: str
    found: str
    where: str  # JSON Pointer into the artefact; "" is the whole of it


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one check said about one artefact."""

    check: str  # id of the check
    result: Result
    inspected: int  # how many things it looked at, in the unit of its kind; never 0 where the result is PASS
    details: tuple[Detail, ...] = ()  # what is wrong, at most MAX_DETAILS; empty unless the result is FAIL
    message: str = ""  # one line for people

    @property
    def passed(self) -> bool:
        """Whether the check looked at something and found nothing wrong."""
        return self.result is Result.PASS and self.inspected > 0


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every check of one set said about one artefact.

    A verdict is an observation. Only the gate of a run can turn a passing one into a
    :class:`~hephaestus.stormbreaker.Certificate`; see there for what that adds.
    """

    artefact: Digest  # of the exact bytes that the checks read
    checks: Digest  # of the check set: kind, parameters and origin of each
    findings: tuple[Finding, ...]  # one per check, in the order of the set; one of `artefact` if that is no JSON

    @property
    def passed(self) -> bool:
        """Whether every check looked at something and found nothing wrong."""
        # An empty set proves nothing, so it does not pass.
        return bool(self.findings) and all(finding.passed for finding in self.findings)

    @property
    def failed(self) -> bool:
        """Whether some check found something wrong: a failed attempt, whatever the other checks say."""
        return any(f.result is Result.FAIL for f in self.findings)

    @property
    def undecided(self) -> bool:
        """Whether nothing wrong was found, but some check could not do its work: neither passed nor failed."""
        return not self.failed and not self.passed


def detail(expected: str, found: str, where: str = "") -> Detail:
    """A detail whose texts are short and safe to print.

    Args:
        expected: What the check demands at this place.
        found: What stands there, as far as it fits.
        where: JSON Pointer into the artefact.
    """
    return Detail(expected=printable(expected), found=printable(found), where=printable(where))


def printable(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` cut to ``limit`` characters, with control characters written as escapes.

    Findings quote what an agent wrote, and they reach terminals and logs: an escape sequence must not act there.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    escaped = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in cut)
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def verdict_body(verdict: Verdict) -> dict[str, Any]:
    """The canonical body of the ``verdict`` journal entry: what was found, without a word of the artefact.

    The texts of the details quote the artefact, so only their digest stands here; the texts themselves are for the
    entry's secrets (:func:`verdict_texts`).
    """
    return {
        "artefact": verdict.artefact,
        "checks": verdict.checks,
        "passed": verdict.passed,
        "failed": verdict.failed,
        "findings": [
            {
                "check": finding.check,
                "result": finding.result.value,
                "inspected": finding.inspected,
                "details": len(finding.details),
                "texts": canonical.digest("hephaestus/finding/1", finding),
            }
            for finding in verdict.findings
        ],
    }


def verdict_texts(verdict: Verdict) -> bytes:
    """The findings with their texts, as canonical bytes: what :func:`verdict_body` commits to."""
    return canonical.encode(verdict.findings)
