"""The example agents run in-process here, over a real shard of this Python's documentation."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hephaestus.knowledge import PassageSet, build_shard, python_docs
from hephaestus_runner.protocol import Feedback
from hephaestus_runner.search import Shard

AGENTS = Path(__file__).parents[2] / "examples" / "agents"


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question, and the names of which a good answer quotes one."""

    ask: str
    names: tuple[str, ...]
    held_out: bool = False


def questions(name: str) -> list[Question]:
    """The questions of a file beside this one."""
    tree = tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))
    return msgspec.convert(tree["question"], list[Question])


class Model:
    """A model that says what it was told to, and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[list[dict[str, str]]] = []

    def complete(self, messages: list[dict[str, str]], max_tokens: int = 1024) -> str:
        self.asked.append(messages)
        return self.answers.pop(0)


class Task:
    """What an agent is handed, as far as these agents use it; the knowledge is a real shard."""

    def __init__(
        self,
        request: str,
        shard: Shard,
        *,
        attempt: int = 1,
        feedback: tuple[Feedback, ...] = (),
        model: Model | None = None,
        context: dict[str, Any] | None = None,
    ) -> None:
        self.input = {"request": request, "attempt": attempt, "context": context or {}, "model": model is not None}
        self.attempt = attempt
        self.feedback = feedback
        self.model = model
        self.knowledge = shard
        self.said: list[str] = []

    def progress(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="session")
def passages() -> PassageSet:
    return PassageSet.of(python_docs())


@pytest.fixture(scope="session")
def shard(passages: PassageSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shard]:
    path = tmp_path_factory.mktemp("docs") / "knowledge.shard"
    build_shard(passages, path)
    with Shard.open(path) as opened:
        yield opened


@pytest.fixture(scope="session")
def answered(shard: Shard, packages: None) -> dict[str, dict[str, Any]]:
    """Every question of both files with the answer of the documentation guide; each is asked once."""
    from stdlib_guide.agent import answer

    asked = questions("questions.toml") + questions("development.toml")
    return {question.ask: answer(Task(question.ask, shard)) for question in asked}


@pytest.fixture(scope="session", autouse=True)
def packages() -> Iterator[None]:
    """The sources of the example packages, where Python finds them."""
    places = [str(AGENTS / name / "src") for name in ("stdlib-guide", "careless-guide", "vague-helper")]
    sys.path[:0] = places
    yield
    for place in places:
        sys.path.remove(place)
