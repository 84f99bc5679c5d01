"""Unpacked releases: exactly the release, read-only, and made again when they are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.packages import draft

from hephaestus.errors import IntegrityError, StorageError
from hephaestus.hub import Hub, Tree, unpacked
from hephaestus.hub.layout import Layout

pytestmark = pytest.mark.anyio


async def test_a_release_is_unpacked_read_only_for_everybody(hub: Hub) -> None:
    sent = draft(files={"prompts/deep/a.md": "a"})
    folder = await hub.unpack(await hub.publish(sent))
    assert folder.name == sent.tree.digest.removeprefix("sha256:")
    assert folder.is_absolute()
    assert Tree.read_exactly(folder) == sent.tree
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o555 if path.is_dir() else 0o444), path
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


async def test_an_executable_file_stays_executable(hub: Hub, tmp_path: Path) -> None:
    sent = draft(files={"bin/run": "#!/bin/sh\n"})
    files = dict(sent.tree.files)
    files["bin/run"] = type(files["bin/run"])("bin/run", 0o755, b"#!/bin/sh\n")
    release = await hub.publish(type(sent)(sent.manifest, Tree(files)))
    assert (await hub.unpack(release) / "bin" / "run").stat().st_mode & 0o777 == 0o555


async def test_unpacking_again_writes_nothing_and_hashes_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    release = await hub.publish(draft())
    folder = await hub.unpack(release)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("looked at the contents again")

    monkeypatch.setattr("hephaestus.hub.store.matches", never)
    monkeypatch.setattr("hephaestus.hub.store.unpack", never)
    assert await hub.unpack(release) == folder


async def test_another_opening_verifies_the_folder_once_more(tmp_path: Path) -> None:
    async with Hub.open(tmp_path / "hub") as hub:
        folder = await hub.unpack(await hub.publish(draft()))
    inode = folder.stat().st_ino
    async with Hub.open(tmp_path / "hub") as hub:
        assert await hub.unpack("echo") == folder
        assert folder.stat().st_ino == inode, "an undamaged folder is kept"


def change_a_byte(folder: Path) -> None:
    path = folder / "src" / "echo.py"
    status = path.stat()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"upper", b"lower"))
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def add_bytecode(folder: Path) -> None:
    (folder / "src").chmod(0o755)
    (folder / "src" / "__pycache__").mkdir()
    (folder / "src" / "__pycache__" / "echo.cpython-311.pyc").write_bytes(b"evil")


def add_a_link(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "link").symlink_to("/etc")


def remove_a_file(folder: Path) -> None:
    (folder / "src").chmod(0o755)
    (folder / "src" / "echo.py").unlink()


def replace_by_a_link(folder: Path) -> None:
    folder.chmod(0o755)
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def replace_by_a_file(folder: Path) -> None:
    folder.chmod(0o755)
    folder.rename(folder.with_name("elsewhere"))
    folder.write_bytes(b"")


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize(
    "damage", [change_a_byte, add_bytecode, add_a_link, remove_a_file, replace_by_a_link, replace_by_a_file]
)
async def test_a_damaged_folder_is_replaced_by_the_release(
    tmp_path: Path, damage: Callable[[Path], None], reopened: bool
) -> None:
    sent = draft()
    async with Hub.open(tmp_path / "hub") as hub:
        await hub.publish(sent)
        folder = await hub.unpack("echo")
        damage(folder)
        if not reopened:
            assert Tree.read_exactly(await hub.unpack("echo")) == sent.tree
    async with Hub.open(tmp_path / "hub") as hub:
        assert Tree.read_exactly(await hub.unpack("echo")) == sent.tree
    leftover = {path.name for path in folder.parent.iterdir()} - {folder.name, "elsewhere"}
    assert leftover == set()


async def test_a_damaged_blob_is_not_unpacked(hub: Hub) -> None:
    release = await hub.publish(draft())
    for blob in (hub.folder / "blobs" / "sha256").iterdir():
        data = blob.read_bytes()
        if b"def run" in data:
            blob.chmod(0o644)
            blob.write_bytes(data.replace(b".upper()", b".lower()"))
            damaged = blob.name
    with pytest.raises(IntegrityError, match=damaged):
        await hub.unpack(release)
    with pytest.raises(IntegrityError, match=damaged):
        await hub.tree(release)
    with pytest.raises(IntegrityError, match=damaged):
        await hub.read(release, "src/echo.py")
    assert list((hub.folder / "unpacked").iterdir()) == []
    assert any(damaged in problem for problem in await hub.audit())
    assert b"schema" in await hub.read(release, "agent.toml"), "what is whole can still be read"


async def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = await hub.publish(draft())
    with monkeypatch.context() as patch:
        patch.setattr(unpacked, "write_all", failing)
        with pytest.raises(StorageError, match="No space left"):
            await hub.unpack(release)
    assert list((hub.folder / "unpacked").iterdir()) == []
    assert await hub.unpack(release)


def failing(*_: object) -> None:
    raise OSError(28, "No space left on device")


async def test_a_folder_that_does_not_hold_what_was_written_is_an_error(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = await hub.publish(draft())
    monkeypatch.setattr("hephaestus.hub.store.matches", lambda *_: False)
    with pytest.raises(IntegrityError, match="does not hold what was written"):
        await hub.unpack(release)


def test_a_faster_process_with_the_same_bytes_is_no_error(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "hub")
    layout.create()
    tree = draft().tree
    folder = unpacked.unpack(layout, tree)
    inode = folder.stat().st_ino
    assert unpacked.unpack(layout, tree) == folder
    assert folder.stat().st_ino == inode
    assert [path.name for path in layout.unpacked.iterdir()] == [folder.name]


def test_a_place_that_stays_taken_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path / "hub")
    layout.create()

    monkeypatch.setattr(unpacked, "_renamed", lambda *_: False)
    monkeypatch.setattr(unpacked, "matches", lambda *_: False)
    with pytest.raises(StorageError, match="something else in its place"):
        unpacked.unpack(layout, draft().tree)
    assert list(layout.unpacked.iterdir()) == []


def test_a_disk_that_refuses_the_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path / "hub")
    layout.create()
    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(StorageError, match="No space left"):
        unpacked.unpack(layout, draft().tree)
    assert list(layout.unpacked.iterdir()) == []


async def test_a_derived_source_that_is_no_file_is_an_error(hub: Hub, tmp_path: Path) -> None:
    release = await hub.publish(draft())
    digest = release.digest
    os.mkfifo(tmp_path / "fifo")
    for source in (tmp_path / "fifo", tmp_path / "missing", tmp_path):
        with pytest.raises(StorageError):
            await hub.put_derived(release, "shard", source, digest=digest, builder="b")
