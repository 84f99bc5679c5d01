"""Reading a source folder: what is in, what is left out, and everything that is refused."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.errors import AssetError
from hephaestus.hub import File, Row, Tree
from hephaestus.hub import tree as tree_module
from hephaestus.hub.tree import first_difference, rows_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "package"
    (made / "src").mkdir(parents=True)
    (made / "agent.toml").write_bytes(b"schema = 1\n")
    (made / "src" / "a.py").write_bytes(b"x = 1\n")
    return made


def refused(folder: Path, file: str, match: str) -> AssetError:
    with pytest.raises(AssetError, match=match) as caught:
        Tree.read(folder)
    assert caught.value.file == file
    return caught.value


def test_a_tree_holds_every_file_with_its_bytes(folder: Path) -> None:
    tree = Tree.read(folder)
    assert list(tree.files) == ["agent.toml", "src/a.py"]
    assert tree.get("src/a.py") == b"x = 1\n"
    assert tree.get("src/b.py") is None


def test_a_folder_may_be_named_through_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert Tree.read(tmp_path / "link") == Tree.read(folder)


def test_times_and_write_permissions_do_not_count(folder: Path) -> None:
    before = Tree.read(folder).digest
    os.utime(folder / "agent.toml", (1, 1))
    (folder / "agent.toml").chmod(0o600)
    (folder / "empty").mkdir()
    assert Tree.read(folder).digest == before


def test_an_executable_bit_counts_and_nothing_else_of_a_mode_is_kept(folder: Path) -> None:
    before = Tree.read(folder).digest
    (folder / "src" / "a.py").chmod(0o4755)
    tree = Tree.read(folder)
    assert tree.digest != before
    assert tree.files["src/a.py"].mode == 0o755


@pytest.mark.parametrize(
    "path", [".git/config", "src/__pycache__/a.cpython-311.pyc", "src/b.pyc", ".venv/bin/python", ".pytest_cache/x"]
)
def test_what_tools_leave_behind_is_not_part_of_a_package(folder: Path, path: str) -> None:
    before = Tree.read(folder)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(b"anything")
    assert Tree.read(folder) == before


def test_what_is_left_out_is_not_even_looked_at(folder: Path) -> None:
    (folder / ".venv").symlink_to("/")
    os.mkfifo(folder / ".git")
    assert set(Tree.read(folder).files) == {"agent.toml", "src/a.py"}


def test_exact_reading_leaves_nothing_out(folder: Path, tmp_path: Path) -> None:
    assert Tree.read_exactly(folder) == Tree.read(folder)
    (folder / "src" / "__pycache__").mkdir()
    with pytest.raises(AssetError, match="left out of every package"):
        Tree.read_exactly(folder)
    (folder / "src" / "__pycache__").rmdir()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(AssetError, match="not a folder"):
        Tree.read_exactly(tmp_path / "link")


@pytest.mark.parametrize("target", ["agent.toml", "/etc/passwd", "../../secret", "nowhere"])
def test_a_symbolic_link_is_refused_wherever_it_points(folder: Path, target: str) -> None:
    (folder / "src" / "link").symlink_to(target)
    error = refused(folder, "src/link", "symbolic link")
    assert "copy" in (error.hint or "")


def test_a_link_to_a_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (folder / "more").symlink_to(tmp_path / "outside")
    refused(folder, "more", "symbolic link")


def test_a_file_with_a_second_name_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"a key")
    os.link(tmp_path / "secret", folder / "notes.txt")
    error = refused(folder, "notes.txt", "2 hard links")
    assert "copy" in (error.hint or "")


def test_a_fifo_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    refused(folder, "pipe", "FIFO")


def test_a_socket_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # a socket's path may have 107 bytes only
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        refused(folder, "socket", "socket")


def test_a_device_is_refused(folder: Path) -> None:
    try:
        os.mknod(folder / "null", 0o020666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root may make a device")
    refused(folder, "null", "character device")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Prompt.md", "prompt.md"),
        ("stra\u00dfe.md", "STRASSE.md"),
        ("caf\u00e9.md", "cafe\u0301.md"),
        ("Docs/a.md", "docs/b.md"),
    ],
)
def test_names_that_are_one_file_on_another_system_are_refused(folder: Path, one: str, other: str) -> None:
    for path in (one, other):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(b"")
    if len(list(folder.rglob("*.md"))) < 2:
        pytest.skip("this file system takes the two names for one")
    with pytest.raises(AssetError, match="does not count"):
        Tree.read(folder)


@pytest.mark.parametrize(
    "name",
    [
        "CON",
        "aux.txt",
        "com1",
        "a\\b",
        "a\nb",
        "a\x1b[31m",
        "a:b",
        "tail ",
        "tail.",
        " head",
        "r\u202etxt.exe",
        "z\u200bw",
    ],
)
def test_names_that_some_system_does_not_have_are_refused_and_never_printed_raw(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    with pytest.raises(AssetError) as caught:
        Tree.read(folder)
    assert str(caught.value).isprintable()


def test_a_name_that_is_no_text_is_refused(folder: Path) -> None:
    with open(os.fsencode(folder) + b"/caf\xe9", "wb"):
        pass
    with pytest.raises(AssetError, match="not UTF-8") as caught:
        Tree.read(folder)
    assert str(caught.value).isprintable()


def test_a_path_that_is_too_deep_is_refused(folder: Path) -> None:
    deep = folder.joinpath(*["d"] * 32)
    deep.mkdir(parents=True)
    assert Tree.read(folder)  # empty folders are not part of a package
    (deep / "x").write_bytes(b"")
    with pytest.raises(AssetError, match="33 steps"):
        Tree.read(folder)


def test_a_path_that_fits_no_archive_is_refused(folder: Path) -> None:
    (folder / ("n" * 101)).write_bytes(b"")
    with pytest.raises(AssetError, match="too long"):
        Tree.read(folder)


def test_too_many_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_FILES", 3)
    (folder / "b").write_bytes(b"")
    assert Tree.read(folder)
    (folder / "c").write_bytes(b"")
    refused(folder, ".", "more than 3 files")


def test_too_many_folders_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_FILES", 3)
    monkeypatch.setattr(tree_module, "MAX_FOLDERS", 3)
    for number in range(6):
        (folder / f"d{number}").mkdir()
    refused(folder, ".", "3 folders")


def test_too_many_bytes_are_refused_before_they_are_read(folder: Path) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    refused(folder, ".", "512 MiB")


def test_bytes_are_counted_over_all_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = sum(len(f.data) for f in Tree.read(folder).files.values())
    monkeypatch.setattr(tree_module, "MAX_BYTES", total)
    assert Tree.read(folder)
    monkeypatch.setattr(tree_module, "MAX_BYTES", total - 1)
    refused(folder, ".", "more than")


def test_a_file_that_grows_while_it_is_read_is_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_BYTES", 1000)
    real = os.read

    def growing(descriptor: int, size: int) -> bytes:
        real(descriptor, size)
        return b"x" * 400

    monkeypatch.setattr(os, "read", growing)
    refused(folder, ".", "more than")


def test_a_file_replaced_by_a_link_between_looking_and_opening_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(b"a key")
    real = os.stat

    def swapping(path: object, *rest: object, **options: object) -> os.stat_result:
        status = real(path, *rest, **options)  # type: ignore[arg-type]
        if path == "agent.toml":
            (folder / "agent.toml").unlink()
            (folder / "agent.toml").symlink_to(tmp_path / "secret")
        return status

    monkeypatch.setattr(os, "stat", swapping)
    refused(folder, "agent.toml", "changed")


def test_a_folder_replaced_by_a_link_between_looking_and_opening_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def swapping(path: object, *rest: object, **options: object) -> os.stat_result:
        status = real(path, *rest, **options)  # type: ignore[arg-type]
        if path == "src":
            (folder / "src").rename(folder.parent / "gone")
            (folder / "src").symlink_to("/etc")
        return status

    monkeypatch.setattr(os, "stat", swapping)
    refused(folder, "src", "changed")


def test_a_file_replaced_by_a_fifo_between_looking_and_opening_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def swapping(path: object, *rest: object, **options: object) -> os.stat_result:
        status = real(path, *rest, **options)  # type: ignore[arg-type]
        if path == "agent.toml":
            (folder / "agent.toml").unlink()
            os.mkfifo(folder / "agent.toml")
        return status

    monkeypatch.setattr(os, "stat", swapping)
    refused(folder, "agent.toml", "FIFO")


def test_a_file_that_cannot_be_read_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def failing(path: object, *rest: object, **options: object) -> int:
        if path == "a.py":
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", failing)
    refused(folder, "src/a.py", "Permission denied")


def test_a_folder_that_cannot_be_listed_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", failing)
    refused(folder, ".", "Input/output error")


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="not a folder"):
        Tree.read(tmp_path / "nothing")


def test_reading_leaves_no_descriptor_open(folder: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    Tree.read(folder)
    (folder / "src" / "link").symlink_to("x")
    with pytest.raises(AssetError):
        Tree.read(folder)
    assert len(os.listdir("/dev/fd")) == before


def test_added_files_never_replace_one_of_the_author(folder: Path) -> None:
    tree = Tree.read(folder)
    more = tree.with_files({"knowledge/passages.jsonl": b"{}", "src/a.py": b"x = 1\n"})
    assert more.get("knowledge/passages.jsonl") == b"{}"
    assert "knowledge/passages.jsonl" not in tree.files
    with pytest.raises(AssetError, match="other bytes"):
        tree.with_files({"src/a.py": b"x = 2\n"})


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a//b", "a/./b", "a/../b", "", ".", "a/", "a\0b", "\ud800", "__pycache__/x.py", "a/.git"]
)
def test_no_tree_is_made_of_a_path_outside_the_package(path: str) -> None:
    with pytest.raises(AssetError):
        Tree.of([File(path, 0o644, b"")])


def test_no_tree_is_made_of_what_contradicts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssetError, match="twice"):
        Tree.of([File("a", 0o644, b"1"), File("a", 0o644, b"2")])
    with pytest.raises(AssetError, match="mode 777"):
        Tree.of([File("a", 0o777, b"")])
    with pytest.raises(AssetError, match="the tree names it"):
        Tree({"b": File("a", 0o644, b"")})
    for pair in (["a", "a/b"], ["a/b", "A"]):
        with pytest.raises(AssetError, match="also"):
            Tree.of([File(path, 0o644, b"") for path in pair])
    monkeypatch.setattr(tree_module, "MAX_FILES", 1)
    with pytest.raises(AssetError, match="more than 1 files"):
        Tree.of([File("a", 0o644, b""), File("b", 0o644, b"")])
    monkeypatch.setattr(tree_module, "MAX_BYTES", 3)
    with pytest.raises(AssetError, match="MiB"):
        Tree.of([File("a", 0o644, b"1234")])


names = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-\u00e9\u4e16", min_size=1, max_size=12).filter(
    lambda name: name not in ("con", "prn", "aux", "nul")
)
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map("/".join),
    st.tuples(st.sampled_from([0o644, 0o755]), st.binary(max_size=64)),
    max_size=8,
)


def build(files: dict[str, tuple[int, bytes]]) -> Tree | None:
    try:
        return Tree.of(File(path, mode, data) for path, (mode, data) in files.items())
    except AssetError:
        return None  # a file where another one needs a folder, or a collision


@given(trees, st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_the_files(
    files: dict[str, tuple[int, bytes]], random: object
) -> None:
    one = build(files)
    shuffled = list(files.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = build(dict(shuffled))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.digest == other.digest
        assert rows_digest(reversed(one.rows)) == one.digest


@given(trees, trees)
def test_two_trees_have_one_digest_only_if_all_their_files_are_equal(
    one: dict[str, tuple[int, bytes]], other: dict[str, tuple[int, bytes]]
) -> None:
    first, second = build(one), build(other)
    if first is not None and second is not None:
        assert (first.digest == second.digest) == (one == other)
        assert (first_difference(first.rows, second.rows) is None) == (one == other)


@given(trees)
def test_the_digest_survives_the_file_system_whatever_the_times(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, tuple[int, bytes]]
) -> None:
    tree = build(files)
    if tree is None:
        return
    folder = tmp_path_factory.mktemp("tree")
    for number, file in enumerate(reversed(list(tree.files.values()))):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)
        os.utime(path, (number * 1000, number * 77))
    assert Tree.read(folder).digest == tree.digest
    assert Tree.read_exactly(folder) == tree


def test_the_first_difference_is_the_first_in_the_order_of_bytes() -> None:
    a, b = Row("a", 0o644, 1, "0" * 64), Row("b", 0o644, 1, "0" * 64)
    assert first_difference([a, b], [b]) == "a"
    assert first_difference([a], [a, b]) == "b"
    assert first_difference([a, b], [b, a]) is None
