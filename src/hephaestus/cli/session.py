"""What verbs open and read: a runtime from the common options, a request from an argument or standard input."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TextIO

from hephaestus.cli.signals import interruptible
from hephaestus.errors import InvalidRequest, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from hephaestus.runtime import Runtime

MAX_INPUT = 16 << 20
"""Bytes that are read of standard input, or of a file that is named."""


@asynccontextmanager
async def opened(arguments: argparse.Namespace) -> AsyncIterator[Runtime]:
    """The runtime that the options name.

    Raises:
        UsageError: If options do not go together.
        StorageError: If its home cannot be used.
    """
    from hephaestus.runtime import Config, ModelEndpoint, Runtime
    from hephaestus.runtime.model import ModelClient

    options = vars(arguments)
    url, name = options.get("model"), options.get("model_name")
    if (url is None) != (name is None):
        raise UsageError("--model and --model-name go together", hint="for example --model http://127.0.0.1:11434")
    model = None
    if url is not None and name is not None:
        model = ModelEndpoint(url=url, name=name, key_env=options.get("model_key_env"))
        ModelClient(model)  # a URL that is none is said now, not after everything was built
    config = Config(level=options.get("level", "isolated"), model=model)
    async with Runtime.open(arguments.home, config=config) as runtime:
        yield runtime


def request_text(words: list[str]) -> str:
    """The request: the words of the command line, or standard input for ``-``.

    Raises:
        InvalidRequest: If standard input is no text, or far too much of it.
    """
    if words != ["-"]:
        return " ".join(words)
    data = read_standard_input()
    if len(data) > MAX_INPUT:
        raise InvalidRequest(f"the request on standard input is longer than {MAX_INPUT} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the request on standard input is not UTF-8: byte {error.start}") from error


def read_standard_input() -> bytes:
    """Standard input to its end, but for what is over :data:`MAX_INPUT` by more than one byte.

    Raises:
        UsageError: If there is none.
    """
    with interruptible():
        return standard_input().buffer.read(MAX_INPUT + 1)


def standard_input() -> TextIO:
    """Standard input.

    Raises:
        UsageError: If the process was started with it closed.
    """
    if sys.stdin is None:
        raise UsageError("standard input is closed", hint="give it something to read, for example with a pipe")
    return sys.stdin
