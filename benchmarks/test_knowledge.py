"""How long does one knowledge search take at 10,000 passages, and what do words chosen with care save?

Baseline, in the same run and over the same rows: what a first attempt does, every word of the question joined by OR in
an FTS5 table of one column with default settings. Unit: seconds a query, the mean over the same 20 questions a round.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from hephaestus.knowledge import Passage, PassageSet, build_shard
from hephaestus_runner.search import Shard

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 10_000
Benchmark = Callable[..., Any]
_OPENINGS = ("how do i", "what is the way to", "can i", "is there a function that can", "")


def _vocabulary() -> list[str]:
    letters = random.Random(7)
    return ["".join(letters.choice("bcdfglmnprst") + letters.choice("aeiou") for _ in range(3)) for _ in range(4000)]


@pytest.fixture(scope="module")
def passages() -> PassageSet:
    """Made-up technical prose: words by Zipf's law, 20 to 60 of them, English function words between."""
    chance = random.Random(11)
    words = _vocabulary()
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    common = ["the", "of", "to", "a", "in", "and", "is", "that", "for", "it", "how", "do", "can"]
    found = []
    for number in range(COUNT):
        content = chance.choices(words, weights, k=chance.randint(15, 45))
        text = " ".join(word + (" " + chance.choice(common) if chance.random() < 0.6 else "") for word in content)
        found.append(Passage(id=f"mod{number % 97}.part{number}", title=content[0], source="bench", text=text))
    return PassageSet.of(found)


@pytest.fixture(scope="module")
def questions() -> list[str]:
    chance = random.Random(13)
    words = _vocabulary()
    weights = [1 / (rank + 20) for rank in range(len(words))]
    return [f"{chance.choice(_OPENINGS)} {' '.join(chance.choices(words, weights, k=5))}" for _ in range(20)]


@pytest.fixture(scope="module")
def shard(passages: PassageSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shard]:
    path = tmp_path_factory.mktemp("bench") / "knowledge.shard"
    build_shard(passages, path)
    with Shard.open(path) as opened:
        yield opened


@pytest.mark.benchmark(group="knowledge search, 20 questions at 10,000 passages")
def test_search(benchmark: Benchmark, shard: Shard, questions: list[str]) -> None:
    hits = benchmark(lambda: [shard.search(question) for question in questions])
    assert all(hits)


@pytest.mark.benchmark(group="knowledge search, 20 questions at 10,000 passages")
def test_search_naively(benchmark: Benchmark, passages: PassageSet, questions: list[str]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE f USING fts5(id UNINDEXED, text)")
    connection.executemany("INSERT INTO f VALUES(?, ?)", [(p.id, p.text) for p in passages])
    statement = "SELECT id, text, rank FROM f WHERE f MATCH ? ORDER BY rank LIMIT 10"

    def search() -> list[list[Any]]:
        return [connection.execute(statement, (" OR ".join(q.split()),)).fetchall() for q in questions]

    assert all(benchmark(search))
    connection.close()


@pytest.mark.benchmark(group="knowledge build, 10,000 passages")
def test_build(benchmark: Benchmark, passages: PassageSet, tmp_path: Path) -> None:
    numbers = iter(range(1_000_000))
    info = benchmark(lambda: build_shard(passages, tmp_path / f"{next(numbers)}.shard"))
    assert info.passages == COUNT


@pytest.mark.benchmark(group="knowledge build, 10,000 passages")
def test_parse(benchmark: Benchmark, passages: PassageSet) -> None:
    from hephaestus.knowledge import encode_passages

    data = encode_passages(passages)
    assert len(benchmark(PassageSet.parse, data)) == COUNT
