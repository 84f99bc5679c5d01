"""What a verb says: one JSON object, or lines for people; progress on standard error.

All text for people passes through here, because much of it was written by agents and strangers: control characters
are shown as escapes, so that nothing acts on the terminal, and a line is one line, so that nothing looks like another.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

from hephaestus.errors import HephaestusError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Unwritable(HephaestusError):
    """Standard output takes nothing more.

    Attributes:
        left: Whether that is because its reader has gone (``| head``), which is no fault.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror}")
        self.left: bool = isinstance(error, BrokenPipeError)


class Output:
    """Where one verb writes to. Whatever is written for people may raise :class:`Unwritable`.

    Args:
        json: Whether people are not reading along: :meth:`result` counts and :meth:`line` does not.
        stdout: For the answer.
        stderr: For progress and errors. What it does not take is lost; the exit code still tells.

    Attributes:
        home: The ``--home`` that was given, which what is to be typed next needs too.
    """

    def __init__(self, *, json: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.json = json
        self.home: Path | None = None
        # Python has none where the process was started with them closed.
        self._out = stdout or sys.stdout or _Nowhere()
        self._err = stderr or sys.stderr or _Nowhere()
        self._result: dict[str, Any] | None = None
        self._console = None if json else _console(self._out)
        self._status: Any = None

    def result(self, verb: str, **fields: Any) -> None:
        """The one object of ``--json``. It is written when the verb has ended without an error.

        Args:
            verb: As in ``hephaestus.VERB/1``.
            fields: Anything that msgspec turns into builtins.
        """
        self._result = {"schema": f"hephaestus.{verb}/1", **fields}

    def line(self, text: str = "", *, style: str | None = None) -> None:
        """One line for people; a style of rich is used on a terminal."""
        self.text(text.replace("\n", "\\n"), style=style)

    def text(self, text: str, *, style: str | None = None) -> None:
        """Several lines for people. Not for what a stranger wrote, which could imitate ours."""
        if self.json:
            return
        with self._writing():
            if self._console is not None:
                self._console.print(printable(text), style=style, markup=False, highlight=False, soft_wrap=True)
            else:
                self._out.write(_encodable(printable(text), self._out) + "\n")

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows for people, in aligned columns."""
        if self.json:
            return
        cells = [[printable(str(cell)).replace("\n", " ") for cell in row] for row in rows]
        if self._console is not None:
            from rich.table import Table
            from rich.text import Text

            table = Table(*headers, box=None, pad_edge=False, header_style="bold")
            for row in cells:
                table.add_row(*(Text(cell) for cell in row))
            with self._writing():
                self._console.print(table)
            return
        widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
        for row in (list(headers), *cells):
            padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.line("  ".join(padded).rstrip())

    def next(self, *words: str) -> None:
        """The command that a person would type next; behind ``--`` there are no options."""
        end = words.index("--") if "--" in words else len(words)
        home = () if self.home is None else ("--home", str(self.home))
        self.line(f"next: {shlex.join((*words[:end], *home, *words[end:]))}", style="dim")

    def progress(self, text: str) -> None:
        """Something is being done: on a terminal it replaces what was said before, in a pipe it is a line."""
        text = printable(text).replace("\n", " ")
        if self._status is not None:
            from rich.markup import escape

            with suppress(OSError):
                self._status.update(escape(text))
        else:
            self._complain(text)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something longer is under way."""
        console = _console(self._err)
        if console is None:
            self.progress(text)
            yield
            return
        from rich.markup import escape

        # A terminal that goes away must not stop the work.
        status = console.status(escape(printable(text)))
        with suppress(OSError):
            status.start()
        self._status = status
        try:
            yield
        finally:
            self._status = None
            with suppress(OSError):
                status.stop()

    def flush(self) -> None:
        """Write what is still to be written."""
        if self.json and self._result is not None:
            result, self._result = self._result, None
            self._write_json(result)
        with self._writing():
            self._out.flush()

    def error(self, error: HephaestusError, *, kind: str | None = None, **more: Any) -> None:
        """The one error, instead of any result.

        Args:
            error: What happened.
            kind: Its name; by default that of its class.
            more: What ``--json`` adds to it.
        """
        self._result = None
        if self.json:
            told = {"kind": kind or type(error).__name__, "message": error.message, "hint": error.hint, **more}
            self._write_json({"schema": "hephaestus.error/1", "error": told})
            with self._writing():
                self._out.flush()
            return
        with self._writing():
            self._out.flush()
        self.complain(error)

    def complain(self, error: HephaestusError) -> None:
        """Tell an error on standard error, whatever ``json`` is."""
        for name, text in (("error", error.message), ("hint", error.hint)):
            if text:
                self._complain(f"{name}: {printable(text)}".replace("\n", "\n  "))

    def silence(self) -> None:
        """Lose what standard output did not take: Python tries again at exit, and complains."""
        _silence(self._out)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unwritable(error) from error

    def _complain(self, text: str) -> None:
        try:
            self._err.write(_encodable(text, self._err) + "\n")
            self._err.flush()
        except OSError:
            _silence(self._err)

    def _write_json(self, value: dict[str, Any]) -> None:
        import msgspec

        # ASCII: the same bytes whatever encoding the pipe has.
        text = json.dumps(msgspec.to_builtins(value, str_keys=True), ensure_ascii=True)
        with self._writing():
            self._out.write(text + "\n")


class _Nowhere(io.StringIO):
    """A stream that keeps nothing."""

    def write(self, text: str, /) -> int:
        return len(text)


def _silence(stream: TextIO) -> None:
    with suppress(OSError, ValueError):  # not a file
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def printable(text: str) -> str:
    """``text`` with every control character but line feed and tab written as an escape."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _console(stream: TextIO) -> Any:
    """A console of rich if it is installed and the stream is a terminal, else None."""
    if not stream.isatty() or find_spec("rich") is None:
        return None
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 - the error at hand; rich would end the process

    return Plain(file=stream)
