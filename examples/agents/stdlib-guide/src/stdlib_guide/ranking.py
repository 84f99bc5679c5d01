"""Which passages answer a question: one search for every word of every concept, put together by rule."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stdlib_guide.words import Concept, concepts, names_in, stem, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

PER_WORD = 400  # passages fetched for one word
MAX_WORDS = 120  # searches for one question


class Weights(NamedTuple):
    """The numbers of the ranking, tuned on the development questions."""

    meant: float = 0.9
    phrase: float = 1.0
    own: float = 0.4
    generic: float = 0.4
    usage: float = 1.0
    module: float = 0.25
    cover: float = 1.0
    power: float = 0.85
    in_name: float = 2.0
    edge_of_name: float = 1.7
    inside_name: float = 1.2
    in_path: float = 2.0
    unexplained: float = 0.85
    in_summary: float = 1.2
    below: float = 0.8
    again: float = 0.5
    multi: float = 0.3
    quantile: float = 0.5
    norm: float = 0.15
    same_owner: float = 0.95
    same_module: float = 0.95
    same_name: float = 0.6
    is_module: float = 0.4
    is_error: float = 0.55
    bare: float = 0.6
    old: float = 0.6
    builtin: float = 0.6
    member: float = 0.75


TUNED = Weights()


class Found(NamedTuple):
    """A passage and why it is here."""

    hit: Any
    score: float
    said: frozenset[str]  # the concepts that it covers


@cache
def usage() -> dict[str, int]:
    """How much each name is used, as a level from 0 to 12 (see tools/count_usage.py)."""
    levels: dict[str, int] = {}
    for line in Path(__file__).with_name("usage.txt").read_text(encoding="utf-8").splitlines():
        level, *names = line.split()
        if level.isdigit():
            levels.update(dict.fromkeys(names, int(level)))
    return levels


def level_of(name: str) -> int:
    """The usage level of a name; a method is used at most a little more than its class."""
    known = usage()
    level = known.get(name, 0)
    owner = name.rpartition(".")[0]
    if owner and _is_class(owner):
        level = min(level, known.get(owner, 0) + 2)
    return level


def _is_class(name: str) -> bool:
    last = name.rpartition(".")[2]
    return (
        last[:1].isupper() or name in _BUILTIN_TYPES or name in ("datetime.datetime", "datetime.date", "socket.socket")
    )


_BUILTIN_TYPES = {
    "str",
    "bytes",
    "list",
    "dict",
    "set",
    "frozenset",
    "tuple",
    "int",
    "float",
    "bytearray",
    "object",
    "type",
}
_EXCEPTION = re.compile(r"(Error|Exception|Warning|Interrupt|Exit)(\.|$)")
_OLD = re.compile(r"\b(deprecated|obsolete|removed in|backward compat|do not use|internal use)\b", re.IGNORECASE)


def rank(question: str, knowledge: Any, *, weights: Weights = TUNED, limit: int = 5) -> list[Found]:
    """The best passages for a question, best first.

    Args:
        question: In a person's words.
        knowledge: Has ``search(query, limit)`` and ``get(id)``.
        weights: Of the ranking.
        limit: At most so many.
    """
    asked = concepts(question, meant=weights.meant, phrase=weights.phrase, own=weights.own, generic=weights.generic)
    tables = _search(asked, knowledge)
    weigh = _importance(asked, tables, weights)
    hits: dict[str, Any] = {}
    evidence: dict[str, list[tuple[float, int, tuple[str, ...]]]] = {}
    for number, concept in enumerate(asked):
        best: dict[str, tuple[float, int, tuple[str, ...]]] = {}
        for variant in concept.variants:
            keys = tuple(stem_key(word) for word in variant.words)
            parts = [tables.get(key, {}) for key in keys]
            if not all(parts):
                continue
            smallest = min(parts, key=len)
            top = sum(max(hit.score for hit in part.values()) for part in parts) / len(parts) ** weights.multi
            scale = (weigh[number] / concept.weight / top) ** weights.norm
            for id_, hit in smallest.items():
                if all(id_ in part for part in parts):
                    raw = sum(part[id_].score for part in parts) / len(parts) ** weights.multi
                    score = (
                        raw**weights.power
                        * variant.weight
                        * concept.weight
                        * scale
                        * _zone(zones_of(hit), keys, weights)
                    )
                    if id_ not in best or score > best[id_][0]:
                        best[id_] = (score, number, keys)
                        hits[id_] = hit
        for id_, entry in best.items():
            evidence.setdefault(id_, []).append(entry)
    vocabulary = set(tables)
    total = sum(weigh) or 1
    found = []
    for id_, entries in evidence.items():
        content, share = 0.0, 0.0
        used: set[str] = set()
        for score, number, keys in sorted(entries, reverse=True):
            again = sum(key in used for key in keys) / len(keys)
            new = 1 - again * (1 - weights.again)
            used.update(keys)
            content += score * new
            share += weigh[number] * new / total
        value = content * (1 + weights.cover * share) * _prior(hits[id_], weights)
        # What else a name says is about something that nobody asked for.
        value *= weights.unexplained ** min(3, len(zones_of(hits[id_]).name - vocabulary))
        found.append(Found(hits[id_], value, frozenset(asked[number].said for _, number, _ in entries)))
    found += _named(question, knowledge, best=max((f.score for f in found), default=1.0))
    found.sort(key=lambda f: (-f.score, f.hit.id))
    return _diverse(found[:200], limit, weights)


def _importance(asked: list[Concept], tables: dict[str, dict[str, Any]], weights: Weights) -> list[float]:
    """How much each concept says: the rarer its words, the more. Its everyday words decide, not a rare synonym."""
    found = []
    for concept in asked:
        tops = []
        for variant in concept.variants:
            parts = [tables.get(stem_key(word), {}) for word in variant.words]
            if all(parts):
                tops.append(
                    sum(max(hit.score for hit in part.values()) for part in parts) / len(parts) ** weights.multi
                )
        tops.sort()
        found.append(concept.weight * tops[int((len(tops) - 1) * weights.quantile)] if tops else 0.0)
    return found


class Zones(NamedTuple):
    """Where the words of a passage stand, as stems."""

    name: frozenset[str]  # the parts of its own name
    last: str  # the same in one piece
    path: frozenset[str]  # the parts of the names above it
    above: tuple[str, ...]  # the same in one piece each
    summary: frozenset[str]  # the first sentence


def _zone(zones: Zones, keys: tuple[str, ...], weights: Weights) -> float:
    """How much it says that words stand where they stand: in the name, in the first sentence, somewhere below."""
    value = 0.0
    for key in keys:
        here = [weights.below]
        if key in zones.name:
            here.append(weights.in_name)
        if key in zones.summary:
            here.append(weights.in_summary)
        if key in zones.path or (len(key) > 2 and any(step.startswith(key) for step in zones.above)):
            here.append(weights.in_path)
        if len(key) > 2 and (zones.last.startswith(key) or zones.last.endswith(key)):
            here.append(weights.edge_of_name)
        elif len(key) > 2 and key in zones.last:
            here.append(weights.inside_name)
        value += max(here)
    return value / len(keys)


_ZONES: dict[str, Zones] = {}


def zones_of(hit: Any) -> Zones:
    """The zones of a passage, made once."""
    zones = _ZONES.get(hit.id)
    if zones is None:
        *above, last = hit.id.split(".")
        first = re.split(r"(?<=[.!?])\s|\n\s*\n", _body(hit), maxsplit=1)[0]
        zones = _ZONES[hit.id] = Zones(
            name=frozenset(map(stem, _PARTS.findall(last))),
            last=last.lower(),
            path=frozenset(stem(part) for step in above for part in _PARTS.findall(step)),
            above=tuple(step.lower() for step in above),
            summary=frozenset(map(stem, words_of(first.replace("_", " ")))),
        )
    return zones


_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def stem_key(word: str) -> str:
    """Words with one stem are searched once."""
    return stem(word)


def _search(asked: Iterable[Concept], knowledge: Any) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    for concept in asked:
        for variant in concept.variants:
            for word in variant.words:
                key = stem_key(word)
                if key not in tables and len(tables) < MAX_WORDS:
                    tables[key] = {hit.id: hit for hit in knowledge.search(word, limit=PER_WORD)}
    return tables


def _prior(hit: Any, weights: Weights) -> float:
    """How likely a passage is the answer to anything, from what is known of its name."""
    value = 1 + weights.usage * level_of(hit.id) / 12
    value *= 1 + weights.module * (usage().get(hit.id.split(".")[0], 0)) / 12
    if "." in hit.id and _is_class(hit.id.rpartition(".")[0]):
        value *= weights.member
    body = hit.text[len(hit.title) :].strip()
    if hit.title.startswith("module "):
        value *= weights.is_module
    if hit.id in _BUILTIN_TYPES:
        value *= weights.builtin
    if _EXCEPTION.search(hit.id):
        value *= weights.is_error
    if len(body) < 20:
        value *= weights.bare
    if _OLD.search(body[:400]):
        value *= weights.old
    return value


def _named(question: str, knowledge: Any, *, best: float) -> list[Found]:
    """Passages that the question names outright."""
    found = []
    for name in names_in(question):
        hit = knowledge.get(name.rstrip("()"))
        if hit is not None:
            found.append(Found(hit, best * 2, frozenset([name])))
    return found


def _diverse(found: list[Found], limit: int, weights: Weights) -> list[Found]:
    """The best, but not five times the same thing: what resembles something chosen counts less."""
    chosen: list[Found] = []
    rest = list(found)
    while rest and len(chosen) < limit:
        best = max(rest, key=lambda f: (f.score * _fresh(f, chosen, weights), f.hit.id))
        chosen.append(best)
        body = _body(best.hit)
        rest = [f for f in rest if f.hit.id != best.hit.id and (not body or _body(f.hit) != body)]
    return chosen


def _fresh(candidate: Found, chosen: list[Found], weights: Weights) -> float:
    value = 1.0
    owner, module = candidate.hit.id.rpartition(".")[0], candidate.hit.id.split(".")[0]
    last = candidate.hit.id.rpartition(".")[2]
    for other in chosen:
        if other.hit.id.rpartition(".")[2] == last:
            value *= weights.same_name
        if owner and other.hit.id.rpartition(".")[0] == owner:
            value *= weights.same_owner
        elif other.hit.id.split(".")[0] == module:
            value *= weights.same_module
    return value


def _body(hit: Any) -> str:
    return str(hit.text[len(hit.title) :]).strip()
