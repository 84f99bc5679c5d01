"""Check kind json-schema: strict, bounded, and never vacuous."""

import json
from typing import Any

import pytest
from tests.stormbreaker.support import compiled, look, schema_check, spec

from hephaestus.errors import ChecksRefused
from hephaestus.stormbreaker import schema_problems
from hephaestus.stormbreaker.schema import MAX_SCHEMA
from hephaestus.stormbreaker.schema_cost import MAX_COST, cost_per_value

REPORT = {
    "type": "object",
    "required": ["title", "items"],
    "additionalProperties": False,
    "properties": {"title": {"type": "string"}, "items": {"type": "array", "items": {"type": "integer"}}},
}


def test_what_fits_is_inspected_once_and_nothing_is_wrong() -> None:
    seen = look(schema_check(REPORT), b'{"title": "t", "items": [1, 2]}')
    assert (seen.inspected, seen.problems, seen.details) == (1, 0, ())


def test_every_error_names_its_place() -> None:
    seen = look(schema_check(REPORT), b'{"items": [1, "two", 3, null], "a/b": 1}')
    assert seen.problems == 4
    assert {d.where for d in seen.details} == {"", "/items/1", "/items/3"}
    assert any('"title" is a required property' in d.expected for d in seen.details)
    assert any(d.found == 'the text "two"' for d in seen.details)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": 1, "b": 2}, "an object with 2 keys: a, b"),
        ([1, 2, 3], "a list of 3 items"),
        (1.5, "the number 1.5"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
    ],
)
def test_what_was_found_is_told_by_its_type(value: object, found: str) -> None:
    seen = look(schema_check({"type": "string"}), json.dumps(value).encode())
    assert [d.found for d in seen.details] == [found]


def test_format_is_an_assertion_only_when_asked_for() -> None:
    schema = {"type": "string", "format": "date"}
    assert not look(schema_check(schema), b'"tomorrow"').problems
    assert look(schema_check(schema, formats=True), b'"tomorrow"').problems == 1


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (b'{"type": "object", "type": "string"}', "duplicate key"),
        (b'{"maximum": NaN, "type": "number"}', "NaN"),
        (b"{", "not JSON"),
        (b"5", "schema"),
        (b'{"type": "objekt"}', "schema"),
        (b'{"type": "string", "pattern": "(?=a)b"}', "regex"),
        (b'{"type": "string", "pattern": "(a)\\\\1"}', "regex"),
        (b'{"type": "string", "pattern": "((a{100}){100}){100}"}', "regex"),
        (b'{"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}', "2020-12"),
        (b'{"$schema": 5, "type": "string"}', "2020-12"),
        (b'{"$ref": "http://127.0.0.1:9/x.json"}', "same file|nothing outside"),
        (b'{"$ref": "file:///etc/passwd"}', "same file|nothing outside"),
        (b'{"$ref": "other.json"}', "other.json"),
        (b'{"type": "object", "properties": {"a": {"$ref": "https://example.org/x"}}}', "same file|nothing outside"),
        (b'{"$ref": "#/$defs/none"}', "none"),
        (b'{"$ref": "#none"}', "none"),
        (b'{"$ref": "#/x", "x": {"allOf": 5}}', "shape"),
        (b'{"$dynamicRef": "#meta", "$dynamicAnchor": "meta"}', "dynamic"),
        (b'{"type": "object", "$defs": {"a": {"$id": "http://x/y", "$ref": "#"}}}', r"\$id"),
        (b"true", "proves nothing"),
        (b"{}", "proves nothing"),
        (b'{"title": "anything"}', "proves nothing"),
        (b'{"$ref": "#"}', "no end"),
        (b'{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}', "no end"),
        (b"[" * 200_000, "nested"),
    ],
)
def test_a_schema_that_is_none_or_proves_nothing_is_refused(schema: bytes, reason: str) -> None:
    with pytest.raises(ChecksRefused, match=reason) as refused:
        compiled(spec("shape", "json-schema", schema="s.json"), files={"s.json": schema})
    assert "check `shape`" in str(refused.value)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../s.json", "a/../../s.json", "a//b", "./s.json", "a\\b", "none.json"]
)
def test_a_schema_comes_from_the_release_only(path: str) -> None:
    with pytest.raises(ChecksRefused, match=r"inside the release|no file"):
        compiled(spec("shape", "json-schema", schema=path), files={"s.json": b'{"type": "object"}'})


def test_a_schema_over_the_size_limit_is_refused() -> None:
    data = json.dumps({"type": "string", "title": "x" * MAX_SCHEMA}).encode()
    with pytest.raises(ChecksRefused, match="at most"):
        compiled(spec("shape", "json-schema", schema="s.json"), files={"s.json": data})


def doubling(depth: int) -> dict[str, Any]:
    """Every definition refers twice to the next one."""
    definitions: dict[str, Any] = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]} for n in range(depth)
    }
    return {"$defs": {**definitions, f"a{depth}": {"type": "integer"}}, "$ref": "#/$defs/a0"}


