"""What parsing a package's files promises: errors that name file, line, key and the nearest known key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.assets.parse import MAX_BYTES, MAX_DEPTH, parse_brief, parse_card, parse_manifest
from hephaestus.errors import AssetError

MANIFEST = """\
schema = 1

[agent]
name = "guide"
version = "1.0.0"
summary = "Answers questions"
licence = "Apache-2.0"

[run]
kind = "python"
entry = "guide.main:run"

[contract]
output = "schema/output.json"

[permissions]
knowledge = true

[permissions.limits]
wall_seconds = 30

[agents]
helper = "^1.2"

[[checks]]
id = "schema"
kind = "json-schema"
about = "The output matches its schema"
params = { path = "schema/output.json" }

[[checks]]
id = "words"
kind = "regex"
about = "There is a word"

[[knowledge]]
kind = "folder"
path = "knowledge"
"""

CARD = """\
schema = 1
capabilities = ["answer questions"]
triggers = ["zip file"]
examples = [
  "how do I read a zip file?",
]

[[checks]]
id = "short"
kind = "regex"
about = "It is short"
"""

BRIEF = """\
schema = 1

[goal]
outcome = "Answer questions"
deliverable = { kind = "answer", format = "json" }

[[goal.acceptance]]
id = "A1"
text = "Each quotation is verbatim"

[[goal.acceptance]]
id = "A2"
text = "There is at least one"

[scope]
in = ["zip files"]
edge_cases = [
  { case = "nothing", behaviour = "an empty list" },
  { case = "too long", behaviour = "an error" },
]

