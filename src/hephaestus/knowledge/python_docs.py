"""Passages from the documentation of an installed Python: its modules, classes and functions, read in a subprocess.

Nothing is shipped and nothing is downloaded: every Python carries its docstrings. Importing all of the standard library
is not something to do to the caller's own process, so ``stdlib_script`` does it in one of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from hephaestus.errors import KnowledgeError
from hephaestus.knowledge.passages import Passage

SCRIPT = Path(__file__).with_name("stdlib_script.py")
TIMEOUT = 180  # seconds; measured 4 to 6 on two shared cores
_LINE = msgspec.json.Decoder(Passage)


def python_docs(python: str = sys.executable, *, timeout: float = TIMEOUT) -> list[Passage]:
    """The documentation of one Python's standard library, sorted by qualified name.

    The same interpreter gives the same passages every time: hash seed, locale and working folder are fixed, and no
    variable of the caller's environment is seen.

    Args:
        python: The interpreter to ask.
        timeout: Seconds until it is killed.

    Raises:
        KnowledgeError: If it cannot be started, fails, takes too long or answers with something else.
    """
    with tempfile.TemporaryDirectory(prefix="hephaestus-docs-") as folder, tempfile.TemporaryFile() as out:
        # -s -S -P, because -I would ignore PYTHONHASHSEED too, and sets in signatures would change their order.
        command = [python, "-s", "-S", "-P", "-B", "-W", "ignore", str(SCRIPT), str(out.fileno())]
        environment = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": folder}
        errors = _run(command, environment, cwd=folder, pass_fd=out.fileno(), timeout=timeout)
        out.seek(0)
        data = out.read()
    try:
        passages = [_LINE.decode(line) for line in data.splitlines()]
    except msgspec.MsgspecError as error:
        raise KnowledgeError(f"{python} answered with something that is no passage: {error}") from error
    if not passages:
        raise KnowledgeError(f"{python} has no documentation: {errors[-500:] or 'no reason given'}")
    return passages


def _run(command: list[str], environment: dict[str, str], *, cwd: str, pass_fd: int, timeout: float) -> str:
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command, env=environment, cwd=cwd, pass_fds=[pass_fd], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        except OSError as error:
            raise KnowledgeError(f"{command[0]} cannot be started: {error.strerror}") from error
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise KnowledgeError(f"{command[0]} did not answer within {timeout} seconds") from error
        finally:
            _end(process)
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip()
    if code:
        raise KnowledgeError(f"{command[0]} ended with {code} while reading its documentation: {said[-500:]}")
    return said


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and what it started, unless it has ended by itself, and reap it."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
