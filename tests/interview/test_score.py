"""What the score promises, on examples."""

from __future__ import annotations

import msgspec
import pytest
from tests.interview.briefs import EMPTY, PATHS, brief, changed, full, score, tree

from hephaestus.assets.brief import Brief
from hephaestus.interview import Report
from hephaestus.interview.table import AXES, BY_NAME, FIELDS, PENALTIES, VERSION


def status(report: Report, field: str) -> str:
    return next(point.status for point in report.points if point.field == field)


def test_a_complete_brief_builds() -> None:
    report = score(full())
    assert report.builds
    assert report.score <= 10
    assert report.blocking == report.contradictions == report.hints == report.next_questions == ()


def test_an_empty_brief_scores_100_on_every_axis_and_names_all_that_blocks() -> None:
    report = score(Brief(schema=1))
    assert report.score == 100
    assert report.axes == dict.fromkeys(AXES, 100)
    assert report.blocking == (
        "goal.outcome", "goal.acceptance", "constraint.budget", "scope.out", "context.inputs",
    )  # fmt: skip
    assert report.next_questions[0].field == "goal.acceptance"
    assert len(report.next_questions) == 5
    assert not report.builds


def test_the_weights_of_every_axis_and_of_the_axes_add_up_to_100() -> None:
    assert sum(AXES.values()) == 100
    for axis in AXES:
        assert sum(field.weight for field in FIELDS if field.axis == axis) == 100


def test_a_changed_table_has_another_version() -> None:
    # Whoever changes a number here changes VERSION, and then this line.
    table = [(field.name, field.axis, field.weight, field.blocking) for field in FIELDS]
    assert VERSION == "interview/1"
    assert sum(place * weight for place, (_, _, weight, _) in enumerate(table)) == 3155
    assert list(PENALTIES.values()) == [100, 100, 60, 35, 10, 0]
    assert list(AXES.values()) == [35, 25, 20, 20]


@pytest.mark.parametrize("field", sorted(BY_NAME))
def test_a_deleted_field_is_named_as_missing_and_asked_for(field: str) -> None:
    axis, _, name = field.partition(".")
    report = score(changed(field, EMPTY[axis][name]))
    assert status(report, field) == "missing"
    assert report.next_questions[0].field == field
    assert report.score > score(full()).score
    assert (field in report.blocking) == BY_NAME[field].blocking
    assert report.builds != BY_NAME[field].blocking


def test_a_deleted_axis_is_refused_by_its_own_limit() -> None:
    for axis in AXES:
        data = tree(full())
        data[axis] = EMPTY[axis]
        report = score(brief(data))
        assert report.axes[axis] == 100
        assert not report.builds


def test_the_axis_limit_refuses_where_the_total_would_not() -> None:
    data = tree(full())
    data["context"] |= {"audience": None, "environment": None, "knowledge_sources": None}
    report = score(brief(data))
    assert report.score <= 20
    assert report.axes["context"] > 40
    assert not report.blocking
    assert not report.builds


def test_a_brief_exactly_at_the_limit_builds_and_one_point_over_it_does_not() -> None:
    # constraint.network missing costs 25 % * 20 % * 100 = 5 points; scope.edge_cases from stated costs 3.6.
    report = score(full())
    over = changed("constraint.network", None)
    over = changed("scope.edge_cases", [], of=over)
    over = changed("goal.examples", [], of=over)
    over = changed("goal.deliverable", None, of=over)
    scored = score(over)
    assert scored.exact == report.exact + 50_000 + 36_000 + 31_500 + 70_000
    assert max(scored.axes.values()) <= 40
    assert not scored.blocking
    assert scored.score > 20
    assert not scored.builds


def test_an_acceptance_criterion_is_bound_only_by_a_check_that_exists() -> None:
    item = {"id": "A1", "text": "The answer matches schema/output.json", "check": "schema"}
    assert status(score(changed("goal.acceptance", [item])), "goal.acceptance") == "bound"
    report = score(changed("goal.acceptance", [item | {"check": "schemas"}]))
    assert status(report, "goal.acceptance") == "untestable"
    assert report.contradictions == (
        "goal.acceptance 'A1' names the check 'schemas', which the package does not have; did you mean 'schema'?",
    )
    assert not report.builds


