"""The journal on bad ground: full disks, read-only places, foreign files, other processes, sudden death."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import apsw
import pytest

from hephaestus.errors import IntegrityError, StorageError
from hephaestus.receipts import Draft, Journal, database, verify_journal

pytestmark = pytest.mark.anyio

# Appends until it is ended or refused; prints each number only after it was acknowledged.
WRITER = """
import sys
from pathlib import Path

import anyio

from hephaestus.errors import StorageError
from hephaestus.receipts import Draft, Journal


async def main(path, run, secret, count):
    async with Journal.open(path) as journal:
        for n in range(count):
            secrets = {"text": b"s" * secret} if secret else {}
            try:
                await journal.append(Draft("event", run, {"n": n, "text": "x" * 500}, secrets))
            except StorageError as error:
                print("refused", error, flush=True)
                break
            print(n, flush=True)


anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
"""


def writer(path: Path, *, run: str = "r1", secret: int = 0, count: int = 1_000_000) -> list[str]:
    return [sys.executable, "-c", WRITER, str(path), run, str(secret), str(count)]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1) to mount a small tmpfs")
@pytest.mark.parametrize("secret", [0, 100, 100_000], ids=["bodies", "rows", "blobs"])
def test_a_full_disk_is_one_clear_error_and_loses_nothing_acknowledged(tmp_path: Path, secret: int) -> None:
    small, kept = tmp_path / "small", tmp_path / "kept"
    small.mkdir()
    kept.mkdir()
    script = (
        'mount -t tmpfs -o size=1m none "$1" && small="$1" kept="$2" && shift 2 && "$@" && cp -a "$small"/. "$kept"'
    )
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(small), str(kept)]
    done = subprocess.run(
        [*command, *writer(small / "journal.db", secret=secret)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    if not lines:
        pytest.skip(f"no small tmpfs to be had here: {done.stderr.strip()}")
    assert "no space is left; nothing acknowledged was lost" in lines[-1], (lines[-1], done.stderr)
    acknowledged = [int(line) for line in lines[:-1]]
    assert len(acknowledged) > 2

    async def stored() -> list[int]:
        async with Journal.open(kept / "journal.db") as journal:
            entries = await journal.entries()
            for entry in entries:
                assert await journal.secrets(entry) == ({"text": b"s" * secret} if secret else {})
            return [entry.value["n"] for entry in entries]

    assert anyio.run(stored) == acknowledged
    assert verify_journal(kept / "journal.db", keys={}).ok
    blobs = [item for item in kept.rglob("journal.blobs/*/*") if item.is_file()]
    assert len(blobs) == (len(acknowledged) if secret > 50_000 else 0)


def test_nothing_acknowledged_is_lost_to_a_sudden_death(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with subprocess.Popen(writer(path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().splitlines()]

    async def stored() -> list[int]:
        async with Journal.open(path) as journal:
            return [entry.value["n"] for entry in await journal.entries()]

    numbers = anyio.run(stored)
    assert numbers[: len(acknowledged)] == acknowledged
    assert len(numbers) <= len(acknowledged) + 1  # the one that was written but not yet acknowledged
    assert verify_journal(path, keys={}).ok


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    processes = [
        subprocess.Popen(writer(path, run=f"r{n}", secret=10, count=40), stdout=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert out.split() == [str(n) for n in range(40)]
        assert process.returncode == 0

    async def stored() -> None:
        async with Journal.open(path) as journal:
            for run in ("r0", "r1", "r2"):
                assert [entry.value["n"] for entry in await journal.entries(run=run)] == list(range(40))
            assert [entry.seq for entry in await journal.entries()] == list(range(1, 121))

    anyio.run(stored)
    assert verify_journal(path, keys={}).ok


async def test_the_writer_waits_for_the_disk_and_wipes_what_it_deletes(tmp_path: Path) -> None:
    async with Journal.open(tmp_path / "journal.db") as journal:
        assert journal._writer is not None
        pragmas = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "trusted_schema": 0}
        for name, value in pragmas.items():
            assert database.rows(journal._writer, f"PRAGMA {name}") == [(value,)]


async def test_an_awkward_path_is_only_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a b%20?mode=memory#x.db"
    async with Journal.open(path) as journal:
        await journal.append(Draft("event", "r1", {}, {"text": b"x" * 50_000}))
    assert os.listdir(tmp_path / f"{path.stem}.blobs")
    assert os.stat(path).st_size > 4096
    assert verify_journal(path, keys={}).entries == 1


async def test_a_journal_that_opens_only_halfway_is_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[apsw.Connection] = []
    connect = database.connect

    def once(path: Path) -> apsw.Connection:
        if opened:
            raise StorageError("no more")
        opened.append(connect(path))
        return opened[0]

    monkeypatch.setattr(database, "connect", once)
    with pytest.raises(StorageError, match="no more"):
        async with Journal.open(tmp_path / "journal.db"):
            pass
    with pytest.raises(apsw.ConnectionClosedError):
        opened[0].execute("SELECT 1")


async def test_a_folder_that_is_missing_or_a_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        async with Journal.open(tmp_path / "missing" / "journal.db"):
            pass
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="Not a directory"):
        async with Journal.open(tmp_path / "file" / "journal.db"):
            pass
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(StorageError):
        async with Journal.open(tmp_path / "journal.db"):
            pass


READ_ONLY = """
import sys

