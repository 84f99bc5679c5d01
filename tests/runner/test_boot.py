"""The life of a child after it was confined, in a process of its own without confinement."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hephaestus_runner.protocol import Failure, FrameReader, Hello, Message, Policy, Result, Start, Stop, frame

CODE = """
import sys
import msgspec
from hephaestus_runner import boot
from hephaestus_runner.config import Config
boot.run(msgspec.json.decode(sys.argv[1], type=Config), {"a": "on"})
print("returned")
"""


def live(
    folder: Path, *said: Message, deaf: bool = False, source: str = "def main(task): return 1"
) -> tuple[list[Message], str]:
    """What a child says that hears this, and then that its host is gone; and what it prints.

    Args:
        said: By the host.
        deaf: Whether the host closes its reading end at once.
        source: The agent.
    """
    (folder / "agent.py").write_text(source)
    child_in, writer = os.pipe()
    reader, child_out = os.pipe()
    config = {
        "role": "agent", "entry": "agent:main", "level": "none", "limits": {}, "homes": {}, "python": sys.executable,
        "folder": str(folder), "package": str(folder), "reader": child_in, "writer": child_out, "control": 0,
    }  # fmt: skip
    for message in said:
        os.write(writer, frame(message))
    os.close(writer)
    if deaf:
        os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(config)],
        pass_fds=(child_in, child_out),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    os.close(child_in)
    os.close(child_out)
    if deaf:
        return [], done.stdout + done.stderr
    with open(reader, "rb") as stream:
        return FrameReader().feed(stream.read()), done.stdout + done.stderr


START = Start("run", "a@1.0.0", Policy(), 1, b"null", ())


@pytest.mark.parametrize("said", [[], [Stop(1)]])
def test_a_child_without_work_says_hello_and_ends(tmp_path: Path, said: list[Message]) -> None:
    heard, printed = live(tmp_path, *said)
    assert heard == [Hello(1, "none", {"a": "on"})]
    assert printed == "returned\n"


def test_a_host_that_goes_while_work_is_done_ends_it(tmp_path: Path) -> None:
    heard, printed = live(tmp_path, START, source="def main(task): task.tool('x', 1)")
    assert len(heard) == 2  # hello and the request
    assert printed == "returned\n"


@pytest.mark.parametrize("line", ["sys.stdout.close()", "sys.stdout = None", "sys.stderr = 5"])
def test_the_answer_is_sent_whatever_became_of_the_streams(tmp_path: Path, line: str) -> None:
    source = f"import sys\ndef main(task):\n    {line}\n    return 2"
    heard, _ = live(tmp_path, START, source=source)
    assert heard[1] == Result(0, b"2")
    assert type(heard[2]).__name__ == "Bye"


def test_a_host_that_breaks_the_protocol_is_a_failure_and_no_crash(tmp_path: Path) -> None:
    source = "def main(task): task.tool('x', 1)"
    heard, _ = live(tmp_path, START, Result(9, b"1"), source=source)
    assert isinstance(heard[2], Failure)
    assert "WireError" in heard[2].message


def test_a_host_that_is_gone_at_once_is_no_crash(tmp_path: Path) -> None:
    assert live(tmp_path, START, deaf=True) == ([], "returned\n")
