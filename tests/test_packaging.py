"""What is installed is what was meant: one wheel with host, runner and data, one name, one version."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

import hephaestus

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, as the build backend makes it from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def tracked(*folders: str) -> set[str]:
    """Files of the checkout below some folders, without what Python leaves behind."""
    return {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_host_and_runner_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    sources = {path.removeprefix("src/").removeprefix("runner/") for path in tracked("src", "runner")}
    examples = {path.replace("examples/agents", "hephaestus/_examples") for path in tracked("examples/agents")}
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == sources | examples


@pytest.mark.parametrize(
    "path",
    [
        "hephaestus/py.typed",
        "hephaestus_runner/py.typed",
        "hephaestus_runner/protocol.py",
        "hephaestus/_examples/stdlib-guide/agent.toml",
    ],
)
def test_the_wheel_holds(path: str, wheel: zipfile.ZipFile) -> None:
    assert path in wheel.namelist()


def test_the_wheel_holds_the_template_of_new_packages(wheel: zipfile.ZipFile) -> None:
    names = [name for name in wheel.namelist() if name.startswith("hephaestus/forge/template/")]
    assert {"agent.toml", "brief.toml", "card.toml"} <= {Path(name).name.removesuffix(".tmpl") for name in names}


def test_the_metadata_say_what_the_project_says(wheel: zipfile.ZipFile) -> None:
    (path,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    found = Parser().parsestr(wheel.read(path).decode("utf-8"))
    assert found["Name"] == "hephaestus-os" == PROJECT["name"]
    assert found["Version"] == PROJECT["version"]
    assert found["License-Expression"] == "Apache-2.0"
    assert found["Requires-Python"] == ">=3.11"


def test_the_wheel_holds_the_whole_licence(wheel: zipfile.ZipFile) -> None:
    (path,) = [name for name in wheel.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
    text = wheel.read(path).decode("utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    (path,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    assert "hephaestus = hephaestus.cli:main" in wheel.read(path).decode("utf-8")


def test_there_is_one_version() -> None:
    assert hephaestus.__version__ == metadata.version("hephaestus-os") == PROJECT["version"]
    written = re.compile(rf"""['"]{re.escape(PROJECT["version"])}['"]""")
    assert [path for path in tracked("src", "runner") if path.endswith(".py") and written.search(_text(path))] == []


def test_the_changelog_has_this_version() -> None:
    assert f"## [{PROJECT['version']}]" in _text("CHANGELOG.md")


def test_everything_that_is_supported_is_tested() -> None:
    supported = {
        name.removeprefix("Programming Language :: Python :: ")
        for name in PROJECT["classifiers"]
        if re.search(r":: 3\.\d+$", name)
    }
    environments = re.search(r"^env_list = (.*)$", _text("tox.ini"), re.MULTILINE)
    assert environments
    for version in supported:
        assert f"py{version.replace('.', '')}" in environments[1]


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