def nested_unevaluated(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    return schema


BOMBS = {
    "doubling references": doubling(30),
    "doubling with every level of the artefact": {
        "type": "array",
        "allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}],
    },
    "doubling members": {
        "type": "object",
        "properties": {"a": {"$ref": "#"}},
        "patternProperties": {"^a": {"$ref": "#"}},
    },
    "doubling by contains": {"type": "array", "prefixItems": [{"$ref": "#"}], "contains": {"$ref": "#"}},
    "unevaluated in unevaluated": nested_unevaluated(20),
    "a long chain": {
        "$defs": {**{f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(5000)}, "a5000": {"type": "null"}},
        "$ref": "#/$defs/a0",
    },
    "a long list of choices": {"enum": list(range(MAX_COST + 1))},
    "names times patterns": {
        "type": "object",
        "properties": {f"p{n}": {"type": "string"} for n in range(1000)},
        "patternProperties": {f"q{n}": {"type": "string"} for n in range(1000)},
    },
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_schema_that_could_take_for_ever_is_refused_when_it_is_compiled(name: str) -> None:
    with pytest.raises(ChecksRefused, match=r"evaluations|too long|links"):
        schema_check(BOMBS[name])


@pytest.mark.parametrize(
    ("schema", "most"),
    [
        (True, 1),
        ({"type": "integer"}, 1),
        (doubling(3), 30),
        ({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "n": {"type": "integer"}}}, 10),
        ({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"$anchor": "x", "items": {"$ref": "#x"}}}}, 4),
        ({"oneOf": [{"properties": {"kind": {"const": n}}, "required": ["kind"]} for n in range(50)]}, 200),
        ({"prefixItems": [{"enum": [1, 2]}, {"$ref": "#/prefixItems/0"}], "items": {"type": "string"}}, 5),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "dependentSchemas": {"a": {"minProperties": 2}}}, 10),
    ],
)
def test_ordinary_schemas_cost_little_even_when_they_recur(schema: object, most: int) -> None:
    assert 1 <= cost_per_value(schema) <= most


def test_a_recursive_schema_judges_a_deep_tree() -> None:
    tree = schema_check({"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}})
    artefact: Any = {}
    for _ in range(60):
        artefact = {"l": artefact, "r": {}}
    assert not look(tree, json.dumps(artefact).encode()).problems


def test_an_artefact_that_costs_too_much_fails_unseen() -> None:
    wide = schema_check({"type": "array", "items": {"enum": [f"choice {n}" for n in range(15_000)]}})
    seen = look(wide, json.dumps([1] * 150_000).encode())
    assert seen.problems == 1
    assert "evaluations" in seen.details[0].expected


def test_long_texts_for_large_patterns_fail_unseen() -> None:
    check = schema_check({"type": "string", "pattern": "([a-z]{1,40}){1,8}Q"})
    assert look(check, b'"abcQ"').problems == 0
    seen = look(check, b'"' + b"ab" * 5_000_000 + b'"')
    assert "patterns" in seen.details[0].expected
    same = schema_check({"type": "object", "patternProperties": {"^\\cA": {"type": "string"}, "(?u)^x": False}})
    assert look(same, b'{"y": 1}').problems == 0


def test_a_million_errors_are_told_by_the_first() -> None:
    seen = look(schema_check({"type": "array", "items": {"type": "integer"}}), json.dumps(["x"] * 1_000_000).encode())
    assert (seen.problems, len(seen.details)) == (1, 1)


def test_many_errors_are_counted_and_the_first_ones_kept() -> None:
    seen = look(schema_check({"type": "array", "items": {"type": "integer"}}), json.dumps(["x"] * 1000).encode())
    assert seen.problems == 1000
    assert len(seen.details) == 20


@pytest.mark.parametrize(
    ("schema", "artefact"),
    [
        ({"type": "array", "uniqueItems": True}, json.dumps([{"n": n} for n in range(100_000)]).encode()),
        ({"type": "string", "pattern": "^(a+)+$"}, b'"' + b"a" * 500_000 + b'!"'),
        ({"type": "integer", "multipleOf": 7, "maximum": 5}, b"9" * 4000),
        ({"type": "number", "multipleOf": 0.01}, b"1e308"),
    ],
)
def test_bombs_in_an_artefact_are_answered(schema: object, artefact: bytes) -> None:
    assert look(schema_check(schema), artefact).inspected == 1


def test_a_contract_can_be_checked_in_one_call() -> None:
    schema = json.dumps(REPORT).encode()
    assert schema_problems(schema, b'{"title": "t", "items": []}', name="s.json") == ()
    (problem,) = schema_problems(schema, b'{"title": "t"}', name="s.json")
    assert "items" in problem.expected
    assert schema_problems(b"true", b"null", name="s.json") == ()
    for bad_schema, bad_document in ((b"{", b"{}"), (schema, b"{"), (b'{"$ref": "http://127.0.0.1:9/"}', b"{}")):
        with pytest.raises(ValueError, match=r"JSON|Expecting|Expected|same file"):
            schema_problems(bad_schema, bad_document, name="s.json")
