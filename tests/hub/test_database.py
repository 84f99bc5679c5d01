"""The catalogue's file: damaged, foreign, lost, locked, closed or read-only, each is said and none loses anything."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw
import pytest
from tests.support.packages import draft

from hephaestus.errors import HubError, IntegrityError, StorageError
from hephaestus.hub import Hub, database
from hephaestus.hub.database import Database
from hephaestus.hub.layout import Layout

pytestmark = pytest.mark.anyio


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A closed hub with one release and one generation."""
    async with Hub.open(tmp_path / "hub") as hub:
        await hub.deploy("stable", [await hub.publish(draft())], card_table=b"{}")
    return tmp_path / "hub"


async def test_what_is_acknowledged_is_on_the_disk(hub: Hub) -> None:
    with hub._store._database.writing() as connection:
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == 2
        assert connection.pragma("foreign_keys") == 1
        assert connection.pragma("recursive_triggers") == 1


@pytest.mark.parametrize("content", [b"not a database at all" * 300, b"SQLite format 3\0" + b"\xff" * 4080])
async def test_a_catalogue_that_is_no_database_is_an_integrity_error(folder: Path, content: bytes) -> None:
    (folder / "hub.db").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"hub\.db"):
        async with Hub.open(folder):
            pass
    assert (folder / "hub.db").read_bytes() == content, "nothing was overwritten"


async def test_a_catalogue_with_damaged_pages_is_an_integrity_error(folder: Path) -> None:
    data = bytearray((folder / "hub.db").read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 64] = b"\xa5" * 64
    (folder / "hub.db").write_bytes(data)
    with pytest.raises(IntegrityError, match="damaged"):
        async with Hub.open(folder) as hub:
            await hub.release("echo")


@pytest.mark.parametrize(("lost", "writable"), [("empty", True), ("empty", False), ("gone", True)])
async def test_a_lost_catalogue_is_an_error_and_not_an_empty_hub(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lost: str, writable: bool
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: writable)
    (folder / "hub.db").unlink()
    if lost == "empty":
        (folder / "hub.db").touch()
    with pytest.raises(IntegrityError, match="was lost") as caught:
        async with Hub.open(folder):
            pass
    assert "restore" in (caught.value.hint or "")


async def test_a_database_of_somebody_else_is_left_alone(folder: Path) -> None:
    (folder / "hub.db").unlink()
    other = apsw.Connection(str(folder / "hub.db"))
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(IntegrityError, match="not the catalogue"):
        async with Hub.open(folder):
            pass


async def test_a_catalogue_of_a_newer_library_is_not_touched(folder: Path) -> None:
    other = apsw.Connection(str(folder / "hub.db"))
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(HubError, match="version 99"):
        async with Hub.open(folder):
            pass


async def test_a_row_that_was_changed_by_hand_contradicts_its_blobs(folder: Path) -> None:
    other = apsw.Connection(str(folder / "hub.db"))
    other.execute("DROP TRIGGER release_same")
    other.execute("UPDATE release SET version = '6.6.6'")
    other.close()
    async with Hub.open(folder) as hub:
        with pytest.raises(IntegrityError, match=r"echo@6\.6\.6"):
            await hub.unpack("echo")
        assert len(await hub.audit()) == 1


async def test_an_audit_finds_rows_and_closures_that_were_changed_by_hand(folder: Path) -> None:
    other = apsw.Connection(str(folder / "hub.db"))
    other.execute("DROP TRIGGER generation_same")
    other.execute("UPDATE generation SET closure = 'sha256:0'")
    other.execute("INSERT INTO seal VALUES (77, 'k', x'00')")
    other.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    other.execute("PRAGMA writable_schema = ON")
    other.execute("DELETE FROM sqlite_schema WHERE name = 'dep_of'")  # its pages belong to nothing now
    other.close()
    async with Hub.open(folder) as hub:
        problems = await hub.audit()
    assert any("not its closure" in problem for problem in problems)
    assert any("seal" in problem for problem in problems)
    assert any("never used" in problem for problem in problems)


