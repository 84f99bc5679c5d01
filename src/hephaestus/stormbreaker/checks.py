"""Check sets: from what card, package and caller demand to compiled checks with one digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from hephaestus import canonical
from hephaestus.assets.manifest import CheckSpec
from hephaestus.canonical import Digest
from hephaestus.errors import ChecksRefused
from hephaestus.stormbreaker.kind import Compiled, Files
from hephaestus.stormbreaker.registry import find_kind
from hephaestus_runner.protocol import CheckNotice

Origin = Literal["card", "package", "caller"]
"""Who demands a check."""

ORIGINS: tuple[Origin, ...] = ("card", "package", "caller")

MAX_CHECKS = 256

ARTEFACT = "artefact"
"""The check that is always there: the artefact is one JSON document. No other check may take this id."""


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One check of a compiled set, as data."""

    id: str
    kind: str
    about: str  # what it demands, for the agent and for people
    params: dict[str, Any]  # validated, with every default written out
    origin: Origin
    hidden: bool = False
    files: dict[str, Digest] = {}  # files of the release that it was made from


class CheckSet(msgspec.Struct, frozen=True):
    """Compiled checks in the order of their ids. Made by :func:`compile_checks`, never empty."""

    checks: tuple[Check, ...]
    digest: Digest  # over id, kind, parameters, files and origin of each; the order of the sources plays no part
    compiled: Mapping[str, Compiled]  # by id

    def notices(self) -> tuple[CheckNotice, ...]:
        """Each check as it is announced to the agent before the first attempt; of a hidden one no parameters."""
        return tuple(
            CheckNotice(id=c.id, kind=c.kind, about=c.about, params={} if c.hidden else c.params) for c in self.checks
        )

    def origins(self) -> dict[Origin, tuple[str, ...]]:
        """The ids of the checks by who demanded them; every origin is there, with no ids where it demanded none."""
        return {origin: tuple(c.id for c in self.checks if c.origin == origin) for origin in ORIGINS}


def compile_checks(specs: Iterable[tuple[Origin, CheckSpec]], *, files: Files) -> CheckSet:
    """Compile the checks of every origin into one set.

    Origins add up: no source can replace or drop a check of another one.

    Args:
        specs: Who demands it, and what.
        files: Reads a file of the release (schemas) by its path.

    Raises:
        ChecksRefused: If there is no check at all, an id comes twice, a kind is unknown, or parameters do not compile
            into a check that proves something. The message names the check.
    """
    checks: dict[str, Check] = {}
    compiled: dict[str, Compiled] = {}
    for origin, spec in specs:
        check, ready = _compile(origin, spec, files)
        if (other := checks.get(check.id)) is not None:
            raise ChecksRefused(
                f"check `{check.id}`: expected every id once, found it from {other.origin} and from {origin}",
                hint="give one of them another id; checks of several origins add up and never replace each other",
            )
        checks[check.id] = check
        compiled[check.id] = ready
        if len(checks) > MAX_CHECKS:
            raise ChecksRefused(f"expected at most {MAX_CHECKS} checks, found more")
    if not checks:
        raise ChecksRefused(
            "expected at least one check, found none: without a check nothing can be verified",
            hint="add a [[checks]] entry to agent.toml, for example of kind `json-schema` for the output contract",
        )
    ordered = tuple(checks[id_] for id_ in sorted(checks))
    return CheckSet(checks=ordered, digest=canonical.digest("hephaestus/checks/1", _body(ordered)), compiled=compiled)


def _body(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    # What is demanded, not how it is told: `about` and `hidden` change what the agent reads, not what a pass proves.
    return [{"id": c.id, "kind": c.kind, "params": c.params, "files": c.files, "origin": c.origin} for c in checks]


def _compile(origin: Origin, spec: CheckSpec, files: Files) -> tuple[Check, Compiled]:
    if origin not in ORIGINS:
        raise ChecksRefused(f"expected an origin of {', '.join(ORIGINS)}, found {origin!r}")
    try:
        # A Struct that a caller made in Python was validated by nobody yet.
        spec = msgspec.convert(msgspec.to_builtins(spec), CheckSpec)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        raise ChecksRefused(f"a check of the {origin} is not one: {error}") from error
    if spec.id == ARTEFACT:
        raise ChecksRefused(f"check `{ARTEFACT}`: this id belongs to the built-in check", hint="choose another id")
    kind = find_kind(spec.kind, check=spec.id)
    where = f"check `{spec.id}` ({spec.kind}, of the {origin})"
    try:
        params = msgspec.convert(spec.params, kind.params)
    except msgspec.ValidationError as error:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(kind.params))
        raise ChecksRefused(f"{where}: {error}", hint=f"parameters of `{spec.kind}`: {known}") from error
    try:
        ready = kind.compile(params, files)
        plain = canonical.decode(canonical.encode(params))
    except Exception as error:  # a package's schema or pattern may break a compiler in ways of its own
        raise ChecksRefused(f"{where}: {error}") from error
    return (
        Check(
            id=spec.id,
            kind=spec.kind,
            about=spec.about,
            params=plain,
            origin=origin,
            hidden=spec.hidden,
            files={path: canonical.digest_bytes(data) for path, data in ready.files.items()},
        ),
        ready,
    )
