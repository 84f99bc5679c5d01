"""Channels: one step forward or back, nothing half done, nothing forgotten."""

from __future__ import annotations

import pytest
from tests.support.packages import draft

from hephaestus.canonical import Digest
from hephaestus.errors import HubError, IntegrityError, NotFound, StaleGeneration, UsageError
from hephaestus.hub import Hub, Release
from hephaestus.hub.layout import Layout

pytestmark = pytest.mark.anyio


async def published(hub: Hub, *versions: str) -> list[Release]:
    return [await hub.publish(draft(version=version)) for version in versions]


async def test_a_deploy_puts_releases_and_card_table_in_force_together(hub: Hub) -> None:
    echo = await hub.publish(draft())
    other = await hub.publish(draft(name="other"))
    made = await hub.deploy("stable", [other, "echo"], card_table=b"cards", by="ada", why="first")
    assert (made.channel, made.number, made.parent, made.by, made.why) == ("stable", 1, None, "ada", "first")
    assert made.releases == (echo.digest, other.digest), "in the order of their names"
    assert await hub.generation("stable") == made
    assert await hub.card_table("stable") == b"cards"
    assert await hub.channels() == ("stable",)


async def test_the_closure_does_not_depend_on_the_order_of_releases(hub: Hub) -> None:
    both = [await hub.publish(draft()), await hub.publish(draft(name="other"))]
    one = await hub.deploy("one", both, card_table=b"c")
    two = await hub.deploy("two", both[::-1], card_table=b"c")
    assert one.closure == two.closure
    assert (await hub.deploy("three", both, card_table=b"d")).closure != one.closure
    assert (await hub.deploy("four", both[:1], card_table=b"c")).closure != one.closure


async def test_after_a_bad_release_was_taken_back_no_rollback_returns_to_it(hub: Hub) -> None:
    a, b, c = await published(hub, "1.0.0", "1.1.0", "1.2.0")
    first = await hub.deploy("stable", [a], card_table=b"a")
    await hub.deploy("stable", [b], card_table=b"b")
    back = await hub.rollback("stable", why="b is bad", by="ada")
    assert back.closure == first.closure
    assert (back.why, back.by) == ("b is bad", "ada")
    await hub.deploy("stable", [c], card_table=b"c")
    again = await hub.rollback("stable")
    assert again.releases == (a.digest,)
    assert await hub.card_table("stable") == b"a"
    assert [g.number for g in await hub.history("stable")] == [5, 4, 3, 2, 1]
    with pytest.raises(HubError, match="none before it"):
        await hub.rollback("stable")


async def test_two_rollbacks_go_back_two_steps(hub: Hub) -> None:
    a, b, c = await published(hub, "1.0.0", "1.1.0", "1.2.0")
    for release in (a, b, c):
        await hub.deploy("stable", [release], card_table=release.version.encode())
    assert (await hub.rollback("stable")).releases == (b.digest,)
    assert (await hub.rollback("stable")).releases == (a.digest,)


async def test_a_rollback_can_name_its_generation(hub: Hub) -> None:
    a, b, c = await published(hub, "1.0.0", "1.1.0", "1.2.0")
    for release in (a, b, c):
        await hub.deploy("stable", [release], card_table=release.version.encode())
    made = await hub.rollback("stable", to=1)
    assert (made.number, made.parent, made.releases) == (4, None, (a.digest,))
    assert await hub.card_table("stable") == b"1.0.0"
    assert await hub.card_table("stable", 3) == b"1.2.0"
    with pytest.raises(NotFound, match="generations 1 to 4"):
        await hub.rollback("stable", to=9)


async def test_a_channel_that_moved_meanwhile_is_not_moved(hub: Hub) -> None:
    a, b = await published(hub, "1.0.0", "1.1.0")
    await hub.deploy("stable", [a], card_table=b"a", expected=0)
    for expected in (0, 2):
        with pytest.raises(StaleGeneration, match="at generation 1"):
            await hub.deploy("stable", [b], card_table=b"b", expected=expected)
        with pytest.raises(StaleGeneration):
            await hub.rollback("stable", expected=expected)
    assert (await hub.generation("stable")).releases == (a.digest,)
    assert (await hub.deploy("stable", [b], card_table=b"b", expected=1)).number == 2
    assert (await hub.rollback("stable", expected=2)).number == 3


