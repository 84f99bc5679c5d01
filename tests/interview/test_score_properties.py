"""What the score promises for every brief."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.interview.briefs import CHECKS, EMPTY, FILES, PATHS, brief, briefs, score, tree

from hephaestus.assets.brief import Brief
from hephaestus.interview import assess
from hephaestus.interview.lint import reading
from hephaestus.interview.score import UNITS
from hephaestus.interview.table import AXES, BY_NAME

prose = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
paddings = prose | st.sampled_from(
    [
        " exactly 40 items within 3 ms, never more, `x == 1`, see src/main.py and zipfile.ZipFile",
        " must return zero errors; every input is sorted and unique; exit code 0",
        " nice",
        " TBD",
    ]
)  # fmt: skip


@given(briefs())
def test_the_shares_of_the_named_fields_add_up_to_the_score(subject: Brief) -> None:
    report = score(subject)
    assert sum(point.share for point in report.points) == report.exact
    assert report.score == -(-report.exact // UNITS)
    assert 0 <= report.score <= 100
    assert [point.field for point in report.points] == list(BY_NAME)
    for axis in AXES:
        exact = sum(point.share for point in report.points if point.axis == axis)
        assert report.axes[axis] == -(-exact // (AXES[axis] * 100))


@given(briefs())
def test_the_score_is_pure(subject: Brief) -> None:
    again = msgspec.convert(tree(subject), Brief)
    assert score(subject) == score(again)


@given(briefs(), st.data())
def test_confirming_a_field_never_raises_the_score(subject: Brief, data: st.DataObject) -> None:
    before = score(subject)
    builtins = tree(subject)
    if builtins["provenance"] and data.draw(st.booleans()):
        del builtins["provenance"][data.draw(st.sampled_from(sorted(builtins["provenance"])))]
    else:
        for assumption in builtins["context"]["assumptions"]:
            assumption["confirmed_by"] = "Ann"
    after = score(brief(builtins))
    assert after.exact <= before.exact
    assert all(after.axes[axis] <= before.axes[axis] for axis in AXES)


@given(briefs(), st.sampled_from(PATHS))
def test_deleting_a_field_never_lowers_the_score(subject: Brief, path: str) -> None:
    axis, _, name = path.partition(".")
    builtins = tree(subject)
    builtins[axis][name] = EMPTY[axis][name]
    assert score(brief(builtins)).exact >= score(subject).exact


@given(briefs(), st.data())
def test_deleting_any_part_of_a_field_never_lowers_the_score(subject: Brief, data: st.DataObject) -> None:
    builtins = tree(subject)
    spots = [
        (parent, key)
        for axis, names in EMPTY.items()
        for name in names
        for parent, key in _inside(builtins[axis][name])
    ]
    assume(spots)
    parent, key = data.draw(st.sampled_from(spots))
    if isinstance(parent, list):
        del parent[key]
    else:
        parent[key] = "" if key in ("id", "text", "kind", "name", "type", "case", "behaviour", "input") else None
    assert score(brief(builtins)).exact >= score(subject).exact


def _inside(value: Any) -> list[tuple[Any, Any]]:
    """Every entry of a list, and every key of its tables, below one field."""
    if isinstance(value, list):
        return [(value, place) for place in range(len(value))] + [
            (item, key) for item in value if isinstance(item, dict) for key in item
        ]
    return [(value, key) for key in value] if isinstance(value, dict) else []


@settings(max_examples=200)
@given(briefs(), st.data())
def test_padding_never_turns_a_refusal_into_a_build(subject: Brief, data: st.DataObject) -> None:
    before = score(subject)
    builtins = tree(subject)
    for parent, key in _texts(builtins):
        front, back = data.draw(st.tuples(paddings, paddings))
        parent[key] = f"{front} {parent[key]} {back}"
    after = score(brief(builtins))
    says = {"untestable", "assumed", "stated", "bound"}
    for old, new in zip(before.points, after.points, strict=True):
        if old.status in says and old.field != "goal.acceptance":
            assert new.penalty >= old.penalty, old
    # A contradiction is between texts: changing one of them is how it is resolved.
    assert before.builds or before.contradictions or not after.builds


def _texts(builtins: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Where a free text says something, well or badly. Writing the first word of one is an answer, not padding.

    Names that are compared (checks, paths, tools) are no free text.
    """
    free = {"outcome", "kind", "format", "text", "manual", "case", "behaviour", "stop_when", "nothing_excluded",
            "name", "type", "audience", "environment", "confirmed_by"}  # fmt: skip
    found: list[tuple[Any, Any]] = []
    for axis in EMPTY:
        _collect(builtins[axis], free, found)
    for name in ("in", "out"):
        found += [(builtins["scope"][name], place) for place in range(len(builtins["scope"][name]))]
    return [(parent, key) for parent, key in found if reading(parent[key]) in ("vague", "says")]


def _collect(node: Any, free: set[str], found: list[tuple[Any, Any]]) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("examples", "sample", "input", "expected"):
                continue
            if key in free and isinstance(value, str):
                found.append((node, key))
            _collect(value, free, found)
    elif isinstance(node, list):
        for item in node:
            _collect(item, free, found)


@given(briefs(), st.text(st.characters(exclude_categories=["Cs"]), max_size=2000))
def test_no_amount_of_prose_builds_without_a_bound_criterion(subject: Brief, text: str) -> None:
    builtins = tree(subject)
    for item in builtins["goal"]["acceptance"]:
        item |= {"check": None, "text": text, "manual": text}
    report = score(brief(builtins))
    assert "goal.acceptance" in report.blocking
    assert not report.builds


@given(briefs(), st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(subject: Brief, random: Any) -> None:
    builtins = tree(subject)
    for axis in EMPTY:
        for value in builtins[axis].values():
            if isinstance(value, list):
                random.shuffle(value)
    one, other = score(subject), score(brief(builtins))
    assert msgspec.structs.replace(one, brief=other.brief) == other


@given(briefs(), st.lists(st.sampled_from(["a", "b", "zeta"]), unique=True))
def test_the_order_of_checks_and_files_does_not_matter(subject: Brief, extra: list[str]) -> None:
    checks = CHECKS | dict.fromkeys(extra, "regex")
    turned = dict(reversed(list(checks.items())))
    assert assess(subject, checks=checks, files=FILES) == assess(subject, checks=turned, files=FILES[::-1])
