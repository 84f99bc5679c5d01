"""`import hephaestus` costs next to nothing, and its names are one closed list."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import hephaestus

HEAVY = (
    "anyio",
    "apsw",
    "asyncio",
    "cryptography",
    "httpx",
    "jsonschema_rs",
    "msgspec",
    "re2",
    "ssl",
    "tenacity",
    "trio",
)

PROBE = """
import json, os, sys, threading
links = lambda: [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
held = lambda: sorted(os.readlink(link) for link in links() if os.path.exists(link))
tasks = lambda: len(os.listdir("/proc/self/task"))
modules, files, threads = set(sys.modules), held(), tasks()
import hephaestus
print(json.dumps({
    "modules": sorted(set(sys.modules) - modules),
    "files": [files, held()],
    "threads": [threads, tasks(), threading.active_count()],
}))
"""


def fresh(code: str) -> str:
    """What a fresh interpreter prints, without anything that measures or patches it."""
    # -I: no PYTHON* variable, no user site; coverage's own hook needs a variable that is not handed on.
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, env={})
    return done.stdout


@pytest.fixture(scope="module")
def import_effects() -> dict[str, list[object]]:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to count descriptors and threads")
    effects: dict[str, list[object]] = json.loads(fresh(PROBE))
    return effects


def test_import_starts_no_thread(import_effects: dict[str, list[object]]) -> None:
    before, after, of_python = import_effects["threads"]
    assert (before, after, of_python) == (1, 1, 1)


def test_import_keeps_no_file_open(import_effects: dict[str, list[object]]) -> None:
    before, after = import_effects["files"]
    assert before == after


@pytest.mark.parametrize("heavy", HEAVY)
def test_import_loads_no_heavy_module(import_effects: dict[str, list[object]], heavy: str) -> None:
    assert heavy not in import_effects["modules"]


def test_import_loads_only_the_package_itself(import_effects: dict[str, list[object]]) -> None:
    ours = [name for name in import_effects["modules"] if str(name).partition(".")[0].startswith("hephaestus")]
    assert ours == ["hephaestus"]


@pytest.mark.parametrize("name", hephaestus.__all__)
def test_every_public_name_resolves_and_is_listed(name: str) -> None:
    assert getattr(hephaestus, name) is not None
    assert name in dir(hephaestus)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Runtme'"):
        _ = hephaestus.Runtme  # type: ignore[attr-defined]


def test_type_checkers_and_the_interpreter_see_the_same_names() -> None:
    tree = ast.parse(Path(hephaestus.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = {
        alias.name: str(node.module)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == hephaestus._HOMES
    assert sorted([*imported, "__version__"]) == sorted(hephaestus.__all__)
