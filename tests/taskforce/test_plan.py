"""What a plan is made of: releases that were deployed together, and a lock over what was asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.deployed import deployed
from tests.support.packages import write_package

from hephaestus.assets import parse_card
from hephaestus.canonical import Digest, digest_bytes
from hephaestus.errors import NotFound, UsageError
from hephaestus.forge import Forge
from hephaestus.hub import Release
from hephaestus.routing import CardEntry, Routed, compile_cards
from hephaestus.runtime import Runtime
from hephaestus.stormbreaker import Verified
from hephaestus.taskforce import TaskForce
from hephaestus.taskforce.plan import Plan, make_plan

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="publishing looks at a package's code in isolation"),
]

CHIEF: dict[str, Any] = {
    "name": "chief",
    "role": "orchestrator",
    "manifest_more": '\n[agents]\necho = "^1"\n',
    "code": 'def run(task):\n    task.submit(task.call("echo", {"request": "x"}))\n',
}
NEWER: dict[str, Any] = {"version": "1.1.0", "code": 'def run(task):\n    return {"text": "newer"}\n'}


async def routed(runtime: Runtime, request: str = "chief") -> Routed:
    decision = (await runtime.router("stable")).route(request)
    assert isinstance(decision, Routed)
    return decision


async def planned(runtime: Runtime, decision: Routed, *, context: bytes = b"{}") -> Plan:
    return await make_plan(runtime, decision, level="isolated", context=context, checks=(), feedback=True)


async def called(runtime: Runtime, decision: Routed) -> str:
    return (await planned(runtime, decision)).members["echo"].release.ref


async def put_in_force(runtime: Runtime, *releases: Release) -> None:
    """Deploy exactly these, as a hub lets anyone do who brings a card table."""
    entries = []
    for release in releases:
        card = parse_card(await runtime.hub.read(release, "card.toml"))
        entries.append(CardEntry(agent=release.name, release=release.ref, digest=release.digest, card=card))
    await runtime.hub.deploy("stable", releases, card_table=compile_cards(entries))


async def test_a_run_calls_what_was_deployed_and_not_what_was_only_published(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}, CHIEF) as here:
        await Forge(here.runtime).publish(write_package(tmp_path / "newer", **NEWER))
        assert await called(here.runtime, await routed(here.runtime)) == "echo@1.0.0"
        outcome, _ = await here.run("chief")
        assert isinstance(outcome, Verified), outcome
        assert outcome.value == {"text": "X"}


async def test_a_rollback_takes_called_agents_back_with_their_caller(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}, CHIEF) as here:
        forge = Forge(here.runtime)
        before = await routed(here.runtime)
        await forge.deploy("stable", [await forge.publish(write_package(tmp_path / "newer", **NEWER))])
        after = await routed(here.runtime)
        assert await called(here.runtime, after) == "echo@1.1.0"
        await forge.rollback("stable")
        assert await called(here.runtime, await routed(here.runtime)) == "echo@1.0.0"
        # A decision keeps the releases it was made among, whatever the channel holds when it is carried out.
        assert await called(here.runtime, before) == "echo@1.0.0"
        assert await called(here.runtime, after) == "echo@1.1.0"


async def test_a_yanked_release_goes_on_being_called_where_it_was_deployed(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}, CHIEF) as here:
        await here.runtime.hub.yank("echo@1.0.0")
        assert await called(here.runtime, await routed(here.runtime)) == "echo@1.0.0"


async def test_a_called_agent_that_was_not_deployed_ends_the_run_before_it_starts(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}, CHIEF) as here:
        await put_in_force(here.runtime, await here.runtime.hub.release("chief"))
        decision = await routed(here.runtime)
        with pytest.raises(NotFound, match=r"chief@1\.0\.0 may call echo@\^1, but no echo was deployed") as caught:
            await planned(here.runtime, decision)
        assert "deploy chief@1.0.0 again" in (caught.value.hint or "")
        async with TaskForce(here.runtime, decision) as force:
            outcome = await force.run()
        assert (outcome.kind, outcome.cause) == ("undecided", "specification")
        await Forge(here.runtime).deploy("stable", ["chief"])
        assert await called(here.runtime, await routed(here.runtime)) == "echo@1.0.0"


async def test_a_called_agent_outside_its_callers_range_ends_the_run_before_it_starts(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}, CHIEF) as here:
        wrong = await Forge(here.runtime).publish(write_package(tmp_path / "two", version="2.0.0"))
        await put_in_force(here.runtime, await here.runtime.hub.release("chief"), wrong)
        with pytest.raises(NotFound, match=r"echo@\^1, but echo@2\.0\.0 was deployed with it"):
            await planned(here.runtime, await routed(here.runtime))


async def test_a_decision_over_a_table_that_was_never_deployed_calls_nobody(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}, CHIEF) as here:
        decision = await routed(here.runtime)
        foreign = msgspec.structs.replace(decision, table=digest_bytes(b"elsewhere"))
        with pytest.raises(NotFound, match="no generation"):
            await planned(here.runtime, foreign)


async def test_who_directs_is_the_package_only_where_it_says_so(tmp_path: Path) -> None:
    alone = {**CHIEF, "name": "alone", "manifest_more": ""}
    async with deployed(tmp_path, {}, CHIEF, alone) as here:
        found = [(await planned(here.runtime, await routed(here.runtime, name))) for name in ("echo", "chief", "alone")]
        assert [plan.lock.orchestrator for plan in found] == ["built-in", "chief@1.0.0", "alone@1.0.0"]
        assert [sorted(plan.members) for plan in found] == [["echo"], ["echo"], []]
        assert [[agent.name for agent in plan.lock.agents] for plan in found] == [
            ["echo"],
            ["chief", "echo"],
            ["alone"],
        ]


async def test_the_lock_covers_what_a_context_says_and_not_the_order_of_its_keys(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        decision = await routed(here.runtime, "echo")

        async def digest(context: bytes) -> Digest:
            return (await planned(here.runtime, decision, context=context)).lock.context

        assert await digest(b'{"a": 1, "b": {"c": 2, "d": 3}}') == await digest(b'{"b":{"d":3,"c":2},"a":1}')
        assert await digest(b'{"a": 0.5, "b": {"c": 2, "d": 3}}') == await digest(b'{"b":{"d":3,"c":2},"a":0.5}')
        contexts = [b"{}", b'{"a": 1}', b'{"a": 2}', b'{"a": "1"}', b'{"a": 1.5}', b'{"a": 1.25}', b'{"a": [1.5, 2]}']
        assert len({await digest(context) for context in contexts}) == len(contexts)
        with pytest.raises(UsageError, match="duplicate key"):
            await digest(b'{"a": 1, "a": 2}')
