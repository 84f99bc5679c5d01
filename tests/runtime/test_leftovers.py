"""What a killed host leaves is tidied up by the next one, and only when nobody uses it any more."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import msgspec
import pytest
from tests.support.children import linux_only, package

from hephaestus.errors import StorageError
from hephaestus.receipts import Draft, Entry, Journal
from hephaestus.runtime import leftovers
from hephaestus.runtime.leftovers import ENDED, sweep
from hephaestus.runtime.workspace import workspace
from hephaestus.taskforce import Disposal, explain

pytestmark = pytest.mark.anyio

RUN = "run-0123456789abcdef"
DECISION = Draft(kind="decision", run=RUN, body={"kind": "no_route"}, secrets={"request": b"x"})

HOST = """
import sys
from pathlib import Path
import anyio
from hephaestus.runtime.launch import LaunchSpec
from hephaestus.runtime.workspace import workspace
from hephaestus_runner.protocol import Policy, Start

async def main(runs, package, name):
    policy = Policy(level="none")
    spec = LaunchSpec(role="agent", policy=policy, package=package, entry="agent:main")
    async with workspace(runs, name) as place, place.launch(spec) as child:
        await child.send(Start(name, "test@1.0.0", policy, 7, b"null", ()))
        await child.receive()
        print(child.supervisor, flush=True)
        await anyio.sleep_forever()

anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
"""

ASLEEP = """
    import time
    def main(task):
        task.progress("asleep")
        time.sleep(600)
"""


def abandoned(runs: Path, name: str = RUN) -> Path:
    """What a host leaves that is gone since long."""
    (runs / name / "child-1" / "work").mkdir(parents=True)
    (runs / name / "child-1" / "work" / "file").write_text("x")
    (runs / f"{name}.lock").touch()
    return runs / name


def started(runs: Path, made: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", HOST, runs, made, RUN], stdout=subprocess.PIPE)


def holders(path: Path) -> set[int]:
    """The processes that have a file open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # it ended, or closed it
            if link.readlink() == path:
                found.add(int(link.parts[2]))
    return found


