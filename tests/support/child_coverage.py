"""Branch coverage of what runs inside children: a pytest plugin that does nothing unless tests run under coverage.

The product does not know coverage. Children are started with another main script and keep one descriptor more, a file
of the host's to which each appends what it measured. ``HEPHAESTUS_TEST_COVERAGE=1`` switches it on.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_HANDED_ON = "HEPHAESTUS_TEST_COVERAGE_OF_CHILDREN"

ACTIVE = os.environ.get("HEPHAESTUS_TEST_COVERAGE") == "1"

_MAIN = """\
import sys
sys.path.append({here!r})
import covered_main
sys.path.remove({here!r})
covered_main.run({coverage!r}, {runner!r}, {descriptor})
"""


@pytest.fixture(scope="session", autouse=ACTIVE)
def child_coverage() -> Iterator[None]:
    """Have every child that is launched measured; leave one data file for ``coverage combine``."""
    import coverage

    import hephaestus_runner
    from hephaestus.runtime import spawn

    # Not one of pytest's own folders, which other users cannot pass.
    folder = Path(tempfile.mkdtemp(prefix="hephaestus-coverage-"))
    folder.chmod(0o755)
    records = folder / "records"
    descriptor = os.open(records, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    # Above what tests open by chance, so that no child takes the number for something else.
    high = os.dup2(descriptor, 512, inheritable=False)
    os.close(descriptor)
    main = folder / "main.py"
    main.write_text(
        _MAIN.format(
            here=str(Path(__file__).parent),
            coverage=str(Path(coverage.__file__).parents[1]),
            runner=str(Path(hephaestus_runner.__file__).parents[1]),
            descriptor=high,
        ),
        encoding="utf-8",
    )
    main.chmod(0o644)
    spawn._MAIN, spawn._EXTRA_FDS = str(main), (high,)
    os.environ[_HANDED_ON] = f"{high}:{main}"
    yield
    spawn._MAIN, spawn._EXTRA_FDS = None, ()
    del os.environ[_HANDED_ON]
    os.close(high)
    join(records.read_bytes(), os.environ.get("COVERAGE_FILE", ".coverage"))
    shutil.rmtree(folder)


def handed_on() -> tuple[dict[str, str], tuple[int, ...]]:
    """What a program of the tests needs to have its own children measured: environment and descriptors."""
    found = os.environ.get(_HANDED_ON)
    return ({_HANDED_ON: found}, (int(found.partition(":")[0]),)) if found else ({}, ())


def take_over() -> None:
    """In such a program: measure the children."""
    from hephaestus.runtime import spawn

    number, _, main = os.environ.pop(_HANDED_ON, "").partition(":")
    if main:
        spawn._MAIN, spawn._EXTRA_FDS = main, (int(number),)


def join(records: bytes, base: str) -> None:
    """Write one data file beside ``base`` with everything that the records hold."""
    from coverage import CoverageData

    joined = CoverageData(basename=base, suffix=f"child.{os.getpid()}")
    while records:
        size = int.from_bytes(records[:8], "little")
        one = CoverageData(no_disk=True)
        one.loads(records[8 : 8 + size])
        joined.update(one)
        one.close(force=True)
        records = records[8 + size :]
    joined.write()
    joined.close(force=True)
