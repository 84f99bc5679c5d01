"""What state each field of a brief is in, and why. One small function per field; no weights here.

A list is as good as its best entry. That is the one rule under which deleting an entry can never lower the score and
adding one can never raise it; entries that fall behind are named as hints, and an acceptance criterion that nothing
decides blocks (see ``score``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from hephaestus.assets.brief import Acceptance, Brief, Budget, EdgeCase, Input, Rule
from hephaestus.interview.lint import is_placeholder, reading, testable, vague_words
from hephaestus.interview.table import BY_NAME, PENALTIES, Status

_ORDER: Final = {status: place for place, status in enumerate(PENALTIES)}  # worst first
_URL = re.compile(r"^(?!file:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class State(msgspec.Struct, frozen=True):
    """One field's status and the reason for it."""

    status: Status
    why: str


class Form(msgspec.Struct, frozen=True):
    """A filled-in form: the brief, and what of its package it may point at."""

    brief: Brief
    checks: Mapping[str, str]  # id -> kind
    files: frozenset[str]

    def holds(self, path: str) -> bool:
        """Whether ``path`` is a file or a folder of the package."""
        path = path.strip().removeprefix("./").rstrip("/")
        return bool(path) and (path in self.files or any(name.startswith(path + "/") for name in self.files))


def state_of(field: str, form: Form) -> State:
    """The state of one field, its provenance taken into account.

    An assumed value counts as assumed until someone confirms it; a field put off to later stays missing.
    """
    found = _READERS[field](form)
    origins = {origin for key, origin in form.brief.provenance.items() if field_of(key) == field}
    if "deferred" in origins and found.status != "missing":
        return State("missing", "put off to later")
    if "deferred" in origins:
        return State("missing", "put off to later; it still has to be answered")
    if "assumed" in origins:
        return worst(found, State("assumed", "assumed; nobody has confirmed it"))
    return found


def field_of(key: str) -> str | None:
    """The field that a key of ``[provenance]`` speaks of: the field itself or something inside it."""
    while key:
        if key in BY_NAME:
            return key
        key = key.rpartition(".")[0]
    return None


def worst(*states: State) -> State:
    """The worst of some states; the first of equals."""
    return min(states, key=lambda state: _ORDER[state.status])


def best(states: Iterable[State], *, empty: str) -> State:
    """The best of some states, or missing because of ``empty`` where there is none.

    Among equals the reason that sorts first is taken, so that the order of entries does not show.
    """
    return min(states, key=lambda s: (-_ORDER[s.status], s.why), default=State("missing", empty))


def is_url(text: str) -> bool:
    """Whether a source is somewhere on a network."""
    return bool(_URL.match(text.strip()))


def text_state(text: str | None, *, said: str) -> State:
    """The state of a free text; at best stated."""
    match reading(text):
        case "blank":
            return State("missing", "nothing is written here")
        case "placeholder":
            return State("placeholder", f"{_short(text)} says nothing")
        case "vague":
            return State("untestable", f"vague: {', '.join(vague_words(text or ''))}")
        case "says":
            return State("stated", said)


def acceptance_state(item: Acceptance, checks: Mapping[str, str]) -> State:
    """The state of one acceptance criterion."""
    if item.check is not None and item.check in checks:
        if reading(item.text) in ("blank", "placeholder"):
            return text_state(item.text, said="")
        return State("bound", f"decided by the check {item.check} ({checks[item.check]})")
    return _decided_by_people(item.text, item.manual, name=item.id)


def decided(item: Acceptance, checks: Mapping[str, str]) -> bool:
    """Whether a criterion names its judge: a check, or people and why no check can decide it.

    Not whether it reads as testable: that could be had by adding words, and this decides whether anything is built.
    """
    if item.check is not None and item.check in checks:
        return given(item.text)
    return reading(item.text) == "says" and given(item.manual)


def rule_state(rule: Rule, checks: Mapping[str, str]) -> State:
    """The state of one rule of ``must`` or ``must_not``."""
    if rule.check is not None and rule.check in checks:
        if reading(rule.text) in ("blank", "placeholder"):
            return text_state(rule.text, said="")
        return State("bound", f"decided by the check {rule.check} ({checks[rule.check]})")
    found = text_state(rule.text, said="decided by people, with a reason")
    if found.status == "stated" and not given(rule.manual):
        return State("untestable", f"{_short(rule.text)} names neither a check nor a reason why none can decide it")
    return found


def given(text: str | None) -> bool:
    """Whether a text is there and is no placeholder."""
    return reading(text) not in ("blank", "placeholder")


def _decided_by_people(text: str, manual: str | None, *, name: str) -> State:
    found = text_state(text, said="decided by people, with a reason")
    if found.status != "stated":
        return found
    if not given(manual):
        return State("untestable", f"{name} names neither a check nor a reason why none can decide it")
    if not testable(text):
        return State("untestable", f"{name} names nothing to observe")
    return found


def _outcome(form: Form) -> State:
    text = form.brief.goal.outcome
    found = text_state(text, said="stated")
    if found.status == "stated" and len((text or "").split()) < 2:
        return State("placeholder", f"{_short(text)}: an outcome is a verb and its object")
    return found


def _deliverable(form: Form) -> State:
    deliverable = form.brief.goal.deliverable
    if deliverable is None or not deliverable.kind.strip():
        return State("missing", "it is not said what comes out")
    if is_placeholder(deliverable.kind):
        return State("placeholder", f"{_short(deliverable.kind)} says nothing")
    if deliverable.schema is not None and form.holds(deliverable.schema):
        return State("bound", f"described by {deliverable.schema}")
    if not given(deliverable.format):
        return State("untestable", "neither a format nor a schema of the package says how it looks")
    return worst(text_state(deliverable.kind, said="stated"), text_state(deliverable.format, said="stated"))


