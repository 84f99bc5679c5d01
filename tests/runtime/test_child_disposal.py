"""Nothing of a child is left: its folder whatever it made of it, and its tree when the host itself is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.children import agent, linux_only, root_only, working
from tests.support.plain_user import NOBODY, ROOT

from hephaestus.runtime.child import Child
from hephaestus.runtime.disposal import remove_folder
from hephaestus.runtime.spawn import spawn
from hephaestus_runner.processes import descendants, kill_below, kill_of_user, of_user
from hephaestus_runner.protocol import Result, Start

FORKING = """
import os, time
def main(task):
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
    task.progress("ready")
    time.sleep(600)
"""

HOST = """
import anyio, os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.support.children import agent, working

async def main():
    folder = Path(sys.argv[1])
    async with working(agent(folder, sys.argv[3], level=sys.argv[2]), folder) as child:
        await child.receive()
        print(child.supervisor, child.pid, flush=True)
        sys.stdin.read()

anyio.run(main)
"""


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_alive(pid: int) -> bool:
    try:
        return state(pid) not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pids: list[int], seconds: float = 20) -> bool:
    """Whether they all end, waiting on the kernel's own word for each."""
    import select

    until = time.monotonic() + seconds
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([handle], [], [], max(0, until - time.monotonic()))[0]:
                return False
        finally:
            os.close(handle)
    return True


@contextmanager
def a_host(folder: Path, level: str, source: str = FORKING) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A host of its own with a child that started others; and the process ids, the supervisor's first."""
    command = [sys.executable, "-c", HOST.format(root=str(ROOT)), str(folder), level, source]
    tree: list[int] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        supervisor, child = map(int, host.stdout.readline().split())
        tree = [supervisor, *dict.fromkeys([child, *descendants(supervisor)])]
        try:
            yield host, tree
        finally:
            host.kill()
            for pid in filter(is_alive, tree):
                os.kill(pid, signal.SIGKILL)


@linux_only
@pytest.mark.parametrize("level", ["isolated", "none"])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_host_that_is_killed_leaves_no_process(tmp_path: Path, level: str, stopped: bool) -> None:
    with a_host(tmp_path, level) as (host, tree):
        assert len(tree) == 5
        if stopped:
            os.kill(tree[0], signal.SIGSTOP)
        host.kill()
        assert gone(tree)


HARDENED = """
import ctypes, os, threading, time
def main(task):
    # No longer to be killed with its parent: the signal cleared, and a program started from another thread.
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    task.progress("ready")
    import sys
    program = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    threading.Thread(target=os.execv, args=(sys.executable, program)).start()
    time.sleep(600)
"""


@linux_only
@pytest.mark.parametrize("level", ["isolated", "none"])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_child_that_dodges_the_parent_death_signal_ends_with_its_host_all_the_same(
    tmp_path: Path, level: str, stopped: bool
) -> None:
    with a_host(tmp_path, level, source=HARDENED) as (host, tree):
        if stopped:
            os.kill(tree[0], signal.SIGSTOP)
        host.kill()
        assert gone(tree)


@linux_only
def test_the_end_of_a_thread_that_started_a_child_does_not_end_the_child(tmp_path: Path) -> None:
    spec = agent(tmp_path, "def main(task): return 1")

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            spawned = pool.submit(spawn, spec, tmp_path).result()
        child = Child(spawned, spec)
        try:
            await child.receive()
            await child.send(Start("r", "", spec.policy, 0, b"1", ()))
            assert await child.receive() == Result(0, b"1")
        finally:
            await child.dispose()

    anyio.run(main)


@linux_only
def test_a_supervisor_that_is_asked_to_end_ends_the_tree(tmp_path: Path) -> None:
    with a_host(tmp_path, "none") as (_, tree):
        os.kill(tree[0], signal.SIGTERM)
        assert gone(tree)


