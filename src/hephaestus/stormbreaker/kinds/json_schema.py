"""``json-schema``: the artefact fits a JSON Schema (draft 2020-12) of the release."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import msgspec

from hephaestus import canonical
from hephaestus.stormbreaker import patterns
from hephaestus.stormbreaker.kind import (
    Compiled,
    DataCheck,
    Files,
    Kind,
    Observation,
    Params,
    Subject,
    observe,
    release_file,
)
from hephaestus.stormbreaker.kinds.schema_cost import cost_per_value, tables, values
from hephaestus.stormbreaker.pointer import join
from hephaestus.stormbreaker.result import MAX_DETAILS, Detail, detail

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA = 256 * 1024
"""Bytes of a schema file."""

MAX_ERRORS_WORK = 1 << 27
"""Bytes of artefact times bytes of schema up to which every error is listed; above it, only the first.

jsonschema-rs makes all errors before it hands out one, and each repeats part of the schema: a million wrong items took
over five seconds with the interpreter lock held, while the first error took half a millisecond.
"""

MAX_PATTERN = 64 * 1024
"""Bytes of one compiled pattern of a schema."""

MAX_WORK = 1 << 30
"""Values of an artefact times the cost of one; an artefact with more fails unseen."""

_CANARIES: tuple[Any, ...] = (None, True, 0, "", "text", [], [None], {}, {"": None})


class SchemaParams(Params, frozen=True, kw_only=True):
    """Parameters of ``json-schema``."""

    schema: Annotated[str, msgspec.Meta(min_length=1, max_length=240)]  # path in the release
    formats: bool = False  # whether `format` is an assertion; the draft makes it a remark


def _compile(params: SchemaParams, files: Files) -> Compiled:
    import jsonschema_rs

    data = release_file(files, params.schema)
    if len(data) > MAX_SCHEMA:
        raise ValueError(f"`{params.schema}`: a schema has at most {MAX_SCHEMA} bytes, not {len(data)}")
    try:
        schema = canonical.parse_json(data)
    except ValueError as error:
        raise ValueError(f"`{params.schema}` is not JSON: {error}") from error
    if isinstance(schema, dict) and schema.get("$schema", DRAFT) not in (DRAFT, DRAFT + "#"):
        raise ValueError(f"`{params.schema}`: `$schema` must be {DRAFT}, or be left out")
    try:
        # Before anything of the library sees it: what has no bound must not even be compiled.
        cost = cost_per_value(schema)
        instructions = _instructions(schema)
        validator = jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=params.formats,
            # The default engine backtracks; this one is linear in the text and has no look-around.
            pattern_options=jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN),
            retriever=_no_retrieval,
            mask="this value",
        )
        accepts_all = all(validator.is_valid(value) for value in _CANARIES)
    except ValueError as error:
        raise ValueError(f"`{params.schema}` is not a schema of draft 2020-12: {str(error).splitlines()[0]}") from error
    if accepts_all:
        raise ValueError(
            f"`{params.schema}` accepts null, numbers, texts, lists and objects alike, so it proves nothing;"
            ' begin it with the wanted "type"'
        )

    def look(subject: Subject) -> Observation:
        # The shortest values take two bytes with their comma, so most artefacts need no counting.
        if cost * (len(subject.artefact) // 2 + 1) > MAX_WORK and cost * (count := _count(subject.value)) > MAX_WORK:
            wanted = f"at most {MAX_WORK // cost} values, at {cost} evaluations of `{params.schema}` each"
            return observe(1, [detail(wanted, f"{count} values")])
        if cost * instructions * len(subject.artefact) > patterns.MAX_WORK:
            most = patterns.MAX_WORK // (cost * instructions)
            wanted = f"at most {most} bytes, for the patterns of `{params.schema}`"
            return observe(1, [detail(wanted, f"{len(subject.artefact)} bytes")])
        if validator.is_valid(subject.value):
            return Observation(inspected=1)
        if len(subject.artefact) * len(data) <= MAX_ERRORS_WORK:
            errors = list(validator.iter_errors(subject.value))
            details = tuple(_problem(error) for error in errors[:MAX_DETAILS])
            return Observation(inspected=1, details=details, problems=len(errors))
        try:
            validator.validate(subject.value)
        except jsonschema_rs.ValidationError as error:
            return observe(1, [_problem(error)])
        raise AssertionError("the validator contradicts itself")

    return Compiled(check=DataCheck(look), files={params.schema: data})


def _problem(error: Any) -> Detail:
    where = ""
    for token in error.instance_path[:64]:
        where = join(where, token)
    return detail(expected=error.message, found=_short(error.instance), where=where)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return f"an object with {len(value)} keys: {', '.join(itertools.islice(value, 10))}"
    if isinstance(value, list):
        return f"a list of {len(value)} items"
    if isinstance(value, str):
        return f'the text "{value[:200]}"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {str(value)[:100]}"
    return {None: "null", True: "true", False: "false"}.get(value, "a value")


def _instructions(schema: Any) -> int:
    """The size of the largest pattern of a schema; 0 where it has none."""
    largest = 0
    for table in tables(schema):
        named = table.get("patternProperties")
        for pattern in (table.get("pattern"), *(named if isinstance(named, dict) else ())):
            if isinstance(pattern, str):
                largest = max(largest, _instructions_of(pattern))
    return largest


def _instructions_of(pattern: str) -> int:
    try:
        return int(patterns.compile_pattern(pattern).programsize)
    except ValueError:
        # The validator's own syntax differs a little from re2's; then it is the most that fits there.
        return MAX_PATTERN // 32


def _count(document: Any) -> int:
    """How many values a document has."""
    return sum(1 for _ in values(document))


def _no_retrieval(uri: str) -> Any:
    raise ValueError(f"a schema refers to nothing outside its own file, and this one to {uri[:200]}")


JSON_SCHEMA = Kind(name="json-schema", params=SchemaParams, compile=_compile)
