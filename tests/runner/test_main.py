"""The script that the host starts: it finds the packages it was told of and no others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hephaestus.runtime.layout import layout
from hephaestus_runner import main as module
from hephaestus_runner.main import Finder


def test_only_the_named_packages_are_found(tmp_path: Path) -> None:
    for name in ("known", "unknown"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    finder = Finder({"known": str(tmp_path)})
    spec = finder.find_spec("known")
    assert spec is not None
    assert spec.origin == str(tmp_path / "known" / "__init__.py")
    assert finder.find_spec("unknown") is None
    assert finder.find_spec("known.part", [str(tmp_path / "known")]) is None


def test_after_the_move_further_modules_are_found_in_the_new_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("old", "new"):
        folder = tmp_path / place / "moving_package"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "part.py").write_text(f"place = {place!r}")
    finder = Finder({"moving_package": str(tmp_path / "old"), "not_loaded": str(tmp_path)})
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    import importlib

    importlib.import_module("moving_package")
    finder.move(str(tmp_path / "new"))
    try:
        assert importlib.import_module("moving_package.part").place == "new"
    finally:
        for name in ("moving_package", "moving_package.part"):
            sys.modules.pop(name, None)


def test_the_configuration_is_all_of_standard_input_which_is_empty_afterwards() -> None:
    code = "from hephaestus_runner.main import read_config; import sys; print(read_config(), repr(sys.stdin.read()))"
    done = subprocess.run([sys.executable, "-c", code], input='{"a": 1}', capture_output=True, text=True, check=True)
    assert done.stdout == "{'a': 1} ''\n"


@pytest.mark.parametrize("text", ["", "no json", '{"homes": {}}'])
def test_a_configuration_that_is_none_ends_the_process_with_a_trace(text: str) -> None:
    done = subprocess.run(
        [layout().python, "-I", "-S", "-B", module.__file__], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Error" in done.stderr


def test_no_folder_of_installed_packages_is_on_the_path_of_a_child() -> None:
    # As the script begins: without site, and without its own folder.
    code = (
        "import json, runpy, sys; sys.argv = ['main.py'];\n"
        "import os; r, w = os.pipe(); os.write(w, b'{\"homes\": {}}'); os.close(w); os.dup2(r, 0)\n"
        "try: runpy.run_path(PATH, run_name='__main__')\n"
        "except ModuleNotFoundError as error: print(json.dumps([error.name, sys.path]))\n"
    ).replace("PATH", repr(module.__file__))
    done = subprocess.run(
        [layout().python, "-P", "-s", "-S", "-B", "-c", code], capture_output=True, text=True, check=False
    )
    name, path = json.loads(done.stdout)
    assert name == "msgspec"
    assert not [entry for entry in path if "site-packages" in entry or entry == os.path.dirname(module.__file__)]
