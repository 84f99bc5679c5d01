"""The import contract holds, and would notice if it did not."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNNER = ROOT / "runner" / "hephaestus_runner"
ALLOWED = frozenset(sys.stdlib_module_names) | {"msgspec", "hephaestus_runner"}
ALSO = {"search.py": {"apsw"}}
"""What one file may import besides; search reads a knowledge shard, which is a SQLite database."""


def foreign_imports(source: str, allowed: frozenset[str]) -> list[str]:
    """Top-level names that a module imports, anywhere in it, and may not."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append(str(node.module).partition(".")[0])
    return sorted({name for name in found if name not in allowed})


@pytest.mark.parametrize("path", sorted(RUNNER.rglob("*.py")), ids=lambda path: str(path.relative_to(RUNNER)))
def test_the_runner_imports_only_what_is_in_every_environment(path: Path) -> None:
    allowed = ALLOWED | ALSO.get(str(path.relative_to(RUNNER)), set())
    assert foreign_imports(path.read_text(encoding="utf-8"), allowed) == []


def test_a_foreign_import_in_the_runner_would_be_found() -> None:
    planted = "import os\ndef late():\n    import httpx.aio\n    from anyio import run\n    from . import protocol\n"
    assert foreign_imports(planted, ALLOWED) == ["anyio", "httpx"]


PLANTED = {
    "layers": ("assets/__init__.py", "import hephaestus.forge"),
    "stations": ("routing/__init__.py", "import hephaestus.knowledge"),
    "stations-below-interview-and-hub": ("receipts/__init__.py", "import hephaestus.hub"),
    "interview": ("interview/__init__.py", "import hephaestus.routing"),
    "hub": ("hub/__init__.py", "import hephaestus.stormbreaker"),
    "runner": ("../hephaestus_runner/protocol.py", "import hephaestus.errors"),
    "host": ("runtime/__init__.py", "import hephaestus_runner.sdk"),
}
"""Contract -> one line that breaks it, and where."""


def make_packages(folder: Path) -> None:
    """Empty packages of the same names as ours, as ours are allowed to import each other."""
    for name in ("assets", "cli", "forge", "taskforce", "runtime", "knowledge", "routing", "receipts",
                 "stormbreaker", "interview", "hub"):  # fmt: skip
        (folder / "hephaestus" / name).mkdir(parents=True)
        (folder / "hephaestus" / name / "__init__.py").touch()
    for name in ("__init__", "errors", "canonical", "late", "seals"):
        (folder / "hephaestus" / f"{name}.py").touch()
    (folder / "hephaestus_runner").mkdir()
    for name in ("__init__", "protocol", "search", "sdk"):
        (folder / "hephaestus_runner" / f"{name}.py").touch()
    (folder / "hephaestus" / "hub" / "__init__.py").write_text("import hephaestus.interview\n")
    (folder / "hephaestus" / "interview" / "__init__.py").write_text("import hephaestus.stormbreaker\n")
    (folder / "hephaestus" / "runtime" / "__init__.py").write_text("import hephaestus_runner.protocol\n")


def check_contract(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as main; main()"
    return subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "--config",
            str(ROOT / "pyproject.toml"),
            "--contract",
            contract,
            "--no-cache",
        ],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_is_a_canary_for_every_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]} == set(PLANTED)


@pytest.mark.parametrize("contract", PLANTED)
def test_the_contract_finds_a_planted_violation_and_nothing_without_it(contract: str, tmp_path: Path) -> None:
    pytest.importorskip("importlinter", reason="the environment `imports` has it")
    make_packages(tmp_path)
    clean = check_contract(tmp_path, contract)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    where, line = PLANTED[contract]
    with (tmp_path / "hephaestus" / where).open("a") as file:
        file.write(line + "\n")
    broken = check_contract(tmp_path, contract)
    assert broken.returncode == 1, broken.stdout + broken.stderr
    assert "BROKEN" in broken.stdout