[provenance]
"goal.outcome" = "stated"
"scope.in" = "assumed"
"""

PARSERS = {"agent.toml": parse_manifest, "card.toml": parse_card, "brief.toml": parse_brief}
TEXTS = {"agent.toml": MANIFEST, "card.toml": CARD, "brief.toml": BRIEF}


def refused(file: str, text: str | bytes) -> AssetError:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(AssetError) as caught:
        PARSERS[file](data)
    error = caught.value
    assert error.file == file
    assert str(error).startswith(file if error.line is None else f"{file}:{error.line}: ")
    return error


@pytest.mark.parametrize("file", TEXTS)
def test_the_files_used_here_are_good(file: str) -> None:
    assert PARSERS[file](TEXTS[file].encode())


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "key", "hint"),
    [
        ("agent.toml", "schema = 1", "schema = 1\nshema = 2", 2, "shema", "did you mean `schema`?"),
        ("agent.toml", "[agent]", "[agnet]\nx = 1\n[agent]", 3, "agnet", "did you mean `agent`?"),
        ("agent.toml", "licence =", "license =", 7, "agent.license", "did you mean `licence`?"),
        ("agent.toml", "wall_seconds", "wall_second", 20, "permissions.limits.wall_second",
         "did you mean `wall_seconds`?"),
        ("agent.toml", 'id = "words"', 'id = "words"\nparms = {}', 33, "checks[1].parms", "did you mean `params`?"),
        ("agent.toml", 'path = "knowledge"', 'paht = "knowledge"', 38, "knowledge[0].paht", "did you mean `path`?"),
        ("agent.toml", "knowledge = true", '"quoted.key" = 1', 17, 'permissions."quoted.key"',
         "known here: hosts, knowledge, limits, models, tools"),
        ("card.toml", "triggers", "trigers", 3, "trigers", "did you mean `triggers`?"),
        ("card.toml", 'kind = "regex"', 'kind = "regex"\nqq = 1', 11, "checks[0].qq",
         "known here: about, hidden, id, kind, params"),
        ("brief.toml", "outcome", "outcme", 4, "goal.outcme", "did you mean `outcome`?"),
        ("brief.toml", "format", "fromat", 5, "goal.deliverable.fromat", "did you mean `format`?"),
        ("brief.toml", 'id = "A2"', 'id = "A2"\ncheks = "a"', 13, "goal.acceptance[1].cheks", "did you mean `check`?"),
        ("brief.toml", ' behaviour = "an error"', ' behavior = "an error"', 19, "scope.edge_cases[1].behavior",
         "did you mean `behaviour`?"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(
    file: str, old: str, new: str, line: int, key: str, hint: str
) -> None:
    error = refused(file, TEXTS[file].replace(old, new, 1))
    assert (error.line, error.key, error.hint) == (line, key, hint)
    assert f"unknown key `{key}`" in error.message


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "key", "message"),
    [
        ("agent.toml", "schema = 1\n", "", None, "schema", "required key `schema` is missing"),
        ("agent.toml", 'licence = "Apache-2.0"\n', "", 3, "agent.licence", "required key `agent.licence` is missing"),
        ("agent.toml", 'about = "There is a word"\n', "", 31, "checks[1].about", "is missing"),
        ("brief.toml", '{ kind = "answer", format', "{ format", 5, "goal.deliverable.kind", "is missing"),
        ("brief.toml", '{ case = "too long", ', "{ ", 19, "scope.edge_cases[1].case", "is missing"),
        ("agent.toml", "schema = 1", "schema = 2", 1, "schema", "`schema`: Invalid enum value 2"),
        ("agent.toml", "schema = 1", "schema = true", 1, "schema", "Expected `int`, got `bool`"),
        ("agent.toml", "wall_seconds = 30", 'wall_seconds = "30"', 20, "permissions.limits.wall_seconds", "Expected"),
        ("agent.toml", "wall_seconds = 30", "wall_seconds = 0", 20, "permissions.limits.wall_seconds", ">= 1"),
        ("agent.toml", 'name = "guide"', 'name = "Guide"', 4, "agent.name", "matching regex"),
        ("agent.toml", 'name = "guide"', 'name = "guide\\n"', 4, "agent.name", "matching regex"),
        ("agent.toml", "guide.main:run", "guide.main", 11, "run.entry", "matching regex"),
        ("agent.toml", "guide.main:run", "guide.main:run\\n", 11, "run.entry", "matching regex"),
        ("agent.toml", "schema/output.json", "/etc/passwd", 14, "contract.output", "matching regex"),
        ("agent.toml", 'kind = "python"', 'kind = "bash"', 10, "run.kind", "Invalid enum value 'bash'"),
        ("agent.toml", 'helper = "^1.2"', "helper = 1", 23, "agents.helper", "Expected `str`, got `int`"),
        ("agent.toml", 'helper = "^1.2"', 'a = "1"\nhelper = ""', 24, "agents.helper", "length >= 1"),
        ("agent.toml", 'helper = "^1.2"', 'helper = "^1.2.x"', 23, "agents.helper", "is not a version range"),
        ("agent.toml", '"1.0.0"', '"1.0"', 5, "agent.version", "is not a SemVer 2.0 version"),
        ("agent.toml", '"words"', '"schema"', 32, "checks[1].id", "two checks have the id `schema`"),
        ("agent.toml", 'path = "knowledge"', "", 37, "knowledge[0].kind", "names a path"),
        ("agent.toml", 'kind = "folder"', 'kind = "python-docs"', 37, "knowledge[0].kind", "and no other does"),
        ("card.toml", '["answer questions"]', "[]", 2, "capabilities", "at least one capability"),
        ("card.toml", 'triggers = ["zip file"]\nexamples = [\n  "how do I read a zip file?",\n]', "", None, "triggers",
         "can never be chosen"),
        ("card.toml", '  "how do I read a zip file?",', '  "a",\n  5,', 6, "examples[1]", "Expected `str`, got `int`"),
        ("card.toml", "[[checks]]", '[[checks]]\nid = "short"\nkind = "regex"\nabout = "a"\n[[checks]]', 13,
         "checks[1].id", "two checks have the id `short`"),
        ("brief.toml", '"scope.in" = "assumed"', '"scope.in" = "guessed"', 24, 'provenance."scope.in"', "'guessed'"),
        ("brief.toml", "[scope]", "[constraint]\nbudget = { seconds = -1 }\n[scope]", 16, "constraint.budget.seconds",
         ">= 0"),
        ("brief.toml", '"Answer questions"', '"' + "a" * 4001 + '"', 4, "goal.outcome", "length <= 4000"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_named_with_its_line(
    file: str, old: str, new: str, line: int | None, key: str, message: str
) -> None:
    error = refused(file, TEXTS[file].replace(old, new, 1))
    assert (error.line, error.key) == (line, key)
    assert message in error.message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("schema = 1\nname = \n", 2, "not TOML: Invalid value"),
        ("schema = 1\nschema = 2\n", 2, "Cannot overwrite a value"),
        ("schema = 1\n[goal]\n[goal]\n", 3, "Cannot declare"),
        ('schema = 1\n\nx = "', 3, "not TOML"),
        ("schema = 1\nx = [1,\n", 3, "not TOML"),
        ("schema = 1\0\n", 1, "not TOML"),
        ("schema = " + "9" * 5000, None, "a number with thousands of digits"),
        ("a = 1\nb = 2030-13-45\n", 2, "not TOML"),
    ],
)
def test_broken_toml_is_one_error_with_its_line(text: str, line: int | None, message: str) -> None:
    error = refused("brief.toml", text)
    assert error.line == line
    assert message in error.message


def test_bytes_that_are_not_utf8_are_named_with_their_line() -> None:
    error = refused("card.toml", b"schema = 1\n# caf\xe9\n")
    assert (error.line, error.message) == (2, "card.toml:2: not UTF-8: byte 0xe9")


def test_a_byte_order_mark_is_named() -> None:
    assert "byte order mark" in refused("brief.toml", b"\xef\xbb\xbfschema = 1").message


def test_a_file_that_is_too_large_is_not_read() -> None:
    error = refused("brief.toml", b"#" * (MAX_BYTES + 1))
    assert f"more than the {MAX_BYTES}" in error.message
    assert parse_brief(b"schema = 1\n".ljust(MAX_BYTES, b"#"))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{ a = " * 100_000,
        "schema = 1\n[goal]\nexamples = [{ input = 1, expected = " + "[" * 60 + "]" * 60 + " }]",
        ".".join("a" * 200_000) + " = 1",
        "[" + " . ".join(['"a"'] * 50_000) + "]",
        "x = { b = 1, " + ".".join(["'a'"] * 50_000) + " = 1 }",
    ],
    ids=["arrays", "inline-tables", "shallow-enough-for-toml", "dotted-key", "header", "inline-key"],
)
def test_what_is_nested_too_deeply_is_refused_at_once(text: str) -> None:
    error = refused("brief.toml", text)
    assert "nested deeper" in error.message or f"more than {MAX_DEPTH} parts" in error.message


def test_nesting_up_to_the_limit_is_read() -> None:
    depth = MAX_DEPTH - 5  # of the document, goal, examples, the example and the value
    brief = parse_brief(
        b"schema = 1\n[goal]\nexamples = [{ input = 1, expected = " + b"[" * depth + b"]" * depth + b" }]"
    )
    assert brief.goal.examples[0].input == 1


def outcome(file: str, data: bytes) -> AssetError | None:
    try:
        PARSERS[file](data)
    except AssetError as error:
        return error
    return None


@given(st.sampled_from(sorted(TEXTS)), st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_the_file(file: str, data: bytes) -> None:
    error = outcome(file, data)
    assert error is None or error.file == file


@given(st.sampled_from(sorted(TEXTS)), st.data())
def test_any_damage_to_a_good_file_is_read_or_refused_with_a_line_of_it(file: str, data: st.DataObject) -> None:
    text = TEXTS[file]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    damage = data.draw(st.text(st.sampled_from("[]{}=\".,#\n abc1\\'"), max_size=8))
    error = outcome(file, (text[:start] + damage + text[end:]).encode())
    if error is not None:
        assert error.file == file
        assert error.line is None or 1 <= error.line <= (text + damage).count("\n") + 1
