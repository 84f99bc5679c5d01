"""What a brief says twice in two ways, found by rule only.

A contradiction in prose is not found by any cheap means (measured: no better than chance); this does not try.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from hephaestus.interview.fields import Form, field_of, is_url
from hephaestus.interview.freeze import frozen_digest
from hephaestus.interview.lint import is_placeholder
from hephaestus.interview.table import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hephaestus.canonical import Digest

_TOOL = re.compile(r"[A-Za-z][\w.:/-]*")


def contradictions(form: Form) -> tuple[str, ...]:
    """Every contradiction, one sentence each, sorted, without repetition."""
    rules = (_tools, _network, _format, _budget, _checks, _scope, _rules, _examples, _ids, _sources, _provenance)
    return tuple(sorted({text for rule in rules for text in rule(form)}))


def _tools(form: Form) -> Iterator[str]:
    allowed = {tool.strip().casefold(): tool for tool in form.brief.constraint.tools_allowed or ()}
    for tool in form.brief.constraint.tools_forbidden:
        if tool.strip().casefold() in allowed:
            yield f"constraint: the tool {tool!r} is both allowed and forbidden"
    for tool in form.brief.constraint.tools_allowed or ():
        if is_placeholder(tool) or not _TOOL.fullmatch(tool.strip()):
            yield f"constraint.tools_allowed: {tool!r} is no name of a tool; an empty list means none"


def _network(form: Form) -> Iterator[str]:
    if form.brief.constraint.network != "none":
        return
    for entry in form.brief.context.inputs:
        if entry.source is not None and is_url(entry.source):
            yield f'constraint.network is "none", but the input {entry.name!r} comes from {entry.source}'
    for source in form.brief.context.knowledge_sources or ():
        if is_url(source):
            yield f'constraint.network is "none", but context.knowledge_sources names {source}'


def _format(form: Form) -> Iterator[str]:
    deliverable = form.brief.goal.deliverable
    if deliverable is None or deliverable.schema is None:
        return
    if not form.holds(deliverable.schema):
        yield f"goal.deliverable.schema names {deliverable.schema}, which is not in the package"
    if deliverable.format is not None and "json" not in deliverable.format.casefold():
        yield f"goal.deliverable: the format {deliverable.format!r} is not JSON, which the schema describes"


def _budget(form: Form) -> Iterator[str]:
    budget = form.brief.constraint.budget
    if budget is None:
        return
    if budget.seconds == 0:
        yield "constraint.budget.seconds is 0: nothing can run"
    if budget.attempts == 0:
        yield "constraint.budget.attempts is 0: nothing can be tried"
    models = [tool for tool in form.brief.constraint.tools_allowed or () if tool.strip().casefold() == "model"]
    if models and budget.tokens == 0:
        yield 'constraint.budget.tokens is 0, but constraint.tools_allowed names "model"'
    if budget.seconds and budget.attempts and budget.attempts > 1000 * budget.seconds:
        yield "constraint.budget: more than a thousand attempts in each second"


def _checks(form: Form) -> Iterator[str]:
    named = [(f"goal.acceptance {item.id!r}", item.check) for item in form.brief.goal.acceptance]
    named += [("constraint.must", rule.check) for rule in form.brief.constraint.must]
    named += [("constraint.must_not", rule.check) for rule in form.brief.constraint.must_not]
    for where, check in named:
        if check is not None and check not in form.checks:
            near = difflib.get_close_matches(check, sorted(form.checks), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            yield f"{where} names the check {check!r}, which the package does not have{meant}"


def _scope(form: Form) -> Iterator[str]:
    scope = form.brief.scope
    excluded = {_flat(text) for text in scope.excluded}
    for text in scope.included:
        if _flat(text) in excluded:
            yield f"scope: {text!r} is both in and out"
    if scope.nothing_excluded is not None and scope.excluded:
        yield "scope: nothing_excluded gives a reason why nothing is out, but out is not empty"


def _rules(form: Form) -> Iterator[str]:
    never = {_flat(rule.text) for rule in form.brief.constraint.must_not}
    for rule in form.brief.constraint.must:
        if _flat(rule.text) in never:
            yield f"constraint: {rule.text!r} must and must not hold"


def _examples(form: Form) -> Iterator[str]:
    expected: dict[Digest, Digest] = {}
    for example in form.brief.goal.examples:
        key, value = frozen_digest(example.input), frozen_digest(example.expected)
        if expected.setdefault(key, value) != value:
            yield "goal.examples: two examples have the same input and expect different outputs"


def _ids(form: Form) -> Iterator[str]:
    seen: set[str] = set()
    for item in form.brief.goal.acceptance:
        if item.id in seen:
            yield f"goal.acceptance: two criteria have the id {item.id!r}"
        seen.add(item.id)


def _sources(form: Form) -> Iterator[str]:
    for source in form.brief.context.knowledge_sources or ():
        if is_placeholder(source):
            yield f"context.knowledge_sources: {source!r} is no source; an empty list means none"


def _provenance(form: Form) -> Iterator[str]:
    for key in form.brief.provenance:
        if field_of(key) is None:
            near = difflib.get_close_matches(key, list(BY_NAME), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            yield f"provenance: {key!r} names no field{meant}"


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())
