"""A home with one deployed package of the template, and a way to type commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hephaestus.cli import main
from hephaestus.cli.objects import FIELDS


class Typed(msgspec.Struct, frozen=True):
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """The one object of --json: nothing before it, nothing behind it."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1
        assert self.out.isascii()
        value: dict[str, Any] = json.loads(self.out)
        kind, number = value["schema"].removeprefix("hephaestus.").split("/")
        assert number == "1"
        if kind != "error":
            # The documentation is made from this list, so an object has these fields and no others.
            assert value.keys() - {"schema"} == FIELDS[kind].keys()
        return value

    @property
    def error(self) -> dict[str, Any]:
        """The error of --json."""
        assert self.object["schema"] == "hephaestus.error/1"
        error: dict[str, Any] = self.object["error"]
        assert set(error) >= {"kind", "message", "hint"}
        return error


Type = Callable[..., Typed]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command into a fresh home, unless it names one."""
    monkeypatch.setenv("HEPHAESTUS_HOME", str(tmp_path / "home"))

    def run(*words: object) -> Typed:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Typed(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: `text-statistics` published, deployed and run."""
    place = tmp_path_factory.mktemp("shop")
    package, home = place / "text-statistics", place / "home"
    for words in (
        ["new", "text-statistics", "--folder", str(package)],
        ["publish", str(package)],
        ["deploy", "stable", "text-statistics", "--why", "first"],
        ["run", "count the words: one two", "--output", str(place / "output"), "--certificate", str(place / "proof")],
    ):
        assert main([*words, "--home", str(home), "--json"]) == 0
    return place


@pytest.fixture
def shop(_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Type) -> Path:
    """A copy of that place, as the default home: `home`, `text-statistics`, `output`, `proof`."""
    place = tmp_path / "shop"
    shutil.copytree(_shop, place, symlinks=True)
    monkeypatch.setenv("HEPHAESTUS_HOME", str(place / "home"))
    return place
