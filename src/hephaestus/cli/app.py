"""From the words on the command line to an exit code: parser, running, and how every error is told."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hephaestus.cli.output import Output
from hephaestus.cli.parser import Parser
from hephaestus.errors import BriefRefused, HephaestusError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Sequence

NOUNS = (
    "demo", "package", "interview", "channel", "hub", "route", "run", "receipts", "knowledge", "certificate", "doctor",
)  # fmt: skip
"""The modules that add verbs, in the order of help."""

_DESCRIPTION = "Agents that you can run like software: packaged, routed, isolated, checked, certified."
_CODES = """\
exit codes:
  0 verified, or done      1 failed                  2 usage
  3 refused                4 refused by interview    5 no route, or ambiguous
  6 isolation missing      7 undecided               8 waits for an answer
  130 interrupted by Ctrl-C

start here:
  hephaestus demo"""


def parser() -> Parser:
    """The parser of all verbs."""
    top = Parser(prog="hephaestus", description=_DESCRIPTION, epilog=_CODES)
    top.set_defaults(json=False, home=None)
    verbs = top.add_subparsers(metavar="VERB", dest="verb", required=True, parser_class=Parser)
    for name in NOUNS:
        import_module(f"hephaestus.cli.{name}").add(verbs)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # Wanted even where the words cannot be parsed; behind `--` it is an argument.
    out = Output(json="--json" in words[: words.index("--")] if "--" in words else "--json" in words)
    try:
        code = _run(words, out)
        out.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`). Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _run(words: list[str], out: Output) -> int:
    try:
        arguments = parser().parse_args(words)
        handler: Callable[[argparse.Namespace, Output], int | Awaitable[int]] = arguments.handler
        return _call(handler, arguments, out)
    except SystemExit as stop:  # --help
        return stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt:
        out.error(HephaestusError("interrupted"), kind="Interrupted")
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last place where an error can still become an answer
        return _tell(error, out)


def _call(
    handler: Callable[[argparse.Namespace, Output], int | Awaitable[int]], arguments: argparse.Namespace, out: Output
) -> int:
    answer = handler(arguments, out)
    if isinstance(answer, int):
        return answer
    import anyio

    async def wait() -> int:
        return await answer

    return anyio.run(wait)


def _tell(raised: BaseException, out: Output) -> int:
    error = _one(raised)
    match error:
        case BriefRefused():
            out.error(error, report=error.report)
            _refusal(error.report, out)
            return error.exit_code
        case HephaestusError():
            out.error(error)
            return error.exit_code
        case OSError() if error.filename is not None:
            out.error(UsageError(f"{os.fsdecode(error.filename)}: {error.strerror}"))
            return UsageError.exit_code
        case _:
            # Not foreseen: the trace is for whoever reports it, the object keeps the promise of --json.
            import traceback

            traceback.print_exception(raised)
            told = HephaestusError(f"{type(error).__name__}: {error}", hint="this is a mistake in Hephaestus")
            out.error(told, kind="Unexpected")
            return 1


def _one(error: BaseException) -> BaseException:
    """The error inside groups of one: task groups wrap what ends them."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _refusal(report: Any, out: Output) -> None:
    from hephaestus.cli.interview import show_report

    show_report(report, out)
