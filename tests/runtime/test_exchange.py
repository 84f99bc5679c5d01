"""What a child names is read as hostile: one regular file of that folder, of that size and digest, or an error."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from hephaestus.errors import ProtocolError
from hephaestus.runtime.exchange import MAX_ARTEFACT, read_file
from hephaestus_runner.protocol import File


def file(name: str, data: bytes, *, size: int | None = None) -> File:
    return File(name, "sha256:" + hashlib.sha256(data).hexdigest(), len(data) if size is None else size)


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"data")
    assert read_file(tmp_path, file("a", b"data")) == b"data"


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "/etc/passwd", "a/b", "a\0b", "gone", "\ud800"])
def test_a_name_that_is_no_file_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProtocolError):
        read_file(tmp_path, file(name, b""))


def test_links_pipes_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(ProtocolError):
            read_file(tmp_path, file(name, b""))


@pytest.mark.parametrize(
    "named",
    [file("a", b"Data"), file("a", b"data", size=3), file("a", b"data", size=5), file("a", b"", size=0)],
    ids=["digest", "longer", "shorter", "empty"],
)
def test_other_bytes_than_announced_are_refused(tmp_path: Path, named: File) -> None:
    (tmp_path / "a").write_bytes(b"data")
    with pytest.raises(ProtocolError, match="announced"):
        read_file(tmp_path, named)


@pytest.mark.parametrize("size", [-1, MAX_ARTEFACT + 1])
def test_a_size_out_of_bounds_is_refused_before_anything_is_read(tmp_path: Path, size: int) -> None:
    with pytest.raises(ProtocolError, match="at most"):
        read_file(tmp_path, file("a", b"", size=size))
