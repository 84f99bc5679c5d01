"""What do publishing and resolving cost?

Publish: against writing the same files with one fsync each, in the same run. Resolve: the newest of one agent among
1,000 agents with 10 versions each, against the bare indexed query on the same database.
"""

from __future__ import annotations

import itertools
import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from tests.support.packages import draft

from hephaestus.assets import Version
from hephaestus.canonical import digest_bytes
from hephaestus.hub import Hub, Release, ReleaseDraft, catalogue
from hephaestus.hub.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGENTS = 1_000
VERSIONS = [str(Version(1, minor, 0)) for minor in range(10)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A catalogue of 10,000 releases; their blobs are not there, resolving does not read them."""
    store = Store(tmp_path_factory.mktemp("resolve") / "hub")
    with store._database.writing() as connection:
        for agent, version in itertools.product(range(AGENTS), VERSIONS):
            digest = digest_bytes(f"{agent} {version}".encode())
            release = Release(f"agent-{agent}", version, digest, digest, "does something", 0, 10)
            catalogue.insert(connection, release, dependencies={"other": "^1"}, seal=None)
    yield store
    store.close()


@pytest.fixture
def names() -> Iterator[str]:
    chosen = random.Random(7)
    return (f"agent-{chosen.randrange(AGENTS)}" for _ in itertools.count())


@pytest.mark.benchmark(group="resolve the newest of 1,000 agents")
def test_bare_query_baseline(benchmark: Any, filled: Store, names: Iterator[str]) -> None:
    connection = filled._database._connection
    query = (
        "SELECT version, digest FROM release WHERE name = ? AND yanked = 0 ORDER BY prerelease, sort_key DESC LIMIT 1"
    )

    def resolve() -> object:
        assert connection is not None
        return connection.execute(query, (next(names),)).fetchone()

    assert benchmark(resolve)[0] == "1.9.0"


@pytest.mark.benchmark(group="resolve the newest of 1,000 agents")
def test_resolve_newest(benchmark: Any, filled: Store, names: Iterator[str]) -> None:
    assert benchmark(lambda: filled.find(next(names))).version == "1.9.0"


@pytest.mark.benchmark(group="resolve the newest of 1,000 agents")
def test_resolve_range(benchmark: Any, filled: Store, names: Iterator[str]) -> None:
    assert benchmark(lambda: filled.find(next(names) + "@~1.4")).version == "1.4.0"


@pytest.mark.benchmark(group="resolve the newest of 1,000 agents")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_resolve_newest_from_a_task(benchmark: Any, filled: Store, names: Iterator[str], backend: str) -> None:
    """With the worker thread that keeps the event loop free, and the portal into it that only the benchmark needs."""
    with start_blocking_portal(backend) as portal:
        hub = Hub(filled)
        assert benchmark(lambda: portal.call(hub.release, next(names))).version == "1.9.0"


def files_of(package: ReleaseDraft) -> dict[str, bytes]:
    return {path: file.data for path, file in package.tree.files.items()}


def drafts(prompts: int) -> Iterator[ReleaseDraft]:
    for number in itertools.count():
        more = {f"prompts/{n}.md": f"{number} {n} " + "word " * 400 for n in range(prompts)}
        yield draft(version=f"1.{number}.0", files=more)


@pytest.mark.benchmark(group="publish: 5 files and 40 prompts of 2 kB")
def test_copy_and_fsync_baseline(benchmark: Any, tmp_path: Path) -> None:
    """One file after the other: written, fsynced, and the folder fsynced at the end."""
    made = drafts(40)

    def setup() -> tuple[tuple[dict[str, bytes], Path], dict[str, object]]:
        package = next(made)
        return (files_of(package), tmp_path / package.manifest.agent.version), {}

    def copy(files: dict[str, bytes], folder: Path) -> None:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    benchmark.pedantic(copy, setup=setup, rounds=30)


@pytest.mark.benchmark(group="publish: 5 files and 40 prompts of 2 kB")
def test_publish(benchmark: Any, tmp_path: Path) -> None:
    """Checked, scored, packed, hashed, durable and in the catalogue."""
    store = Store(tmp_path / "hub")
    made = drafts(40)

    def publish(package: ReleaseDraft) -> Release:
        admitted = store.admit(package)
        assert not isinstance(admitted, Release)
        return store.commit(admitted, store.write(admitted), None)

    release = benchmark.pedantic(publish, setup=lambda: ((next(made),), {}), rounds=30)
    assert store.read(release, "prompts/0.md")
    store.close()


@pytest.mark.benchmark(group="unpack: 45 files")
@pytest.mark.parametrize("known", [False, True], ids=["first time", "verified before (lstat only)"])
def test_unpack(benchmark: Any, tmp_path: Path, known: bool) -> None:
    store = Store(tmp_path / "hub")
    made = drafts(40)

    def published() -> tuple[tuple[Release], dict[str, object]]:
        admitted = store.admit(next(made))
        assert not isinstance(admitted, Release)
        return (store.commit(admitted, store.write(admitted), None),), {}

    if known:
        (release,), _ = published()
        store.unpack(release)
        benchmark(store.unpack, release)
    else:
        benchmark.pedantic(store.unpack, setup=published, rounds=20)
    store.close()