def test_a_criterion_that_nobody_decides_blocks_even_beside_a_bound_one() -> None:
    items = tree(full())["goal"]["acceptance"]
    report = score(changed("goal.acceptance", [*items, {"id": "A4", "text": "It returns every name"}]))
    assert report.blocking == ("goal.acceptance",)
    assert report.score == score(full()).score
    assert report.hints == ("goal.acceptance: A4 names neither a check nor a reason why none can decide it",)
    assert [question.field for question in report.next_questions] == ["goal.acceptance"]


def test_without_a_bound_criterion_nothing_builds_however_well_it_reads() -> None:
    item = {"id": "A1", "text": "Returns exactly 3 names", "manual": "a reader counts the names"}
    report = score(changed("goal.acceptance", [item]))
    assert status(report, "goal.acceptance") == "stated"
    assert report.blocking == ("goal.acceptance",)
    assert not report.builds


@pytest.mark.parametrize("text", ["TBD", "n/a", "none", "To be decided.", "todo: ask Ann", "???", "as needed"])
def test_a_filler_is_a_placeholder_not_an_answer(text: str) -> None:
    for field in ("goal.outcome", "scope.stop_when", "context.audience"):
        assert status(score(changed(field, text)), field) == "placeholder"
    assert "scope.out" in score(changed("scope.out", [text])).blocking
    assert "context.inputs" in score(changed("context.inputs", [{"name": text, "type": "text"}])).blocking


def test_an_assumed_value_counts_as_assumed_until_it_is_confirmed() -> None:
    data = tree(full()) | {"provenance": {"goal.outcome": "assumed", "constraint.budget": "file"}}
    assert status(score(brief(data)), "goal.outcome") == "assumed"
    assert status(score(brief(data)), "constraint.budget") == "bound"
    data["provenance"]["goal.outcome"] = "stated"
    assert status(score(brief(data)), "goal.outcome") == "stated"


def test_what_was_put_off_stays_missing() -> None:
    report = score(brief(tree(full()) | {"provenance": {"scope.out": "deferred"}}))
    assert status(report, "scope.out") == "missing"
    assert report.blocking == ("scope.out",)


def test_provenance_inside_a_field_speaks_of_the_field() -> None:
    report = score(brief(tree(full()) | {"provenance": {"constraint.budget.seconds": "assumed"}}))
    assert status(report, "constraint.budget") == "assumed"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("goal.outcome", "Help", "placeholder"),
        ("goal.outcome", "Give good answers", "untestable"),
        ("goal.deliverable", {"kind": "report"}, "untestable"),
        ("goal.deliverable", {"kind": "report", "format": "markdown"}, "stated"),
        ("goal.deliverable", {"kind": "tbd", "format": "json", "schema": "schema/output.json"}, "placeholder"),
        ("goal.deliverable", {"kind": " "}, "missing"),
        ("goal.examples", [{"input": "x", "expected": ""}], "placeholder"),
        ("goal.examples", [{"input": "tbd", "expected": 3}], "placeholder"),
        ("goal.acceptance", [{"id": "A", "text": "tbd", "check": "schema"}], "placeholder"),
        ("goal.acceptance", [{"id": "A", "text": "It reads well", "manual": "taste"}], "untestable"),
        ("goal.acceptance", [{"id": "A", "text": "A good text", "manual": "taste"}], "untestable"),
        ("constraint.budget", {"seconds": 3}, "stated"),
        ("constraint.budget", {}, "missing"),
        ("constraint.tools_allowed", [], "bound"),
        ("constraint.must", [{"text": "Names its source"}], "untestable"),
        ("constraint.must", [{"text": "tbd", "check": "schema"}], "placeholder"),
        ("scope.in", ["good questions", "questions about zip files"], "stated"),
        ("scope.edge_cases", [{"case": "A fast source", "behaviour": "Return its first line"}], "stated"),
        ("scope.edge_cases", [{"case": "No source", "behaviour": "do something reasonable"}], "untestable"),
        ("context.inputs", [{"name": "request", "type": "text"}], "stated"),
        ("context.inputs", [{"name": "guide", "type": "text", "source": "./knowledge/guide.md"}], "bound"),
        ("context.knowledge_sources", [], "stated"),
        ("context.knowledge_sources", ["python-docs"], "bound"),
        ("context.knowledge_sources", ["a wiki"], "stated"),
        ("context.assumptions", [{"text": "The guide is in English"}], "assumed"),
        ("context.assumptions", [{"text": "tbd", "confirmed_by": "Ann"}], "placeholder"),
    ],
)
def test_the_status_of_a_field(field: str, value: object, expected: str) -> None:
    assert status(score(changed(field, value)), field) == expected


