"""``python``: a function of the package looks at the artefact, in an isolated child and over plain JSON.

The function is never imported here. What it answers is decoded strictly; the child's prints, files and exit status say
nothing. A raise, a kill or a missed deadline is an ``ERROR`` or a ``TIMEOUT``, never a pass.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from hephaestus import canonical
from hephaestus.assets.manifest import EntryPoint  # noqa: TC001 - msgspec reads the annotation
from hephaestus.stormbreaker.kind import (
    CodeCheck,
    Compiled,
    Executor,
    Files,
    Kind,
    Observation,
    Params,
    Subject,
    observe,
)
from hephaestus.stormbreaker.result import detail

MAX_ANSWER = 1 << 20
"""Bytes of one answer."""


class PythonParams(Params, frozen=True, kw_only=True):
    """Parameters of ``python``."""

    entry: EntryPoint  # module:function of the package
    args: dict[str, Any] = {}  # handed to the function as `params`; integers and texts, no fractions
    deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=600_000)] = 10_000  # start of the child included


class AnswerFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that the function found wrong."""

    expected: str
    found: str
    where: str = ""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the function must return, as JSON."""

    inspected: Annotated[int, msgspec.Meta(ge=0, le=canonical.MAX_INTEGER)]
    findings: tuple[AnswerFinding, ...]


def _compile(params: PythonParams, files: Files) -> Compiled:  # noqa: ARG001 - the signature of every kind
    args = canonical.encode(params.args)

    async def run(subject: Subject, executor: Executor) -> Observation:
        # Both parts are whole JSON documents, so the artefact crosses as exactly the bytes that were digested.
        payload = b'{"artefact":' + subject.artefact + b',"params":' + args + b"}"
        raw = await executor.run_check(params.entry, payload, deadline_ms=params.deadline_ms)
        answer = _answer(raw, params.entry)
        return observe(answer.inspected, (detail(f.expected, f.found, f.where) for f in answer.findings))

    return Compiled(check=CodeCheck(run, deadline_ms=params.deadline_ms))


def _answer(raw: bytes, entry: str) -> Answer:
    if len(raw) > MAX_ANSWER:
        raise ValueError(f"{entry} answered {len(raw)} bytes; at most {MAX_ANSWER} are read")
    try:
        return msgspec.convert(canonical.parse_json(raw), Answer)
    except ValueError as error:
        raise ValueError(f"{entry} did not answer an object of `inspected` and `findings`: {error}") from error


PYTHON = Kind(name="python", params=PythonParams, compile=_compile)
