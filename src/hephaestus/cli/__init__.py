"""The command line: one module per noun, no logic. Parser, error mapping and exit codes are in ``app``."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from hephaestus.cli import app

    return app.main(argv)
