"""From the words on the command line to an exit code: parser, running, and how every error is told."""

from __future__ import annotations

import errno
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hephaestus.cli.output import Output, Unwritable
from hephaestus.cli.parser import Parser
from hephaestus.cli.signals import Stopped
from hephaestus.errors import BriefRefused, HephaestusError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from hephaestus.cli.signals import Signals

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
  128 and a signal's number: 130 interrupted by Ctrl-C, 143 ended, 129 terminal closed, 141 reader gone

start here:
  hephaestus demo"""

_SCARCE = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}
"""What the system says when there is no more of something: processes, memory, descriptors, room."""


def parser() -> Parser:
    """The parser of all verbs."""
    top = Parser(prog="hephaestus", description=_DESCRIPTION, epilog=_CODES)
    top.set_defaults(json=False, home=None)
    verbs = top.add_subparsers(metavar="VERB", dest="verb", required=True, parser_class=Parser)
    for name in NOUNS:
        import_module(f"hephaestus.cli.{name}").add(verbs)
    return top


def main(words: list[str], signals: Signals) -> int:
    """Run one command and return its exit code.

    Args:
        words: What stands behind ``hephaestus``.
        signals: Held off while this runs.
    """
    # Wanted even where the words cannot be parsed; behind `--` it is an argument.
    out = Output(json="--json" in words[: words.index("--")] if "--" in words else "--json" in words)
    code = 0
    try:
        code = _run(words, out, signals)
        out.flush()
    except Unwritable as error:
        out.silence()
        if error.left:
            return code or 141
        out.complain(error)
        return code or error.exit_code
    return code


def _run(words: list[str], out: Output, signals: Signals) -> int:
    try:
        arguments = parser().parse_args(words)
        out.home = arguments.home
        signals.check()
        return _call(arguments.handler, arguments, out, signals)
    except SystemExit as stop:  # --help
        return stop.code if isinstance(stop.code, int) else 1
    except Stopped as stop:
        return _stopped(stop, out)
    except KeyboardInterrupt:
        return _stopped(Stopped(2), out)
    except Exception as error:  # noqa: BLE001 - the last place where an error can still become an answer
        return _tell(error, out)


def _stopped(stop: Stopped, out: Output) -> int:
    try:
        out.error(HephaestusError(str(stop)), kind="Interrupted")
    except Unwritable:
        out.silence()  # the terminal that went away is often what the signal was about
    return stop.exit_code


def _call(
    handler: Callable[[argparse.Namespace, Output], int | Awaitable[int]],
    arguments: argparse.Namespace,
    out: Output,
    signals: Signals,
) -> int:
    answer = handler(arguments, out)
    if isinstance(answer, int):
        return answer
    import anyio

    async def wait() -> int | None:
        async with anyio.create_task_group() as group:
            group.start_soon(signals.cancel, group.cancel_scope)
            try:
                return await answer
            finally:
                group.cancel_scope.cancel()
        return None  # cancelled

    code = anyio.run(wait)
    if code is None:
        signals.check()
        raise RuntimeError("the command was cancelled, and by no signal")
    return code


def _tell(raised: BaseException, out: Output) -> int:
    error = _one(raised)
    match error:
        case Unwritable():
            raise error
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
        case OSError() | MemoryError() | RuntimeError() if (scarce := _scarce(error)) is not None:
            hint = "end other programs, or raise what this user may have (`ulimit -a`; in containers, their limits)"
            out.error(HephaestusError(f"this machine has no more to give: {scarce}", hint=hint), kind="OutOfResources")
            return 1
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


def _scarce(error: BaseException) -> str | None:
    match error:
        case OSError() if error.errno in _SCARCE:
            return error.strerror
        case MemoryError():
            return "out of memory"
        case RuntimeError(args=("can't start new thread",)):
            return "no further thread could be started"
        case _:
            return None


def _refusal(report: Any, out: Output) -> None:
    from hephaestus.cli.interview import show_report

    show_report(report, out)
