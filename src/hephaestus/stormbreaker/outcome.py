"""How a run can end: verified, refused, undecided, interrupted. ``docs/endings.md`` has the table."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hephaestus.canonical import Digest
from hephaestus.stormbreaker.certificate import Certificate
from hephaestus.stormbreaker.mint import Mint
from hephaestus.stormbreaker.result import Finding
from hephaestus_runner.protocol import Cause

VERIFIED = Mint("hephaestus.stormbreaker.verified")


class UnverifiedOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last output of a run that did not pass: to look at, never to use. It has no ``value`` on purpose."""

    digest: Digest
    unverified: bytes  # exactly what was submitted; maybe not even JSON


class Verified(msgspec.Struct, frozen=True, tag=True):
    """The run's output passed every check.

    Only :func:`~hephaestus.stormbreaker.verified` makes one, from an artefact and the sealed certificate of exactly
    that artefact: no constructor call, decoder or copy with changed fields does (see ``mint`` for what this is worth).
    """

    value: Any  # the artefact, parsed
    certificate: Certificate

    def __post_init__(self) -> None:
        VERIFIED.check(self)

    @property
    def kind(self) -> Literal["verified"]:
        """The word of the JSON output and of the journal."""
        return "verified"

    @property
    def cause(self) -> None:
        """A success has no cause to explain."""
        return

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        return 0


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The output was not good enough: attempts are spent, or the run repeated itself."""

    findings: tuple[Finding, ...]  # of the last attempt
    cause: Cause = "output"
    entries: tuple[int, ...] = ()  # journal entries that show it
    candidate: UnverifiedOutput | None = None

    @property
    def kind(self) -> Literal["refused"]:
        """The word of the JSON output and of the journal."""
        return "refused"

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        return 3


class Undecided(msgspec.Struct, frozen=True, tag=True):
    """A check, a model or a machine could not do its work. Nothing was found out about the output: never a pass."""

    cause: Cause
    message: str = ""
    entries: tuple[int, ...] = ()  # journal entries that show it

    @property
    def kind(self) -> Literal["undecided"]:
        """The word of the JSON output and of the journal."""
        return "undecided"

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        return 7


class Interrupted(msgspec.Struct, frozen=True, tag=True):
    """The orchestrator asks the caller something; a run that goes on with the answer is not there yet."""

    question: str
    cause: Cause = "caller"
    entries: tuple[int, ...] = ()  # journal entries that show it

    @property
    def kind(self) -> Literal["interrupted"]:
        """The word of the JSON output and of the journal."""
        return "interrupted"

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        return 8


Outcome = Verified | Refused | Undecided | Interrupted