async def test_deploying_what_is_in_force_changes_nothing(hub: Hub) -> None:
    a, b = await published(hub, "1.0.0", "1.1.0")
    await hub.deploy("stable", [a], card_table=b"a")
    made = await hub.deploy("stable", [b], card_table=b"b")
    assert await hub.deploy("stable", [b], card_table=b"b") == made
    assert (await hub.rollback("stable")).releases == (a.digest,), "a repeated deploy is no step to go back"


async def test_a_generation_holds_one_release_of_each_agent_and_at_least_one(hub: Hub) -> None:
    a, b = await published(hub, "1.0.0", "1.1.0")
    with pytest.raises(HubError, match="cannot both be in force"):
        await hub.deploy("stable", [a, b], card_table=b"")
    with pytest.raises(HubError, match="without releases"):
        await hub.deploy("stable", [], card_table=b"")
    with pytest.raises(NotFound):
        await hub.deploy("stable", [a, "nobody"], card_table=b"")
    assert await hub.channels() == ()
    assert (await hub.deploy("stable", [a, a], card_table=b"")).releases == (a.digest,)


@pytest.mark.parametrize("channel", ["", "Stable", "a b", "../x", "x" * 65, "a--b"])
async def test_a_channel_has_a_plain_name(hub: Hub, channel: str) -> None:
    (a,) = await published(hub, "1.0.0")
    with pytest.raises(UsageError):
        await hub.deploy(channel, [a], card_table=b"")


async def test_a_channel_nothing_was_deployed_to_is_not_found(hub: Hub) -> None:
    (a,) = await published(hub, "1.0.0")
    await hub.deploy("canary", [a], card_table=b"")
    for asking in (hub.history, hub.generation, hub.card_table, hub.rollback):
        with pytest.raises(NotFound) as caught:
            await asking("stable")
        assert "canary" in (caught.value.hint or "")


async def test_channels_do_not_see_each_other(hub: Hub) -> None:
    a, b = await published(hub, "1.0.0", "1.1.0")
    await hub.deploy("stable", [a], card_table=b"a")
    await hub.deploy("canary", [b], card_table=b"b")
    assert (await hub.generation("canary")).number == 1
    assert await hub.channels() == ("canary", "stable")
    assert await hub.card_table("stable") == b"a"


async def test_a_damaged_card_table_is_an_error_that_names_it(hub: Hub) -> None:
    (a,) = await published(hub, "1.0.0")
    made = await hub.deploy("stable", [a], card_table=b"cards")
    blob = Layout(hub.folder).blob(made.card_table)
    blob.chmod(0o644)
    blob.write_bytes(b"Cards")
    with pytest.raises(IntegrityError, match=made.card_table):
        await hub.card_table("stable")
    assert any(made.card_table in problem for problem in await hub.audit())


async def test_a_card_table_is_found_by_its_digest_for_as_long_as_the_channel_is_remembered(hub: Hub) -> None:
    a, b = await published(hub, "1.0.0", "1.1.0")
    first = await hub.deploy("stable", [a], card_table=b"a")
    second = await hub.deploy("stable", [b], card_table=b"b")
    assert await hub.table(first.card_table) == b"a"
    assert await hub.table(second.card_table) == b"b"
    blob = Layout(hub.folder).blob(first.card_table)
    blob.chmod(0o644)
    blob.write_bytes(b"A")
    with pytest.raises(IntegrityError, match=first.card_table):
        await hub.table(first.card_table)


async def test_what_was_never_deployed_as_a_card_table_is_not_read_as_one(hub: Hub) -> None:
    (a,) = await published(hub, "1.0.0")
    await hub.deploy("stable", [a], card_table=b"a")
    for digest in (a.manifest, a.digest, Digest("sha256:../../catalogue")):
        with pytest.raises(NotFound, match="no generation"):
            await hub.table(digest)


async def test_a_release_whose_blobs_are_gone_does_not_go_in_force(hub: Hub) -> None:
    (a,) = await published(hub, "1.0.0")
    Layout(hub.folder).blob(a.manifest).unlink()
    with pytest.raises(IntegrityError, match=a.manifest):
        await hub.deploy("stable", [a], card_table=b"")
    assert await hub.channels() == ()
