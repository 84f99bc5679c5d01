"""The judge: runs every check of a set over one artefact. It fails closed, and raises for nothing that one may hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from hephaestus import canonical
from hephaestus.errors import ChecksRefused
from hephaestus.stormbreaker.checks import ARTEFACT, CheckSet, compile_checks
from hephaestus.stormbreaker.kind import (
    CodeCheck,
    Compiled,
    DataCheck,
    Executor,
    Files,
    Observation,
    Passages,
    Subject,
)
from hephaestus.stormbreaker.result import Finding, Result, Verdict, detail, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hephaestus.assets.manifest import CheckSpec

MAX_ARTEFACT = 16 << 20
"""Bytes of an artefact that is judged."""

DATA_DEADLINE_MS = 5_000
"""Milliseconds that one check over data may take. Such checks are linear, so this is for bugs and overload."""


class Stormbreaker:
    """Judges artefacts with one set of checks.

    Args:
        checks: A compiled set, or a caller's own checks, which are compiled here with the origin ``caller``.
        passages: The knowledge snapshot; needed by checks that look quotations up.
        executor: Runs code of the package in isolation; needed by checks that have some.
        files: Reads schema files when ``checks`` are not compiled yet.
        data_deadline_ms: Milliseconds that each check over data may take.

    Raises:
        ChecksRefused: If the checks do not compile, there is none, or one needs what was not handed over.
    """

    def __init__(
        self,
        checks: CheckSet | Iterable[CheckSpec],
        *,
        passages: Passages | None = None,
        executor: Executor | None = None,
        files: Files | None = None,
        data_deadline_ms: int = DATA_DEADLINE_MS,
    ) -> None:
        if not isinstance(checks, CheckSet):
            checks = compile_checks((("caller", spec) for spec in checks), files=files or _no_files)
        for check in checks.checks:
            compiled = checks.compiled[check.id]
            if compiled.needs_passages and passages is None:
                raise ChecksRefused(
                    f"check `{check.id}` ({check.kind}): expected a knowledge snapshot to look in, found none",
                    hint="add a [[knowledge]] source to the package, or drop the check",
                )
            if isinstance(compiled.check, CodeCheck) and executor is None:
                raise ChecksRefused(
                    f"check `{check.id}` ({check.kind}): expected an executor for the package's code, found none",
                    hint="such a check runs in an isolated process only, which a run of a task force has",
                )
        if not checks.checks:
            raise ChecksRefused("expected at least one check, found none: without a check nothing can be verified")
        self.checks = checks
        self._passages = passages
        self._executor = executor
        self._data_deadline_ms = data_deadline_ms

    async def judge(self, artefact: object) -> Verdict:
        """Run every check over one artefact.

        Args:
            artefact: ``bytes`` are JSON, digested as they are. Anything else is a value that is written as JSON first.

        Returns:
            One finding per check. If the artefact is no JSON document within the limits, the one finding is a ``FAIL``
            of the built-in check ``artefact``: there is nothing that another check could look at.
        """
        try:
            data = _as_bytes(artefact)
        except Exception as error:  # noqa: BLE001 - a value of the caller can raise anything while it is written
            return self._no_document(b"", f"a value that cannot be written as JSON: {_say(error)}")
        if len(data) > MAX_ARTEFACT:
            return self._no_document(data, f"{len(data)} bytes, over the limit of {MAX_ARTEFACT}")
        parsed = await anyio.to_thread.run_sync(_guarded, canonical.parse_json, data)
        if isinstance(parsed, _Raised):
            return self._no_document(data, _say(parsed.error))
        subject = Subject(artefact=data, value=parsed, passages=self._passages)
        findings = [await self._ask(check.id, self.checks.compiled[check.id], subject) for check in self.checks.checks]
        return Verdict(artefact=canonical.digest_bytes(data), checks=self.checks.digest, findings=tuple(findings))

    def _no_document(self, data: bytes, found: str) -> Verdict:
        finding = Finding(
            check=ARTEFACT,
            result=Result.FAIL,
            inspected=1,
            details=(detail("one JSON document: UTF-8, no duplicate keys, no NaN, bounded depth and size", found),),
            message="the artefact is no JSON document",
        )
        return Verdict(artefact=canonical.digest_bytes(data), checks=self.checks.digest, findings=(finding,))

    async def _ask(self, check: str, compiled: Compiled, subject: Subject) -> Finding:
        seen: object = None
        deadline_ms = compiled.check.deadline_ms if isinstance(compiled.check, CodeCheck) else self._data_deadline_ms
        with anyio.move_on_after(deadline_ms / 1000) as scope:
            if isinstance(compiled.check, DataCheck):
                # Abandoned at the deadline: a thread cannot be ended, but its answer no longer counts.
                seen = await anyio.to_thread.run_sync(_guarded, compiled.check.look, subject, abandon_on_cancel=True)
            else:
                seen = await self._run(compiled.check, subject)
        if scope.cancelled_caught or (isinstance(seen, _Raised) and isinstance(seen.error, TimeoutError)):
            return _broken(check, Result.TIMEOUT, f"no answer within {deadline_ms} ms")
        if isinstance(seen, _Raised):
            return _broken(check, Result.ERROR, f"the check could not do its work: {_say(seen.error)}")
        if not isinstance(seen, Observation):
            return _broken(check, Result.ERROR, f"the check answered a {type(seen).__name__}")
        return _finding(check, seen)

    async def _run(self, check: CodeCheck, subject: Subject) -> object:
        assert self._executor is not None, "refused when this object was made"
        try:
            return await check.run(subject, self._executor)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a check, it is an ERROR and never a pass
            return _Raised(error)


class _Raised:
    """What a guarded call raised, as a value."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _guarded(call: Callable[[Any], Any], argument: Any) -> Any:
    """Call, in a worker thread, and return what it raised.

    Every exception there is: a ``SystemExit`` or a panic of an extension (both no ``Exception``) must end in an
    ``ERROR`` of this one check. Neither a cancellation nor Ctrl-C is ever raised in a worker thread.
    """
    try:
        return call(argument)
    except BaseException as error:  # noqa: BLE001 - see above
        return _Raised(error)


def _finding(check: str, seen: Observation) -> Finding:
    if seen.details or seen.problems:
        return Finding(
            check=check,
            result=Result.FAIL,
            inspected=seen.inspected,
            details=seen.details,
            message=f"{seen.problems} wrong, {seen.inspected} inspected",
        )
    if seen.inspected <= 0:
        # Not a pass: an artefact without the thing that is checked would otherwise sail through.
        return _broken(check, Result.ERROR, "the check found nothing to inspect")
    return Finding(check=check, result=Result.PASS, inspected=seen.inspected, message=f"{seen.inspected} inspected")


def _broken(check: str, result: Result, message: str) -> Finding:
    return Finding(check=check, result=result, inspected=0, message=printable(message))


def _as_bytes(artefact: object) -> bytes:
    if isinstance(artefact, bytes | bytearray | memoryview):
        return bytes(artefact)
    return json.dumps(artefact, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _say(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception of foreign code may not even print
        return type(error).__name__


def _no_files(path: str) -> bytes | None:  # noqa: ARG001 - there are none, whatever the path
    return None
