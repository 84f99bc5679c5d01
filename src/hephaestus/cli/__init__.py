"""The command line: one module per noun, no logic. Parser, error mapping and exit codes are in ``app``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from hephaestus.cli.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after ``hephaestus``; those of the process by default.

    Returns:
        The exit code (CONTRACTS section 3).
    """
    # First of all: a signal while the rest is loaded would be a trace otherwise.
    with Signals() as signals:
        _fill_standard_descriptors()
        from hephaestus.cli import app

        return app.main(list(sys.argv[1:] if argv is None else argv), signals)


def _fill_standard_descriptors() -> None:
    """Have 0, 1 and 2 be something: else the next file that is opened, a database perhaps, gets what is printed."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
