"""The pages hold together: tables say what the code says, links resolve, examples are what they claim to be."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import generate

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LANGUAGES = {"console", "python", "toml", "json", "text"}

pages = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def blocks(page: Path, language: str) -> Iterator[str]:
    for found in FENCE.finditer(page.read_text(encoding="utf-8")):
        if found[1] == language:
            yield found[2]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in HEADING.findall(text):
        slug = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


@pages
def test_tables_say_what_the_code_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate.filled(text) == text, "out of date: python docs/generate.py"


def test_every_table_that_is_made_stands_on_a_page() -> None:
    named = {found[2] for page in PAGES for found in generate.BLOCK.finditer(page.read_text(encoding="utf-8"))}
    assert named == set(generate.TABLES)


def test_the_check_of_the_tables_finds_a_changed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- table: exceptions -->\nold\n<!-- end -->\n", encoding="utf-8")
    monkeypatch.setattr(generate, "PAGES", (page,))
    assert generate.main(["--check"]) == 1
    assert "old" in page.read_text(encoding="utf-8")
    assert generate.main([]) == 0
    assert "HephaestusError" in page.read_text(encoding="utf-8")
    assert generate.main(["--check"]) == 0


@pages
def test_links_resolve(page: Path) -> None:
    broken: list[str] = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            if not target.startswith("https://"):
                broken.append(target)
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    linked = set(LINK.findall((ROOT / "docs" / "index.md").read_text(encoding="utf-8")))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= linked


@pages
def test_every_example_has_a_language_that_is_checked(page: Path) -> None:
    assert {found[1] for found in FENCE.finditer(page.read_text(encoding="utf-8"))} <= LANGUAGES


@pages
def test_python_examples_compile(page: Path) -> None:
    for code in blocks(page, "python"):
        compile(code, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pages
def test_toml_examples_parse(page: Path) -> None:
    for text in blocks(page, "toml"):
        tomllib.loads(text)


def test_the_readme_and_ci_have_one_test_command() -> None:
    printed = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run"), "--print-test-command"], capture_output=True, text=True, check=True
    )
    command = printed.stdout.strip()
    assert "\n" not in command
    assert f"```console\n$ {command}\n```" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "tox run" in command


def test_the_readme_has_exactly_two_commands() -> None:
    commands = [line for text in blocks(ROOT / "README.md", "console") for line in text.splitlines()]
    assert len(commands) == 2
    assert all(command.startswith("$ python3 -m venv .venv && ") for command in commands)


def test_every_environment_that_is_named_exists() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "tox.ini", encoding="utf-8")
    known = {name.removeprefix("testenv:") for name in settings} | {"py", "py311", "py312", "py313"}
    for page in PAGES:
        for names in re.findall(r"tox (?:run )?-e (\S+?)[`\s]", page.read_text(encoding="utf-8")):
            assert set(names.split(",")) <= known, page
