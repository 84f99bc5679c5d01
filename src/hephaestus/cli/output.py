"""What a verb says: one JSON object, or lines for people; progress on standard error.

All text for people passes through here, because much of it was written by agents and strangers: control characters
are shown as escapes, so that nothing acts on the terminal.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hephaestus.errors import HephaestusError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Output:
    """Where one verb writes to.

    Args:
        json: Whether people are not reading along: :meth:`result` counts and :meth:`line` does not.
        stdout: For the answer.
        stderr: For progress and errors.
    """

    def __init__(self, *, json: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.json = json
        self._out = stdout or sys.stdout
        self._err = stderr or sys.stderr
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
        """A line for people, or several; a style of rich is used on a terminal."""
        if self.json:
            return
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
            self._console.print(table)
            return
        widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
        for row in (list(headers), *cells):
            padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.line("  ".join(padded).rstrip())

    def next(self, *words: str) -> None:
        """The command that a person would type next."""
        self.line(f"next: {shlex.join(words)}", style="dim")

    def progress(self, text: str) -> None:
        """Something is being done: on a terminal it replaces what was said before, in a pipe it is a line."""
        text = printable(text).replace("\n", " ")
        if self._status is not None:
            from rich.markup import escape

            self._status.update(escape(text))
        else:
            self._err.write(_encodable(text, self._err) + "\n")
            self._err.flush()

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something longer is under way."""
        console = _console(self._err)
        if console is None:
            self.progress(text)
            yield
            return
        from rich.markup import escape

        with console.status(escape(printable(text))) as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None

    def flush(self) -> None:
        """Write what is still to be written."""
        if self.json and self._result is not None:
            self._write_json(self._result)
            self._result = None
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
            self._out.flush()
            return
        self._out.flush()
        self._err.write(_encodable(f"error: {printable(error.message)}", self._err) + "\n")
        if error.hint:
            self._err.write(_encodable(f"hint: {printable(error.hint)}", self._err) + "\n")
        self._err.flush()

    def _write_json(self, value: dict[str, Any]) -> None:
        import msgspec

        # ASCII: the same bytes whatever encoding the pipe has.
        self._out.write(json.dumps(msgspec.to_builtins(value, str_keys=True), ensure_ascii=True) + "\n")


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

    return Console(file=stream)