@linux_only
async def test_a_killed_host_is_tidied_up_after_when_its_last_supervisor_is_gone(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    made = package(tmp_path, ASLEEP)
    with started(runs, made) as host:
        assert host.stdout is not None
        supervisor = int(host.stdout.readline())
        async with Journal.open(tmp_path / "journal.db") as journal:
            await journal.append(DECISION)
            assert await sweep(runs, journal) == ()
            # Not the host alone holds the lock, but whoever ends its children; and never the child itself.
            assert holders(runs / f"{RUN}.lock") == {host.pid, supervisor}
            host.kill()
            lock = os.open(runs / f"{RUN}.lock", os.O_RDWR)
            await anyio.to_thread.run_sync(fcntl.flock, lock, fcntl.LOCK_EX)
            os.close(lock)
            assert await sweep(runs, journal) == (RUN,)
            assert list(runs.iterdir()) == []
            assert (await explain(journal, RUN)).cause == "caller"


async def test_a_run_without_an_ending_is_given_one_and_a_disposal_that_nobody_saw(tmp_path: Path) -> None:
    abandoned(tmp_path)
    digest = "sha256:" + "0" * 64
    async with Journal.open(tmp_path / "journal.db") as journal:
        await journal.append(
            DECISION,
            Draft(kind="start", run=RUN, body={"instance": "a#1"}),
            Draft(kind="attempt", run=RUN, body={"attempt": 1, "artefact": digest, "size": 1}),
            Draft(kind="verdict", run=RUN, body={"attempt": 1, "ruling": "SentBack"}),
            Draft(kind="verdict", run=RUN, body={"attempt": 2, "ruling": "Unclear"}),
        )
        assert await sweep(tmp_path, journal) == (RUN,)
        *_, last, disposal, ending = await journal.entries(run=RUN)
        found = msgspec.convert(disposal.value, Disposal)
        assert (found.verified, found.children, found.folders_left) == (False, 1, ())
        assert ending.value == {
            "kind": "undecided",
            "cause": "caller",
            "attempts": 1,
            "entries": [last.seq],
            "artefact": digest,
        }
        assert await journal.secrets(ending) == {"message": ENDED.encode()}
        assert await sweep(tmp_path, journal) == ()


async def test_what_is_in_use_stays(tmp_path: Path) -> None:
    async with Journal.open(tmp_path / "journal.db") as journal, workspace(tmp_path, RUN) as place:
        await journal.append(DECISION)
        assert await sweep(tmp_path, journal) == ()
        assert place.folder.is_dir()
        assert len(await journal.entries(run=RUN)) == 1


async def test_a_run_that_ended_is_not_ended_again(tmp_path: Path) -> None:
    abandoned(tmp_path)
    ending = Draft(kind="ending", run=RUN, body={"kind": "verified"})
    async with Journal.open(tmp_path / "journal.db") as journal:
        await journal.append(DECISION, ending)
        assert await sweep(tmp_path, journal) == (RUN,)
        assert len(await journal.entries(run=RUN)) == 2


async def test_a_run_that_was_disposed_of_only_lacks_its_ending(tmp_path: Path) -> None:
    abandoned(tmp_path)
    async with Journal.open(tmp_path / "journal.db") as journal:
        await journal.append(DECISION, Draft(kind="disposal", run=RUN, body={"verified": True}))
        await sweep(tmp_path, journal)
        assert [entry.kind for entry in await journal.entries(run=RUN)] == ["decision", "disposal", "ending"]


async def test_an_erased_run_is_ended_without_a_word(tmp_path: Path) -> None:
    abandoned(tmp_path)
    async with Journal.open(tmp_path / "journal.db") as journal:
        await journal.append(DECISION)
        await journal.erase(RUN)
        assert await sweep(tmp_path, journal) == (RUN,)
        assert (await journal.entries(run=RUN))[-1].kind == "ending"


async def test_folders_without_a_lock_or_a_run_go_and_other_things_stay(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "errand-0123456789abcdef").mkdir(parents=True)
    (runs / "run-of-mine").mkdir()
    (runs / "notes.lock").touch()
    async with Journal.open(tmp_path / "journal.db") as journal:
        assert await sweep(runs, journal) == ("errand-0123456789abcdef",)
    assert sorted(path.name for path in runs.iterdir()) == ["notes.lock", "run-of-mine"]


async def test_what_cannot_be_written_now_is_written_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = abandoned(tmp_path)

    async def full(*drafts: Draft) -> tuple[Entry, ...]:
        raise StorageError("the disk is full")

    async with Journal.open(tmp_path / "journal.db") as journal:
        await journal.append(DECISION)
        with monkeypatch.context() as patch:
            patch.setattr(journal, "append", full)
            assert await sweep(tmp_path, journal) == ()
        assert not folder.exists()
        assert await sweep(tmp_path, journal) == (RUN,)
        assert (await journal.entries(run=RUN))[-1].kind == "ending"


async def test_a_folder_that_stays_is_said_to_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    abandoned(tmp_path)
    async with Journal.open(tmp_path / "journal.db") as journal:
        await journal.append(DECISION)
        with monkeypatch.context() as patch:
            patch.setattr(leftovers, "remove_folder", lambda _: False)
            assert await sweep(tmp_path, journal) == ()
        _, disposal, _ = await journal.entries(run=RUN)
        assert disposal.value["folders_left"] == [RUN]
        assert await sweep(tmp_path, journal) == (RUN,)
        assert len(await journal.entries(run=RUN)) == 3


async def test_where_there_are_no_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    folder = abandoned(tmp_path / "runs")
    async with workspace(tmp_path / "runs"):
        pass
    monkeypatch.undo()
    async with Journal.open(tmp_path / "journal.db") as journal:
        monkeypatch.setattr(fcntl, "flock", refuse)
        assert await sweep(tmp_path / "runs", journal) == ()
        monkeypatch.undo()
    assert folder.is_dir()
