"""One complete brief, the package it points at, and Hypothesis strategies for incomplete ones."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from hephaestus.assets.brief import Brief
from hephaestus.assets.parse import parse_brief
from hephaestus.interview import Report, assess

CHECKS = {"schema": "json-schema", "quotes": "quotes-in-knowledge"}
FILES = ("agent.toml", "brief.toml", "schema/output.json", "knowledge/guide.md")

FULL = b"""
schema = 1

[goal]
outcome = "Answer questions about the guide with verbatim quotations"
deliverable = { kind = "one answer", format = "json", schema = "schema/output.json" }
acceptance = [
  { id = "A1", text = "Every quotation stands verbatim in the guide", check = "quotes" },
  { id = "A2", text = "The answer matches schema/output.json", check = "schema" },
  { id = "A3", text = "The summary holds at most 3 sentences", manual = "sentences are counted by a reader" },
]
examples = [{ input = "how do I read a file?", expected = { name = "zipfile.ZipFile.open" } }]

[constraint]
budget = { seconds = 60, attempts = 3 }
tools_allowed = []
network = "none"
must = [{ text = "Every statement names its source", check = "quotes" }]
must_not = [{ text = "Invent a name", manual = "names are compared by a reader" }]

[scope]
in = ["Questions about the guide"]
out = ["Questions about other programs"]
edge_cases = [{ case = "Nothing is found", behaviour = "Return an empty list of quotations" }]
stop_when = "The checks pass or 3 attempts are spent"

[context]
inputs = [{ name = "request", type = "text", source = "the caller", sample = "how do I read a file?" }]
audience = "Developers who read Python"
environment = "An isolated subprocess with the standard library"
knowledge_sources = ["knowledge/"]
assumptions = [{ text = "The guide is in English", confirmed_by = "the owner of the guide" }]
"""


def full() -> Brief:
    return parse_brief(FULL)


def tree(brief: Brief) -> dict[str, Any]:
    return _lists(msgspec.to_builtins(brief))


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def brief(data: dict[str, Any]) -> Brief:
    return msgspec.convert(data, Brief)


def changed(field: str, value: Any, *, of: Brief | None = None) -> Brief:
    """The complete brief (or another) with one field set to a value of ``brief.toml``'s shape."""
    data = tree(of or full())
    axis, _, name = field.partition(".")
    data[axis][name] = value
    return brief(data)


def score(subject: Brief) -> Report:
    return assess(subject, checks=CHECKS, files=FILES)


EMPTY: dict[str, Any] = {
    "goal": {"outcome": None, "deliverable": None, "acceptance": [], "examples": []},
    "constraint": {"budget": None, "tools_allowed": None, "network": None, "must": [], "must_not": []},
    "scope": {"in": [], "out": [], "nothing_excluded": None, "edge_cases": [], "stop_when": None},
    "context": {"inputs": [], "audience": None, "environment": None, "knowledge_sources": None, "assumptions": []},
}
"""What each field looks like when it is deleted."""

PATHS = [f"{axis}.{name}" for axis, names in EMPTY.items() for name in names]

texts = st.one_of(
    st.sampled_from(
        [
            "", " ", "TBD", "n/a", "none", "good quality", "Return an empty list", "nice and fast", "exactly 3 names",
            "Every quotation names its source", "handle stuff properly", "`zipfile` and knowledge/guide.md",
        ]
    ),
    st.text(max_size=30).filter(lambda text: not any(0xD800 <= ord(c) <= 0xDFFF for c in text)),
)  # fmt: skip
maybe = st.none() | texts
values = st.none() | texts | st.integers(-5, 5) | st.lists(texts, max_size=2)
decided = {"text": texts, "check": st.sampled_from([None, "quotes", "schema", "nope"]), "manual": maybe}
limit = st.none() | st.integers(0, 100)


def lists(entry: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(entry, max_size=3)


fields: dict[str, st.SearchStrategy[Any]] = {
    "goal.outcome": maybe,
    "goal.deliverable": st.none()
    | st.fixed_dictionaries(
        {"kind": texts, "format": maybe, "schema": st.sampled_from([None, "schema/output.json", "gone.json"])}
    ),
    "goal.acceptance": lists(st.fixed_dictionaries({"id": st.sampled_from(["A1", "A2", "A3"]), **decided})),
    "goal.examples": lists(st.fixed_dictionaries({"input": values, "expected": values})),
    "constraint.budget": st.none()
    | st.fixed_dictionaries({"seconds": limit, "attempts": limit, "tokens": limit, "money_cents": limit}),
    "constraint.tools_allowed": st.none() | lists(texts),
    "constraint.tools_forbidden": lists(texts),
    "constraint.network": st.sampled_from([None, "none", "named-hosts"]),
    "constraint.must": lists(st.fixed_dictionaries(decided)),
    "constraint.must_not": lists(st.fixed_dictionaries(decided)),
    "scope.in": lists(texts),
    "scope.out": lists(texts),
    "scope.nothing_excluded": maybe,
    "scope.edge_cases": lists(st.fixed_dictionaries({"case": texts, "behaviour": texts})),
    "scope.stop_when": maybe,
    "context.inputs": lists(st.fixed_dictionaries({"name": texts, "type": texts, "source": maybe, "sample": values})),
    "context.audience": maybe,
    "context.environment": maybe,
    "context.knowledge_sources": st.none() | lists(texts | st.sampled_from(["knowledge/", "https://example.org"])),
    "context.assumptions": lists(st.fixed_dictionaries({"text": texts, "confirmed_by": maybe})),
}
origins = st.dictionaries(
    st.sampled_from([*PATHS, "goal.nonsense"]), st.sampled_from(["stated", "file", "assumed", "deferred"]), max_size=4
)


@st.composite
def briefs(draw: st.DrawFn) -> Brief:
    """Briefs between empty and complete: some fields as in the complete one, some drawn."""
    data = tree(full())
    for field in draw(st.sets(st.sampled_from(sorted(fields)), max_size=8)):
        axis, _, name = field.partition(".")
        data[axis][name] = draw(fields[field])
    data["provenance"] = draw(origins)
    return brief(data)
