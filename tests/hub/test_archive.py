"""Layers: the same bytes everywhere, readable by others, and believed only as far as the file table goes."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.hub import File, Tree, archive
from hephaestus.hub.paths import check_path

FILES = [
    File("agent.toml", 0o644, b"schema = 1\n"),
    File("bin/run", 0o755, b""),
    File("d" * 60 + "/" + "e" * 60 + "/" + "n" * 100, 0o644, b"x" * 512),
    File("prompts/caf\u00e9.md", 0o644, b"y" * 513),
]
TREE = Tree.of(FILES)
LAYER = b"".join(archive.pack(TREE.files.values()))


def test_a_layer_is_what_tar_reads() -> None:
    with tarfile.open(fileobj=io.BytesIO(LAYER)) as tar:
        members = tar.getmembers()
        assert [(m.name, m.mode, m.mtime, m.uid, m.gid) for m in members] == [
            (f.path, f.mode, 0, 0, 0) for f in TREE.files.values()
        ]
        assert [tar.extractfile(m).read() for m in members] == [f.data for f in TREE.files.values()]  # type: ignore[union-attr]


def test_the_bytes_of_a_layer_never_change() -> None:
    # A change here changes the blobs of every future release of unchanged sources.
    assert hashlib.sha256(LAYER).hexdigest() == "2c2c129ac66adb74e9002976553d5165b82910b46f9e53317e8e0ff3394fc606"


def test_a_layer_comes_back_as_its_files() -> None:
    assert list(archive.unpack(LAYER, TREE.rows)) == list(TREE.files.values())
    assert archive.packed_size(TREE.rows) == len(LAYER)
    for row in TREE.rows:
        start = archive.offset(TREE.rows, row.path)
        assert LAYER[start : start + row.size] == TREE.files[row.path].data
    with pytest.raises(KeyError):
        archive.offset(TREE.rows, "other")


@pytest.mark.parametrize("at", [0, 100, 148, 156, 257, 345, 500, 512 + 11, 512 + 100, len(LAYER) - 1])
def test_a_layer_with_a_changed_byte_outside_the_contents_is_refused(at: int) -> None:
    changed = bytearray(LAYER)
    changed[at] ^= 1
    with pytest.raises(ValueError, match="file table"):
        list(archive.unpack(bytes(changed), TREE.rows))


@pytest.mark.parametrize("layer", [LAYER[:-512], LAYER[:700], b"", LAYER + bytes(512)])
def test_a_layer_that_is_cut_off_or_has_more_is_refused(layer: bytes) -> None:
    with pytest.raises(ValueError, match="file table"):
        list(archive.unpack(layer, TREE.rows))


def test_a_file_table_that_names_less_is_refused() -> None:
    with pytest.raises(ValueError, match="file table"):
        list(archive.unpack(LAYER, TREE.rows[:-1]))


def test_a_path_that_fits_no_header_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        archive.header("n" * 101, mode=0o644, size=0)


@given(st.lists(st.text("ab\u00e9", min_size=1, max_size=90), min_size=1, max_size=6).map("/".join))
def test_every_path_that_is_allowed_fits_a_header_and_is_read_back(path: str) -> None:
    try:
        check_path(path)
    except ValueError:
        return
    block = archive.header(path, mode=0o644, size=0)
    with tarfile.open(fileobj=io.BytesIO(block + bytes(1024))) as tar:
        assert tar.getnames() == [path]
