"""A runtime on a fresh home with small packages published and deployed, for tests of whole runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.packages import write_package

from hephaestus.forge import Forge
from hephaestus.routing import Router
from hephaestus.runtime import Config, Runtime
from hephaestus.stormbreaker import Outcome
from hephaestus.taskforce import TaskForce


class Deployed:
    """What :func:`deployed` hands out."""

    def __init__(self, runtime: Runtime, router: Router) -> None:
        self.runtime = runtime
        self.router = router

    async def run(self, request: str, **settings: Any) -> tuple[Outcome, TaskForce]:
        """Route a request, carry it out, and return its outcome and the used-up task force."""
        async with TaskForce(self.runtime, self.router.route(request), **settings) as force:
            outcome = await force.run()
        return outcome, force

    async def kinds(self, run: str) -> list[str]:
        """The kinds of a run's journal entries, in order."""
        return [entry.kind for entry in await self.runtime.journal.entries(run=run)]


@asynccontextmanager
async def deployed(tmp_path: Path, *packages: dict[str, Any], config: Config | None = None) -> AsyncIterator[Deployed]:
    """Publish packages (each the arguments of ``write_package``) and deploy them to ``stable``."""
    async with Runtime.open(tmp_path / "home", config=config) as runtime:
        forge = Forge(runtime)
        releases = []
        for index, package in enumerate(packages):
            folder = write_package(tmp_path / f"package-{index}", **package)
            releases.append(await forge.publish(folder))
        await forge.deploy("stable", releases)
        yield Deployed(runtime, await runtime.router("stable"))
