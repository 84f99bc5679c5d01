"""What the pages tell a reader to type works: the tutorial is replayed, the library example is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.transcript import Example, examples, replay

from hephaestus.cli.app import parser

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
COMMAND = re.compile(
    r"(?<![\w.-])hephaestus ((?:[^\s|&;<>`\"']+|\"[^\"]*\"|'[^']*')(?: +(?:[^\s|&;<>`\"']+|\"[^\"]*\"|'[^']*'))*)"
)

isolated = pytest.mark.skipif(sys.platform != "linux", reason="agents run isolated on Linux only")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a person has who installed the package: the command on the path, and a home of their own."""
    bin_folder = str(Path(sys.executable).parent)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEPHAESTUS_")},
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HEPHAESTUS_HOME": str(tmp_path / "home"),
    }


@isolated
def test_the_tutorial_can_be_followed(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    steps = examples((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    assert len(steps) > 15
    for step in steps:
        assert not (wrong := replay(step, folder=folder, environment=environment)), wrong


@isolated
def test_the_library_example_of_the_readme_ends_verified(tmp_path: Path, environment: dict[str, str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^<!-- example: library -->\n```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Verified(value=")
    assert "zipfile" in done.stdout


def commands() -> list[tuple[str, Example]]:
    return [
        (page.name, example)
        for page in PAGES
        for example in examples(page.read_text(encoding="utf-8"))
        if "hephaestus " in example.command
    ]


@pytest.mark.parametrize(("page", "example"), commands(), ids=lambda value: getattr(value, "command", value))
def test_every_command_that_is_shown_is_one_that_the_command_line_takes(page: str, example: Example) -> None:
    import shlex

    found = [match[1] for match in COMMAND.finditer(example.command)]
    assert found
    for words in found:
        parser().parse_args(shlex.split(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_verb_that_is_named_exists(page: Path) -> None:
    from docs.generate import verbs

    known = {name for name, _ in verbs(parser())} | {name.split()[0] for name, _ in verbs(parser())} | {"VERB"}
    for named in re.findall(r"`hephaestus ([a-z]+(?: [a-z]+)?)", page.read_text(encoding="utf-8")):
        assert named in known or named.split()[0] in known, named
