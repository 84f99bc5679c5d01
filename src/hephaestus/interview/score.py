"""The score of a brief: from 0 (clear) to 100 (ambiguous), computed from the stored specification and nothing else.

No caller, human or model, passes a score in. The function is pure: same brief, same checks, same files, same report.

Arithmetic, integers only: a field's share is ``axis percent * field percent * penalty``, in units of a ten-thousandth
of a point, and the score is the sum of all shares, rounded up once. An axis is the weighted mean of its fields, rounded
up. Rounding up never lets a brief slip under a limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hephaestus.canonical import Digest
from hephaestus.interview.contradictions import contradictions
from hephaestus.interview.fields import Form, acceptance_state, decided, rule_state, state_of
from hephaestus.interview.freeze import brief_digest
from hephaestus.interview.questions import Question, questions
from hephaestus.interview.table import (
    AXES,
    FIELDS,
    MAX_AXIS,
    MAX_QUESTIONS,
    MAX_SCORE,
    PENALTIES,
    VERSION,
    Axis,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hephaestus.assets.brief import Brief

UNITS: Final = 10_000
"""Shares per point of the score."""


class Point(msgspec.Struct, frozen=True):
    """What one field adds to the score."""

    field: str
    axis: Axis
    status: Status
    penalty: int  # 0 to 100
    weight: int  # percent of the axis
    share: int  # of the score, in 1/10,000 of a point; the shares of a report add up to Report.exact
    why: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the interview found in one brief."""

    score: int  # 0 to 100
    exact: int  # the same before it was rounded up, in 1/10,000 of a point
    axes: dict[str, int]  # 0 to 100 each
    points: tuple[Point, ...]  # every field, in the order of the form
    blocking: tuple[str, ...]  # fields without which nothing is built
    contradictions: tuple[str, ...]
    hints: tuple[str, ...]  # entries that fall behind the best of their list; they cost nothing
    next_questions: tuple[Question, ...]  # the most useful first, at most five
    brief: Digest
    table: str  # version of the weights
    builds: bool


def assess(brief: Brief, *, checks: Mapping[str, str], files: Collection[str]) -> Report:
    """Score a brief.

    Args:
        brief: The specification, as it is stored.
        checks: Id -> kind of every check that the package and its card define.
        files: The paths of the package, relative to it.
    """
    form = Form(brief, dict(checks), frozenset(files))
    points = []
    for field in FIELDS:
        state = state_of(field.name, form)
        penalty = PENALTIES[state.status]
        share = AXES[field.axis] * field.weight * penalty
        points.append(Point(field.name, field.axis, state.status, penalty, field.weight, share, state.why))
    exact = sum(point.share for point in points)
    axes: dict[str, int] = {
        axis: _up(sum(p.weight * p.penalty for p in points if p.axis == axis), 100) for axis in AXES
    }
    blocking = _blocking(form, points)
    found = contradictions(form)
    score = _up(exact, UNITS)
    return Report(
        score=score,
        exact=exact,
        axes=axes,
        points=tuple(points),
        blocking=blocking,
        contradictions=found,
        hints=_hints(form),
        next_questions=questions({p.field: p.status for p in points}, blocking, checks)[:MAX_QUESTIONS],
        brief=brief_digest(brief),
        table=VERSION,
        builds=score <= MAX_SCORE and max(axes.values()) <= MAX_AXIS and not blocking and not found,
    )


def _blocking(form: Form, points: list[Point]) -> tuple[str, ...]:
    open_fields = {p.field for p in points if p.status in ("missing", "placeholder", "untestable")}
    names = {field.name for field in FIELDS if field.blocking and field.name in open_fields}
    # One criterion at least is decided by a check, and none is left to nobody.
    criteria = form.brief.goal.acceptance
    bound = any(acceptance_state(item, form.checks).status == "bound" for item in criteria)
    if not bound or not all(decided(item, form.checks) for item in criteria):
        names.add("goal.acceptance")
    return tuple(field.name for field in FIELDS if field.name in names)


def _hints(form: Form) -> tuple[str, ...]:
    found = {
        f"goal.acceptance: {state.why}"
        for state in (acceptance_state(item, form.checks) for item in form.brief.goal.acceptance)
        if state.status not in ("bound", "stated")
    }
    for name, rules in (("must", form.brief.constraint.must), ("must_not", form.brief.constraint.must_not)):
        for state in (rule_state(rule, form.checks) for rule in rules):
            if state.status not in ("bound", "stated"):
                found.add(f"constraint.{name}: {state.why}")
    return tuple(sorted(found))


def _up(value: int, by: int) -> int:
    return -(-value // by)
