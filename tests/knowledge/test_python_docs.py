"""The documentation of an installed Python, read in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hephaestus.errors import KnowledgeError
from hephaestus.knowledge import Passage, encode_passages, python_docs


@pytest.fixture(scope="module")
def docs() -> dict[str, Passage]:
    return {passage.id: passage for passage in python_docs()}


def test_there_are_thousands_of_passages_and_all_of_them_are_canonical(docs: dict[str, Passage]) -> None:
    assert len(docs) > 5000
    encode_passages(docs.values())
    assert list(docs) == sorted(docs)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("zipfile.ZipFile.open", "Return file-like object"),
        ("os.path.join", "Join two or more pathname components"),
        ("str.split", "Return a list of the substrings"),
        ("dict.get", "Return the value for key"),
        ("len", "Return the number of items in a container"),
        ("open", "Open file and return a stream"),
        ("asyncio.gather", "Return a future aggregating results"),
        ("socket.socket.connect", "Connect the socket to a remote address"),
        ("sys.argv", "command line arguments"),
        ("typing.Optional", "Union[X, None]"),
        ("string.ascii_lowercase", "ascii_lowercase = 'abcdefghijklmnopqrstuvwxyz'"),
        ("json", "subset of\nJavaScript syntax"),
        ("unittest.TestCase.assertEqual", "Fail if the two objects are unequal"),
    ],
)
def test_things_stand_under_the_names_that_people_use(docs: dict[str, Passage], name: str, says: str) -> None:
    assert says in docs[name].text


def test_a_title_is_the_signature_and_begins_the_text(docs: dict[str, Passage]) -> None:
    assert docs["shutil.rmtree"].title.startswith("shutil.rmtree(path, ignore_errors=False")
    assert docs["zipfile.ZipFile.read"].title == "zipfile.ZipFile.read(name, pwd=None)"
    assert all(p.text.startswith(p.title) for p in docs.values())
    assert docs["shutil.rmtree"].source == f"Python {'.'.join(map(str, sys.version_info[:3]))}, module shutil"


def test_an_object_with_several_homes_is_told_once(docs: dict[str, Passage]) -> None:
    assert "asyncio.tasks.gather" not in docs
    assert "posixpath.join" not in docs
    assert "io.open" not in docs


def test_nothing_of_this_machine_is_in_the_text(docs: dict[str, Passage]) -> None:
    everything = "\n".join(p.text for p in docs.values())
    assert " at 0x" not in everything
    assert sys.base_prefix not in everything
    assert "PYTHONHASHSEED': '0'" not in everything


def test_private_and_test_modules_are_left_out(docs: dict[str, Passage]) -> None:
    heads = {name.split(".")[0] for name in docs}
    assert not heads & {"test", "idlelib", "lib2to3", "turtledemo", "this", "antigravity"}
    assert not [name for name in docs for step in name.split(".") if step.startswith("_")]


def test_the_same_interpreter_gives_the_same_passages(docs: dict[str, Passage]) -> None:
    assert python_docs() == list(docs.values())


def script(folder: Path, text: str) -> str:
    place = folder / "python"
    place.write_text(f"#!{sys.executable} -S\nimport os, sys\n{text}\n")
    place.chmod(0o755)
    return str(place)


def test_an_interpreter_that_is_not_there_is_named() -> None:
    with pytest.raises(KnowledgeError, match="/nowhere/python cannot be started"):
        python_docs("/nowhere/python")


def test_one_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"(?s)ended with 3 .*no luck"):
        python_docs(script(tmp_path, "sys.stderr.write('no luck'); sys.exit(3)"))


def test_one_that_says_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="no documentation: no reason given"):
        python_docs(script(tmp_path, ""))


def test_one_that_answers_with_garbage_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="no passage"):
        python_docs(script(tmp_path, "os.write(int(sys.argv[-1]), b'{\"id\": 1}\\n')"))


def test_one_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    place = script(tmp_path, "import time\nos.fork()\ntime.sleep(600)")
    with pytest.raises(KnowledgeError, match="did not answer within"):
        python_docs(place, timeout=0.5)
