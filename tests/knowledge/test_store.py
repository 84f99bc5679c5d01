"""A person's own store: what was added is found, what was deleted is not, and both are on disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

import hephaestus.knowledge
from hephaestus.errors import KnowledgeError, StorageError
from hephaestus.knowledge import Knowledge, Passage, PassageSet, build_shard
from hephaestus_runner.search import Shard

pytestmark = pytest.mark.anyio


def passage(id_: str, text: str, source: str = "a.md") -> Passage:
    return Passage(id=id_, title=id_, source=source, text=text)


NOTES = [passage("n1", "the kettle boils"), passage("n2", "the cat sleeps"), passage("n3", "a boiling sea", "b.md")]


async def test_what_was_added_is_found_again_after_reopening(tmp_path: Path) -> None:
    async with Knowledge.open(tmp_path / "store") as knowledge:
        assert await knowledge.add(NOTES) == 3
    async with Knowledge.open(str(tmp_path / "store")) as knowledge:
        assert {hit.id for hit in await knowledge.search("boil")} == {"n1", "n3"}
        assert await knowledge.sources() == {"a.md": 2, "b.md": 1}


async def test_adding_again_replaces(tmp_path: Path) -> None:
    async with Knowledge.open(tmp_path / "store") as knowledge:
        await knowledge.add(NOTES)
        await knowledge.add([passage("n1", "the engine starts")])
        assert [hit.id for hit in await knowledge.search("kettle")] == []
        assert [hit.text for hit in await knowledge.search("engine")] == ["the engine starts"]
        assert await knowledge.sources() == {"a.md": 2, "b.md": 1}


async def test_deleting_a_source_forgets_it_wholly(tmp_path: Path) -> None:
    async with Knowledge.open(tmp_path / "store") as knowledge:
        await knowledge.add(NOTES)
        assert await knowledge.delete("a.md") == 2
        assert await knowledge.delete("a.md") == 0
        assert [hit.id for hit in await knowledge.search("kettle cat boiling")] == ["n3"]


async def test_freezing_makes_the_shard_of_what_is_there(tmp_path: Path) -> None:
    async with Knowledge.open(tmp_path / "store") as knowledge:
        await knowledge.add(reversed(NOTES))
        await knowledge.delete("b.md")
        info = await knowledge.freeze(tmp_path / "shard")
        assert info == build_shard(PassageSet.of(NOTES[:2]), tmp_path / "same")
    with Shard.open(tmp_path / "shard") as shard:
        assert [hit.id for hit in shard.search("boiling kettle")] == ["n1"]


async def test_all_are_added_or_none(tmp_path: Path) -> None:
    async with Knowledge.open(tmp_path / "store") as knowledge:
        with pytest.raises(KnowledgeError, match="two passages"):
            await knowledge.add([*NOTES, NOTES[0]])
        with pytest.raises(KnowledgeError, match="NUL"):
            await knowledge.add([*NOTES, passage("n4", "a\0b")])
        assert await knowledge.sources() == {}


async def test_a_query_of_signs_only_finds_nothing_and_any_text_is_a_query(tmp_path: Path) -> None:
    async with Knowledge.open(tmp_path / "store") as knowledge:
        await knowledge.add(NOTES)
        assert await knowledge.search('"* ( - :') == []
        assert [hit.id for hit in await knowledge.search('cat" OR NEAR(')] == ["n2"]
        with pytest.raises(KnowledgeError, match="limit"):
            await knowledge.search("cat", limit=0)


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    knowledge = Knowledge.open(tmp_path / "store")
    with pytest.raises(KnowledgeError, match="not open"):
        await knowledge.search("cat")
    async with knowledge:
        with pytest.raises(KnowledgeError, match="open already"):
            await knowledge.__aenter__()
        await knowledge.add(NOTES)


async def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "other.db"
    with sqlite3.connect(place) as other:
        other.execute("CREATE TABLE mine(x)")
    other.close()
    with pytest.raises(KnowledgeError, match="something else"):
        async with Knowledge.open(place):
            pass
    place.write_bytes(b"certainly not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(KnowledgeError, match="not a knowledge store"):
        async with Knowledge.open(place):
            pass


async def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        async with Knowledge.open(tmp_path / "nowhere" / "store"):
            pass


async def test_a_damaged_store_is_an_error_and_not_an_empty_answer(tmp_path: Path) -> None:
    place = tmp_path / "store"
    async with Knowledge.open(place) as knowledge:
        await knowledge.add([passage(f"p{n}", f"word number {n} " * 50) for n in range(200)])
    data = bytearray(place.read_bytes())
    data[4096 * 2 :] = b"\xff" * (len(data) - 4096 * 2)
    place.write_bytes(data)
    with pytest.raises((KnowledgeError, StorageError)):
        async with Knowledge.open(place) as knowledge:
            await knowledge.search("word number")


async def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    async with Knowledge.open(tmp_path / "store") as knowledge:
        await knowledge.add(NOTES)
        assert knowledge._connection is not None
        ((pages,),) = knowledge._connection.execute("PRAGMA page_count").fetchall()
        knowledge._connection.execute(f"PRAGMA max_page_count={pages}").fetchall()
        with pytest.raises(StorageError, match="full"):
            await knowledge.add([passage(f"p{n}", "word " * 5000) for n in range(50)])
        assert {hit.id for hit in await knowledge.search("boil word")} == {"n1", "n3"}


async def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        hephaestus.knowledge.nonsense  # noqa: B018
