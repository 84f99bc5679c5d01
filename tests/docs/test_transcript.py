"""The replay of console examples finds what does not fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.docs.transcript import Example, examples, fits, replay

PAGE = """Text.

```console
$ echo one
one
$ exit 3
(exit code 3)
```

```console
$ printf 'a\\nb\\nc\\n'
a
...
```
"""


def test_commands_are_read_with_their_lines_and_what_they_print() -> None:
    assert examples(PAGE) == [
        Example(line=4, command="echo one", expected=("one",)),
        Example(line=6, command="exit 3", exit_code=3),
        Example(line=11, command="printf 'a\\nb\\nc\\n'", expected=("a", "...")),
    ]


def test_the_examples_of_a_right_page_replay(tmp_path: Path) -> None:
    assert [replay(example, folder=tmp_path, environment=dict(os.environ)) for example in examples(PAGE)] == [""] * 3


@pytest.mark.parametrize(
    ("expected", "printed", "right"),
    [
        ((), "anything", True),
        (("one",), "one\n", True),
        (("one",), "two\n", False),
        (("one",), "one\ntwo\n", False),
        (("o...e",), "orange\n", True),
        (("a", "...", "c"), "a\nb\nb\nc\n", True),
        (("a", "...", "c"), "a\nb\n", False),
        (("a.c",), "abc\n", False),
    ],
)
def test_output_fits_only_what_is_written(expected: tuple[str, ...], printed: str, right: bool) -> None:
    assert fits(expected, printed) is right


def test_a_wrong_exit_code_is_found(tmp_path: Path) -> None:
    wrong = replay(Example(line=1, command="exit 4"), folder=tmp_path, environment=dict(os.environ))
    assert "exit code 4, expected 0" in wrong
