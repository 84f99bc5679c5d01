"""The parser that every verb uses: options that all have, and errors that are raised instead of printed."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from hephaestus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hephaestus.cli.output import Output

    Handler: TypeAlias = Callable[[argparse.Namespace, Output], "int | Awaitable[int]"]
    Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"

_CHOICE = re.compile(r"argument (\S+): invalid choice: '(.*?)' \(choose from", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """A parser of one verb, or of all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)
        # Absent unless given, so that they may stand before the verb as well as behind it.
        common = self.add_argument_group("everywhere")
        common.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print exactly one JSON object on standard output",
        )
        common.add_argument(
            "--home",
            type=_folder,
            metavar="FOLDER",
            default=argparse.SUPPRESS,
            help="where releases, receipts and keys are (default: $HEPHAESTUS_HOME, else the user's data folder)",
        )

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print.

        Raises:
            UsageError: Always.
        """
        if found := _CHOICE.search(message):
            known = self._choices(found[1])
            near = difflib.get_close_matches(found[2], known, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"one of {', '.join(known)}"
            raise UsageError(f"{found[1].lower()} {found[2]!r} is not known", hint=hint)
        raise UsageError(f"{self.prog}: {message}", hint=f"`{self.prog} --help` shows what it takes")

    def _choices(self, name: str) -> list[str]:
        for action in self._actions:
            if action.choices is not None and name in (action.metavar, action.dest, *action.option_strings):
                return [str(choice) for choice in action.choices]
        return []


def _folder(text: str) -> Path:
    if not text:
        # Often a variable that is not set; an empty path would be the folder that one happens to be in.
        raise argparse.ArgumentTypeError("is empty")
    return Path(text)


def add_verb(verbs: Verbs, name: str, handler: Handler, *, summary: str, example: str) -> Parser:
    """Add one verb.

    Args:
        verbs: What ``add_subparsers`` returned.
        name: As it is typed.
        handler: Called with the parsed arguments and the output; may be asynchronous; returns the exit code.
        summary: One sentence, for both lists of help.
        example: A line that a person can type.
    """
    parser = verbs.add_parser(name, help=summary, description=summary, epilog=f"example:\n  {example}")
    parser.set_defaults(handler=handler)
    return parser


def add_noun(verbs: Verbs, name: str, *, summary: str) -> Verbs:
    """Add a noun with verbs of its own, like ``receipts list``."""
    parser = verbs.add_parser(name, help=summary, description=summary)
    return parser.add_subparsers(metavar="VERB", dest="subverb", required=True, parser_class=Parser)


def add_level(parser: Parser) -> None:
    """Add ``--level``."""
    parser.add_argument(
        "--level",
        choices=("isolated", "restricted", "none"),
        default="isolated",
        help="the isolation level to run at (default: isolated); receipts and certificates say which it was",
    )


def add_model(parser: Parser) -> None:
    """Add ``--model`` and what belongs to it."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", metavar="URL", help="a server that speaks OpenAI's or Ollama's chat format")
    group.add_argument("--model-name", metavar="NAME", help="which of its models")
    group.add_argument(
        "--model-key-env", metavar="VARIABLE", help="the environment variable that holds the key; it is never stored"
    )
