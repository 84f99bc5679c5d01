"""The numbers of the interview: axes, fields, weights, penalties and limits, under one version.

Everything here is an integer and nothing here is fitted: no labelled data exists for agent specifications, so the
weights are a judgement and the tests report how much the verdict depends on each. Whoever changes a number changes
:data:`VERSION` with it, because a report names the table that it was made with.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

VERSION: Final = "interview/1"

Axis = Literal["goal", "constraint", "scope", "context"]
Status = Literal["missing", "placeholder", "untestable", "assumed", "stated", "bound"]

AXES: Final[dict[Axis, int]] = {"goal": 35, "constraint": 25, "scope": 20, "context": 20}
"""Axis -> share of the total, in percent."""

PENALTIES: Final[dict[Status, int]] = {
    "missing": 100,
    "placeholder": 100,
    "untestable": 60,
    "assumed": 35,
    "stated": 10,
    "bound": 0,  # compiled to a check, a reference that resolves, or a value that the host enforces
}
"""Status -> penalty in percent of the field's weight. Worst first; equal penalties keep this order."""

MAX_SCORE: Final = 20
MAX_AXIS: Final = 40
MAX_QUESTIONS: Final = 5
ROUNDS: Final = 8
"""How many questions an interview asks unless its caller says otherwise."""


class Field(msgspec.Struct, frozen=True):
    """One field of the form."""

    name: str  # dotted, as in brief.toml
    axis: Axis
    weight: int  # percent of the axis
    blocking: bool = False  # nothing is built while it is missing, a placeholder or untestable


FIELDS: Final[tuple[Field, ...]] = (
    Field("goal.outcome", "goal", 25, blocking=True),
    Field("goal.deliverable", "goal", 20),
    Field("goal.acceptance", "goal", 45, blocking=True),
    Field("goal.examples", "goal", 10),
    Field("constraint.budget", "constraint", 35, blocking=True),
    Field("constraint.tools_allowed", "constraint", 20),
    Field("constraint.network", "constraint", 20),
    Field("constraint.must", "constraint", 15),
    Field("constraint.must_not", "constraint", 10),
    Field("scope.in", "scope", 25),
    Field("scope.out", "scope", 35, blocking=True),
    Field("scope.edge_cases", "scope", 20),
    Field("scope.stop_when", "scope", 20),
    Field("context.inputs", "context", 45, blocking=True),
    Field("context.audience", "context", 15),
    Field("context.environment", "context", 10),
    Field("context.knowledge_sources", "context", 20),
    Field("context.assumptions", "context", 10),
)
"""Every field that is scored, in the order of the form. The weights of one axis add up to 100."""

BY_NAME: Final = {field.name: field for field in FIELDS}

FILLERS: Final = frozenset(
    """
    - -- --- . .. ... … ? ?? n/a na nil none null nothing no yes ok okay maybe any anything all everything whatever
    whichever unknown unsure undecided unclear later soon pending open empty blank default same idem ditto tbd tba tbc
    todo fixme xxx wip foo bar baz test example sample placeholder lorem ipsum asdf various misc miscellaneous etc
    """.split()  # noqa: SIM905 - a list of words is read as words
)
"""Words that fill a field without saying anything. A text made of nothing else is a placeholder: several of them
("none", "n/a") look observable to a lint, which is why they stand in a list of their own."""

FILLER_PHRASES: Final = (
    "to be decided", "to be determined", "to be defined", "to be confirmed", "to be done", "to be announced",
    "not applicable", "not sure", "not yet", "do not know", "don't know", "as needed", "as required", "as usual",
    "as appropriate", "if needed", "up to you", "you decide", "see above", "see below", "the usual", "and so on",
    "it depends", "fill in", "fill me in", "your text here", "insert here",
)  # fmt: skip
"""Phrases that do the same."""
