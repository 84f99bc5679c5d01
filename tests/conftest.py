"""Fixtures for every test."""

import pytest

pytest_plugins = ["tests.support.child_coverage"]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every asynchronous test runs on both event loops."""
    return request.param