import anyio

from hephaestus.errors import StorageError
from hephaestus.receipts import Draft, Journal


async def main(path):
    try:
        async with Journal.open(path) as journal:
            await journal.append(Draft("event", "r1", {}))
    except StorageError as error:
        print(error, "|", error.hint)


anyio.run(main, sys.argv[1])
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1) to make a read-only mount")
@pytest.mark.parametrize("there", [False, True], ids=["new", "existing"])
def test_a_read_only_place_is_a_storage_error(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "journal.db"

    async def make() -> None:
        async with Journal.open(path) as journal:
            await journal.append(Draft("event", "r1", {}))

    if there:
        anyio.run(make)
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    inside = [str(tmp_path), sys.executable, "-c", READ_ONLY, str(path)]
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", *inside]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode and "mount" in done.stderr:
        pytest.skip(f"no read-only mount to be had here: {done.stderr.strip()}")
    assert done.stderr == ""
    assert "read-only" in done.stdout.lower()


async def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')")
    other.close()
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match="another program"):
        async with Journal.open(path):
            pass
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look like a page" * 100, b"SQLite format 3\0"]
)
async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="damaged or not a database"):
        async with Journal.open(path):
            pass
    assert path.read_bytes() == content


async def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"")
    async with Journal.open(path) as journal:
        await journal.append(Draft("event", "r1", {}))
    assert verify_journal(path, keys={}).entries == 1


async def test_a_damaged_page_is_an_integrity_error_and_not_fewer_entries(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Journal.open(path) as journal:
        await journal.append(*(Draft("event", "r1", {"n": n, "text": "z" * 300}) for n in range(200)))
    data = bytearray(path.read_bytes())
    middle = data.index(b'"n":150,') // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    async with Journal.open(path) as journal:
        with pytest.raises(IntegrityError, match="cannot read the journal"):
            await journal.entries()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entry SET kind = CAST(x'ff' AS TEXT)",
        "UPDATE entry SET secrets = x'ff'",
        "UPDATE entry SET secrets = x'5b5d'",
        "UPDATE entry SET secrets = CAST('{\"a\":1}' AS BLOB)",
    ],
)
async def test_a_row_that_the_journal_never_wrote_is_an_integrity_error(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "journal.db"
    async with Journal.open(path) as journal:
        await journal.append(Draft("event", "r1", {}))
        other = apsw.Connection(str(path))
        other.execute(sql)
        other.close()
        with pytest.raises(IntegrityError, match=r"damaged"):
            await journal.entries()


async def test_a_journal_that_another_process_holds_for_too_long_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 20)
    path = tmp_path / "journal.db"
    async with Journal.open(path) as journal:
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="another process has held it"):
            await journal.append(Draft("event", "r1", {"n": 1}))
        journal.note(Draft("event", "r1", {"n": 2}))
        with pytest.raises(StorageError, match="another process has held it"):
            await journal.flush()
        other.execute("ROLLBACK")
        other.close()
        # Refused callers know; what was noted had nobody to tell and was kept.
        await journal.flush()
        assert [entry.value for entry in await journal.entries()] == [{"n": 2}]


async def test_making_a_journal_that_another_process_holds_gives_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 20)
    path = tmp_path / "journal.db"
    other = apsw.Connection(str(path))
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="another process has held it"):
        async with Journal.open(path):
            pass
    other.execute("ROLLBACK")
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    with pytest.raises(StorageError, match="another process has held it"):
        await anyio.to_thread.run_sync(database.connect, path)
    other.close()
    async with Journal.open(path):
        pass


async def test_a_place_without_a_write_ahead_log_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(":memory:")
    with pytest.raises(StorageError, match="cannot hold a write-ahead log"):
        database._to_wal(connection)
    connection.close()


async def test_errors_of_the_system_say_what_was_being_done(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for error, match in (
        (OSError(28, os.strerror(28)), "no space is left"),
        (PermissionError(13, os.strerror(13), "x"), r"cannot append to the journal .*: Permission denied \(x\)"),
        (apsw.FullError(), "no space is left"),
        (apsw.IOError("disk"), "IOError: disk"),
        (apsw.ReadOnlyError("x"), "read-only"),
    ):
        with pytest.raises(StorageError, match=match), database.explained(path, "append to"):
            raise error
