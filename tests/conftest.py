"""Fixtures for every test."""

import pytest
from hypothesis import settings

# A deadline per example is a timed test: it fails when the machine is busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = ["tests.support.child_coverage"]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every asynchronous test runs on both event loops."""
    return request.param