def test_nothing_excluded_with_a_reason_answers_what_is_out_of_scope() -> None:
    data = tree(full())
    data["scope"] |= {"out": [], "nothing_excluded": "The host passes only texts that belong here"}
    assert score(brief(data)).builds
    data["scope"]["nothing_excluded"] = "none"
    assert score(brief(data)).blocking == ("scope.out",)


@pytest.mark.parametrize(
    ("changes", "contradiction"),
    [
        (
            {"constraint.tools_allowed": ["Model"], "constraint.tools_forbidden": ["model"]},
            "constraint: the tool 'model' is both allowed and forbidden",
        ),
        (
            {"context.inputs": [{"name": "page", "type": "html", "source": "https://example.org/a"}]},
            "constraint.network is \"none\", but the input 'page' comes from https://example.org/a",
        ),
        (
            {"context.knowledge_sources": ["ftp://example.org"]},
            'constraint.network is "none", but context.knowledge_sources names ftp://example.org',
        ),
        (
            {"goal.deliverable": {"kind": "report", "format": "markdown", "schema": "schema/output.json"}},
            "goal.deliverable: the format 'markdown' is not JSON, which the schema describes",
        ),
        (
            {"goal.deliverable": {"kind": "report", "format": "json", "schema": "gone.json"}},
            "goal.deliverable.schema names gone.json, which is not in the package",
        ),
        ({"constraint.budget": {"seconds": 0, "attempts": 1}}, "constraint.budget.seconds is 0: nothing can run"),
        ({"constraint.budget": {"seconds": 1, "attempts": 0}}, "constraint.budget.attempts is 0: nothing can be tried"),
        (
            {"constraint.tools_allowed": ["model"], "constraint.budget": {"seconds": 9, "attempts": 1, "tokens": 0}},
            'constraint.budget.tokens is 0, but constraint.tools_allowed names "model"',
        ),
        (
            {"constraint.must": [{"text": "Reads", "check": "gone"}]},
            "constraint.must names the check 'gone', which the package does not have",
        ),
        ({"scope.in": ["Zip  files"], "scope.out": ["zip files"]}, "scope: 'Zip  files' is both in and out"),
        (
            {"scope.nothing_excluded": "All texts belong here"},
            "scope: nothing_excluded gives a reason why nothing is out, but out is not empty",
        ),
        (
            {"constraint.must": [{"text": "print", "check": "quotes"}], "constraint.must_not": [{"text": "Print"}]},
            "constraint: 'print' must and must not hold",
        ),
        (
            {"goal.examples": [{"input": "a b", "expected": 1}, {"input": "a b", "expected": 2}]},
            "goal.examples: two examples have the same input and expect different outputs",
        ),
        ({"constraint.tools_allowed": ["tbd"]}, ("constraint.tools_allowed: 'tbd' is no name of a tool; "
         "an empty list means none")),
        ({"context.knowledge_sources": ["n/a"]}, ("context.knowledge_sources: 'n/a' is no source; "
         "an empty list means none")),
    ],
)  # fmt: skip
def test_a_contradiction_is_found_by_rule_and_refuses(changes: dict[str, object], contradiction: str) -> None:
    subject = full()
    for field, value in changes.items():
        subject = changed(field, value, of=subject)
    report = score(subject)
    assert report.contradictions == (contradiction,)
    assert not report.builds


def test_two_criteria_with_one_id_and_provenance_of_nothing_are_contradictions() -> None:
    data = tree(full())
    data["goal"]["acceptance"].append(data["goal"]["acceptance"][0])
    data["provenance"] = {"goal.outcom": "assumed"}
    assert score(brief(data)).contradictions == (
        "goal.acceptance: two criteria have the id 'A1'",
        "provenance: 'goal.outcom' names no field; did you mean 'goal.outcome'?",
    )


def test_a_brief_with_every_kind_of_toml_value_has_a_digest() -> None:
    import datetime as dt

    odd = [1.5, float("nan"), 2**70, dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.time(1), True]
    examples = [{"input": value, "expected": {"is": value}} for value in odd]
    first = score(changed("goal.examples", examples))
    assert first.brief == score(changed("goal.examples", examples)).brief
    assert first.brief != score(changed("goal.examples", examples[:-1])).brief
    assert not first.contradictions


def test_a_report_crosses_json_unchanged() -> None:
    for subject in (full(), Brief(schema=1)):
        report = score(subject)
        assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_every_field_of_the_form_can_be_emptied_in_the_tests() -> None:
    assert set(BY_NAME) < set(PATHS)
