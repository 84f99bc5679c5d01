"""Finding the code of a package, and telling its failures apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hephaestus_runner.adapters import python
from hephaestus_runner.channel import Cancelled
from hephaestus_runner.config import Places
from hephaestus_runner.sdk import ModelFailed
from hephaestus_runner.work import WorkFailed


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "heph_test_module.py").write_text("def main(task): return task\nclass Group:\n    part = len\n")
    (tmp_path / "heph_test_top.py").write_text("import heph_test_gone")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Places("", str(tmp_path), None, None)
    for name in [name for name in sys.modules if name.startswith("heph_test")]:
        del sys.modules[name]


def test_a_module_is_looked_for_in_src_and_then_in_the_package_itself(place: Places) -> None:
    assert python.function("heph_test_module:main", place)(3) == 3
    assert sys.path[:2] == [f"{place.package}/src", place.package]
    python.prepare(place)
    assert sys.path.count(str(place.package)) == 1


def test_an_object_inside_an_object_is_found(place: Places) -> None:
    assert python.load("heph_test_module:Group.part", place) is len


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("nothing", "expected module:object"),
        (":x", "expected module:object"),
        ("heph_test_module:", "expected module:object"),
        ("heph_test_missing:x", "there is no module 'heph_test_missing'"),
        ("heph_test_module.deeper:x", "there is no module 'heph_test_module.deeper'"),
        ("heph_test_top:x", "importing heph_test_top raised ModuleNotFoundError"),
        ("heph_test_module:gone", "has no 'gone'"),
        ("sys:exit", "built in"),
        ("json:dumps", "the package has no module 'json'"),
    ],
)
def test_what_is_wrong_with_an_entry_point_is_said(place: Places, entry: str, text: str) -> None:
    with pytest.raises(WorkFailed, match=text) as caught:
        python.load(entry, place)
    assert caught.value.cause == "agent_code"


def test_without_a_package_there_is_no_code_to_run() -> None:
    with pytest.raises(WorkFailed) as caught:
        python.load("a:b", Places("", None, None, None))
    assert caught.value.cause == "specification"


def test_a_request_that_the_host_refused_keeps_its_cause() -> None:
    def ask() -> None:
        raise ModelFailed("down", cause="model")

    with pytest.raises(WorkFailed, match="down") as caught:
        python.call("a:b", ask)
    assert caught.value.cause == "model"
    assert "ModelFailed" in caught.value.trace


def test_being_given_up_goes_through() -> None:
    def stop() -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        python.call("a:b", stop)
