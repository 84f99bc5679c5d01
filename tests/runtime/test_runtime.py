"""The runtime between its parts: many requests at once, card tables by digest, and shards that were lost."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import pytest
from tests.support.packages import draft

from hephaestus.assets import parse_card
from hephaestus.canonical import digest_bytes
from hephaestus.errors import IntegrityError, NotFound, StorageError, UsageError
from hephaestus.hub import Release
from hephaestus.knowledge import PASSAGES_FILE, Passage, encode_passages
from hephaestus.routing import CardEntry, CardTable, Decision, compile_cards
from hephaestus.runtime import Runtime
from hephaestus.stormbreaker import Outcome, Undecided

pytestmark = pytest.mark.anyio

KNOWLEDGE = "\n[[knowledge]]\nkind = 'folder'\npath = 'texts'\n"
ANVIL = Passage(id="anvil", title="Anvils", source="texts/anvil.md", text="An anvil weighs 80 kilograms.")


async def put_in_force(runtime: Runtime, **package: Any) -> Release:
    """Publish a package and put it alone in force on ``stable``, without the forge's look at its code."""
    release = await runtime.hub.publish(draft(**package))
    card = parse_card(await runtime.hub.read(release, "card.toml"))
    entry = CardEntry(agent=release.name, release=release.ref, digest=release.digest, card=card)
    await runtime.hub.deploy("stable", [release], card_table=compile_cards([entry]))
    return release


@asynccontextmanager
async def opened(tmp_path: Path, **package: Any) -> AsyncIterator[Runtime]:
    async with Runtime.open(tmp_path / "home") as runtime:
        await put_in_force(runtime, **package)
        yield runtime


class Force:
    """Stands for a task force: its outcome is the request that it was given."""

    def __init__(self, runtime: Runtime, decision: Decision) -> None:
        self._decision = decision

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await anyio.lowlevel.checkpoint()

    async def run(self) -> Outcome:
        await anyio.lowlevel.checkpoint()
        if "fail" in self._decision.request:
            raise StorageError("planted")
        return Undecided(cause="routing", message=self._decision.request)


class Counted:
    """Requests, and how many of them were taken."""

    def __init__(self, count: int) -> None:
        self.taken = 0
        self._count = count

    def __iter__(self) -> Iterator[str]:
        for number in range(self._count):
            self.taken += 1
            yield f"echo {number}"


# --- many requests --------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_every_request_comes_back_once_with_its_index(tmp_path: Path, limit: int) -> None:
    async with opened(tmp_path) as runtime, runtime.run_many(Counted(20), force=Force, limit=limit) as outcomes:
        found = [(index, outcome.message) async for index, outcome in outcomes if isinstance(outcome, Undecided)]
    assert sorted(found) == [(number, f"echo {number}") for number in range(20)]


async def test_no_requests_are_no_outcomes(tmp_path: Path) -> None:
    async with opened(tmp_path) as runtime, runtime.run_many([], force=Force) as outcomes:
        assert [outcome async for outcome in outcomes] == []


@pytest.mark.parametrize("limit", [0, -1])
async def test_no_run_at_a_time_is_refused_and_not_waited_for(tmp_path: Path, limit: int) -> None:
    async with opened(tmp_path) as runtime:
        with pytest.raises(UsageError, match=f"limit is {limit}"):
            async with runtime.run_many(["echo"], force=Force, limit=limit):
                pass


async def test_a_request_that_no_router_reads_costs_the_others_nothing(tmp_path: Path) -> None:
    requests = ["echo a", "echo \0", "\ud800", "x" * 10_000_000, "echo b"]
    async with opened(tmp_path) as runtime, runtime.run_many(requests, force=Force, limit=2) as outcomes:
        found = {index: outcome async for index, outcome in outcomes}
    assert sorted(found) == [0, 1, 2, 3, 4]
    causes = {index: outcome.cause for index, outcome in found.items()}
    assert causes == {0: "routing", 1: "caller", 2: "caller", 3: "caller", 4: "routing"}
    assert "NUL" in found[1].message  # type: ignore[union-attr]


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_nothing_runs_ahead_of_who_takes_the_outcomes(tmp_path: Path, limit: int) -> None:
    requests = Counted(100)
    async with opened(tmp_path) as runtime, runtime.run_many(requests, force=Force, limit=limit) as outcomes:
        await anyio.wait_all_tasks_blocked()
        assert requests.taken == limit
        for received in (1, 2, 3):
            await anext(outcomes)
            await anyio.wait_all_tasks_blocked()
            assert requests.taken == limit + received