def _acceptance(form: Form) -> State:
    states = [acceptance_state(item, form.checks) for item in form.brief.goal.acceptance]
    return best(states, empty="no criterion says when an output is good enough")


def _examples(form: Form) -> State:
    states = []
    for example in form.brief.goal.examples:
        empty = [part for part in (example.input, example.expected) if part in (None, "", [], {})]
        filler = [
            part
            for part in (example.input, example.expected)
            if isinstance(part, str) and part and is_placeholder(part)
        ]
        if empty or filler:
            states.append(State("placeholder", "an example needs an input and what is expected for it"))
        else:
            states.append(State("stated", "at least one worked example"))
    return best(states, empty="no example shows an input and what is expected for it")


def _budget(form: Form) -> State:
    budget = form.brief.constraint.budget
    if budget is None or budget == Budget():
        return State("missing", "nothing says what a run may cost")
    if budget.seconds is not None and budget.attempts is not None:
        return State("bound", "seconds and attempts are counted by the host")
    return State("stated", "a limit is named; seconds and attempts together would be counted by the host")


def _tools(form: Form) -> State:
    tools = form.brief.constraint.tools_allowed
    if tools is None:
        return State("missing", "it is not said which tools may be used (an empty list is an answer)")
    return State("bound", f"closed list: {', '.join(sorted(tools)) or 'none'}")


def _network(form: Form) -> State:
    if form.brief.constraint.network is None:
        return State("missing", "it is not said whether a network may be used")
    return State("bound", f"network: {form.brief.constraint.network}")


def _must(form: Form) -> State:
    states = [rule_state(rule, form.checks) for rule in form.brief.constraint.must]
    return best(states, empty="nothing is said that must always hold")


def _must_not(form: Form) -> State:
    states = [rule_state(rule, form.checks) for rule in form.brief.constraint.must_not]
    return best(states, empty="nothing is said that must never happen")


def _included(form: Form) -> State:
    states = [text_state(text, said="stated") for text in form.brief.scope.included]
    return best(states, empty="nothing says which requests belong to it")


def _excluded(form: Form) -> State:
    states = [text_state(text, said="stated") for text in form.brief.scope.excluded]
    if form.brief.scope.nothing_excluded is not None:
        states.append(text_state(form.brief.scope.nothing_excluded, said="nothing is excluded, with a reason"))
    return best(states, empty="nothing says which requests do not belong to it (nothing_excluded takes a reason)")


def _edge_cases(form: Form) -> State:
    return best((_edge(case) for case in form.brief.scope.edge_cases), empty="no case at the border is decided")


def _edge(case: EdgeCase) -> State:
    named = text_state(case.case, said="stated")
    if named.status == "untestable":  # "a slow or good enough source" is a case, if what happens then is plain
        named = State("stated", "stated")
    return worst(named, text_state(case.behaviour, said="stated"))


def _stop_when(form: Form) -> State:
    return text_state(form.brief.scope.stop_when, said="stated")


def _inputs(form: Form) -> State:
    return best((_input(entry, form) for entry in form.brief.context.inputs), empty="no input is named")


def _input(entry: Input, form: Form) -> State:
    found = worst(text_state(entry.name, said="stated"), text_state(entry.type, said="stated"))
    if found.status != "stated":
        return found
    if entry.sample is not None and not (isinstance(entry.sample, str) and not given(entry.sample)):
        return State("bound", f"{entry.name}: typed, with a sample")
    if entry.source is not None and form.holds(entry.source):
        return State("bound", f"{entry.name}: read from {entry.source}")
    return State("stated", f"{entry.name}: typed; a sample would show it")


def _audience(form: Form) -> State:
    return text_state(form.brief.context.audience, said="stated")


def _environment(form: Form) -> State:
    return text_state(form.brief.context.environment, said="stated")


def _knowledge(form: Form) -> State:
    sources = form.brief.context.knowledge_sources
    if sources is None:
        return State("missing", "it is not said what it may look things up in (an empty list is an answer)")
    if found := sorted(source for source in sources if source == "python-docs" or form.holds(source)):
        return State("bound", f"built from {', '.join(found)}")
    return State("stated", f"{len(sources)} sources outside the package" if sources else "none")


def _assumptions(form: Form) -> State:
    states = []
    for assumption in form.brief.context.assumptions:
        found = text_state(assumption.text, said=f"confirmed by {assumption.confirmed_by}")
        if found.status == "stated" and not given(assumption.confirmed_by):
            found = State("assumed", "nobody has confirmed it")
        states.append(found)
    return best(states, empty="nothing is named that is taken for true")


def _short(text: str | None) -> str:
    text = " ".join((text or "").split())
    return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}..."'


_READERS: Final[dict[str, Callable[[Form], State]]] = {
    "goal.outcome": _outcome,
    "goal.deliverable": _deliverable,
    "goal.acceptance": _acceptance,
    "goal.examples": _examples,
    "constraint.budget": _budget,
    "constraint.tools_allowed": _tools,
    "constraint.network": _network,
    "constraint.must": _must,
    "constraint.must_not": _must_not,
    "scope.in": _included,
    "scope.out": _excluded,
    "scope.edge_cases": _edge_cases,
    "scope.stop_when": _stop_when,
    "context.inputs": _inputs,
    "context.audience": _audience,
    "context.environment": _environment,
    "context.knowledge_sources": _knowledge,
    "context.assumptions": _assumptions,
}
