"""The runner's main script with coverage around it; ``child_coverage`` has it started instead of that.

Arguments and environment are the product's, so what this needs to know is written into the script that imports it.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def run(coverage_home: str, runner_home: str, descriptor: int) -> NoReturn:
    """Measure the runner in this process and those it forks; each appends what was measured when it exits."""
    sys.path.append(coverage_home)
    import coverage
    import coverage.sqldata  # what is needed at the end must be loaded before there is nothing to load from
    import coverage.sqlitedb

    sys.path.remove(coverage_home)
    sys.path.insert(0, runner_home)
    measured = coverage.Coverage(
        data_file=None, branch=True, source_pkgs=["hephaestus_runner"], config_file=False, messages=False
    )
    measured.start()
    leave = os._exit

    def leave_measured(code: int) -> NoReturn:
        measured.stop()
        # Not get_data(): that looks for files that were never run, on a file system that may be out of reach by now.
        collector, data = measured._collector, measured._data
        assert collector is not None
        collector.flush_data()
        record = data.dumps()
        os.write(descriptor, len(record).to_bytes(8, "little") + record)
        leave(code)

    os._exit = leave_measured  # type: ignore[assignment]
    from hephaestus_runner import main

    sys.path.remove(runner_home)
    main.main()