def test_a_folder_is_removed_however_deep_it_is(tmp_path: Path) -> None:
    target = tmp_path / "gone"
    target.mkdir()
    (target / "work").mkdir()
    descriptor = os.open(target / "work", os.O_RDONLY)
    for _ in range(1100):  # deeper than a path can be long and Python's stack can be
        os.mkdir("deeper", dir_fd=descriptor)
        inner = os.open("deeper", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    assert remove_folder(target)
    assert not target.exists()


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    target = tmp_path / "gone"
    target.mkdir()
    (target / "link").symlink_to(kept)
    (target / "dangling").symlink_to("/nowhere")
    assert remove_folder(target)
    assert (kept / "file").exists()


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
modes = st.sampled_from([0o000, 0o300, 0o400, 0o500, 0o700])


@settings(max_examples=60, deadline=None)
@given(entries=st.lists(st.tuples(st.lists(names, min_size=1, max_size=4), st.booleans(), modes), max_size=12))
def test_whatever_a_child_makes_of_its_folder_it_is_removed(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[list[str], bool, int]]
) -> None:
    target = tmp_path_factory.mktemp("x") / "gone"
    (target / "work").mkdir(parents=True)
    made = []
    for parts, folder, mode in entries:
        path = os.path.join(target, "work", *(f"_{part}" for part in parts))
        try:
            if folder:
                os.makedirs(path, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb"):
                    pass
        except (OSError, ValueError):
            continue
        made.append((path, mode))
    for path, mode in sorted(made, reverse=True):
        os.chmod(path, mode)
    assert remove_folder(target)


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder of an ordinary user, and being that user, where the tests run as root."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() != 0:
            yield Path(folder)
            return
        os.chown(folder, NOBODY, NOBODY)
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)
            os.setegid(0)


def test_an_ordinary_user_removes_folders_without_permissions_as_well(nobody: Path) -> None:
    target = nobody / "gone"
    os.makedirs(target / "work/a/b/c")
    (target / "work/a/b/file").touch()
    os.makedirs(target / "work/listed")
    (target / "work/listed/file").touch()
    os.chmod(target / "work/listed", 0o500)
    for path in ("work/a/b/c", "work/a/b", "work/a", "work"):
        os.chmod(target / path, 0)
    assert remove_folder(target)
    assert not target.exists()


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert not remove_folder(file)
    assert remove_folder(tmp_path / "never there")


@linux_only
def test_all_below_a_process_are_found_and_killed() -> None:
    code = (
        "import os, time, sys\n"
        "from hephaestus_runner import limits\n"
        "limits.adopt_orphans()\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork():\n"
        "            os._exit(0)\n"
        "        time.sleep(600)\n"
        "for _ in range(3): os.wait()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        below = descendants(process.pid)
        assert len(below) == 3
        assert kill_below(process.pid) == 3
        assert gone(below)
        assert kill_below(process.pid) == 0
        process.kill()


LEADERLESS = """
import ctypes, threading, time
def main(task):
    threading.Thread(target=time.sleep, args=(600,)).start()
    task.progress("ready")
    ctypes.CDLL(None).syscall(60 if __import__("platform").machine() == "x86_64" else 93, 0)  # exit of this thread only
"""


@linux_only
@pytest.mark.anyio
async def test_a_child_that_goes_on_without_its_first_thread_is_seen_and_killed(tmp_path: Path) -> None:
    async with working(agent(tmp_path, LEADERLESS, level="none"), tmp_path) as child:
        await child.receive()
        assert child.pid is not None
        while state(child.pid) != "Z":
            await anyio.lowlevel.checkpoint()
        assert descendants(child.supervisor) == [child.pid]


@root_only
def test_all_processes_of_a_user_are_found_and_killed() -> None:
    uid = 64_999
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=uid) as process:
        assert of_user(uid) == [process.pid]
        assert kill_of_user(uid, 10) == 0
        assert gone([process.pid])
