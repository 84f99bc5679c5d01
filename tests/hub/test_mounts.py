"""A full disk, a read-only one and another user's hub: real ones, mounted or made for a child process only."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.packages import draft
from tests.support.plain_user import run_as_plain_user

from hephaestus.hub.admission import Admitted
from hephaestus.hub.store import Store

ROOT = Path(__file__).parents[2]
UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]

PRELUDE = """
import os, shutil, subprocess, sys
from pathlib import Path
from hephaestus.errors import StorageError
from hephaestus.hub.store import Store
from tests.support.packages import draft

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)

def publish(store, version, text="x"):
    admitted = store.admit(draft(version=version, files={"prompts/a.md": text}))
    return store.commit(admitted, store.write(admitted), None)

def refused(action, *said):
    try:
        action()
    except StorageError as error:
        assert any(text in str(error) for text in said), str(error)
        return error
    raise AssertionError("it was not refused")

def whole(store, *versions):
    assert {release.version for release in store.releases(None)} == set(versions)
    assert store.audit() == ()

def fill():
    with open(disk / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
"""

FULL = """
store = Store(disk / "hub")
publish(store, "1.0.0")
store.deploy("stable", ("echo",), card_table=b"{}", expected=None, by="", why="")

error = refused(lambda: publish(store, "2.0.0", "y" * 2_000_000), "No space left")
assert "free some space" in error.hint
whole(store, "1.0.0")
assert not list((disk / "hub" / "tmp").iterdir())

fill()
refused(lambda: publish(store, "3.0.0"), "No space left", "no room left", "could not be used")
refused(lambda: store.deploy("stable", ("echo",), card_table=b"new", expected=None, by="", why=""),
        "No space left", "no room left", "could not be used")
refused(lambda: store.unpack("echo"), "No space left")
whole(store, "1.0.0")
store.close()

store = Store(disk / "hub")     # opened while the disk is full
whole(store, "1.0.0")
assert store.generation("stable", None).number == 1
refused(lambda: publish(store, "4.0.0"), "No space left", "no room left", "not written", "could not be used")
store.close()

refused(lambda: Store(disk / "another"), "No space left", "no hub can be made", "could not")

(disk / "filler").unlink()
store = Store(disk / "hub")
publish(store, "5.0.0")
whole(store, "1.0.0", "5.0.0")
store.close()
"""

# The log is full at some statement of the catalogue's transaction, not while blobs are written.
FULL_CATALOGUE = """
store = Store(disk / "hub")
publish(store, "1.0.0")
admitted = store.admit(draft(version="2.0.0"))
written = store.write(admitted)
fill()
refused(lambda: store.commit(admitted, written, None), "no room left", "could not be used")
whole(store, "1.0.0")
(disk / "filler").unlink()
store.commit(admitted, written, None)
whole(store, "1.0.0", "2.0.0")
store.close()
"""

READ_ONLY = """
store = Store(disk / "hub")
publish(store, "1.0.0")
store.deploy("stable", ("echo",), card_table=b"{}", expected=None, by="", why="")
folder = store.unpack("echo")
publish(store, "2.0.0")
shutil.copytree(disk / "hub", disk / "copy")       # with a log that holds acknowledged rows
assert (disk / "copy" / "hub.db-wal").stat().st_size > 0
store.close()

database = disk / "hub" / "hub.db"                   # a folder to write to, with a catalogue that is not
subprocess.run(["mount", "--bind", str(database), str(database)], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", str(database)], check=True)
store = Store(disk / "hub")
assert not store.writable
whole(store, "1.0.0", "2.0.0")
refused(lambda: publish(store, "3.0.0"), "can be read but not written")
store.close()
subprocess.run(["umount", str(database)], check=True)

subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)

for name in ("hub", "copy"):
    store = Store(disk / name)
    assert not store.writable
    whole(store, "1.0.0", "2.0.0")
    assert store.unpack("echo@1.0.0").name == folder.name
    refused(lambda: store.unpack("echo@2.0.0"), "Read-only file system")
    error = refused(lambda: publish(store, "3.0.0"), "can be read but not written")
    assert "--home" in error.hint
    refused(lambda: store.rollback("stable", to=None, expected=None, by="", why=""), "can be read but not written")
    store.close()

refused(lambda: Store(disk / "another"), "Read-only file system")
"""


@functools.cache
def why_no_mounts() -> str | None:
    if not sys.platform.startswith("linux"):
        return "mount namespaces are Linux's"
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return "unshare and mount are not installed"
    # A namespace alone is not enough: some systems allow it and then forbid the mount.
    command = [*UNSHARE, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no mount namespace to be had: {tried.stderr.strip()}"


@pytest.mark.parametrize("script", [FULL, FULL_CATALOGUE, READ_ONLY], ids=["full", "full-catalogue", "read-only"])
def test_a_disk_that_cannot_take_more_refuses_and_loses_nothing(tmp_path: Path, script: str) -> None:
    if (reason := why_no_mounts()) is not None:
        pytest.skip(reason)
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-c", PRELUDE + script, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == [], "the mount was the child's own"


ANOTHER_USER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hephaestus.errors import StorageError
from hephaestus.hub.store import Store
from tests.support.packages import draft

store = Store(Path(sys.argv[2]))
assert not store.writable
assert [release.ref for release in store.releases(None)] == ["echo@1.0.0"]
assert store.audit() == ()
assert store.read("echo", "src/echo.py")
assert store.unpack("echo")
try:
    store.write(store.admit(draft(version="2.0.0")))
except StorageError as error:
    print("refused:", error)
store.close()
try:
    Store(Path(sys.argv[2]) / "another")
except StorageError as error:
    print("refused:", error)
"""


def test_a_hub_of_another_user_can_be_read_and_not_written(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    store = Store(hub)
    admitted = store.admit(draft())
    assert isinstance(admitted, Admitted)
    store.commit(admitted, store.write(admitted), None)
    store.unpack("echo")
    store.close()
    paths = [hub, *hub.rglob("*")]
    modes = [path.stat().st_mode for path in paths]
    for path, mode in zip(paths, modes, strict=True):
        path.chmod(mode & ~0o222)  # for root, being another user is enough; anybody else is kept out by this
    try:
        done = run_as_plain_user(ANOTHER_USER, str(ROOT), str(hub), folder=tmp_path)
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused:") == 2, done.stdout
    assert "can be read but not written" in done.stdout
    assert "Permission denied" in done.stdout
