"""Each verb on a real home: what a program reads, what a person reads, how it ends."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import pytest
from tests.cli.conftest import Type
from tests.support.children import linux_only

pytestmark = linux_only


def test_new_check_publish_deploy_run_lead_from_one_to_the_next(typed: Type, tmp_path: Path) -> None:
    folder = tmp_path / "word-counter"
    done = typed("new", "word-counter", "--folder", folder)
    assert (done.code, done.out.splitlines()[-1]) == (0, f"next: hephaestus check {folder}")
    done = typed("check", folder)
    assert (done.code, done.out.splitlines()[-1]) == (0, f"next: hephaestus publish {folder}")
    done = typed("publish", folder)
    assert (done.code, done.out.splitlines()[-1]) == (0, "next: hephaestus deploy stable word-counter@0.1.0")
    done = typed("deploy", "stable", "word-counter@0.1.0")
    assert done.code == 0
    assert done.out.splitlines()[0] == "stable is at generation 1: word-counter@0.1.0"
    done = typed("run", "how many words are in this text:", "it is three")
    assert done.code == 0
    assert "VERIFIED" in done.out
    assert '"words": 3' in done.out
    assert "certificate: counts, output-schema passed at attempt 1" in done.out
    assert "nothing is left" in done.out
    assert "judging" in done.err


@pytest.mark.parametrize("name", ["json", "class", "text-statistics", "x"])
def test_a_new_package_of_any_name_publishes_as_it_is(typed: Type, tmp_path: Path, name: str) -> None:
    made = typed("new", name, "--folder", tmp_path / name, "--json")
    assert made.object["schema"] == "hephaestus.new/1"
    assert "agent.toml" in made.object["files"]
    checked = typed("check", tmp_path / name, "--json").object
    assert (checked["publishes"], checked["problems"], checked["name"]) == (True, [], name)
    published = typed("publish", tmp_path / name, "--json").object
    assert published["ref"] == f"{name}@0.1.0"
    assert published["release"]["score"] == checked["interview"]["score"]
    assert published["release"]["signed_by"] is not None


@pytest.mark.parametrize("name", ["Upper", "two words", "", "-x", "a" * 65])
def test_new_refuses_what_is_no_name(typed: Type, tmp_path: Path, name: str) -> None:
    done = typed("new", "--folder", tmp_path / "x", "--json", "--", name)
    assert done.code == 2
    assert not (tmp_path / "x").exists()


def test_new_never_writes_over_anything(typed: Type, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")
    done = typed("new", "a", "--folder", tmp_path)
    assert done.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_check_lists_every_problem_and_publish_names_the_first(typed: Type, shop: Path) -> None:
    package = shop / "text-statistics"
    manifest = (package / "agent.toml").read_text()
    (package / "agent.toml").write_text(manifest.replace("summary", "sumary"))
    (package / "card.toml").write_text("schema = 1\ncapabilities = [")
    done = typed("check", package, "--json")
    assert done.code == 1
    files = [(problem["file"], problem["line"], problem["hint"]) for problem in done.object["problems"]]
    assert ("agent.toml", 8, "did you mean `summary`?") in files
    assert ("card.toml", 2, None) in files
    done = typed("check", package)
    assert "agent.toml:8: unknown key `agent.sumary`" in done.out
    done = typed("publish", package, "--json")
    assert (done.code, done.error["kind"]) == (1, "AssetError")
    assert done.error["message"].startswith("agent.toml:8: unknown key `agent.sumary` (and ")


def vague(package: Path) -> None:
    (package / "brief.toml").write_text('schema = 1\n[goal]\noutcome = "Help nicely with things"\n')


def test_a_vague_brief_is_refused_with_score_and_questions(typed: Type, shop: Path) -> None:
    package = shop / "text-statistics"
    vague(package)
    for verb in ("check", "interview"):
        done = typed(verb, package, "--json")
        report = done.object["interview" if verb == "check" else "report"]
        assert done.code == 4
        assert report["score"] > 90
        assert len(report["next_questions"]) == 5
        assert typed(verb, package).code == 4
    done = typed("publish", package, "--json")
    assert (done.code, done.error["kind"]) == (4, "BriefRefused")
    assert done.error["report"]["blocking"][0] == "goal.outcome"
    done = typed("publish", package)
    assert done.code == 4
    assert "error: text-statistics: the specification is too vague to build" in done.err
    assert "nothing is built without: goal.outcome, goal.acceptance" in done.out
    assert "1. goal.acceptance:" in done.out


def test_an_override_is_said_wherever_the_release_is_shown(typed: Type, shop: Path) -> None:
    package = shop / "text-statistics"
    vague(package)
    text = (package / "agent.toml").read_text()
    (package / "agent.toml").write_text(text.replace('"0.1.0"', '"0.2.0"'))
    done = typed("publish", package, "--allow-ambiguous", "a trial")
    assert done.code == 0
    assert "override   a trial" in done.out
    assert "override: a trial" in typed("show", "text-statistics@0.2.0").out
    assert typed("deploy", "stable", "text-statistics@0.2.0").code == 0
    done = typed("run", "count the words: a b", "--json")
    assert done.object["certificate"]["overrides"] == [{"what": "interview", "reason": "a trial"}]
    assert "override of the interview: a trial" in typed("run", "count the words: a b").out


def test_a_published_version_never_changes(typed: Type, shop: Path) -> None:
    package = shop / "text-statistics"
    assert typed("publish", package, "--json").code == 0  # the same bytes again
    (package / "README.md").write_text("other")
    done = typed("publish", package, "--json")
    assert (done.code, done.error["kind"]) == (1, "AlreadyPublished")


def test_interview_shows_every_point_and_names_the_field(typed: Type, shop: Path) -> None:
    done = typed("interview", shop / "text-statistics")
    assert done.code == 0
    assert "interview: score 5 of at most 20, builds" in done.out
    assert "goal.acceptance            bound        decided by the check" in done.out
    (shop / "text-statistics" / "brief.toml").unlink()
    done = typed("interview", shop / "text-statistics", "--json")
    assert (done.code, done.error["kind"]) == (1, "AssetError")


def test_an_interview_may_begin_with_nothing_but_a_brief(typed: Type, tmp_path: Path) -> None:
    (tmp_path / "brief.toml").write_text("schema = 1\n")
    assert typed("interview", tmp_path, "--json").object["report"]["score"] == 100


def test_a_channel_moves_forth_and_back_and_keeps_its_history(typed: Type, shop: Path) -> None:
    package = shop / "text-statistics"
    text = (package / "agent.toml").read_text()
    (package / "agent.toml").write_text(text.replace('"0.1.0"', '"0.2.0"'))
    assert typed("publish", package).code == 0
    done = typed("deploy", "stable", "text-statistics", "--why", "better", "--json").object
    assert (done["number"], done["agents"], done["parent"]) == (2, ["text-statistics@0.2.0"], 1)
    done = typed("rollback", "--why", "worse", "--json").object
    assert (done["number"], done["agents"]) == (3, ["text-statistics@0.1.0"])
    generations = typed("history", "stable", "--json").object["generations"]
    assert [(one["number"], one["why"]) for one in generations] == [(3, "worse"), (2, "better"), (1, "first")]
    shown = typed("history").out
    assert "text-statistics@0.2.0" in shown
    assert shown.splitlines()[-1] == "next: hephaestus rollback stable"
    assert typed("rollback", "stable", "--to", "9", "--json").error["kind"] == "NotFound"
    assert typed("history", "canary", "--json").error["kind"] == "NotFound"


def test_list_and_show_tell_what_is_here(typed: Type, shop: Path) -> None:
    (listed,) = typed("list", "--json").object["releases"]
    assert (listed["ref"], listed["channels"]) == ("text-statistics@0.1.0", ["stable"])
    assert "text-statistics@0.1.0  stable" in typed("list", "text-statistics").out
    shown = typed("show", "text-statistics", "--json").object
    assert shown["manifest"]["run"]["entry"] == "text_statistics.main:run"
    assert "count the words" in shown["card"]["triggers"]
    assert "agent.toml" in [row["path"] for row in shown["files"]]
    assert "counts (python)" in typed("show", shown["release"]["digest"]).out
    done = typed("show", "text-statistic", "--json")
    assert (done.code, done.error["kind"]) == (1, "NotFound")
    assert "text-statistics" in f"{done.error['message']} {done.error['hint']}"


def test_an_empty_home_says_where_to_begin(typed: Type) -> None:
    assert typed("list").out.splitlines()[-1] == "next: hephaestus new my-agent"
    assert typed("list", "--json").object["releases"] == []
    assert typed("receipts", "list").out.splitlines()[-1] == "next: hephaestus demo"
    done = typed("route", "anything", "--json")
    assert (done.code, done.error["kind"]) == (1, "NotFound")


def test_route_explains_itself_and_keeps_its_receipt(typed: Type, shop: Path) -> None:
    done = typed("route", "how many", "words are here", "--json")
    assert done.code == 0
    told = done.object
    assert (told["kind"], told["agent"], told["release"]) == ("routed", "text-statistics", "text-statistics@0.1.0")
    assert told["decision"]["winner"]["matches"][0]["text"] == "how many words"
    entry = typed("receipts", "show", told["entry"], "--json").object
    assert entry["entry"]["body"] == told["decision"]
    assert entry["secrets"] == {"request": "how many words are here"}
    assert "ROUTED to text-statistics@0.1.0" in typed("route", "how many words").out


def test_route_ends_with_5_where_there_is_no_one_agent(typed: Type, shop: Path) -> None:
    done = typed("route", "what is the weather", "--json")
    assert (done.code, done.object["kind"], done.object["agent"]) == (5, "no_route", None)
    vetoed = typed("route", "how many words has a crossword")
    assert vetoed.code == 5
    assert 'by its anti-trigger "crossword"' in vetoed.out
    twin = shop / "twin"
    assert typed("new", "twin", "--folder", twin).code == 0
    assert typed("publish", twin).code == 0
    assert typed("deploy", "stable", "twin").code == 0
    done = typed("route", "how many words are here", "--json")
    assert (done.code, done.object["kind"]) == (5, "ambiguous")
    done = typed("run", "how many words are here", "--json")
    assert (done.code, done.object["outcome"]["kind"], done.object["outcome"]["cause"]) == (5, "undecided", "routing")


def test_run_gives_outcome_certificate_and_disposal(typed: Type, shop: Path) -> None:
    done = typed("run", "count the words: one two", "--json")
    assert done.code == 0
    told = done.object
    assert told["outcome"]["kind"] == "verified"
    assert told["outcome"]["value"]["words"] == 2
    assert told["certificate"]["verified"] is True
    assert told["certificate"]["run"] == told["run"]
    assert told["disposal"]["verified"] is True
    assert Path(told["receipts"]).is_file()
    explained = typed("explain", told["run"], "--json").object
    assert (explained["outcome"], explained["cause"]) == ("verified", None)
    assert "Verified at attempt 1" in typed("explain", told["run"]).out


def broken(shop: Path, old: str, new: str, module: str = "main") -> None:
    package = shop / "text-statistics"
    text = (package / "agent.toml").read_text()
    (package / "agent.toml").write_text(text.replace('"0.1.0"', '"0.3.0"'))
    code = package / "src" / "text_statistics" / f"{module}.py"
    assert old in code.read_text()
    code.write_text(code.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "module", "code", "kind", "cause"),
    [
        ('"words": len(words)', '"words": 99', "main", 3, "refused", "output"),
        ("return statistics(text)", "raise ValueError('no')", "main", 7, "undecided", "agent_code"),
        ('text = str(artefact["text"])', "raise ValueError('no')", "checks", 7, "undecided", "check"),
    ],
)
def test_what_does_not_pass_ends_with_its_own_code_and_cause(
    typed: Type, shop: Path, old: str, new: str, module: str, code: int, kind: str, cause: str
) -> None:
    broken(shop, old, new, module)
    assert typed("publish", shop / "text-statistics").code == 0
    assert typed("deploy", "stable", "text-statistics").code == 0
    done = typed("run", "count the words: one two", "--json")
    outcome = done.object["outcome"]
    assert (done.code, outcome["kind"], outcome["cause"]) == (code, kind, cause)
    assert done.object["certificate"] is None
    explained = typed("explain", done.object["run"])
    assert explained.code == 0
    assert "what to change:" in explained.out
    again = typed("run", "count the words: one two")
    assert again.code == code
    assert f"{kind.upper()}, cause {cause}" in again.out
    if kind == "refused":
        assert "at /words: expected 2, found 99" in again.out


def test_the_request_may_come_from_standard_input(typed: Type, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stdin(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    stdin("count the words: eins zwei drei vier é".encode())
    assert typed("run", "-", "--json").object["outcome"]["value"]["words"] == 5
    for data, message in (
        (b"caf\xe9", "not UTF-8: byte 3"),
        (b"a\0b", "NUL"),
        (b"a" * 70_000, "at most 65536 characters"),
        (b"a" * ((16 << 20) + 1), "longer than 16777216 bytes"),
    ):
        stdin(data)
        done = typed("route", "-", "--json")
        assert (done.code, done.error["kind"]) == (2, "InvalidRequest")
        assert message in done.error["message"]


def test_a_request_with_a_lone_surrogate_is_refused(typed: Type, shop: Path) -> None:
    done = typed("route", "a\udcff", "--json")
    assert (done.code, done.error["kind"]) == (2, "InvalidRequest")


def test_receipts_are_listed_shown_and_verified(typed: Type, shop: Path) -> None:
    runs = typed("receipts", "list", "--json").object["runs"]
    run = next(one["run"] for one in runs if one["run"].startswith("run-"))
    assert run in typed("receipts", "list").out
    entries = typed("receipts", "list", run, "--json").object["entries"]
    assert next(one["kind"] for one in entries) == "decision"
    assert [one["kind"] for one in entries][-1] == "ending"
    assert "certificate" in typed("receipts", "list", run).out
    assert f"decision of run {run}" in typed("receipts", "show", entries[0]["seq"]).out
    verified = typed("receipts", "verify", "--json").object
    assert (verified["ok"], verified["entries"] >= len(entries), verified["problems"]) == (True, True, [])
    assert typed("receipts", "verify").code == 0
    assert typed("receipts", "list", "run-none", "--json").error["kind"] == "NotFound"
    assert typed("receipts", "show", "999", "--json").error["kind"] == "NotFound"


def test_a_changed_byte_of_the_journal_is_found_and_named(typed: Type, shop: Path) -> None:
    assert typed("receipts", "list").code == 0  # opening moves everything into the one file
    journal = shop / "home" / "journal.db"
    data = bytearray(journal.read_bytes())
    at = data.index(b'"kind":"routed"')
    data[at + 8 : at + 14] = b"rooted"
    journal.write_bytes(data)
    done = typed("receipts", "verify", "--json")
    assert done.code == 1
    assert done.object["ok"] is False
    problem = done.object["problems"][0]
    assert (problem["entry"], problem["kind"]) == (1, "decision")
    assert "entry 1" in typed("receipts", "verify").out


def test_receipts_verify_changes_nothing_and_needs_a_journal(typed: Type, tmp_path: Path) -> None:
    done = typed("receipts", "verify", "--home", tmp_path / "none", "--json")
    assert (done.code, done.error["kind"]) == (1, "NotFound")
    assert not (tmp_path / "none").exists()


def test_a_certificate_is_verified_with_the_bytes_it_is_about(typed: Type, shop: Path) -> None:
    proof, output = shop / "proof", shop / "output"
    done = typed("certificate", "verify", proof, "--artefact", output, "--json")
    assert done.code == 0
    assert (done.object["verified"], done.object["artefact_compared"]) == (True, True)
    run = done.object["certificate"]["run"]
    assert "the certificate holds" in typed("certificate", "verify", proof, "--run", run).out
    assert json.loads(output.read_bytes())["words"] == 2
    output.write_bytes(output.read_bytes() + b" ")
    done = typed("certificate", "verify", proof, "--artefact", output, "--json")
    assert (done.code, done.error["kind"]) == (1, "IntegrityError")
    assert typed("certificate", "verify", proof, "--run", "run-other").code == 1
    proof.write_bytes(proof.read_bytes().replace(b'"attempt":1', b'"attempt":2'))
    done = typed("certificate", "verify", proof, "--json")
    assert (done.code, done.error["kind"]) == (1, "IntegrityError")
    assert "verified" not in done.object
    done = typed("certificate", "verify", shop / "none", "--json")
    assert (done.code, done.error["message"]) == (2, f"{shop / 'none'}: No such file or directory")


def test_a_certificate_of_another_home_is_not_trusted(typed: Type, shop: Path, tmp_path: Path) -> None:
    done = typed("certificate", "verify", shop / "proof", "--home", tmp_path / "other", "--json")
    assert (done.code, done.error["kind"]) == (1, "IntegrityError")


def test_knowledge_is_searched_in_a_release_that_has_some(typed: Type, shop: Path) -> None:
    done = typed("knowledge", "search", "text-statistics", "zip", "--json")
    assert (done.code, done.error["kind"]) == (1, "KnowledgeError")
    package = shop / "text-statistics"
    text = (package / "agent.toml").read_text().replace('"0.1.0"', '"0.4.0"')
    (package / "agent.toml").write_text(
        text.replace("knowledge = false", "knowledge = true") + '\n[[knowledge]]\nkind = "folder"\npath = "knowledge"\n'
    )
    (package / "knowledge").mkdir()
    (package / "knowledge" / "guide.md").write_text("# Sentences\n\nA sentence ends with a full stop.\n")
    assert typed("publish", package).code == 0
    done = typed("knowledge", "search", "text-statistics", "full", "stop", "--json")
    assert "full stop" in done.object["hits"][0]["text"]
    assert "A sentence ends" in typed("knowledge", "search", "text-statistics", "sentence").out
    none = typed("knowledge", "search", "text-statistics", "xylophone")
    assert (none.code, none.out) == (0, "no passage of text-statistics@0.4.0 holds these words\n")


def test_doctor_tells_what_the_machine_can_do_and_what_the_home_holds(typed: Type, shop: Path) -> None:
    done = typed("doctor", "--json")
    told = done.object
    assert done.code == (0 if told["isolation"]["level"] == "isolated" else 6)
    assert told["ok"] == (done.code == 0)
    assert told["home"] == {"path": str(shop / "home"), "writable": True, "problems": []}
    shown = typed("doctor")
    assert shown.code == done.code
    assert f"isolation: {told['isolation']['level']}" in shown.out


def test_doctor_finds_a_damaged_hub(typed: Type, shop: Path) -> None:
    blobs = [path for path in (shop / "home" / "hub").rglob("*") if path.is_file() and len(path.name) == 64]
    blobs[0].chmod(0o644)
    blobs[0].write_bytes(b"damaged")
    done = typed("doctor", "--json")
    assert done.code == 1
    assert done.object["home"]["problems"]
    assert typed("doctor").code == 1


def test_doctor_finds_a_damaged_journal(typed: Type, shop: Path) -> None:
    journal = shop / "home" / "journal.db"
    data = journal.read_bytes()
    assert b'"kind":"decision"' in data or b"routed" in data
    journal.write_bytes(data.replace(b"routed", b"rooted"))
    done = typed("doctor", "--json")
    assert done.code == 1
    assert any("entry" in problem for problem in done.object["home"]["problems"])


def test_a_home_that_cannot_be_is_one_clear_error(typed: Type, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = typed("list", "--home", tmp_path / "file", "--json")
    assert (done.code, done.error["kind"]) == (1, "StorageError")
    done = typed("doctor", "--home", tmp_path / "file", "--json")
    assert (done.code, done.object["home"]["path"]) == (1, None)


def test_version_is_that_of_the_package(typed: Type) -> None:
    import hephaestus

    assert typed("version", "--json").object["version"] == hephaestus.__version__
    assert typed("version").out.startswith(f"hephaestus {hephaestus.__version__} ")


def test_a_mistake_of_ours_still_keeps_the_promise_of_json(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise ExceptionGroup("group", [ZeroDivisionError("by zero")])

    monkeypatch.setattr("hephaestus.cli.doctor._version", fail)
    done = typed("version", "--json")
    assert (done.code, done.error["kind"], done.error["message"]) == (1, "Unexpected", "ZeroDivisionError: by zero")
    assert "Traceback" in done.err


def test_ctrl_c_is_an_ending_and_not_a_trace(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("hephaestus.cli.doctor._version", stop)
    done = typed("version", "--json")
    assert (done.code, done.error["kind"]) == (130, "Interrupted")
    done = typed("version")
    assert (done.code, done.out, done.err) == (130, "", "error: interrupted\n")


def test_answers_build_a_vague_brief_and_are_written_down(typed: Type, shop: Path) -> None:
    package = shop / "text-statistics"
    vague(package)
    done = typed("interview", package, "--answer", "goal.outcome=Count the words of one text", "--json")
    assert done.code == 4
    assert done.object["question"]["field"] == "goal.acceptance"
    answers = [
        "goal.acceptance=the check counts (python) passes",
        'goal.deliverable={ kind = "counts", schema = "schema/output.json" }',
        "constraint.budget=60 seconds, 3 attempts",
        "constraint.tools_allowed=none",
        "constraint.network=none",
        'scope.in=["Texts in the request"]',
        "scope.out=Texts that are somewhere else",
        "scope.edge_cases=nothing found: say so and return an empty list",
        "scope.stop_when=The text was counted once",
        "context.inputs=the request, a text",
        "context.audience=developers",
        "context.knowledge_sources=none",
    ]
    done = typed("interview", package, "--json", *(word for answer in answers for word in ("--answer", answer)))
    assert done.code == 0, done.object["report"]["next_questions"]
    assert "builds" in typed("interview", package).out
    assert "put off" in typed("interview", package, "--later", "scope.out=Ann decides").out
    assert typed("interview", package, "--json").object["report"]["blocking"] == ["scope.out"]


def test_asking_goes_on_until_nothing_is_typed(typed: Type, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = shop / "text-statistics"
    vague(package)
    typing = "9\n1\nlater: Ann decides\nlater:\n2\n\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(typing))
    done = typed("interview", package, "--ask")
    assert done.code == 4
    assert "goal.acceptance: Expected `array`, got `int`" in done.out  # 9 is no option, and no list of criteria
    assert "putting off constraint.budget needs a reason" in done.out
    report = typed("interview", package, "--json").object["report"]
    points = {one["field"]: one["status"] for one in report["points"]}
    assert (points["goal.acceptance"], points["constraint.budget"], points["context.inputs"]) == (
        "bound",
        "bound",
        "missing",
    )
    assert (package / "brief.toml").read_text().count('"deferred"') == 1


@pytest.mark.parametrize(
    "words",
    [["--ask"], ["--answer", "goal.outcome"], ["--answer", "goal.nothing=1"], ["--later", "goal.outcome="],
     ["--answer", "constraint.network=perhaps"], ["--rounds", "-1"]],
)  # fmt: skip
def test_an_answer_that_does_not_fit_changes_nothing(typed: Type, shop: Path, words: list[str]) -> None:
    package = shop / "text-statistics"
    before = (package / "brief.toml").read_bytes()
    done = typed("interview", package, "--json", *words)
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert (package / "brief.toml").read_bytes() == before


def test_an_output_that_has_nowhere_to_go_is_found_before_the_work(typed: Type, shop: Path) -> None:
    before = typed("receipts", "list", "--json").object["runs"]
    for option in ("--output", "--certificate"):
        for path in (shop / "nowhere" / "x", shop):
            done = typed("run", "count the words: a", option, path, "--json")
            assert (done.code, done.error["kind"]) == (2, "UsageError")
            assert str(path) in done.error["message"]
    assert typed("receipts", "list", "--json").object["runs"] == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_found_before_the_work(typed: Type, shop: Path) -> None:
    (shop / "locked").mkdir(mode=0o500)
    done = typed("run", "count the words: a", "--output", shop / "locked" / "x", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")


def test_a_result_that_cannot_be_written_is_shown_all_the_same(typed: Type, shop: Path) -> None:
    words = ["run", "count the words: a", "--output", "/dev/full", "--certificate", shop / "made"]
    done = typed(*words, "--json")
    assert done.code == 1
    assert done.object["outcome"]["value"]["words"] == 1
    assert done.object["unwritten"] == [{"file": "/dev/full", "problem": os.strerror(errno.ENOSPC)}]
    assert (shop / "made").is_file()
    done = typed(*words)
    assert done.code == 1
    assert "VERIFIED" in done.out
    assert "/dev/full could not be written" in done.out


def test_what_to_type_next_names_home_and_channel(typed: Type, shop: Path) -> None:
    home = shop / "home"
    for words in (["list"], ["show", "text-statistics"], ["receipts", "list"], ["route", "count the words: a"]):
        assert typed(*words, "--home", home).out.splitlines()[-1].endswith(f" --home {home}")
        assert "--home" not in typed(*words).out
    assert typed("deploy", "beta", "text-statistics").code == 0
    last = typed("route", "--channel", "beta", "--", "count the words:", "--json").out.splitlines()[-1]
    assert last == "next: hephaestus run --channel beta -- 'count the words:' --json"


def test_an_empty_home_is_not_the_folder_one_is_in(
    typed: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = typed("list", "--home", "", "--json")
    assert (done.code, done.error["message"]) == (2, "hephaestus list: argument --home: is empty")
    assert list(tmp_path.iterdir()) == []


def test_a_user_without_a_home_folder_is_told_to_name_one(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("HEPHAESTUS_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    for words in (["list"], ["receipts", "verify"]):
        done = typed(*words, "--json")
        assert (done.code, done.error["kind"], done.err) == (2, "UsageError", "")
        assert "--home" in done.error["hint"]


def test_a_receipt_of_routing_alone_is_explained_as_that(typed: Type, shop: Path) -> None:
    for request, kind in (("count the words: a", "routed"), ("zzz", "no_route")):
        routed = typed("route", request, "--json").object
        run = typed("receipts", "list", "--json").object["runs"][-1]["run"]
        told = typed("explain", run, "--json").object
        assert (told["outcome"], told["cause"], told["shown_by"]) == (kind, None, [routed["entry"]])
        assert "there is no run" in told["summary"]
        assert "under way" not in typed("explain", run).out


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)),
        ExceptionGroup("group", [OSError(errno.EMFILE, os.strerror(errno.EMFILE))]),
        MemoryError(),
    ],
)
def test_a_machine_that_has_no_more_to_give_is_no_mistake_of_ours(
    typed: Type, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr("hephaestus.cli.doctor._version", fail)
    done = typed("version", "--json")
    assert (done.code, done.error["kind"], done.err) == (1, "OutOfResources", "")
    assert "ulimit" in done.error["hint"]


def test_a_summary_cannot_write_lines_of_ours(typed: Type, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = shop / "text-statistics"
    text = (package / "agent.toml").read_text().replace('"0.1.0"', '"0.6.0"')
    summary = next(line for line in text.splitlines() if line.startswith("summary"))
    (package / "agent.toml").write_text(text.replace(summary, 'summary = "Counts.\\n  licence    none at all"'))
    done = typed("publish", package, "--json")
    if done.code != 0:
        pytest.skip("such a summary is not published at all")
    shown = typed("show", "text-statistics").out.splitlines()
    assert sum(line.startswith("  licence") for line in shown) == 1
    assert "  summary    Counts.\\n  licence    none at all" in shown
