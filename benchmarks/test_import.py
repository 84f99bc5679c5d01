"""How much does `import hephaestus` add to the start of a fresh process? Baseline: `pass`, in the same run."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

CASES = {
    "nothing (baseline)": "pass",
    "import hephaestus": "import hephaestus",
    "import and use Runtime": "import hephaestus; hephaestus.Runtime",
}


@pytest.mark.benchmark(group="import in a fresh process", min_rounds=20)
@pytest.mark.parametrize("code", CASES.values(), ids=CASES)
def test_fresh_process(benchmark: Any, code: str) -> None:
    benchmark(subprocess.run, [sys.executable, "-I", "-c", code], check=True)
