"""From a question to concepts: what is asked about, and the words that documentation may use for it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")
_NAME = re.compile(
    r"`([^`\s]+)`|\b([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)\b|\b([a-z]+_\w+)\b|\b(\w+)\(\)|\b([a-z]+[A-Z]\w+)\b"
)

_LITERAL = re.compile(
    r"(?<!\w)'[^'\n]*[^'\w\n][^'\n]*'(?!\w)|\"[^\"\n]*\""
)  # an example value is not what is asked about

# Words that carry the question and not its subject. "in", "to", "from" stand in phrases of the thesaurus before they
# are dropped.
_STOP_WORDS = """
    a about actually after again ago all also always am an and another any anybody anyone anything are aren't as at away
    back be because been before being best better between both but by call called can can't cannot case certain code
    correct could did different do does doesn't doing don't done easiest easily easy either else etc ever every example
    few for from further gets getting given gives go goes going good got had hand has have haven't having he help her
    here hi him his how i i'd i'll i'm i've if in inside instead into is isn't it it's its itself just keep keeps know
    let lets like long look looking made make makes making many may maybe me mean means might more most much must my
    myself need needed needs never new next nice no not now of off ok on once one ones only onto or other others our
    out over own part per perhaps piece please possible properly put python quick quickly rather really right same say
    says see seen several shall she should show simple simplest simply since single so some someone something somehow
    stay stdlib still such sure take takes tell than that that's the their them then there there's
    these they thing things this those through thus to together too two under until up upon us use used useful using
    usually various very via want wants was wasn't way ways we well went were what what's when where whether which
    while who whole whom whose why will with within without won't work works would yes yet you you'd you're your
    """
STOP = frozenset(_STOP_WORDS.split())


AVOIDED = 0.3  # weight of the words after "without"

# Stop words that a row of the thesaurus gives a meaning.
KEPT = frozenset({"all", "every", "sort", "in", "call", "single", "standard", "start", "proper", "show", "seen"})


class Variant(NamedTuple):
    """One way to put a concept: all of its words must stand in a passage."""

    words: tuple[str, ...]
    weight: float


class Concept(NamedTuple):
    """One thing that a question is about."""

    said: str
    variants: tuple[Variant, ...]
    weight: float = 1.0


class Rule(NamedTuple):
    """A row of the thesaurus, for one of its phrases."""

    phrase: tuple[str, ...]  # stems; "*" stands for up to four words
    variants: tuple[tuple[str, ...], ...]


def stem(word: str) -> str:
    """A rough stem: enough to see that "deleting", "deletes" and "delete" are one word."""
    word = word.lower().removesuffix("'s")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and re.search("[aeiouy]", word[: -len(ending)]):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


# Words of the subject that stand in so many questions and passages that they decide little.
_GENERIC_WORDS = """
    file list string text number value function program run read write object data element item name line create make
    build return type python script character word find turn convert give change work start stop call open check
    """
GENERIC = frozenset(map(stem, _GENERIC_WORDS.split()))


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def names_in(text: str) -> list[str]:
    """Names of code that somebody wrote into the question: ``os.path.join``, `getcwd`, splitext()."""
    return [next(filter(None, found)) for found in _NAME.findall(text)]


@cache
def thesaurus() -> tuple[Rule, ...]:
    """The rows of ``thesaurus.txt``, longest phrases first."""
    rules = []
    for line in Path(__file__).with_name("thesaurus.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or " : " not in line:
            continue
        left, right = line.split(" : ")
        variants = tuple(tuple(words_of(v.replace("_", " "))) for v in right.split(",") if words_of(v))
        for phrase in left.split(","):
            steps = tuple("*" if step == "*" else stem(step) for step in re.findall(r"\*|[^\W_]+(?:'[a-z]+)?", phrase))
            if any(step != "*" for step in steps):
                rules.append(Rule(steps, variants))
    return tuple(sorted(rules, key=lambda rule: (-sum(s != "*" for s in rule.phrase), rule.phrase)))


def place(phrase: tuple[str, ...], stems: list[str], start: int) -> list[int] | None:
    """The positions of a phrase's words from ``start`` on, or None."""
    at, found, gap = start, [], 0
    for step in phrase:
        if step == "*":
            gap = 4
            continue
        for ahead in range(gap + 1):
            if at + ahead < len(stems) and stems[at + ahead] == step:
                at += ahead + 1
                found.append(at - 1)
                break
        else:
            return None
        gap = 0
    return found


def concepts(
    question: str, *, said: float = 1.0, meant: float = 0.8, phrase: float = 1.0, own: float = 0.4, generic: float = 0.6
) -> list[Concept]:
    """What a question is about, in its own words and in those of documentation.

    Args:
        question: Any text.
        said: Weight of the question's own words.
        meant: Weight of other words for a single word.
        phrase: Weight of other words for a phrase, which is less likely to mean something else.
        own: Weight of each single word of such a phrase.
        generic: Weight of words that stand in half of all questions.
    """
    words = words_of(_LITERAL.sub(" ", question))[:300]
    stems = [stem(word) for word in words]
    taken: set[int] = set()
    found: list[tuple[int, Concept]] = []
    single: dict[str, Rule] = {}
    # What somebody wants to do without is not what they look for.
    taken_back = {at + ahead for at, word in enumerate(words) if word in ("without", "instead") for ahead in (1, 2, 3)}
    for rule in thesaurus():
        if len(rule.phrase) == 1:
            single.setdefault(rule.phrase[0], rule)
            continue
        for start in range(len(stems)):
            positions = place(rule.phrase, stems, start) if stems[start] == rule.phrase[0] else None
            if positions is None or taken & set(positions):
                continue
            taken |= set(positions)
            variants = tuple(Variant(v, phrase) for v in rule.variants)
            found.append((positions[0], Concept(" ".join(words[p] for p in positions), variants)))
    for position, word in enumerate(words):
        rule_for = single.get(stems[position])
        if word in STOP and (rule_for is None or position in taken or word not in KEPT):
            continue
        if len(word) == 1 or word.isdigit():
            continue  # "3 things", "70 characters": the number is an example
        variants = (Variant((word,), said), *(Variant(v, meant) for v in (rule_for.variants if rule_for else ())))
        weight = (own if position in taken else 1.0) * (generic if stems[position] in GENERIC else 1.0)
        if position in taken_back:
            weight *= AVOIDED
        found.append((position, Concept(word, variants, weight)))
    merged: dict[str, Concept] = {}
    for _, concept in sorted(found, key=lambda pair: pair[0]):
        merged.setdefault(" ".join(map(stem, concept.said.split())), concept)
    return list(merged.values())
