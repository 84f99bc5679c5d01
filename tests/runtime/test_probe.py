"""The probe says what is to be had, from having tried, and why the rest is not."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from tests.support.children import linux_only
from tests.support.plain_user import ROOT, run_as_plain_user

from hephaestus.errors import HephaestusError, IsolationUnavailable
from hephaestus.runtime.advice import advice
from hephaestus.runtime.probe import Isolation, probe

# The package exports a function of the same name.
module = importlib.import_module("hephaestus.runtime.probe")

SCRIPT = f"""
import json, sys, anyio, tempfile
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
import msgspec
from hephaestus_runner import seccomp, syscalls
from hephaestus.errors import IsolationUnavailable
from hephaestus.runtime.probe import probe
from hephaestus.runtime.launch import LaunchSpec, launch
from hephaestus_runner.protocol import Policy

if sys.argv[1] == "without namespaces":
    # As in a container whose profile refuses them.
    program = seccomp._Program()
    program.add(seccomp._LOAD, seccomp._NR)
    program.deny(syscalls.number("unshare"))
    program.add(seccomp._RETURN, seccomp._ALLOW)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(program.bytes())

found = probe()

async def main():
    try:
        async with launch(LaunchSpec(role="inspect", policy=Policy()), runs=Path.cwd()) as child:
            return child.attested.level
    except IsolationUnavailable as error:
        return [error.message, error.hint, error.exit_code]

print(json.dumps([msgspec.to_builtins(found), anyio.run(main)]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hephaestus-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run(situation: str, folder: Path) -> tuple[Isolation, object]:
    import msgspec

    done = run_as_plain_user(SCRIPT, situation, folder=folder)
    assert done.returncode == 0, done.stderr
    isolation, launched = json.loads(done.stdout)
    return msgspec.convert(isolation, Isolation), launched


@linux_only
def test_an_ordinary_user_reaches_isolated_and_everything_was_tried(open_folder: Path) -> None:
    found, launched = run("as it is", open_folder)
    assert found.level == "isolated", found
    assert found.advice is None
    assert found.features["read a file of the host"] == "refused"
    assert list(found.features.values()).count("refused") == 9
    assert launched == "isolated"


@linux_only
def test_where_namespaces_are_refused_isolated_is_unavailable_and_never_silently_lower(open_folder: Path) -> None:
    found, launched = run("without namespaces", open_folder)
    assert found.level == "restricted"
    assert "no namespaces: unshare: Operation not permitted" in found.reasons["isolated"].replace("[Errno 1] ", "")
    assert found.advice is not None
    assert "user namespaces" in found.advice
    assert isinstance(launched, list)
    message, hint, exit_code = launched
    assert "no namespaces" in message
    assert hint == found.advice
    assert exit_code == 6


@linux_only
def test_the_probe_answers_inside_an_event_loop_too_and_tries_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = probe()

    async def again() -> Isolation:
        return await anyio.to_thread.run_sync(probe)

    assert anyio.run(again) is first
    assert first.level in {"isolated", "restricted", "none"}


@linux_only
def test_every_attempt_of_the_probe_succeeds_where_nothing_is_refused(tmp_path: Path) -> None:
    with (
        ExitStack() as stack,
        subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process,
    ):
        target = json.loads(module._target(tmp_path, stack)) | {"pid": process.pid}
        features, attempts = anyio.run(module._try, "none", tmp_path, json.dumps(target).encode())
        process.kill()
    if os.geteuid() != 0:
        assert attempts.pop("run as user 0") != "done"
    assert set(attempts.values()) == {"done"}, attempts
    assert features["confinement"] == "none was asked for"


@linux_only
def test_a_level_that_a_child_could_break_out_of_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_door(level: str, folder: Path, target: bytes) -> tuple[dict[str, str], dict[str, str]]:
        return {"x": "on"}, {"read a file": "done", "write": "refused somehow"}

    monkeypatch.setattr(module, "_try", open_door)
    found = anyio.run(module._try_all)
    assert found.level == "none"
    assert found.reasons["isolated"] == "it was reached, but a child could read a file"
    assert found.advice


def test_other_systems_report_level_none_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    found = module._probe.__wrapped__()
    assert found.level == "none"
    assert set(found.reasons) == {"isolated", "restricted"}
    assert "Linux" in str(found.advice)


@linux_only
def test_a_probe_that_fails_is_an_error_and_no_level(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> Isolation:
        raise OSError("planted")

    monkeypatch.setattr(module, "_try_all", broken)
    with pytest.raises(HephaestusError, match="planted"):
        module._probe.__wrapped__()


@pytest.mark.skipif(sys.platform == "darwin", reason="the advice there is another")
@pytest.mark.parametrize(
    ("level", "reason", "word"),
    [
        ("isolated", "no Landlock: x", "kernel"),
        ("isolated", "no table of system calls for mips", "x86_64"),
        ("restricted", "user 1 cannot read /home/other/python", "every user"),
        ("isolated", "no namespaces: unshare", "user namespaces"),
        ("restricted", "something else", "level none"),
    ],
)
def test_every_reason_has_advice(level: str, reason: str, word: str) -> None:
    assert word in advice(level, reason)  # type: ignore[arg-type]


def test_the_modules_can_be_imported_without_linux() -> None:
    # Everything that only Linux has is taken away before the import.
    code = """
import sys, os, select, signal, resource
sys.platform = "darwin"
for module, names in {
    os: ["pidfd_open", "O_PATH", "setresuid", "setresgid", "unshare", "memfd_create"],
    select: ["epoll"], signal: ["pidfd_send_signal"], resource: ["prlimit", "RLIMIT_NPROC"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
import importlib, pkgutil, hephaestus_runner, hephaestus.runtime.launch, hephaestus.runtime.probe
for found in pkgutil.walk_packages(hephaestus_runner.__path__, "hephaestus_runner."):
    importlib.import_module(found.name)
print(hephaestus.runtime.probe.probe().level)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "none\n", done.stderr


def test_what_is_unavailable_ends_a_command_with_code_six() -> None:
    assert IsolationUnavailable("x").exit_code == 6
