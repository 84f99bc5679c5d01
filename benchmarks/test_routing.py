"""What does a decision cost at 150 cards, and what its receipt?

Microseconds per request, over different requests; p50 is pytest-benchmark's median. Baseline in the same run: a loop of
``phrase in request`` over 20 phrases per card (the strongest features of the same table), the best count wins.

The cards are CLINC150's intents (its training part as examples, its validation part as requests) where that data set
lies beside the checkout in ``../shared/data``, made-up ones of the same size otherwise; ``extra_info`` says which, and,
for CLINC150, how many requests per thousand each way gets right.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import random
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hephaestus import canonical
from hephaestus.assets import Card
from hephaestus.routing import (
    CardEntry,
    CardTable,
    Decision,
    NoRoute,
    Routed,
    Router,
    compile_cards,
    decision_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

CLINC = pathlib.Path(__file__).parents[2] / "shared" / "data" / "routing" / "clinc150"
CARDS = 150
PHRASES = 20
ROUNDS = 3_000


class Data(NamedTuple):
    """Labelled requests: to learn from, and to route."""

    name: str
    train: list[tuple[str, str]]
    requests: list[tuple[str, str]]


class Setting(NamedTuple):
    """One table with its router and the requests to send it."""

    data: Data
    entries: list[CardEntry]
    table: CardTable
    router: Router


def clinc() -> Data:
    def rows(part: str) -> list[tuple[str, str]]:
        lines = (CLINC / f"{part}.jsonl").read_text("utf-8").splitlines()
        return [(row["text"], row["label"].replace("_", "-")) for row in map(json.loads, lines)]

    return Data("CLINC150 train/val", rows("train"), rows("val"))


def made_up() -> Data:
    """Requests of eight words: three of their card's own forty, five of two hundred that all cards share."""
    pick = random.Random(150)

    def request(card: int) -> str:
        own = [f"word{card}x{pick.randrange(40)}" for _ in range(3)]
        return " ".join(pick.sample(own + [f"common{pick.randrange(200)}" for _ in range(5)], 8))

    labels = [(f"card-{card}", card) for card in range(CARDS)]
    return Data(
        "made-up",
        [(request(card), label) for label, card in labels for _ in range(100)],
        [(request(card), label) for label, card in labels for _ in range(20)],
    )


@pytest.fixture(scope="module")
def data() -> Data:
    return clinc() if CLINC.is_dir() else made_up()


@pytest.fixture(scope="module", params=[20, 100], ids=["20-examples", "100-examples"])
def setting(request: pytest.FixtureRequest, data: Data) -> Setting:
    by_label: dict[str, list[str]] = defaultdict(list)
    for text, label in data.train:
        by_label[label].append(text)
    entries = [
        CardEntry(
            agent=label,
            release=f"{label}@1.0.0",
            digest=canonical.digest_bytes(label.encode()),
            card=Card(schema=1, capabilities=(label,), examples=tuple(texts[: request.param])),
        )
        for label, texts in by_label.items()
    ]
    assert len(entries) == CARDS
    table = CardTable.load(compile_cards(entries))
    return Setting(data, entries, table, Router(table))


def measure(benchmark: BenchmarkFixture, setting: Setting, function: Callable[[str], object]) -> None:
    """Run ``function`` once on each of many requests, in an order that the caches do not know."""
    texts = [text for text, _ in setting.data.requests]
    random.Random(7).shuffle(texts)
    turn: Iterator[str] = itertools.cycle(texts)
    benchmark.extra_info["cards"] = f"{CARDS} from {setting.data.name}"
    benchmark.pedantic(function, setup=lambda: ((next(turn),), {}), rounds=ROUNDS, warmup_rounds=200)


def permille(setting: Setting, answer: Callable[[str], str | None]) -> int:
    right = sum(answer(text) == label for text, label in setting.data.requests)
    return right * 1000 // len(setting.data.requests)


def best(decision: Decision) -> str | None:
    if isinstance(decision, Routed):
        return decision.winner.agent
    listed = decision.nearest if isinstance(decision, NoRoute) else decision.candidates
    return listed[0].agent if listed else None


def routed(decision: Decision) -> str | None:
    return decision.winner.agent if isinstance(decision, Routed) else None


@pytest.mark.benchmark(group="route")
def test_route(benchmark: BenchmarkFixture, setting: Setting) -> None:
    router = setting.router
    benchmark.extra_info["best card is right, per thousand"] = permille(setting, lambda text: best(router.route(text)))
    benchmark.extra_info["right and routed, per thousand"] = permille(setting, lambda text: routed(router.route(text)))
    measure(benchmark, setting, router.route)


@pytest.mark.benchmark(group="route")
def test_route_by_a_loop_over_phrases(benchmark: BenchmarkFixture, setting: Setting) -> None:
    strongest: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for feature in setting.table.contents.features:
        text = feature.text.removeprefix("^ ").removesuffix(" $")
        for card, weight in feature.postings:
            strongest[card].append((-weight, text))
    agents = [card.agent for card in setting.table]
    phrases = [(agents[card], [text for _, text in sorted(found)[:PHRASES]]) for card, found in strongest.items()]

    def loop(request: str) -> str | None:
        request = request.lower()
        count, agent = max((sum(phrase in request for phrase in some), agent) for agent, some in phrases)
        return agent if count else None

    benchmark.extra_info["best card is right, per thousand"] = permille(setting, loop)
    measure(benchmark, setting, loop)


@pytest.mark.benchmark(group="receipt")
def test_receipt(benchmark: BenchmarkFixture, setting: Setting) -> None:
    decisions = {text: setting.router.route(text) for text, _ in setting.data.requests}
    measure(benchmark, setting, lambda text: canonical.encode(decision_body(decisions[text])))


@pytest.mark.benchmark(group="compile")
def test_compile(benchmark: BenchmarkFixture, setting: Setting) -> None:
    benchmark.pedantic(compile_cards, args=(setting.entries,), rounds=3)


@pytest.mark.benchmark(group="load")
def test_load(benchmark: BenchmarkFixture, setting: Setting) -> None:
    data = compile_cards(setting.entries)
    benchmark.extra_info["bytes"] = len(data)
    benchmark.pedantic(lambda: Router(CardTable.load(data)), rounds=5)