async def test_an_error_of_who_takes_the_outcomes_is_the_only_one(tmp_path: Path) -> None:
    async def take_one(runtime: Runtime) -> None:
        async with runtime.run_many(Counted(20), force=Force, limit=4) as outcomes:
            await anext(outcomes)
            await anyio.wait_all_tasks_blocked()
            raise ValueError("the caller's own")

    async with opened(tmp_path) as runtime:
        with pytest.raises(ExceptionGroup) as caught:
            await take_one(runtime)
        assert [str(error) for error in caught.value.exceptions] == ["the caller's own"]


async def test_a_host_that_fails_ends_all_runs_with_its_error(tmp_path: Path) -> None:
    async def take_all(runtime: Runtime) -> None:
        async with runtime.run_many(["echo a", "echo fail", "echo b"], force=Force, limit=1) as outcomes:
            async for _ in outcomes:
                pass

    async with opened(tmp_path) as runtime:
        with pytest.raises(ExceptionGroup) as caught:
            await take_all(runtime)
        only = caught.value.split(StorageError)
        assert only[0] is not None
        assert only[1] is None


# --- card tables ----------------------------------------------------------------------------------


async def test_the_table_of_an_older_decision_is_still_found(tmp_path: Path) -> None:
    async with opened(tmp_path) as runtime:
        before = (await runtime.router()).route("echo").table
        await put_in_force(runtime, version="1.1.0")
        after = (await runtime.router()).route("echo").table
        assert before != after
        assert [entry.release for entry in (await runtime.table(before)).entries] == ["echo@1.0.0"]
        assert [entry.release for entry in (await runtime.table(after)).entries] == ["echo@1.1.0"]
    async with Runtime.open(tmp_path / "home") as runtime:
        table = await runtime.table(before)
        assert isinstance(table, CardTable)
        assert table.digest == before
        with pytest.raises(NotFound):
            await runtime.table(digest_bytes(b"another"))


# --- shards ---------------------------------------------------------------------------------------


@asynccontextmanager
async def with_knowledge(tmp_path: Path) -> AsyncIterator[tuple[Runtime, Release, Path]]:
    files = {"texts/anvil.md": ANVIL.text, PASSAGES_FILE: encode_passages([ANVIL])}
    async with Runtime.open(tmp_path / "home") as runtime:
        release = await put_in_force(runtime, manifest_more=KNOWLEDGE, files=files)
        shard = await runtime.shard(release)
        assert shard is not None
        yield runtime, release, shard


def cut_off(shard: Path) -> None:
    shard.chmod(0o644)
    shard.write_bytes(shard.read_bytes()[:100])


def flip_a_bit(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.chmod(0o644)
    shard.write_bytes(data)


@pytest.mark.parametrize("harm", [cut_off, flip_a_bit, Path.unlink])
async def test_a_damaged_shard_is_built_again_from_the_passages(tmp_path: Path, harm: Any) -> None:
    async with with_knowledge(tmp_path) as (runtime, release, shard):
        good = shard.read_bytes()
        harm(shard)
        again = await runtime.shard(release)
        assert again is not None
        assert again.read_bytes() == good
        harm(again)
    async with Runtime.open(tmp_path / "home") as runtime:  # one that has verified nothing before
        again = await runtime.shard(release)
        assert again is not None
        assert again.read_bytes() == good


async def test_damaged_passages_are_an_error_and_never_searched(tmp_path: Path) -> None:
    async with with_knowledge(tmp_path) as (runtime, release, shard):
        rows = {row.path: row for row in await runtime.hub.files(release)}
        assert PASSAGES_FILE in rows
        blobs = runtime.hub.folder / "blobs" / "sha256"
        for blob in blobs.iterdir():
            if ANVIL.text.encode() in blob.read_bytes():
                blob.chmod(0o644)
                blob.write_bytes(blob.read_bytes().replace(b"80 kilo", b"90 kilo"))
        cut_off(shard)
    async with Runtime.open(tmp_path / "home") as runtime:
        with pytest.raises(IntegrityError):
            await runtime.shard(release)


@pytest.mark.skipif(sys.platform != "linux", reason="searches run isolated on Linux only")
async def test_a_search_over_a_damaged_shard_finds_what_it_would_have_found(tmp_path: Path) -> None:
    async with with_knowledge(tmp_path) as (runtime, release, shard):
        flip_a_bit(shard)
        (hit,) = await runtime.search(release, "how heavy is an anvil")
        assert (hit.id, hit.text) == (ANVIL.id, ANVIL.text)
