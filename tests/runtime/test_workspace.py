"""A private folder and the children in it: whoever was started is counted, and the caller's umask decides nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from tests.support.children import agent, linux_only

from hephaestus.errors import ChildError
from hephaestus.runtime import spawn as spawn_module
from hephaestus.runtime.child import Child
from hephaestus.runtime.workspace import Workspace, errand, workspace
from hephaestus.taskforce.disposal import dispose
from hephaestus_runner.protocol import Level

pytestmark = [pytest.mark.anyio, linux_only]

TELLS = """
    import os
    from hephaestus_runner.config import WORK
    def main(task):
        (task.scratch / "made").write_text("x")
        return [os.stat(task.scratch / "made").st_mode & 0o777, os.path.exists(os.path.join(WORK, "made"))]
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def private_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.parametrize("level", ["isolated", "none"])
@pytest.mark.usefixtures("private_umask")
async def test_children_start_whatever_the_umask_of_the_host_is(tmp_path: Path, level: Level) -> None:
    spec = agent(tmp_path, TELLS, level=level)
    async with workspace(tmp_path / "runs") as place:
        assert stat.S_IMODE(place.folder.stat().st_mode) == 0o755
        answer = await errand(place, spec, b"null")
    assert answer == (b"[384,true]" if level == "isolated" else b"[384,false]")
    assert names(tmp_path / "runs") == []


async def test_a_child_that_fails_before_it_is_ready_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "fails.py"
    script.write_text("raise SystemExit(3)")
    monkeypatch.setattr(spawn_module, "_MAIN", str(script))
    async with workspace(tmp_path / "runs") as place:
        with pytest.raises(ChildError, match="ended before it was ready"):
            async with place.launch(agent(tmp_path, TELLS)):
                pytest.fail("it was not ready")
        assert (len(place.disposals), place.attested) == (1, [])
        assert dispose(place.folder, place.disposals).children == 1


async def test_a_child_that_is_given_up_before_it_is_ready_is_counted(tmp_path: Path) -> None:
    async with workspace(tmp_path / "runs") as place:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with place.launch(agent(tmp_path, TELLS)):
                pytest.fail("nobody waited for it")
        assert [one.verified for one in place.disposals] == [True]
        assert str(place.disposals[0].processes[0]) not in names(Path("/proc"))


async def test_a_disposal_that_fails_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "fails.py"
    script.write_text("raise SystemExit(3)")
    monkeypatch.setattr(spawn_module, "_MAIN", str(script))
    disposed = Child.dispose

    async def fail(child: Child) -> None:
        await disposed(child)
        child.disposal = None
        raise OSError("no descriptors")

    monkeypatch.setattr(Child, "dispose", fail)
    async with workspace(tmp_path / "runs") as place:
        with pytest.raises(OSError, match="no descriptors"):
            async with place.launch(agent(tmp_path, TELLS)):
                pytest.fail("it was not ready")
        found = dispose(place.folder, place.disposals)
        assert (found.verified, found.children) == (False, 1)


async def test_a_folder_that_cannot_be_made_leaves_no_lock(tmp_path: Path) -> None:
    (tmp_path / "run-0").mkdir()
    with pytest.raises(FileExistsError):
        async with workspace(tmp_path, "run-0"):
            pytest.fail("it is there already")
    assert names(tmp_path) == ["run-0"]


async def test_a_folder_that_cannot_be_removed_keeps_its_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hephaestus.runtime.workspace.remove_folder", lambda _: False)
    async with workspace(tmp_path, "run-0") as place:
        assert isinstance(place, Workspace)
    assert names(tmp_path) == ["run-0", "run-0.lock"]
