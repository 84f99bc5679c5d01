"""Searching a shard: any text is a query, equals have an order, and a hostile file is an error."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.knowledge import Passage, PassageSet, build_shard
from hephaestus_runner.search import (
    MAX_WORDS,
    Hit,
    QueryError,
    Shard,
    ShardError,
    match_expression,
    ranked,
    split_words,
)


def passage(id_: str, text: str) -> Passage:
    return Passage(id=id_, title=id_, source="s", text=text)


PASSAGES = [
    passage("cats.purr", "Make the cat purr."),
    passage("cats.sleep", "Let the cat sleep until it wakes."),
    passage("dogs.bark", "Have the dog bark at the running cat."),
    *(passage(f"same.n{n:02d}", "exactly the same words") for n in range(60)),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shard") / "knowledge.shard"
    build_shard(PassageSet.of(PASSAGES), path)
    return path


@pytest.fixture(scope="module")
def shard(place: Path) -> Iterator[Shard]:
    with Shard.open(place) as opened:
        yield opened


def test_the_nearest_passage_comes_first_with_a_falling_score(shard: Shard) -> None:
    hits = shard.search("how do I make my cats purr?")
    assert hits[0].id == "cats.purr"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(isinstance(hit.score, int) and hit.score > 0 for hit in hits)


def test_words_are_stemmed(shard: Shard) -> None:
    assert [hit.id for hit in shard.search("barking")] == ["dogs.bark"]


def test_equal_scores_are_in_the_order_of_ids_whatever_the_limit(shard: Shard) -> None:
    every = [hit.id for hit in shard.search("same words", limit=1000)]
    assert every == sorted(every)
    assert len(every) == 60
    for limit in (1, 2, 7, 43, 44, 45, 59, 60):
        assert [hit.id for hit in shard.search("same words", limit=limit)] == every[:limit]


def test_a_word_that_stands_twice_counts_twice(shard: Shard) -> None:
    once = {hit.id: hit.score for hit in shard.search("cat bark")}
    twice = {hit.id: hit.score for hit in shard.search("cat bark bark")}
    assert twice["dogs.bark"] > once["dogs.bark"]
    assert twice["cats.purr"] == once["cats.purr"]


def test_get_gives_one_passage_or_none(shard: Shard) -> None:
    assert shard.get("cats.purr") == Hit("cats.purr", "cats.purr", "s", "Make the cat purr.", 0)
    assert shard.get("nobody") is None
    assert shard.get("\ud800") is None


@given(st.text(max_size=60) | st.text(st.sampled_from("cat \"*()-:^+{}'\0\ud800\n.ANDORNEAR"), max_size=40))
def test_any_text_is_a_query(shard: Shard, query: str) -> None:
    for hit in shard.search(query):
        assert hit.score >= 0
    assert (match_expression(query) is None) == (not split_words(query))


@pytest.mark.parametrize(
    "query",
    [
        'cat"',
        "cat AND",
        "cat*",
        "cat:",
        "-cat",
        "NEAR(cat",
        "name:cat",
        "^cat",
        "cat OR OR",
        "'cat'",
        "ca\0t cat",
        "cat)",
    ],
)
def test_signs_of_the_query_language_are_only_signs(shard: Shard, query: str) -> None:
    assert "cats.purr" in [hit.id for hit in shard.search(query)]


def test_every_word_is_quoted_and_stop_words_are_dropped() -> None:
    assert match_expression("how do I open the ZipFile, quickly quickly?") == (
        '"open" OR "zipfile" OR "zip" OR "file" OR "quickly" OR "quickly"'
    )
    assert match_expression("what is it?") == '"what" OR "is" OR "it"'
    assert match_expression("?!") is None
    assert match_expression("a b", stop=()) == '"a" OR "b"'


def test_a_very_long_query_is_cut_and_not_an_error(shard: Shard) -> None:
    expression = match_expression("word " * 10_000 + "x" * 1_000_000)
    assert expression is not None
    assert expression.count(" OR ") == MAX_WORDS - 1
    assert shard.search("cat " * 10_000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ZipFile.read_text", ["zipfile", "zip", "file", "read", "text"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("b64encode", ["b64encode", "b", "64", "encode"]),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", ["caf\N{LATIN SMALL LETTER E WITH ACUTE}"]),
        ("\N{LATIN SMALL LIGATURE FI}le", ["file"]),
        ("__init__", ["init"]),
        ("\ud800 a\0b", ["a", "b"]),
    ],
)
def test_names_are_split_into_words(text: str, words: list[str]) -> None:
    assert split_words(text)[: len(words)] == words


@pytest.mark.parametrize("expression", ['"', "a AND", "nosuch:a", "NEAR(", ""])
def test_an_expression_that_cannot_be_read_is_an_error_and_never_zero_hits(shard: Shard, expression: str) -> None:
    with pytest.raises(QueryError):
        ranked(shard._connection, expression, limit=5)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_out_of_range_is_an_error(shard: Shard, limit: int) -> None:
    with pytest.raises(QueryError, match="expected 1 to 1000"):
        shard.search("cat", limit=limit)


def copy(place: Path, folder: Path) -> Path:
    path = folder / "copy.shard"
    shutil.copyfile(place, path)
    return path


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
def test_a_journal_beside_a_shard_is_refused(place: Path, tmp_path: Path, suffix: str) -> None:
    path = copy(place, tmp_path)
    Path(f"{path}{suffix}").touch()
    with pytest.raises(ShardError, match=suffix):
        Shard.open(path)


def test_a_file_that_is_not_there_or_not_sqlite_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="No such file"):
        Shard.open(tmp_path / "nowhere")
    for content in (b"", b"short", b"not a database" * 1000):
        (tmp_path / "junk").write_bytes(content)
        with pytest.raises(ShardError, match="not a SQLite file"):
            Shard.open(tmp_path / "junk")


@pytest.mark.parametrize("keep", [100, 4096, 4097, -1, -4096])
def test_a_shard_that_was_cut_short_is_refused(place: Path, tmp_path: Path, keep: int) -> None:
    path = copy(place, tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ShardError, match="pages of 4096 bytes"):
        Shard.open(path)


def test_a_database_with_a_write_ahead_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wal.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t(x)")
    connection.close()
    with pytest.raises(ShardError, match="write-ahead"):
        Shard.open(path)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE extra(x)",
        "CREATE VIEW extra AS SELECT 1",
        "CREATE TRIGGER extra AFTER INSERT ON passage BEGIN DELETE FROM meta; END",
        "DROP TABLE meta",
        "DROP TABLE passage",
        "DROP TABLE words",
        "ALTER TABLE passage RENAME COLUMN title TO t",
    ],
)
def test_another_schema_is_refused(place: Path, tmp_path: Path, change: str) -> None:
    path = copy(place, tmp_path)
    edit(path, change)
    with pytest.raises(ShardError, match="not the schema"):
        Shard.open(path)


def edit(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_another_format_and_a_wrong_count_are_refused(place: Path, tmp_path: Path) -> None:
    path = copy(place, tmp_path)
    edit(path, "DELETE FROM passage WHERE number = 1")
    with pytest.raises(ShardError, match="expected 63 passages, found 62"):
        Shard.open(path)
    edit(path, "UPDATE meta SET value = 'other/9' WHERE key = 'format'")
    with pytest.raises(ShardError, match="expected format"):
        Shard.open(path)


def test_an_index_that_names_a_passage_that_is_not_there_is_an_error(place: Path, tmp_path: Path) -> None:
    path = copy(place, tmp_path)
    edit(path, "UPDATE passage SET number = number + 1000")
    with Shard.open(path) as opened, pytest.raises(ShardError, match="which is not there"):
        opened.search("cat")


def test_a_passage_that_is_not_text_is_an_error(place: Path, tmp_path: Path) -> None:
    path = copy(place, tmp_path)
    edit(path, "UPDATE passage SET text = x'ff00' WHERE id = 'cats.purr'")
    with Shard.open(path) as opened:
        with pytest.raises(ShardError, match="damaged"):
            opened.get("cats.purr")
        with pytest.raises(ShardError, match="damaged"):
            opened.search("purr")


def test_damaged_pages_are_an_error_and_never_zero_hits(place: Path, tmp_path: Path) -> None:
    data = place.read_bytes()
    answers = set()
    for page in range(1, len(data) // 4096):
        path = tmp_path / f"{page}.shard"
        broken = bytearray(data)
        broken[page * 4096 : (page + 1) * 4096] = b"\xa5" * 4096
        path.write_bytes(broken)
        try:
            with Shard.open(path) as opened:
                answers.add(len(opened.search("cat purr same words", limit=100)))
        except ShardError:
            answers.add(-1)
    # A damaged page that this query does not touch changes nothing; one that it touches is an error.
    assert answers <= {-1, 63}
    assert -1 in answers


def test_a_shard_in_a_folder_with_odd_signs_opens(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c%20 d"
    folder.mkdir()
    with Shard.open(copy(place, folder)) as opened:
        assert opened.search("purr")


def test_reading_leaves_the_folder_as_it_was(place: Path) -> None:
    with Shard.open(place) as opened:
        opened.search("cat")
        assert os.listdir(place.parent) == [place.name]
    opened.close()