async def test_a_locked_catalogue_is_waited_for_and_then_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 20)
    other = apsw.Connection(str(folder / "hub.db"))
    async with Hub.open(folder) as hub:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked"):
            await hub.publish(draft(version="2.0.0"))
        assert (await hub.release("echo")).version == "1.0.0", "readers are not held up"
        other.execute("ROLLBACK")
        assert await hub.publish(draft(version="2.0.0"))
    other.close()


async def test_a_hub_that_is_locked_while_it_is_opened_is_not_taken_for_a_read_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise apsw.BusyError("database is locked")

    async with Hub.open(tmp_path / "hub") as hub:
        await hub.publish(draft())
    monkeypatch.setattr(Database, "_prepare", busy)
    with pytest.raises(StorageError, match="locked"):
        async with Hub.open(tmp_path / "hub"):
            pass


async def test_a_hub_that_cannot_be_written_is_read_and_refuses_the_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    before = sorted(os.listdir(folder))
    async with Hub.open(folder) as hub:
        assert not hub.writable
        release = await hub.release("echo")
        assert await hub.publish(draft()) == release, "publishing what is there already writes nothing"
        assert (await hub.tree(release)).digest == release.digest
        assert (await hub.generation("stable")).number == 1
        assert await hub.audit() == ()
        source = tmp_path / "shard"
        source.write_bytes(b"x")
        for attempt in (
            hub.publish(draft(version="2.0.0")),
            hub.deploy("stable", [release], card_table=b"new"),
            hub.rollback("stable"),
            hub.yank(release),
            hub.put_derived(release, "shard", source, digest=release.digest, builder="b"),
        ):
            with pytest.raises(StorageError, match="can be read but not written"):
                await attempt
    assert sorted(os.listdir(folder)) == before, "reading left nothing behind"


async def test_reading_only_sees_what_is_still_in_the_write_ahead_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Hub.open(tmp_path / "hub") as hub:
        await hub.publish(draft())
        shutil.copytree(tmp_path / "hub", tmp_path / "copy")
    assert (tmp_path / "copy" / "hub.db-wal").stat().st_size > 0
    monkeypatch.setattr(os, "access", lambda *_: False)
    async with Hub.open(tmp_path / "copy") as hub:
        assert (await hub.release("echo")).version == "1.0.0"


async def test_a_reader_sees_what_a_writer_elsewhere_publishes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Hub.open(folder) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(os, "access", lambda *_: False)
            reader = Database(Layout(folder))
        await writer.publish(draft(version="2.0.0"))
        with reader.reading() as connection:
            assert connection.execute("SELECT count(*) FROM release").fetchone() == (2,)
    with reader.reading() as connection:
        assert connection.execute("SELECT count(*) FROM release").fetchone() == (2,)
    reader.close()
    with pytest.raises(HubError, match="closed"), reader.reading():
        pass


async def test_a_place_where_no_hub_can_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="could not"):
        async with Hub.open(tmp_path / "file" / "hub"):
            pass


async def test_a_disk_that_refuses_the_catalogue_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "_prepare", failing)
        with pytest.raises(StorageError, match="no hub can be made"):
            async with Hub.open(tmp_path / "hub"):
                pass
    async with Hub.open(tmp_path / "hub") as hub:
        await hub.publish(draft())
    monkeypatch.setattr(Database, "_prepare", failing)
    async with Hub.open(tmp_path / "hub") as hub:
        assert not hub.writable
        assert await hub.release("echo")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (apsw.FullError("full"), StorageError, "no room"),
        (apsw.IOError("disk I/O error"), StorageError, "could not be used"),
        (apsw.CorruptError("malformed"), IntegrityError, "damaged"),
        (apsw.ConstraintError("UNIQUE"), HubError, "refused a change"),
    ],
)
async def test_an_error_in_a_transaction_changes_nothing(
    hub: Hub, error: apsw.Error, kind: type[HubError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        fail_within(hub, "INSERT INTO package VALUES ('x')", error)
    with hub._store._database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM package").fetchone() == (0,)


async def test_an_error_that_rolled_back_by_itself_is_not_hidden_by_a_second_rollback(hub: Hub) -> None:
    with pytest.raises(StorageError, match="no room"):
        fail_within(hub, "ROLLBACK", apsw.FullError("full"))


def fail_within(hub: Hub, statement: str, error: apsw.Error) -> None:
    with hub._store._database.writing() as connection:
        connection.execute(statement)
        raise error
