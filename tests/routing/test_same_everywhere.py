"""Same request, same cards, same decision, same bytes: on every Python, with every hash seed."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from tests.routing import cards

ROOT = pathlib.Path(__file__).parents[2]

# What this version of the engine decides. It changes with ENGINE, never with Python, platform or hash seed.
EXPECTED = "sha256:e996e2a61440cb09fce6c7f08831f85716448380f58466039177211aedba4d09"


def python(version: str) -> str | None:
    """An interpreter of this version that has the library's dependencies, from tox or from the path."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = (str(ROOT / f".tox/py{version.replace('.', '')}/bin/python"), shutil.which(f"python{version}"))
    for program in found:
        if program is None or not pathlib.Path(program).exists():
            continue
        ran = subprocess.run([program, "-c", "import msgspec"], capture_output=True, check=False, timeout=60)
        if ran.returncode == 0:
            return program
    return None


def outcomes(program: str, **environment: str) -> str:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), str(ROOT / "runner")])
    ran = subprocess.run(
        [program, "-m", "tests.routing.cards"],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONPATH": path, **environment},
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    return ran.stdout.split()[-1]


def test_this_python_decides_what_every_python_decides() -> None:
    assert cards.outcomes() == EXPECTED


def test_the_order_of_cards_does_not_matter() -> None:
    assert cards.outcomes(reversed(cards.CARDS)) == EXPECTED


@pytest.mark.parametrize("seed", ["0", "1", "4294967295"])
def test_the_hash_seed_does_not_matter(seed: str) -> None:
    assert outcomes(sys.executable, PYTHONHASHSEED=seed) == EXPECTED


@pytest.mark.parametrize("locale", ["C", "tr_TR.UTF-8"])
def test_the_locale_does_not_matter(locale: str) -> None:
    assert outcomes(sys.executable, LC_ALL=locale, PYTHONUTF8="0") == EXPECTED


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_version_of_python_does_not_matter(version: str) -> None:
    program = python(version)
    if program is None:
        pytest.skip(f"no Python {version} with the library's dependencies is here")
    assert outcomes(program) == EXPECTED
