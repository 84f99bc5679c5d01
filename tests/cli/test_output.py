"""What reaches a terminal, a pipe and a program."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.cli.output import Output, Unwritable, printable
from hephaestus.errors import HephaestusError, NotFound


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_control_characters_are_shown_and_never_obeyed() -> None:
    assert printable("\x1b[2Ja\x07\x9b31m\u202e\ud800") == "\\x1b[2Ja\\x07\\x9b31m\\u202e\\ud800"
    assert printable("one\n\ttwo é 日") == "one\n\ttwo é 日"


@given(st.text(st.characters()))
def test_no_text_brings_an_escape_sequence_to_a_stream(text: str) -> None:
    plain, terminal = io.StringIO(), Terminal()
    Output(stdout=plain, stderr=plain).line(text)
    assert "\x1b" not in plain.getvalue()
    assert "\x9b" not in plain.getvalue()
    Output(stdout=terminal, stderr=terminal).line(text)
    assert "\x9b" not in terminal.getvalue()


def test_people_get_lines_and_programs_get_one_object() -> None:
    out, err = io.StringIO(), io.StringIO()
    people = Output(stdout=out, stderr=err)
    people.line("hello")
    people.text("two\nlines")
    people.table(("a", "b"), [(1, "x\ny"), ("long", 2)])
    people.next("hephaestus", "show", "two words")
    people.result("test", answer=1)
    people.flush()
    assert out.getvalue() == "hello\ntwo\nlines\na     b\n1     x y\nlong  2\nnext: hephaestus show 'two words'\n"
    out = io.StringIO()
    programs = Output(json=True, stdout=out, stderr=err)
    programs.line("hello")
    programs.table(("a",), [(1,)])
    programs.next("x")
    programs.result("test", answer=1, text="é\ud800")
    programs.flush()
    assert out.getvalue() == '{"schema": "hephaestus.test/1", "answer": 1, "text": "\\u00e9\\ud800"}\n'


def test_a_line_is_one_line_so_that_nothing_looks_like_another() -> None:
    stream = io.StringIO()
    out = Output(stdout=stream, stderr=stream)
    out.line("summary one\nVERIFIED")
    out.error(HephaestusError("a\nerror: b", hint="c\nnext: d"))
    assert stream.getvalue() == "summary one\\nVERIFIED\nerror: a\n  error: b\nhint: c\n  next: d\n"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("hephaestus", "list"), "hephaestus list --home 'a b'"),
        (("hephaestus", "run", "--", "--json"), "hephaestus run --home 'a b' -- --json"),
    ],
)
def test_what_to_type_next_names_the_home_that_was_given(words: tuple[str, ...], shown: str) -> None:
    stream = io.StringIO()
    out = Output(stdout=stream, stderr=stream)
    out.home = Path("a b")
    out.next(*words)
    assert stream.getvalue() == f"next: {shown}\n"


class Broken(io.StringIO):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str, /) -> int:
        raise OSError(self.number, os.strerror(self.number))


class BrokenTerminal(Broken):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [Broken, BrokenTerminal])
@pytest.mark.parametrize(("number", "left"), [(errno.EPIPE, True), (errno.ENOSPC, False), (errno.EIO, False)])
def test_standard_output_that_takes_nothing_is_one_error(kind: type[Broken], number: int, left: bool) -> None:
    out = Output(stdout=kind(number), stderr=io.StringIO())
    with pytest.raises(Unwritable) as caught:
        out.line("x")
    assert caught.value.left is left
    with pytest.raises(Unwritable):
        out.table(("a",), [("b",)])
    out = Output(json=True, stdout=kind(number), stderr=io.StringIO())
    out.result("test")
    with pytest.raises(Unwritable):
        out.flush()
    with pytest.raises(Unwritable):
        out.error(HephaestusError("x"))


@pytest.mark.parametrize("kind", [Broken, BrokenTerminal])
def test_standard_error_that_takes_nothing_stops_nothing(kind: type[Broken]) -> None:
    stream = io.StringIO()
    out = Output(stdout=stream, stderr=kind(errno.EIO))
    with out.working("first"):
        out.progress("second")
        out.line("done")
    out.error(HephaestusError("x"))
    assert stream.getvalue() == "done\n"


def test_streams_that_are_closed_are_written_to_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    out = Output()
    with out.working("first"):
        out.line("x")
    out.error(HephaestusError("x"))
    out.flush()


def test_an_error_replaces_the_result() -> None:
    out = io.StringIO()
    programs = Output(json=True, stdout=out, stderr=out)
    programs.result("test", answer=1)
    programs.error(NotFound("no such run", hint="look again"))
    programs.flush()
    assert json.loads(out.getvalue()) == {
        "schema": "hephaestus.error/1",
        "error": {"kind": "NotFound", "message": "no such run", "hint": "look again"},
    }


def test_an_error_for_people_has_a_hint_where_there_is_one() -> None:
    err = io.StringIO()
    Output(stdout=io.StringIO(), stderr=err).error(HephaestusError("a\x1bb"))
    Output(stdout=io.StringIO(), stderr=err).error(HephaestusError("c", hint="d"))
    assert err.getvalue() == "error: a\\x1bb\nerror: c\nhint: d\n"


def test_progress_is_plain_lines_in_a_pipe() -> None:
    err = io.StringIO()
    out = Output(json=True, stdout=io.StringIO(), stderr=err)
    with out.working("first"):
        out.progress("second\nthird")
    assert err.getvalue() == "first\nsecond third\n"


def test_progress_on_a_terminal_is_one_moving_line() -> None:
    pytest.importorskip("rich")
    err = Terminal()
    out = Output(stdout=io.StringIO(), stderr=err)
    with out.working("[first]"):
        out.progress("second")
    assert "second" not in err.getvalue().splitlines()
    out.progress("afterwards")
    assert err.getvalue().endswith("afterwards\n")


def test_a_terminal_gets_tables_and_styles() -> None:
    pytest.importorskip("rich")
    terminal = Terminal()
    out = Output(stdout=terminal, stderr=terminal)
    out.table(("release",), [("[bold]a@1.0.0",)])
    out.line("[red]done[/red]", style="bold")
    assert "[bold]a@1.0.0" in terminal.getvalue()
    assert "[red]done[/red]" in terminal.getvalue()


def test_what_the_stream_cannot_encode_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    out = Output(stdout=stream, stderr=stream)
    out.line("é")
    out.error(HephaestusError("日"))
    out.flush()
    assert raw.getvalue() == b"\\xe9\nerror: \\u65e5\n"
