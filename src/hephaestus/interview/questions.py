"""What to ask next. Fields, wording and options are fixed; a model may rephrase a text and nothing else.

The next question is about the unresolved field with the largest penalty x weight, twice that if it blocks; of equals,
the one that stands first in the form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hephaestus.interview.table import AXES, BY_NAME, FIELDS, PENALTIES, Axis, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Question(msgspec.Struct, frozen=True):
    """One question about one field. A free answer, and "decide later", are always possible besides the options."""

    field: str
    axis: Axis
    text: str
    options: tuple[str, ...]  # two to five


def questions(
    statuses: Mapping[str, Status], blocking: Collection[str], checks: Mapping[str, str]
) -> tuple[Question, ...]:
    """Every open question, the most useful first.

    Args:
        statuses: Field -> status, for every field.
        blocking: Fields without which nothing is built.
        checks: Id -> kind of the package's checks; the options for an acceptance criterion.
    """
    asked = [
        field for field in FIELDS if PENALTIES[statuses[field.name]] > PENALTIES["stated"] or field.name in blocking
    ]

    def gain(name: str) -> int:
        field = BY_NAME[name]
        # A blocking field may be stated already (a criterion beside the best one is not): it is asked all the same.
        penalty = max(PENALTIES[statuses[name]], 1)
        return penalty * field.weight * AXES[field.axis] * (2 if name in blocking else 1)

    ordered = sorted(asked, key=lambda field: -gain(field.name))  # stable: ties stay in the order of the form
    return tuple(question(field.name, checks=checks) for field in ordered)


def question(field: str, *, checks: Mapping[str, str]) -> Question:
    """The question about one field."""
    return Question(field, BY_NAME[field].axis, _TEXTS[field], tuple(options(field, checks=checks)))


def options(field: str, *, checks: Mapping[str, str]) -> dict[str, Any]:
    """Label -> the value that choosing it writes into the brief (plain builtins, shaped like ``brief.toml``).

    None means that the choice cannot be written into the brief alone: it is work in the package.
    """
    if field != "goal.acceptance":
        return dict(_OPTIONS[field])
    bound = {
        f"the check {name} ({checks[name]}) passes": [{"id": name, "text": f"The check {name} passes", "check": name}]
        for name in sorted(checks)[:4]
    }
    return bound | {
        "add a check of kind json-schema to agent.toml first": None,
        "add a check of kind regex to agent.toml first": None,
    } if len(bound) < 2 else bound  # fmt: skip


_TEXTS: Final[dict[str, str]] = {
    "goal.outcome": "What does the agent achieve? A verb and its object.",
    "goal.deliverable": "What comes out: what kind of thing, in which format, described by which schema?",
    "goal.acceptance": "How is it decided that an output is good enough? Each criterion names a check, or the reason "
    "why none can decide it; at least one names a check.",
    "goal.examples": "What is one real input, and what is expected for it?",
    "constraint.budget": "What may one run cost at most: seconds, attempts, tokens, money?",
    "constraint.tools_allowed": "Which tools may it use? An empty list means none.",
    "constraint.network": "May it use a network?",
    "constraint.must": "What must always hold? Each rule names a check, or the reason why none can decide it.",
    "constraint.must_not": "What must never happen? Each rule names a check, or the reason why none can decide it.",
    "scope.in": "Which requests belong to it?",
    "scope.out": "Which requests do not belong to it? Or the reason why nothing is excluded.",
    "scope.edge_cases": "What happens at the border: nothing found, an empty input, one that is too long?",
    "scope.stop_when": "When is it done, and when does it give up?",
    "context.inputs": "What does it read: name, type, where from, and one sample?",
    "context.audience": "Who reads the result, and what do they know already?",
    "context.environment": "Where does it run, and what can it rely on there?",
    "context.knowledge_sources": "What may it look things up in? An empty list means nothing.",
    "context.assumptions": "What is taken for true, and who confirmed it?",
}

_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "goal.outcome": {
        "answer questions from a given body of text": "Answer questions from a given body of text",
        "extract facts from a text as JSON": "Extract facts from one text as JSON",
        "turn one text into another form": "Turn one text into another form",
        "judge a text by given rules": "Judge one text by given rules",
    },
    "goal.deliverable": {
        "one JSON object, described by schema/output.json": {
            "kind": "one answer", "format": "json", "schema": "schema/output.json",
        },
        "a text in Markdown": {"kind": "one document", "format": "markdown"},
        "a file of another kind": None,
    },
    "goal.examples": {
        "take the first example of the routing card": None,
        "write one by hand": None,
    },
    "constraint.budget": {
        "60 seconds, 3 attempts": {"seconds": 60, "attempts": 3},
        "5 minutes, 3 attempts": {"seconds": 300, "attempts": 3},
        "10 seconds, 1 attempt": {"seconds": 10, "attempts": 1},
    },
    "constraint.tools_allowed": {
        "none": [],
        "knowledge search": ["knowledge"],
        "knowledge search and a model": ["knowledge", "model"],
    },
    "constraint.network": {"none": "none", "named hosts only": "named-hosts"},
    "constraint.must": {
        "every statement names its source": [
            {"text": "Every statement names its source", "manual": "no check of the package reads statements yet"}
        ],
        "the output matches its schema": [
            {"text": "The output matches its schema", "manual": "no check of the package is named for it yet"}
        ],
    },
    "constraint.must_not": {
        "invent a quotation": [
            {"text": "Invent a quotation", "manual": "no check of the package is named for it yet"}
        ],
        "change anything outside its own folder": [
            {"text": "Change anything outside its own folder", "manual": "the isolation of the run forbids it"}
        ],
    },
    "scope.in": {
        "questions about the given text": ["Questions about the given text"],
        "one text per request": ["One text per request"],
    },
    "scope.out": {
        "everything that the given sources do not cover": ["Requests that the given sources do not cover"],
        "advice on law, medicine and money": ["Advice on law, medicine and money"],
        "changing files or systems": ["Changing files or systems"],
    },
    "scope.edge_cases": {
        "nothing found: say so and return an empty list": [
            {"case": "Nothing is found", "behaviour": "Return an empty list and say that nothing was found"}
        ],
        "empty input: refuse with an error": [
            {"case": "The input is empty", "behaviour": "Refuse with an error that names the input"}
        ],
    },
    "scope.stop_when": {
        "the checks pass, or the attempts are spent": "The checks pass or the attempts are spent",
        "every part of the input was handled once": "Every part of the input was handled once",
    },
    "context.inputs": {
        "the request, a text": [{"name": "request", "type": "text", "source": "the caller"}],
        "a file, named by its path": [{"name": "path", "type": "path of one file", "source": "the caller"}],
    },
    "context.audience": {
        "developers": "Developers who know the subject",
        "people without technical knowledge": "People without technical knowledge",
        "another program": "Another program, which reads JSON",
    },
    "context.environment": {
        "an isolated subprocess with plain Python": "An isolated subprocess with the Python standard library",
        "a subprocess with locked dependencies": "A subprocess with the dependencies of the package's lock",
    },
    "context.knowledge_sources": {
        "none": [],
        "the documentation of the Python standard library": ["python-docs"],
        "the folder knowledge/ of the package": ["knowledge/"],
    },
    "context.assumptions": {
        "the input is in English": [{"text": "The input is in English"}],
        "the input fits into memory": [{"text": "The input fits into memory"}],
    },
}  # fmt: skip
