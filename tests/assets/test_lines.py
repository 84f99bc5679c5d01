"""The line of each key, however TOML lets it be written."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.assets.lines import Path, line_of, lines

TEXT = '''\
schema = 1  # [not a table]

[agent]
name = "a"
"odd key".'x' = """
[checks]
kind = 1
"""
dotted . key = 'no "end" here # nor a comment'

[[checks]]
id = "one"   # line 12
[checks.params]
pattern = "]"

[[checks]]
id = "two"
params = { a = 1, "b c" = [1,
  2, { deep = 3 }] }

[[checks.parts]]
x = 1
[[checks.parts]]
y = """"quoted""""

["quoted table"."with.dot"]
"" = 1979-05-27 07:32:00
list = [
  { id = "A1" },  # entry 0, line 29

  # a comment with } and ]
  { id = "A2", text = \'\'\'
]\'\'\' },
]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("schema",), 1),
        (("agent",), 3),
        (("agent", "name"), 4),
        (("agent", "odd key"), 5),
        (("agent", "odd key", "x"), 5),
        (("agent", "dotted", "key"), 9),
        (("checks",), 11),
        (("checks", 0), 11),
        (("checks", 0, "id"), 12),
        (("checks", 0, "params"), 13),
        (("checks", 0, "params", "pattern"), 14),
        (("checks", 1), 16),
        (("checks", 1, "id"), 17),
        (("checks", 1, "params", "a"), 18),
        (("checks", 1, "params", "b c", 0), 18),
        (("checks", 1, "params", "b c", 1), 19),
        (("checks", 1, "params", "b c", 2, "deep"), 19),
        (("checks", 1, "parts", 0, "x"), 22),
        (("checks", 1, "parts", 1), 23),
        (("checks", 1, "parts", 1, "y"), 24),
        (("quoted table",), 26),
        (("quoted table", "with.dot", ""), 27),
        (("quoted table", "with.dot", "list", 0, "id"), 29),
        (("quoted table", "with.dot", "list", 1), 32),
        (("quoted table", "with.dot", "list", 1, "text"), 32),
    ],
)
def test_the_line_of_a_key(path: Path, line: int) -> None:
    assert tomllib.loads(TEXT)
    assert lines(TEXT)[path] == line


def test_a_key_that_is_not_written_has_the_line_of_what_is_around_it() -> None:
    assert line_of(TEXT, ("checks", 1, "about")) == 16
    assert line_of(TEXT, ("agent", "version", "x")) == 3
    assert line_of(TEXT, ("nothing",)) is None
    assert line_of(TEXT, ()) is None


def test_only_a_line_feed_ends_a_line() -> None:
    assert lines("a = '\u2028\x85'\r\nb = 1\n")[("b",)] == 2


bare = st.text("abc-_1", min_size=1, max_size=3)
strings = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
keys = bare | strings
scalars = st.integers(-9, 9) | st.booleans() | strings | st.floats(allow_nan=False, allow_infinity=False)
nested = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
trees = st.dictionaries(keys, nested, max_size=4)


@given(trees, st.randoms(use_true_random=False))
def test_every_key_of_a_document_is_found_at_the_line_it_was_written_on(tree: dict[str, Any], random: Any) -> None:
    text, expected = "", {}

    def write(value: Any, path: Path) -> None:
        nonlocal text
        if isinstance(value, dict):
            text += "{ "
            for place, (key, item) in enumerate(value.items()):
                text += ", " if place else ""
                expected[(*path, key)] = text.count("\n") + 1
                text += json.dumps(key, ensure_ascii=False) + " = "
                write(item, (*path, key))
            text += " }"
        elif isinstance(value, list):
            text += "["
            for place, item in enumerate(value):
                text += "\n # ] comment\n" * random.randint(0, 1)
                expected[(*path, place)] = text.count("\n") + 1
                write(item, (*path, place))
                text += " ," + "\n" * random.randint(0, 2)
            text += "]"
        elif isinstance(value, str) and "'" not in value and random.random() < 0.5:
            text += f"'''\n{value}'''"
        else:
            text += json.dumps(value, ensure_ascii=False)

    for key, value in tree.items():
        text += "# a = [\n" * random.randint(0, 2)
        expected[(key,)] = text.count("\n") + 1
        text += f"{json.dumps(key, ensure_ascii=False)} = "
        write(value, (key,))
        text += "\n"
    assert tomllib.loads(text) == tree
    assert lines(text) == expected
