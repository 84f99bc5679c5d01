"""The installed console script, as a shell starts it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.children import linux_only

SCRIPT = Path(sys.executable).with_name("hephaestus")
HEAVY = ("anyio", "apsw", "asyncio", "cryptography", "httpx", "jsonschema_rs", "msgspec", "re2", "rich", "tenacity")

pytestmark = [linux_only, pytest.mark.skipif(not SCRIPT.exists(), reason="the console script is not installed")]


def environment(home: Path) -> dict[str, str]:
    """What a person without any setting has."""
    return {"PATH": os.defpath, "HOME": str(home)}


def script(*words: str, home: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [SCRIPT, *words], input=stdin, capture_output=True, env=environment(home), check=False, timeout=120
    )


def test_help_loads_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    for words in ("--help", "run --help"):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", SCRIPT, *words.split()],
            capture_output=True,
            text=True,
            env=environment(tmp_path),
            check=True,
        )
        loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
        assert "argparse" in loaded
        assert loaded.isdisjoint(HEAVY)


def test_help_touches_no_home(tmp_path: Path) -> None:
    assert script("--help", home=tmp_path).returncode == 0
    assert script("version", home=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_without_any_setting_the_home_is_the_users_data_folder(tmp_path: Path) -> None:
    done = script("list", "--json", home=tmp_path)
    assert json.loads(done.stdout) == {"schema": "hephaestus.list/1", "releases": []}
    assert done.stderr == b""
    assert (tmp_path / ".local" / "share" / "hephaestus").is_dir()


def test_in_a_pipe_the_object_is_alone_and_progress_is_lines(shop: Path) -> None:
    home = str(shop / "home")
    done = script("run", "--json", "--home", home, "-", home=shop, stdin="count the words: é ü".encode())
    assert done.returncode == 0
    assert json.loads(done.stdout)["outcome"]["value"]["words"] == 2
    assert done.stdout.count(b"\n") == 1
    lines = done.stderr.decode().splitlines()
    assert lines[0] == "running"
    assert any(line.startswith("judging") for line in lines)
    assert b"\x1b" not in done.stderr


def test_a_reader_that_leaves_is_no_error(shop: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [SCRIPT, "list", "--home", shop / "home"],
            stdout=writer,
            stderr=subprocess.PIPE,
            env=environment(shop),
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


SLEEPY = "import time\n\n\ndef run(task):\n    task.progress('asleep')\n    time.sleep(600)\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_run_cleanly_and_the_journal_says_so(shop: Path, number: int, code: int) -> None:
    home, package = str(shop / "home"), shop / "text-statistics"
    text = (package / "agent.toml").read_text()
    (package / "agent.toml").write_text(text.replace('"0.1.0"', '"0.5.0"'))
    (package / "src" / "text_statistics" / "main.py").write_text(SLEEPY)
    assert script("publish", str(package), "--home", home, home=shop).returncode == 0
    assert script("deploy", "stable", "text-statistics", "--home", home, home=shop).returncode == 0
    running = subprocess.Popen(
        [SCRIPT, "run", "--json", "--home", home, "count the words: a"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(shop),
    )
    with running:
        assert running.stdout is not None
        assert running.stderr is not None
        seen = b""
        while b"working text-statistics" not in seen:
            assert select.select([running.stderr], [], [], 60)[0], seen
            data = os.read(running.stderr.fileno(), 4096)
            assert data, seen
            seen += data
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert running.returncode == code
    assert json.loads(out)["error"]["kind"] == "Interrupted"
    assert b"Traceback" not in err
    listed = json.loads(script("receipts", "list", "--json", "--home", home, home=shop).stdout)["runs"]
    assert listed[-1]["ended"] is True
    explained = json.loads(script("explain", listed[-1]["run"], "--json", "--home", home, home=shop).stdout)
    assert (explained["outcome"], explained["cause"]) == ("undecided", "caller")
    assert list((shop / "home" / "runs").iterdir()) == []
    assert script("receipts", "verify", "--home", home, home=shop).returncode == 0


def test_waiting_for_standard_input_is_broken_off(shop: Path) -> None:
    running = subprocess.Popen(
        [SCRIPT, "route", "-", "--home", shop / "home"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(shop),
    )
    with running:
        while not holds_signals_off(running.pid):
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, b"error: interrupted\n")


def holds_signals_off(pid: int) -> bool:
    """Whether the process has a handler for the last of the signals; from then on, none is lost."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = int(next(line for line in lines if line.startswith("SigCgt:")).split()[1], 16)
    return bool(caught >> (signal.SIGHUP - 1) & 1)


def closed(descriptors: str, *words: str, home: Path) -> subprocess.CompletedProcess[bytes]:
    """As a shell starts it with ``<&- >&- 2>&-``."""
    redirections = " ".join({"0": "<&-", "1": ">&-", "2": "2>&-"}[one] for one in descriptors)
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", SCRIPT, *words],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=environment(home),
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("descriptors", ["1", "2", "12", "012"])
@pytest.mark.parametrize("json", [False, True])
def test_standard_streams_that_are_closed_change_no_answer(shop: Path, descriptors: str, json: bool) -> None:
    words = ["run", "count the words: a", "--home", str(shop / "home"), *(["--json"] if json else [])]
    done = closed(descriptors, *words, "--output", str(shop / "made"), home=shop)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert (shop / "made").is_file()
    done = closed(descriptors, "receipts", "verify", "--home", str(shop / "home"), home=shop)
    assert done.returncode == 0


def test_a_request_from_a_standard_input_that_is_closed_is_a_usage_error(shop: Path) -> None:
    done = closed("0", "route", "-", "--json", "--home", str(shop / "home"), home=shop)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"] == "standard input is closed"


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["--help"], ["show", "nobody", "--json"]])
def test_a_full_disk_behind_standard_output_is_one_clear_error(shop: Path, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [SCRIPT, *words, "--home", shop / "home"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(shop),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"error: standard output cannot be written: No space left on device\n"


def test_a_full_disk_behind_standard_error_stops_no_run(shop: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [SCRIPT, "run", "count the words: a", "--json", "--home", shop / "home"],
            stdout=subprocess.PIPE,
            stderr=full,
            env=environment(shop),
            check=False,
        )
    assert (done.returncode, json.loads(done.stdout)["outcome"]["kind"]) == (0, "verified")


@pytest.mark.parametrize(
    ("words", "code"), [(["rout"], 2), (["show", "nobody"], 1), (["route", "a request for no channel"], 1)]
)
def test_the_exit_code_reaches_the_shell(tmp_path: Path, words: list[str], code: int) -> None:
    done = script(*words, home=tmp_path)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"error: ")
