"""Reads and replays the console examples of a page: commands, and what must be seen after each.

In a ``console`` block, a line that begins with ``$`` is a command and the lines below it are what it prints, where
``...`` stands for anything, inside a line or as a line of its own. A last line ``(exit code N)`` says how it ends;
without one, it ends with 0.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\(exit code (\d+)\)")


class Example(msgspec.Struct, frozen=True):
    """One command and what must be seen."""

    line: int  # 1-based, in the page
    command: str
    expected: tuple[str, ...] = ()
    exit_code: int = 0


def examples(text: str) -> list[Example]:
    """Every command of a page, in order."""
    found: list[Example] = []
    for block in BLOCK.finditer(text):
        first = text[: block.start(1)].count("\n") + 1
        for number, line in enumerate(block[1].splitlines(), first):
            if line.startswith("$ "):
                found.append(Example(line=number, command=line[2:]))
                continue
            last = found[-1]
            if code := EXIT.fullmatch(line):
                found[-1] = msgspec.structs.replace(last, exit_code=int(code[1]))
            else:
                found[-1] = msgspec.structs.replace(last, expected=(*last.expected, line))
    return found


def fits(expected: tuple[str, ...], printed: str) -> bool:
    """Whether the expected lines are what was printed, with ``...`` for anything."""
    if not expected:
        return True
    pattern = "\n".join(expected)
    parts = [re.escape(part) for part in pattern.split("...")]
    return re.fullmatch("(?s:.*?)".join(parts), printed.strip("\n")) is not None


def replay(example: Example, *, folder: Path, environment: dict[str, str]) -> str:
    """Run one command in a shell and compare.

    Returns:
        What is wrong, or nothing.
    """
    done = subprocess.run(
        ["bash", "-c", example.command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    said = f"line {example.line}: $ {example.command}\n--- printed\n{done.stdout}--- errors\n{done.stderr}"
    if done.returncode != example.exit_code:
        return f"{said}--- exit code {done.returncode}, expected {example.exit_code}"
    if not fits(example.expected, done.stdout):
        return f"{said}--- expected\n" + "\n".join(example.expected)
    return ""
