"""JSON Schema, draft 2020-12, from files of packages: strict, without retrieval, its work bounded beforehand.

The validator (jsonschema-rs) holds the interpreter lock while it runs, so a deadline could not end it. What a schema
can cost per value is worked out when it is compiled (``schema_cost``), what an artefact can cost by its size.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from hephaestus import canonical
from hephaestus.stormbreaker import patterns
from hephaestus.stormbreaker.kind import Observation, Subject, observe
from hephaestus.stormbreaker.pointer import join
from hephaestus.stormbreaker.result import MAX_DETAILS, Detail, detail
from hephaestus.stormbreaker.schema_cost import cost_per_value, tables, values

DRAFT = "https://json-schema.org/draft/2020-12/schema"

MAX_SCHEMA = 256 * 1024
"""Bytes of a schema file."""

MAX_PATTERN = 64 * 1024
"""Bytes of one compiled pattern of a schema."""

MAX_WORK = 1 << 30
"""Values of a document times the cost of one; a document with more fails unseen."""

MAX_ERRORS_WORK = 1 << 27
"""Bytes of document times bytes of schema up to which every error is listed; above it, only the first.

jsonschema-rs makes all errors before it hands out one, and each repeats part of the schema: a million wrong items took
over five seconds with the interpreter lock held, while the first error took half a millisecond.
"""

_CANARIES: tuple[Any, ...] = (None, True, 0, "", "text", [], [None], {}, {"": None})


class Schema(msgspec.Struct, frozen=True):
    """A compiled schema. Made by :func:`compile_schema`."""

    name: str  # its path, for messages
    size: int  # bytes of the file
    cost: int  # most work per value
    instructions: int  # of its largest pattern
    validator: Any

    @property
    def accepts_anything(self) -> bool:
        """Whether it accepts null, numbers, texts, lists and objects alike: such a schema tells nothing apart."""
        return all(self.validator.is_valid(value) for value in _CANARIES)

    def look(self, subject: Subject) -> Observation:
        """What is wrong with a document; a document that costs too much is wrong as well."""
        import jsonschema_rs

        if (excess := self._excess(subject)) is not None:
            return observe(1, [excess])
        if self.validator.is_valid(subject.value):
            return Observation(inspected=1)
        if len(subject.artefact) * self.size <= MAX_ERRORS_WORK:
            errors = list(self.validator.iter_errors(subject.value))
            details = tuple(_problem(error) for error in errors[:MAX_DETAILS])
            return Observation(inspected=1, details=details, problems=len(errors))
        try:
            self.validator.validate(subject.value)
        except jsonschema_rs.ValidationError as error:
            return observe(1, [_problem(error)])
        raise AssertionError("the validator contradicts itself")

    def _excess(self, subject: Subject) -> Detail | None:
        size = len(subject.artefact)
        # The shortest values take two bytes with their comma, so most documents need no counting.
        if self.cost * (size // 2 + 1) > MAX_WORK:
            count = sum(1 for _ in values(subject.value))
            if self.cost * count > MAX_WORK:
                most = MAX_WORK // self.cost
                return detail(f"at most {most} values, at {self.cost} evaluations of `{self.name}` each", f"{count}")
        if self.cost * self.instructions * size > patterns.MAX_WORK:
            most = patterns.MAX_WORK // (self.cost * self.instructions)
            return detail(f"at most {most} bytes, for the patterns of `{self.name}`", f"{size} bytes")
        return None


def compile_schema(data: bytes, *, name: str, formats: bool = False) -> Schema:
    """Compile a schema of a package.

    Args:
        data: The file.
        name: Its path, for messages.
        formats: Whether ``format`` is an assertion; the draft makes it a remark.

    Raises:
        ValueError: If it is no schema of draft 2020-12, refers to anything outside its own file, or could cost too
            much.
    """
    import jsonschema_rs

    if len(data) > MAX_SCHEMA:
        raise ValueError(f"`{name}`: a schema has at most {MAX_SCHEMA} bytes, not {len(data)}")
    try:
        schema = canonical.parse_json(data)
    except ValueError as error:
        raise ValueError(f"`{name}` is not JSON: {error}") from error
    if isinstance(schema, dict) and schema.get("$schema", DRAFT) not in (DRAFT, DRAFT + "#"):
        raise ValueError(f"`{name}`: `$schema` must be {DRAFT}, or be left out")
    try:
        # Before anything of the library sees it: what has no bound must not even be compiled.
        cost = cost_per_value(schema)
        instructions = _instructions(schema)
        validator = jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=formats,
            # The default engine backtracks; this one is linear in the text and has no look-around.
            pattern_options=jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN),
            retriever=_no_retrieval,
            mask="this value",
        )
    except ValueError as error:
        raise ValueError(f"`{name}` is not a schema of draft 2020-12: {str(error).splitlines()[0]}") from error
    return Schema(name=name, size=len(data), cost=cost, instructions=instructions, validator=validator)


def schema_problems(schema: bytes, document: bytes, *, name: str) -> tuple[Detail, ...]:
    """What is wrong with a JSON document by a schema, in one call and with every bound of a check: for contracts.

    Args:
        schema: The schema file.
        document: JSON.
        name: The path of the schema, for messages.

    Raises:
        ValueError: If the schema is none, or the document is no JSON.
    """
    compiled = compile_schema(schema, name=name)
    return compiled.look(Subject(artefact=document, value=canonical.parse_json(document))).details


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
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"the number {str(value)[:100]}"


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


def _no_retrieval(uri: str) -> Any:
    raise ValueError(f"a schema refers to nothing outside its own file, and this one to {uri[:200]}")
