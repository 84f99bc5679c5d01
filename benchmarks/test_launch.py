"""How long does it take from asking for a child to its first message, confined and attested?

Baseline, in the same run: a bare ``python -I -S -c pass`` of the same interpreter, run to its end. Unit: seconds. What
lies between the two is the runner's imports, confinement, and the host's look at the child.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import anyio.from_thread
import pytest

from hephaestus.runtime.launch import LaunchSpec, launch
from hephaestus.runtime.layout import layout
from hephaestus_runner.protocol import Policy, Result, Start

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.from_thread import BlockingPortal
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are confined on Linux only")

ROUNDS = {"rounds": 30, "warmup_rounds": 3}


@pytest.fixture
def spec(tmp_path: Path) -> LaunchSpec:
    package = tmp_path / "package"
    (package / "src").mkdir(parents=True)
    (package / "src" / "agent.py").write_text("def main(task):\n    return task.input\n")
    for path in (package, *package.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return LaunchSpec(role="agent", policy=Policy(), package=package, entry="agent:main")


@pytest.mark.benchmark(group="launch")
def test_bare_interpreter(benchmark: BenchmarkFixture) -> None:
    command = [layout().python, "-I", "-S", "-c", "pass"]
    benchmark.pedantic(lambda: subprocess.run(command, env={}, check=True), **ROUNDS)


@pytest.mark.benchmark(group="launch")
@pytest.mark.parametrize("level", ["isolated", "none"])
def test_launch_to_first_message(benchmark: BenchmarkFixture, spec: LaunchSpec, tmp_path: Path, level: str) -> None:
    policy = Policy(level=level)  # type: ignore[arg-type]
    asked = LaunchSpec(role="agent", policy=policy, package=spec.package, entry=spec.entry)
    with anyio.from_thread.start_blocking_portal() as portal:
        opened: list[object] = []

        def once() -> None:
            manager = portal.wrap_async_context_manager(launch(asked, runs=tmp_path))
            manager.__enter__()
            opened.append(manager)

        def finish() -> None:
            while opened:
                opened.pop().__exit__(None, None, None)  # type: ignore[attr-defined]

        # Ending a child is not part of the question.
        benchmark.pedantic(once, setup=finish, **ROUNDS)
        finish()


@pytest.mark.benchmark(group="whole life of a child")
def test_launch_work_answer_and_verified_disposal(
    benchmark: BenchmarkFixture, spec: LaunchSpec, tmp_path: Path
) -> None:
    async def once() -> None:
        async with launch(spec, runs=tmp_path) as child:
            await child.send(Start("run", "bench@1.0.0", spec.policy, 1, b"1", ()))
            assert await child.receive() == Result(0, b"1")
        assert child.disposal is not None
        assert child.disposal.verified

    def run(portal: BlockingPortal) -> None:
        portal.call(once)

    with anyio.from_thread.start_blocking_portal() as portal:
        benchmark.pedantic(run, args=(portal,), **ROUNDS)
