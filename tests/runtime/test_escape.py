"""What package code cannot reach: host files, host processes, the network, the host's environment and home."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.children import linux_only, root_only
from tests.support.escape import try_all
from tests.support.plain_user import ROOT, run_as_plain_user

pytestmark = linux_only

SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.support.escape import main
main()
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can pass to; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="hephaestus-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def succeeded(found: dict[str, str] | str) -> list[str]:
    assert isinstance(found, dict), found
    assert len(found) > 25
    return [name for name, how in found.items() if how == "done"]


def failed(found: dict[str, str] | str) -> dict[str, str]:
    assert isinstance(found, dict), found
    return {name: how for name, how in found.items() if how != "done"}


@root_only
def test_what_root_could_do_an_isolated_child_of_root_cannot(open_folder: Path) -> None:
    found = try_all(open_folder, ["none", "isolated"])
    assert failed(found["none"]) == {}
    assert succeeded(found["isolated"]) == []


def test_what_an_ordinary_user_could_do_no_confined_child_of_that_user_can(open_folder: Path) -> None:
    done = run_as_plain_user(SCRIPT, "none", "isolated", "restricted", folder=open_folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert failed(found["none"]) == {}
    assert succeeded(found["isolated"]) == []
    assert succeeded(found["restricted"]) == []


@root_only
def test_what_root_could_do_a_restricted_child_of_root_cannot_where_it_is_to_be_had(open_folder: Path) -> None:
    done = run_as_plain_user(SCRIPT, "none", "restricted", folder=open_folder, become=os.getuid())
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert failed(found["none"]) == {}
    assert succeeded(found["restricted"]) == []


@root_only
def test_restricted_says_which_path_its_user_cannot_read(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir()
    found = try_all(closed, ["restricted"])["restricted"]
    if isinstance(found, dict):
        pytest.skip("this interpreter can be read by every user")
    assert "cannot read" in found
