"""The package that `hephaestus new` writes: its own tests pass, and its check agrees with its agent."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.assets import parse_brief, parse_card, parse_manifest
from hephaestus.errors import StorageError, UsageError
from hephaestus.forge.new import new_package
from hephaestus.interview import assess
from hephaestus.routing import CardEntry, CardTable, Router, compile_cards


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "text-statistics"
    new_package(folder)
    return folder


def test_nothing_of_the_template_is_left_to_fill_in(package: Path) -> None:
    for path in package.rglob("*"):
        assert "__" not in path.name.replace("__init__", "")
        if path.is_file():
            assert path.suffix != ".tmpl"
            assert "__NAME__" not in path.read_text("utf-8")
            assert "__MODULE__" not in path.read_text("utf-8")


def test_its_own_tests_pass(package: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-B", "-m", "unittest", "discover", "tests"],
        cwd=package,
        env={"PATH": os.defpath, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 5 tests" in done.stderr


def test_its_brief_builds_with_its_own_checks(package: Path) -> None:
    manifest = parse_manifest((package / "agent.toml").read_bytes())
    files = [path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()]
    report = assess(
        parse_brief((package / "brief.toml").read_bytes()),
        checks={check.id: check.kind for check in manifest.checks},
        files=files,
    )
    assert report.builds
    assert report.hints == ()


def test_every_example_of_its_card_is_routed_to_it_and_no_counter_example_is(package: Path) -> None:
    card = parse_card((package / "card.toml").read_bytes())
    assert len(card.examples) >= 10
    entry = CardEntry(agent="a", release="a@0.1.0", digest="sha256:" + "0" * 64, card=card)  # type: ignore[arg-type]
    router = Router(CardTable.load(compile_cards([entry])))
    assert [example for example in card.examples if router.route(example).kind != "routed"] == []
    assert [example for example in card.counter_examples if router.route(example).kind == "routed"] == []


def load(package: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, package / "src" / "text_statistics" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def findings(package: Path) -> Callable[[str], Any]:
    statistics, counts = load(package, "main").statistics, load(package, "checks").counts
    return lambda text: counts(statistics(text), {})


@given(text=st.text("ab1\u00b2\u00bd _-'\u2019.!?\u2026 \n\u2028\u00e9\u0301\u65e5") | st.text())
def test_agent_and_check_count_alike_in_two_ways(findings: Callable[[str], Any], text: str) -> None:
    assert findings(text) == {"inspected": 3, "findings": []}


@pytest.mark.parametrize(
    ("name", "module"),
    [("word-counter", "word_counter"), ("json", "json_agent"), ("class", "class_agent"), ("apsw", "apsw_agent")],
)
def test_the_module_never_shadows_what_the_code_needs(tmp_path: Path, name: str, module: str) -> None:
    assert f"src/{module}/main.py" in new_package(tmp_path / "folder", name=name)
    assert f'entry = "{module}.main:run"' in (tmp_path / "folder" / "agent.toml").read_text()


def test_a_folder_that_holds_something_or_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not empty"):
        new_package(tmp_path, name="a")
    with pytest.raises(UsageError, match="is not empty"):
        new_package(tmp_path / "file", name="a")
    with pytest.raises(StorageError, match="cannot be written"):
        new_package(tmp_path / "file" / "below", name="a")
    with pytest.raises(UsageError, match="is no agent name"):
        new_package(tmp_path / "new", name="No Name")
