"""Sums of a closed journal: damage outside of what is hashed is seen, and honest use never looks like damage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import anyio
import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hephaestus import canonical
from hephaestus.receipts import Draft, Journal, sums, verify_journal

pytestmark = pytest.mark.anyio

REQUEST = canonical.digest("test/request/1", {"q": 1})


async def fill(path: Path, *, start: int = 0, count: int = 60) -> None:
    async with Journal.open(path) as journal:
        for n in range(start, start + count):
            body = {"instance": "a", "ordinal": n, "request": REQUEST, "text": "t" * (n * 7 % 300)}
            await journal.append(Draft("exchange", f"run-{n % 5}", body, {"answer": b"s" * (n * 31 % 900)}))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("closed") / "journal.db"
    anyio.run(fill, path)
    return path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench") / "journal.db"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_changed_byte_of_a_closed_file_is_seen(closed: Path, bench: Path, place: float, flip: int) -> None:
    from hephaestus.errors import IntegrityError

    data = bytearray(closed.read_bytes())
    data[int(len(data) * place)] ^= flip
    bench.write_bytes(data)
    shutil.copy(sums.sums_file(closed), sums.sums_file(bench))
    try:
        assert not verify_journal(bench, keys={}).ok
    except IntegrityError:
        return


def test_free_space_is_named_by_the_entries_beside_it(closed: Path, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    data = bytearray(closed.read_bytes())
    pages = [page for page in range(1, len(data) // 4096) if data[page * 4096] == 0x0D]
    free = pages[-1] * 4096 + 8 + 2 * int.from_bytes(data[pages[-1] * 4096 + 3 : pages[-1] * 4096 + 5], "big")
    assert data[free] == 0
    data[free] = 1
    path.write_bytes(data)
    assert verify_journal(path, keys={}).ok  # nothing that anyone relies on
    shutil.copy(sums.sums_file(closed), sums.sums_file(path))
    (problem,) = verify_journal(path, keys={}).problems
    assert problem.seq is not None
    assert "to 60, changed since the journal was closed" in problem.what


async def test_honest_use_never_looks_like_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for session in range(4):
        await fill(path, start=session * 60)
        assert sums.sums_file(path).exists()
        assert verify_journal(path, keys={}).ok
        async with Journal.open(path) as journal:  # nothing is written
            assert len(await journal.entries()) == (session + 1) * 60
            assert verify_journal(path, keys={}).ok
        assert verify_journal(path, keys={}).ok
    async with Journal.open(path) as journal:
        await journal.erase("run-1")
        assert not sums.sums_file(path).exists()
        assert verify_journal(path, keys={}).ok
    assert verify_journal(path, keys={}).ok


async def test_the_last_one_to_close_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Journal.open(path) as first:
        async with Journal.open(path) as second:
            await second.append(Draft("event", "r1", {}))
        assert not sums.sums_file(path).exists()
        await first.append(Draft("event", "r1", {}))
    assert sums.sums_file(path).exists()
    assert verify_journal(path, keys={}).ok


async def test_sums_of_a_journal_that_is_gone_say_nothing_of_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await fill(path, count=3)
    os.unlink(path)
    async with Journal.open(path):
        assert not sums.sums_file(path).exists()
    assert verify_journal(path, keys={}).ok


async def test_a_file_put_back_to_an_older_state_is_seen_while_the_sums_are_newer(tmp_path: Path) -> None:
    path, old = tmp_path / "journal.db", tmp_path / "old"
    await fill(path, count=3)
    shutil.copy(path, old)
    await fill(path, start=3, count=60)
    shutil.copy(old, path)
    (problem,) = verify_journal(path, keys={}).problems
    assert "are not as they were when the journal was closed" in problem.what


@pytest.mark.parametrize("content", [b"", b"x" * 100])
async def test_damaged_sums_are_a_problem_and_not_ignored(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    await fill(path, count=3)
    sums.sums_file(path).write_bytes(content)
    assert not verify_journal(path, keys={}).ok


async def test_sums_that_cannot_be_written_keep_nobody_from_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    os.mkdir(tmp_path / "folder")

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    async with Journal.open(path) as journal:
        await journal.append(Draft("event", "r1", {}))
        monkeypatch.setattr(os, "fsync", full)
    assert sorted(os.listdir(tmp_path)) == ["folder", "journal.db"]
    assert verify_journal(path, keys={}).ok


async def test_a_very_large_journal_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "LARGEST", 4096)
    await fill(tmp_path / "journal.db", count=3)
    assert not sums.sums_file(tmp_path / "journal.db").exists()


def test_long_rowids_are_read(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE TABLE t (seq INTEGER PRIMARY KEY, x)")
    numbers = [1, 127, 128, 2**31, 2**56, 2**62]
    for number in numbers:
        connection.execute("INSERT INTO t VALUES (?, 'x')", (number,))
    connection.close()
    assert sums._seqs((tmp_path / "x.db").read_bytes()[4096:8192]) == numbers
    assert sums._seqs(b"\x05" + b"\0" * 4095) == []
    assert sums._seqs(b"\x0d" + b"\xff" * 4095) != []
