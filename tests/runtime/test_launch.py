"""Launching: a confined child does its work, answers, and leaves nothing; what cannot be started says why."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest
from tests.support.children import agent, answer, linux_only, messages, package, policy, root_only, start, working

from hephaestus.errors import ChildError, ChildTimeout, IsolationUnavailable, ProtocolError, StorageError, UsageError
from hephaestus.runtime import layout, spawn, uids
from hephaestus.runtime.launch import LaunchSpec, launch
from hephaestus_runner.protocol import (
    Accepted,
    Ask,
    Bye,
    Call,
    Event,
    Failure,
    Feedback,
    File,
    Findings,
    Log,
    Reply,
    Result,
    Stop,
    Submit,
    ToolCall,
)

pytestmark = [pytest.mark.anyio, linux_only]


async def test_an_agent_is_given_its_input_and_its_result_comes_back(tmp_path: Path) -> None:
    spec = agent(tmp_path, "def main(task): return {'got': task.input, 'seed': task.seed}")
    found, child = await messages(spec, tmp_path, {"request": "ä"})
    assert found[0] == Result(0, '{"got":{"request":"ä"},"seed":7}'.encode())
    assert isinstance(found[1], Bye)
    assert found[1].usage.peak_bytes > 1 << 20
    assert child.hello.level_reached == child.attested.level == "isolated"
    assert str(child.exit) == "exit status 0"


async def test_a_child_sees_a_small_root_an_empty_environment_and_one_private_folder(tmp_path: Path) -> None:
    source = """
        import os, sys
        def main(task):
            (task.scratch / "mine").write_text("x")
            return {
                "root": sorted(os.listdir("/")), "environ": dict(os.environ), "cwd": os.getcwd(), "pid": os.getpid(),
                "opt": sorted(os.listdir("/opt/hephaestus")), "dev": sorted(os.listdir("/dev")), "uid": os.getuid(),
                "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd")), "host": os.uname().nodename,
            }
    """
    seen = await answer(agent(tmp_path, source), tmp_path)
    assert {"dev", "opt", "package", "proc", "work"} <= set(seen["root"])
    assert not {"home", "tmp", "var", "sys", "run", "boot", "mnt", "srv"} & set(seen["root"])
    assert seen["environ"] == {
        "HOME": "/work", "TMPDIR": "/work", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
    }  # fmt: skip
    assert (seen["cwd"], seen["pid"], seen["host"]) == ("/work", 1, "hephaestus")
    assert seen["dev"] == ["full", "null", "random", "urandom", "zero"]
    assert {"apsw", "hephaestus_runner", "msgspec"} <= set(seen["opt"])
    assert seen["uid"] != 0
    # 0, 1, 2, two pipes, the one that the listing itself opens, and the one of coverage, if there is one.
    assert len(seen["fds"]) == 6 + len(spawn._EXTRA_FDS)


async def test_what_is_printed_is_kept_up_to_the_bound_and_the_rest_dropped_with_a_note(tmp_path: Path) -> None:
    source = """
        import sys
        def main(task):
            print("out")
            print("e" * 100_000, file=sys.stderr)
    """
    _, child = await messages(agent(tmp_path, source, output_bytes=1000), tmp_path)
    out, err = child.logs
    assert out == Log("stdout", "out\n")
    assert err.stream == "stderr"
    assert err.text.startswith("e" * 1000 + "\n[the rest was dropped")
    assert len(err.text) < 1100


async def test_progress_of_an_agent_is_an_event(tmp_path: Path) -> None:
    found, _ = await messages(agent(tmp_path, "def main(task): task.progress('half \\ud800 way')"), tmp_path)
    assert found[0] == Event("progress", b'{"text":"half ? way"}')


async def test_a_model_answers_an_agent_and_its_failure_is_the_models(tmp_path: Path) -> None:
    source = """
        def main(task):
            first = task.model.complete([{"role": "user", "content": "hi"}], max_tokens=5)
            return task.model.complete([{"role": "user", "content": first}])
    """
    async with working(agent(tmp_path, source), tmp_path, {"model": True}) as child:
        asked = await child.receive()
        assert asked == ToolCall(1, "model", b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":5}')
        await child.send(Result(1, b'{"text":"hello"}'))
        again = await child.receive()
        assert isinstance(again, ToolCall)
        await child.send(Failure(again.id, "model", "the upstream is down"))
        ended = await child.receive()
        assert isinstance(ended, Failure)
        assert (ended.cause, ended.message) == ("model", "the upstream is down")


async def test_an_orchestrator_calls_submits_and_asks(tmp_path: Path) -> None:
    source = """
        def main(task):
            value = task.call("other", {"a": 1}, deadline_ms=500)
            findings = task.submit(value)
            assert findings.remaining == 2, findings
            reply = task.ask("sure?", {"type": "boolean"})
            accepted = task.submit([value, reply])
            return type(accepted).__name__
    """
    spec = agent(tmp_path, source)
    spec = LaunchSpec(role="orchestrator", policy=spec.policy, package=spec.package, entry=spec.entry)
    async with working(spec, tmp_path) as child:
        assert await child.receive() == Call(1, "other", b'{"a":1}', 500)
        await child.send(Result(1, b'"v"'))
        assert await child.receive() == Submit(2, b'"v"')
        await child.send(Findings(2, 1, 2, (Feedback("c", "e", "f", ""),)))
        assert await child.receive() == Ask(3, "sure?", b'{"type":"boolean"}')
        await child.send(Reply(3, b"true"))
        assert await child.receive() == Submit(4, b'["v",true]')
        await child.send(Accepted(4))
        assert await child.receive() == Result(0, b'"Accepted"')


async def test_the_built_in_orchestrator_needs_no_package_and_refuses_what_is_no_plan(tmp_path: Path) -> None:
    spec = LaunchSpec(role="orchestrator", policy=policy())
    work = {"request": "q", "context": {}, "plan": {"agent": "a", "deadline_ms": 9}}
    async with working(spec, tmp_path, work) as child:
        called = await child.receive()
        assert isinstance(called, Call)
        await child.send(Failure(called.id, "agent_code", "it broke"))
        failed = await child.receive()
        assert isinstance(failed, Failure)
        assert (failed.cause, failed.message) == ("agent_code", "it broke")
    refused = await answer(spec, tmp_path, {"request": "q"})
    assert refused.cause == "orchestration"


async def test_a_check_of_a_package_runs_over_plain_data(tmp_path: Path) -> None:
    source = "def check(artefact, params): return {'inspected': len(artefact), 'findings': [params]}"
    spec = LaunchSpec(role="check", policy=policy(), package=package(tmp_path, source))
    order = {"entry": "agent:check", "payload": {"artefact": [1, 2], "params": {"a": 1}}}
    assert await answer(spec, tmp_path, order) == {"inspected": 2, "findings": [{"a": 1}]}
    not_json = LaunchSpec(role="check", policy=policy(), package=package(tmp_path / "2", "def check(a, p): return {1}"))
    failed = await answer(not_json, tmp_path, order)
    assert failed.cause == "check"


async def test_an_inspection_says_what_is_wrong_with_each_entry_point(tmp_path: Path) -> None:
    spec = LaunchSpec(role="inspect", policy=policy(), package=package(tmp_path, "number = 1\ndef fine(task): ..."))
    entries = ["agent:fine", "agent:number", "agent:gone", "nowhere:x", "json:dumps"]
    found = await answer(spec, tmp_path, {"entries": entries})
    assert found["agent:fine"] is None
    assert "int, not a function" in found["agent:number"]
    assert "has no 'gone'" in found["agent:gone"]
    assert "no module 'nowhere'" in found["nowhere:x"]
    assert "the package has no module 'json'" in found["json:dumps"]


@pytest.mark.parametrize(
    ("source", "cause", "text"),
    [
        ("def main(task): raise RuntimeError('oh')", "agent_code", "RuntimeError: oh"),
        ("def main(task): return {1, 2}", "output", "not a JSON value"),
        ("def main(task): return float('nan')", "output", "not a JSON value"),
        ("def main(task): return '\\ud800'", "output", "lone surrogate"),
        ("def main(task):\n    a = []\n    a.append(a)\n    return a", "output", "not a JSON value"),
        ("import sys\ndef main(task): sys.exit(0)", "agent_code", "SystemExit: 0"),
        ("import missing_module\ndef main(task): ...", "agent_code", "missing_module"),
        ("def main(task): return bytearray(2 << 30)", "agent_code", "more memory"),
        ("def main(task): task.knowledge.search('x')", "specification", "no knowledge"),
        ("def main(task): task.tool('x', {2})", "agent_code", "not a JSON value"),
        ("def main(task) syntax", "agent_code", "SyntaxError"),
        ("class E(Exception):\n    def __str__(self): 1/0\ndef main(task): raise E", "agent_code", "could not be made"),
        ("raise_ = 1", "agent_code", "has no 'main'"),
    ],
)
async def test_a_failure_names_the_part_that_is_to_blame(tmp_path: Path, source: str, cause: str, text: str) -> None:
    failed = await answer(agent(tmp_path, source), tmp_path)
    assert isinstance(failed, Failure)
    assert failed.cause == cause
    assert text in failed.message


async def test_an_artefact_above_the_frame_limit_travels_as_a_file(tmp_path: Path) -> None:
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    spec = agent(tmp_path, "def main(task): return 'x' * (9 << 20)", exchange=exchange)
    async with working(spec, tmp_path) as child:
        result = await child.receive()
        assert isinstance(result, Result)
        assert isinstance(result.value, File)
        assert len(await child.fetch(result.value)) == (9 << 20) + 2


async def test_an_artefact_above_the_frame_limit_without_an_exchange_folder_is_an_output_failure(
    tmp_path: Path,
) -> None:
    failed = await answer(agent(tmp_path, "def main(task): return 'x' * (9 << 20)"), tmp_path)
    assert failed.cause == "output"
    assert "no exchange folder" in failed.message


async def test_a_child_asked_to_stop_gives_up_and_says_goodbye(tmp_path: Path) -> None:
    async with working(agent(tmp_path, "def main(task): task.tool('x', 1)"), tmp_path) as child:
        assert isinstance(await child.receive(), ToolCall)
        await child.send(Stop(1000))
        ended = await child.receive()
        assert isinstance(ended, Failure)
        assert ended.cause == "caller"
        assert isinstance(await child.receive(), Bye)


async def test_a_child_that_takes_too_long_is_killed_and_told_from_one_that_crashed(tmp_path: Path) -> None:
    spec = agent(tmp_path, "import time\ndef main(task): time.sleep(60)", wall_ms=300)
    async with working(spec, tmp_path) as child:
        with pytest.raises(ChildTimeout, match="longer than 300 ms") as caught:
            await child.receive()
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, ChildError)
    assert child.exit is not None
    assert child.exit.code == -signal.SIGKILL


async def test_a_child_that_crashes_ends_without_an_answer_and_says_how(tmp_path: Path) -> None:
    source = "import os, signal\ndef main(task):\n    print('last words', flush=True)\n    os._exit(41)"
    found, child = await messages(agent(tmp_path, source), tmp_path)
    assert found == []
    assert str(child.exit) == "exit status 41"
    assert child.logs == (Log("stdout", "last words\n"),)


async def test_a_cancelled_caller_leaves_nothing_behind(tmp_path: Path) -> None:
    child = None
    with anyio.CancelScope() as scope:
        async with launch(agent(tmp_path, "def main(task): ..."), runs=tmp_path) as child:
            scope.cancel()
            await child.receive()
    assert child is not None
    assert child.disposal is not None
    assert child.disposal.verified


async def test_an_error_of_the_caller_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="mine"):
        async with launch(agent(tmp_path, "def main(task): ..."), runs=tmp_path):
            raise LookupError("mine")


async def test_one_task_sends_while_another_receives(tmp_path: Path) -> None:
    source = """
        def main(task):
            return sum(len(task.tool("x", number)) for number in range(5))
    """
    async with working(agent(tmp_path, source), tmp_path) as child:
        to_answer, waiting = anyio.create_memory_object_stream[int](10)

        async def answerer() -> None:
            async with waiting:
                async for number in waiting:
                    await child.send(Result(number, b'"' + b"y" * (1 << 20) + b'"'))

        async with anyio.create_task_group() as group, to_answer:
            group.start_soon(answerer)
            while isinstance(message := await child.receive(), ToolCall):
                await to_answer.send(message.id)
            assert message == Result(0, b"%d" % (5 << 20))
            group.cancel_scope.cancel()


async def test_many_children_at_once_each_have_a_user_id_of_their_own(tmp_path: Path) -> None:
    spec = agent(tmp_path, "import os\ndef main(task): return os.getuid()")
    runs = tmp_path / "runs"
    runs.mkdir()
    found: list[Result] = []
    everyone = anyio.Event()

    async def one() -> None:
        async with launch(spec, runs=runs) as child:
            await child.send(start(spec))
            message = await child.receive()
            assert isinstance(message, Result)
            found.append(message)
            if len(found) == 4:
                everyone.set()
            await everyone.wait()  # so that all of them are alive at the same time

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(one)
    if os.geteuid() == 0:
        assert len({message.value for message in found}) == 4
    assert os.listdir(runs) == []


@pytest.mark.parametrize("field", ["package", "shard", "exchange"])
async def test_a_path_that_is_not_there_is_a_usage_error(tmp_path: Path, field: str) -> None:
    spec = LaunchSpec(role="agent", policy=policy(), **{field: tmp_path / "gone"})
    with pytest.raises(UsageError, match=f"{field} .* does not exist"):
        async with launch(spec, runs=tmp_path):
            pytest.fail("it was started")
    assert os.listdir(tmp_path) == []


@root_only
async def test_a_package_that_only_root_can_read_is_refused_before_it_is_started(tmp_path: Path) -> None:
    closed = package(tmp_path, "")
    os.chmod(closed, 0o700)
    spec = LaunchSpec(role="inspect", policy=policy(), package=closed)
    with pytest.raises(UsageError, match="by its owner only") as caught:
        async with launch(spec, runs=tmp_path):
            pytest.fail("it was started")
    assert "chmod" in str(caught.value.hint)


@root_only
async def test_when_every_user_id_is_taken_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uids, "_taken", set(range(uids.FIRST, uids.FIRST + uids.COUNT)))
    with pytest.raises(IsolationUnavailable, match="user ids"):
        async with launch(agent(tmp_path, "def main(task): ..."), runs=tmp_path):
            pytest.fail("it was started")


async def test_a_supervisor_that_cannot_start_is_a_child_error_with_what_it_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "main.py"
    broken.write_text("raise SystemExit('no such luck')")
    monkeypatch.setattr(spawn, "_MAIN", str(broken))
    with pytest.raises(ChildError, match="before it was ready") as caught:
        async with launch(agent(tmp_path, "def main(task): ..."), runs=tmp_path):
            pytest.fail("it was started")
    assert "no such luck" in str(caught.value.hint)


async def test_an_interpreter_that_cannot_be_run_leaves_no_folder_and_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = agent(tmp_path, "def main(task): ...")
    runs = tmp_path / "runs"
    runs.mkdir()
    broken = layout.Layout("/nonexistent/python", "x", {}, (), ())
    monkeypatch.setattr(spawn, "layout", lambda: broken)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ChildError, match="no process could be started"):
        async with launch(spec, runs=runs):
            pytest.fail("it was started")
    assert os.listdir(runs) == []
    assert len(os.listdir("/proc/self/fd")) == before


async def test_no_descriptor_of_the_host_is_left_open(tmp_path: Path) -> None:
    spec = agent(tmp_path, "def main(task): return 1")
    await messages(spec, tmp_path)  # what the event loop opens once is open now
    before = sorted(os.listdir("/proc/self/fd"))
    await messages(spec, tmp_path)
    assert sorted(os.listdir("/proc/self/fd")) == before


async def test_a_message_over_the_frame_limit_is_refused_and_the_child_goes_on(tmp_path: Path) -> None:
    async with working(agent(tmp_path, "def main(task): return task.tool('x', 1)"), tmp_path) as child:
        asked = await child.receive()
        assert isinstance(asked, ToolCall)
        with pytest.raises(ProtocolError, match="over the frame limit"):
            await child.send(Result(asked.id, b'"' + b"x" * (9 << 20) + b'"'))
        await child.send(Result(asked.id, b"2"))
        assert await child.receive() == Result(0, b"2")


async def test_the_hash_seed_is_the_runs(tmp_path: Path) -> None:
    made = package(tmp_path, "def main(task): return hash('hephaestus')")
    found = []
    for seed in (1, 1, 2):
        spec = LaunchSpec(role="agent", policy=policy(), package=made, entry="agent:main", hash_seed=seed)
        found.append(await answer(spec, tmp_path))
    assert found[0] == found[1] != found[2]


async def test_a_private_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    spec = agent(tmp_path, "def main(task): ...")
    with pytest.raises(StorageError, match="private folder"):
        async with launch(spec, runs=tmp_path / "gone"):
            pytest.fail("it was started")


async def test_a_configuration_that_does_not_fit_is_a_usage_error(tmp_path: Path) -> None:
    spec = agent(tmp_path, "def main(task): ...")
    spec = LaunchSpec(role="agent", policy=spec.policy, package=spec.package, entry="x" * 70_000)
    with pytest.raises(UsageError, match="configuration"):
        async with launch(spec, runs=tmp_path):
            pytest.fail("it was started")
    assert os.listdir(tmp_path) == ["package"]


async def test_without_linux_only_level_none_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = agent(tmp_path, "def main(task): ...")
    monkeypatch.delattr(os, "pidfd_open")
    with pytest.raises(IsolationUnavailable, match="needs Linux"):
        async with launch(spec, runs=tmp_path):
            pytest.fail("it was started")


async def test_level_none_works_without_what_only_linux_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = agent(tmp_path, "def main(task): return 1", level="none")
    monkeypatch.delattr(os, "pidfd_open")
    assert await answer(spec, tmp_path) == 1


async def test_a_file_where_no_exchange_folder_was_given_is_a_protocol_error(tmp_path: Path) -> None:
    async with working(agent(tmp_path, "def main(task): task.tool('x', 1)"), tmp_path) as child:
        with pytest.raises(ProtocolError, match="no exchange folder"):
            await child.fetch(File("a", "sha256:", 1))


async def test_a_machine_that_refuses_a_fresh_proc_still_isolates_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in containers that mask parts of theirs.
    homes = sorted(set(layout.layout().homes.values()))
    script = tmp_path / "main.py"
    script.write_text(
        f"import sys; sys.path[:0] = {homes!r}\n"
        "from hephaestus_runner import main, namespaces\n"
        "mount = namespaces.syscalls.mount\n"
        "def refuse(source, target, kind, *rest):\n"
        "    if kind == 'proc': raise PermissionError(1, 'Operation not permitted')\n"
        "    mount(source, target, kind, *rest)\n"
        "namespaces.syscalls.mount = refuse\n"
        "main.main()\n"
    )
    monkeypatch.setattr(spawn, "_MAIN", str(script))
    async with working(agent(tmp_path, "import os\ndef main(task): return os.listdir('/proc')"), tmp_path) as child:
        assert child.attested.level == "isolated"
        assert "Operation not permitted" in child.attested.features["proc"]
        assert await child.receive() == Result(0, b"[]")


def test_bytecode_of_the_runner_is_left_where_importing_would_leave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module.py").write_text("x = 1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    layout._compile(str(tmp_path))
    assert os.listdir(tmp_path) == ["module.py"]
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    layout._compile(str(tmp_path))
    assert "__pycache__" in os.listdir(tmp_path)


def test_a_package_that_is_not_installed_as_a_folder_cannot_be_given() -> None:
    for name in ("this", "no_such_package"):
        with pytest.raises(ImportError, match=name):
            layout._folder(name)


def test_nothing_inside_a_bound_folder_is_bound_again() -> None:
    targets = [bind.target for bind in layout.layout().binds]
    assert len(targets) == len(set(targets))
    for target in targets:
        assert not [other for other in targets if target.startswith(other + "/")]
