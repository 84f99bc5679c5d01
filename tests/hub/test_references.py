"""References: which release a name, a version, a range or a digest means."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.packages import draft

from hephaestus.assets import Range, Version
from hephaestus.canonical import digest_bytes
from hephaestus.errors import HubError, NotFound, UsageError
from hephaestus.hub import Hub, Release, catalogue
from hephaestus.hub.schema import SCHEMA

pytestmark = pytest.mark.anyio


async def test_each_form_of_a_reference_finds_its_release(hub: Hub) -> None:
    versions = ["1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1"]
    made = {version: await hub.publish(draft(version=version)) for version in versions}
    assert await hub.release("echo") == made["1.10.0"]
    assert await hub.release("echo@1.2.0") == made["1.2.0"]
    assert await hub.release("echo@^1.1") == made["1.10.0"]
    assert await hub.release("echo@~1.2.0") == made["1.2.0"]
    assert await hub.release("echo@>=1, <1.10") == made["1.2.0"]
    assert await hub.release("echo@2.0.0-rc.1") == made["2.0.0-rc.1"]
    assert await hub.release(made["1.0.0"].digest) == made["1.0.0"]
    assert [r.version for r in await hub.releases("echo")] == ["2.0.0-rc.1", "1.10.0", "1.2.0", "1.0.0"]
    assert made["1.2.0"].ref == "echo@1.2.0"


async def test_a_prerelease_is_the_newest_only_where_there_is_nothing_else(hub: Hub) -> None:
    early = await hub.publish(draft(version="1.0.0-alpha"))
    assert await hub.release("echo") == early
    final = await hub.publish(draft(version="0.9.0"))
    assert await hub.release("echo") == final


async def test_an_unknown_name_says_which_are_near(hub: Hub) -> None:
    with pytest.raises(NotFound, match="no agent named") as caught:
        await hub.release("echo")
    assert "empty" in (caught.value.hint or "")
    await hub.publish(draft(name="stdlib-guide"))
    with pytest.raises(NotFound) as caught:
        await hub.release("stdlib-gide@^1")
    assert "stdlib-guide" in (caught.value.hint or "")
    with pytest.raises(NotFound) as caught:
        await hub.release("zzz")
    assert caught.value.hint is None
    with pytest.raises(NotFound):
        await hub.releases("zzz")


async def test_a_version_that_is_not_here_says_which_are(hub: Hub) -> None:
    await hub.publish(draft())
    for reference in ("echo@1.0.1", "echo@^2"):
        with pytest.raises(NotFound, match="matches") as caught:
            await hub.release(reference)
        assert "1.0.0" in (caught.value.hint or "")
    with pytest.raises(NotFound, match="digest"):
        await hub.release(digest_bytes(b""))


@pytest.mark.parametrize("reference", ["echo@", "echo@latest", "echo@1.0.0@2", "echo@*", "echo@" + "1" * 500])
async def test_what_is_neither_version_nor_range_is_a_usage_error(hub: Hub, reference: str) -> None:
    await hub.publish(draft())
    with pytest.raises(UsageError):
        await hub.release(reference)


@pytest.mark.parametrize("reference", ["", "@1.0.0", "../echo", "ECHO", "echo\0", "' OR 1=1 --", "\ud800", "sha256:12"])
async def test_what_is_no_name_is_not_found(hub: Hub, reference: str) -> None:
    await hub.publish(draft())
    with pytest.raises(NotFound) as caught:
        await hub.release(reference)
    assert str(caught.value).isprintable()


async def test_a_yanked_release_is_found_only_by_its_version_or_digest(hub: Hub) -> None:
    await hub.publish(draft(version="1.0.0"))
    bad = await hub.publish(draft(version="1.1.0"))
    yanked = await hub.yank(bad)
    assert yanked.yanked
    assert (await hub.release("echo")).version == "1.0.0"
    assert (await hub.release("echo@^1")).version == "1.0.0"
    assert await hub.release("echo@1.1.0") == yanked
    assert await hub.release(bad.digest) == yanked
    await hub.yank("echo@1.0.0")
    with pytest.raises(NotFound) as caught:
        await hub.release("echo")
    assert "1.1.0 (yanked)" in (caught.value.hint or "")
    assert not (await hub.yank(yanked, yanked=False)).yanked
    assert await hub.release("echo") == bad


@pytest.mark.parametrize(
    ("statement", "promise"),
    [
        ("DELETE FROM release", "never deleted"),
        ("UPDATE release SET version = '9.9.9'", "never changes"),
        ("UPDATE release SET digest = 'x'", "never changes"),
        ("UPDATE release SET sort_key = x'00'", "never changes"),
        ("UPDATE release SET score = 0, yanked = 1", "never changes"),
        ("INSERT OR REPLACE INTO release SELECT * FROM release", "never replaced"),
        ("UPDATE dep SET range = '*'", "never changes"),
        ("DELETE FROM dep", "never changes"),
        ("DELETE FROM package", "FOREIGN KEY"),
        ("DELETE FROM generation", "append-only"),
        ("UPDATE generation SET closure = 'x'", "append-only"),
        ("DELETE FROM generation_release", "append-only"),
        ("UPDATE generation_release SET position = 7", "append-only"),
        (
            "INSERT INTO generation SELECT channel, 7, 1, closure, card_table, at, by, why FROM generation",
            "one after another",
        ),
    ],
)
async def test_the_database_itself_refuses_to_change_what_was_published(hub: Hub, statement: str, promise: str) -> None:
    more = '\n[agents]\nother = "^1"\n'
    release = await hub.publish(draft(manifest_more=more))
    await hub.deploy("stable", [release], card_table=b"{}")
    with pytest.raises(HubError, match=promise), hub._store._database.writing() as connection:
        connection.execute(statement)
    assert await hub.release("echo") == release
    assert await hub.audit() == ()


versions = st.builds(
    lambda numbers, tail: ".".join(map(str, numbers)) + tail,
    st.tuples(*[st.integers(0, 3) | st.sampled_from([9, 10, 255, 256, 70000])] * 3),
    st.sampled_from(["", "", "-1", "-2", "-10", "-a", "-a.1", "-a.b", "-rc.1", "-rc.1.0"]),
)


@given(
    st.lists(versions, min_size=1, max_size=12, unique=True),
    st.sampled_from(["^1", "~0.1", ">=1.0.0-rc.1", "=2", "<9.9"]),
)
def test_the_newest_is_what_the_order_of_versions_says(found: list[str], wanted: str) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    for number, version in enumerate(found):
        digest = digest_bytes(version.encode())
        release = Release("echo", version, digest, digest, "", number, 0)
        catalogue.insert(connection, release, dependencies={}, seal=None)
    order = sorted(map(Version.parse, found))
    assert [r.version for r in catalogue.listed(connection, "echo")] == [str(v) for v in reversed(order)]
    finals = [version for version in order if not version.prerelease]
    assert catalogue.find(connection, "echo").version == str((finals or order)[-1])
    matching = [version for version in order if version in Range.parse(wanted)]
    if matching:
        assert catalogue.find(connection, f"echo@{wanted}").version == str(matching[-1])
    else:
        with pytest.raises(NotFound):
            catalogue.find(connection, f"echo@{wanted}")
    connection.close()


async def test_the_newest_of_many_is_one_index_seek(hub: Hub, tmp_path: Path) -> None:
    with hub._store._database.reading() as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT digest FROM release r WHERE r.name = 'a' AND r.yanked = 0 "
            "ORDER BY r.prerelease, r.sort_key DESC LIMIT 1"
        ).fetchall()
    assert len(plan) == 1, plan
    assert "USING INDEX release_newest" in str(plan[0][3])
