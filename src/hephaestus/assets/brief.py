"""The brief: an agent's specification on four axes (goal, constraint, scope, context), as Structs.

Every entry is optional here: that something is missing is for the interview to say, with a score and a question, and
not for the parser. What is there must have the right shape. Field names follow ``brief.toml``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(max_length=4000)]
Origin = Literal["stated", "file", "assumed", "deferred"]
"""Where a value came from: a person, a file, a default or model, or put off to later."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table of a brief."""


class Deliverable(_Part, frozen=True, kw_only=True):
    """What comes out."""

    kind: Text
    format: Text | None = None
    schema: Text | None = None  # a path in the package


class Acceptance(_Part, frozen=True, kw_only=True):
    """One acceptance criterion; bound when ``check`` names a check of the package."""

    id: Text
    text: Text
    check: Text | None = None  # id of a check in agent.toml or card.toml
    manual: Text | None = None  # the reason why no check can decide it


class BriefExample(_Part, frozen=True, kw_only=True):
    """One worked example."""

    input: Any
    expected: Any


class Goal(_Part, frozen=True, kw_only=True):
    """``[goal]``."""

    outcome: Text | None = None  # verb + object
    deliverable: Deliverable | None = None
    acceptance: tuple[Acceptance, ...] = ()
    examples: tuple[BriefExample, ...] = ()


class Budget(_Part, frozen=True, kw_only=True):
    """What a run may cost at most."""

    seconds: Annotated[int, Meta(ge=0)] | None = None
    attempts: Annotated[int, Meta(ge=0)] | None = None
    tokens: Annotated[int, Meta(ge=0)] | None = None
    money_cents: Annotated[int, Meta(ge=0)] | None = None


class Rule(_Part, frozen=True, kw_only=True):
    """Something that must or must not happen, with its check or the reason why there is none."""

    text: Text
    check: Text | None = None
    manual: Text | None = None


class Constraint(_Part, frozen=True, kw_only=True):
    """``[constraint]``."""

    budget: Budget | None = None
    tools_allowed: tuple[Text, ...] | None = None  # an empty list is an answer: none
    tools_forbidden: tuple[Text, ...] = ()
    network: Literal["none", "named-hosts"] | None = None
    must: tuple[Rule, ...] = ()
    must_not: tuple[Rule, ...] = ()


class EdgeCase(_Part, frozen=True, kw_only=True):
    """A case at the border and what happens there."""

    case: Text
    behaviour: Text


class Scope(_Part, frozen=True, kw_only=True):
    """``[scope]``; ``in`` and ``out`` in the file."""

    included: tuple[Text, ...] = msgspec.field(default=(), name="in")
    excluded: tuple[Text, ...] = msgspec.field(default=(), name="out")
    nothing_excluded: Text | None = None  # the reason why nothing is out of scope
    edge_cases: tuple[EdgeCase, ...] = ()
    stop_when: Text | None = None


class Input(_Part, frozen=True, kw_only=True):
    """One input of the agent."""

    name: Text
    type: Text
    source: Text | None = None
    sample: Any = None


class Assumption(_Part, frozen=True, kw_only=True):
    """Something taken for true, and who confirmed it."""

    text: Text
    confirmed_by: Text | None = None


class Context(_Part, frozen=True, kw_only=True):
    """``[context]``."""

    inputs: tuple[Input, ...] = ()
    audience: Text | None = None
    environment: Text | None = None
    knowledge_sources: tuple[Text, ...] | None = None  # an empty list is an answer: none
    assumptions: tuple[Assumption, ...] = ()


class Brief(_Part, frozen=True, kw_only=True):
    """The whole of ``brief.toml``."""

    schema: Literal[1]
    goal: Goal = Goal()
    constraint: Constraint = Constraint()
    scope: Scope = Scope()
    context: Context = Context()
    provenance: dict[str, Origin] = {}  # dotted field -> origin; what is not named was stated
