"""An open hub for every test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hephaestus.hub import Hub


@pytest.fixture
async def hub(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Hub]:
    async with Hub.open(tmp_path / "hub") as opened:
        yield opened
