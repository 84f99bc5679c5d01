"""A child may do what it likes: it is one clear error, its whole tree ends, and nothing else is harmed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.children import agent, answer, linux_only, messages, start, working

from hephaestus.errors import ChildError, ChildTimeout, ProtocolError
from hephaestus.runtime import child as child_module
from hephaestus.runtime.channel import MAX_QUEUE
from hephaestus.runtime.child import Child
from hephaestus.runtime.launch import LaunchSpec, launch
from hephaestus_runner.processes import descendants
from hephaestus_runner.protocol import Call, Event, Failure, Level, Result, ToolCall

pytestmark = [pytest.mark.anyio, linux_only]

WRITES = """
    import os, time
    def main(task):
        pipe = task._channel._writer
        {}
        time.sleep(60)
"""


def writes(line: str) -> str:
    return WRITES.format(line)


async def to_the_end(child: Child) -> None:
    while await child.receive() is not None:
        pass


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("os.write(pipe, b'print(1)\\n' * 1000)", "over the limit"),
        ("os.write(pipe, b'\\xff\\xff\\xff\\xff')", "over the limit"),
        ("os.write(pipe, b'\\x03\\0\\0\\0abc')", "not a message"),
        ("os.write(pipe, b'\\x0b\\0\\0\\0\\x81\\xa4type\\xa4Evil')", "not a message"),
        ("os.write(pipe, b'\\x50\\0\\0\\0half'); os.close(pipe)", "inside a frame"),
        (
            "os.write(pipe, b'\\x0f\\0\\0\\0\\x82\\xa4type\\xa6Accepted'[:0]); task._channel.send(_accepted())",
            "only a host",
        ),
        ("[task.progress('x') for _ in range(20_000)]", "more than 10000 messages"),
    ],
    ids=["garbage", "oversized", "malformed", "unknown tag", "cut short", "a host's message", "flood"],
)
async def test_what_is_no_message_ends_that_child_with_a_protocol_error(tmp_path: Path, line: str, text: str) -> None:
    source = "def _accepted():\n        from hephaestus_runner.protocol import Accepted\n        return Accepted(1)\n"
    async with working(agent(tmp_path, f"\n    {source}{writes(line)}"), tmp_path) as child:
        with pytest.raises(ProtocolError, match=text):
            await to_the_end(child)
    assert child.exit is not None
    assert child.exit.code == -signal.SIGKILL


async def test_a_broken_child_harms_no_other(tmp_path: Path) -> None:
    broken = agent(tmp_path / "1", writes("os.write(pipe, b'\\xff' * 8)"))
    sound = agent(tmp_path / "2", "def main(task): return task.tool('x', 1)")
    async with working(sound, tmp_path) as good:
        async with working(broken, tmp_path / "1") as bad:
            with pytest.raises(ProtocolError):
                await bad.receive()
        await good.receive()
        await good.send(Result(1, b"2"))
        assert await good.receive() == Result(0, b"2")


@pytest.mark.parametrize("level", ["isolated", "none"])
async def test_prints_are_no_messages(tmp_path: Path, level: Level) -> None:
    source = """
        import os
        def main(task):
            os.write(1, b"\\xff\\xff\\xff\\xff not for the pipe")
            os.write(2, b"\\0" * 10)
            return 1
    """
    found, child = await messages(agent(tmp_path, source, level=level), tmp_path)
    assert found[0] == Result(0, b"1")
    assert child.logs[0].text == "\ufffd\ufffd\ufffd\ufffd not for the pipe"


@pytest.mark.parametrize("code", ["os._exit(0)", "os.kill(os.getpid(), 9)", "os.abort()", "ctypes.string_at(0)"])
async def test_a_child_that_ends_at_once_is_an_end_without_an_answer(tmp_path: Path, code: str) -> None:
    # As process 1 of its namespace it cannot even kill itself; then it answers.
    found, child = await messages(agent(tmp_path, f"import os, ctypes\ndef main(task): {code}"), tmp_path)
    assert found == [] or code == "os.kill(os.getpid(), 9)"
    assert child.exit is not None
    assert child.exit.why == "ended"


async def test_a_module_that_exits_while_it_is_imported_is_no_clean_end(tmp_path: Path) -> None:
    failed = await answer(agent(tmp_path, "import sys\nsys.exit()"), tmp_path)
    assert isinstance(failed, Failure)
    assert failed.cause == "agent_code"


@pytest.mark.parametrize("level", ["isolated", "none"])
async def test_a_child_that_hangs_with_every_signal_blocked_is_killed(tmp_path: Path, level: Level) -> None:
    source = """
        import signal, time
        def main(task):
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            while True:
                time.sleep(1)
    """
    async with working(agent(tmp_path, source, level=level, wall_ms=400), tmp_path) as child:
        with pytest.raises(ChildTimeout):
            await child.receive()


@pytest.mark.parametrize("level", ["isolated", "none"])
async def test_everything_that_a_child_started_ends_with_it(tmp_path: Path, level: Level) -> None:
    # Each of them leaves its session and its parent, as a daemon does.
    source = """
        import os, time
        def main(task):
            for _ in range(8):
                if os.fork() == 0:
                    os.setsid()
                    if os.fork() == 0:
                        os.setsid()
                        time.sleep(600)
                    os._exit(0)
            for _ in range(8):
                os.wait()
            task.tool("look now", 1)
    """
    async with working(agent(tmp_path, source, level=level), tmp_path) as child:
        assert isinstance(await child.receive(), ToolCall)
        tree = descendants(child.supervisor)
        assert len(tree) == 9
    assert child.disposal is not None
    assert child.disposal.processes_left == ()
    assert [pid for pid in tree if is_alive(pid)] == []


async def test_a_fork_bomb_meets_the_limit_of_processes(tmp_path: Path) -> None:
    source = """
        import os, time
        def main(task):
            made = 0
            try:
                while made < 200:
                    if os.fork() == 0:
                        time.sleep(600)
                        os._exit(0)
                    made += 1
            except BlockingIOError:
                pass
            return made
    """
    made = await answer(agent(tmp_path, source, processes=10), tmp_path)
    assert made == 9  # the child itself is one of the ten


async def test_a_fork_bomb_without_a_user_of_its_own_is_ended_by_the_supervisor(tmp_path: Path) -> None:
    source = """
        import os, time
        def main(task):
            for _ in range(40):
                if os.fork() == 0:
                    time.sleep(600)
            time.sleep(600)
    """
    found, child = await messages(agent(tmp_path, source, level="none", processes=10), tmp_path)
    assert found == []
    assert child.exit is not None
    assert "more processes than its limit" in str(child.exit)


async def test_a_child_that_only_computes_meets_the_limit_of_cpu_time(tmp_path: Path) -> None:
    found, child = await messages(agent(tmp_path, "def main(task):\n    while True: pass", cpu_s=1), tmp_path)
    assert found == []
    assert str(child.exit) == "killed by SIGKILL"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("open(task.scratch / 'big', 'wb').write(b'x' * (3 << 20))", "No space left|File too large"),
        ("[open(task.scratch / str(n), 'wb').write(b'x' * (900 << 10)) for n in range(9)]", "No space left"),
        ("[open(task.scratch / str(n), 'wb').close() for n in range(100_000)]", "No space left"),
        ("[open('/dev/null') for n in range(300)]", "Too many open files"),
    ],
)
async def test_a_full_working_folder_or_too_many_files_are_the_childs_own_error(
    tmp_path: Path, code: str, text: str
) -> None:
    source = f"""
        import signal
        def main(task):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            keep = {code}
    """
    failed = await answer(agent(tmp_path, source, disk_bytes=1 << 20, file_bytes=2 << 20), tmp_path)
    assert isinstance(failed, Failure)
    assert re.search(text, failed.message), failed.message


async def test_a_child_that_closes_its_pipes_is_at_its_end(tmp_path: Path) -> None:
    source = "import os, time\ndef main(task):\n    os.closerange(0, 100)\n    time.sleep(600)"
    found, _ = await messages(agent(tmp_path, source), tmp_path)
    assert found == []


async def test_descriptors_that_a_child_was_not_given_are_closed_in_it(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    source = """
        import os
        def main(task):
            known = {0, 1, 2, task._channel._reader, task._channel._writer}
            done = []
            for fd in range(3, 512):
                if fd not in known:
                    try:
                        os.write(fd, b"boo")
                        done.append(fd)
                    except OSError:
                        pass
            return done
    """
    try:
        assert await answer(agent(tmp_path, source), tmp_path) == []
        os.set_blocking(read, False)
        with pytest.raises(BlockingIOError):
            os.read(read, 10)
    finally:
        os.close(read)
        os.close(write)


async def test_a_child_that_stops_reading_does_not_keep_its_host(tmp_path: Path) -> None:
    source = "import time\ndef main(task): time.sleep(600)"
    async with working(agent(tmp_path, source, wall_ms=600), tmp_path) as child:
        big = Result(1, b'"' + b"x" * (4 << 20) + b'"')
        with pytest.raises(ChildTimeout):
            await child.send(big)


async def test_a_child_that_is_gone_cannot_be_told_anything(tmp_path: Path) -> None:
    async with working(agent(tmp_path, "import os\ndef main(task): os._exit(3)"), tmp_path) as child:
        assert await child.receive() is None
        with pytest.raises(ChildError, match="exit status 3"):
            await child.send(Result(1, b"1"))


@pytest.mark.parametrize("level", ["isolated", "none"])
async def test_a_supervisor_that_was_killed_takes_the_child_along(tmp_path: Path, level: Level) -> None:
    spec = agent(tmp_path, "import time\ndef main(task): time.sleep(600)", level=level)
    async with working_unverified(spec, tmp_path) as child:
        os.kill(child.supervisor, signal.SIGKILL)
        assert await child.receive() is None
        assert child.pid is not None
    assert child.disposal is not None
    assert child.disposal.processes_left == ()
    assert child.disposal.folder_gone
    # Without a namespace, what the child may have started before is out of sight, and that is said.
    assert child.disposal.verified == (level == "isolated")


@pytest.mark.parametrize("level", ["isolated", "none"])
async def test_a_supervisor_that_was_stopped_does_not_save_the_tree(
    tmp_path: Path, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "END_S", 0.3)
    source = """
        import os, time
        def main(task):
            for _ in range(3):
                if os.fork() == 0:
                    os.setsid()
                    time.sleep(600)
            task.progress("ready")
            time.sleep(600)
    """
    spec = agent(tmp_path, source, level=level)
    async with working_unverified(spec, tmp_path) as child:
        assert isinstance(await child.receive(), Event)
        tree = descendants(child.supervisor)
        assert len(tree) >= 4
        os.kill(child.supervisor, signal.SIGSTOP)
    assert [pid for pid in tree if is_alive(pid)] == []
    assert child.disposal is not None
    assert child.disposal.processes_left == ()


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


@asynccontextmanager
async def working_unverified(spec: LaunchSpec, folder: Path) -> AsyncIterator[Child]:
    """As ``working``, for children whose end cannot be verified or is looked at by the test."""
    async with launch(spec, runs=folder) as child:
        await child.send(start(spec))
        yield child


async def test_a_queue_that_nobody_empties_makes_the_child_wait(tmp_path: Path) -> None:
    source = "def main(task):\n    for n in range(3000): task.progress(str(n))\n    task.tool('x', 1)"
    async with working(agent(tmp_path, source), tmp_path) as child:
        seen = 0
        while isinstance(await child.receive(), Event):
            seen += 1
            assert len(child._channel._queue) < MAX_QUEUE + 65_536 // 20
        assert seen == 3000


async def test_an_agent_may_not_make_its_host_wait_for_a_deadline_of_its_own_choosing(tmp_path: Path) -> None:
    source = "def main(task): task.call('x', 1, deadline_ms=10**12)"
    async with working(agent(tmp_path, source, wall_ms=500), tmp_path) as child:
        assert isinstance(await child.receive(), Call)
        with pytest.raises(ChildTimeout):
            await child.receive()
