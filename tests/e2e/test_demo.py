"""The main job as a person starts it, and what its one JSON object promises."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.fake_model import FakeModel, openai

from hephaestus import demo
from hephaestus.cli import main
from hephaestus.errors import NotFound
from hephaestus.forge import forge, knowledge
from hephaestus.knowledge import Passage, python_docs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="agents run isolated on Linux only")


def hephaestus(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any]]:
    code = main([*map(str, words), "--json"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1, "one object on standard output, and nothing else"
    return code, json.loads(out)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that the demo has filled once; the runs after it find its releases."""
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def report(home: Path) -> dict[str, Any]:
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = main(["demo", "--json", "--home", str(home)])
    assert code == 0
    found: dict[str, Any] = json.loads(text.getvalue())
    return found


def test_two_packages_are_built_and_the_vague_one_is_refused(report: dict[str, Any]) -> None:
    assert [build["status"] for build in report["builds"]] == ["published", "published", "refused"]
    for build in report["builds"][:2]:
        assert build["passages"] > 3000
        assert build["digest"].startswith("sha256:")
    refused = report["builds"][2]
    assert set(refused["axes"]) == {"goal", "constraint", "scope", "context"}
    assert refused["score"] > 20
    assert refused["questions"]
    assert refused["blocking"]


def test_requests_are_routed_in_every_way_there_is(report: dict[str, Any]) -> None:
    decisions = report["decisions"]
    assert {decision["kind"] for decision in decisions} == {"routed", "ambiguous", "no_route"}
    assert any(decision["vetoed_by"] for decision in decisions)
    (vetoed,) = [d for d in decisions if d["kind"] == "no_route" and d["vetoed_by"]]
    assert "pandas" in vetoed["vetoed_by"][0]
    assert decisions[0]["agent"] == "stdlib-guide"
    assert all(decision["receipt"].strip() for decision in decisions)


def test_the_answer_is_useful_and_every_quotation_is_named(report: dict[str, Any]) -> None:
    value = report["runs"][0]["outcome"]["value"]
    names = {quotation["name"] for quotation in value["quotations"]}
    assert names & {"zipfile.ZipFile.open", "zipfile.ZipFile.read"}
    assert value["answer"]


def test_the_careless_agent_is_sent_back_and_then_certified(report: dict[str, Any]) -> None:
    assert report["outcome"]["kind"] == "verified"
    assert report["outcome"]["attempts"] >= 2
    assert report["certificate"]["verified"] is True
    assert report["certificate"]["attempt"] == report["outcome"]["attempts"]
    assert report["certificate"]["isolation"]["level"] == "isolated"
    assert report["disposal"]["verified"] is True


def test_its_receipts_verify_until_one_byte_is_changed(
    report: dict[str, Any], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report["receipts_verified"] is True
    journal = Path(report["receipts"])
    code, verification = hephaestus(capsys, "receipts", "verify", "--home", home)
    assert code == 0
    assert verification["ok"] is True

    body = b'"kind":"ambiguous"'
    data = journal.read_bytes()
    assert body in data
    entry = next(d["entry"] for d in report["decisions"] if d["kind"] == "ambiguous")
    try:
        journal.write_bytes(data.replace(body, b'"kind":"ambiguouz"', 1))
        code, verification = hephaestus(capsys, "receipts", "verify", "--home", home)
        assert code == 1
        assert verification["ok"] is False
        assert entry in [problem["entry"] for problem in verification["problems"]]
    finally:
        journal.write_bytes(data)


@pytest.mark.parametrize("option", ["--stubborn", "--withhold-findings"])
def test_without_correction_it_is_refused(
    report: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    code, refused = hephaestus(capsys, "demo", "--home", home, option)
    assert code == 3
    assert refused["outcome"]["kind"] == "refused"
    assert refused["certificate"] is None
    assert refused["disposal"]["verified"] is True
    assert any(finding["result"] == "fail" for finding in refused["outcome"]["findings"])
    # What failed is named; the answer that did not pass is not handed out.
    assert "value" not in refused["outcome"]


def test_a_model_phrases_the_answer_and_quotations_stay_checked(
    report: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeModel(lambda path, body: openai("Use the open method of the archive object.")) as server:
        code, told = hephaestus(
            capsys, "demo", "--home", home, "--model", server.root + "/v1", "--model-name", "fake"
        )  # fmt: skip
    assert code == 0
    assert server.seen
    assert "Use the open method" in told["runs"][0]["outcome"]["value"]["answer"]
    assert told["runs"][0]["certificate"]["verified"] is True


def test_a_model_that_guesses_is_sent_back_and_its_words_are_not_in_the_answer(
    report: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeModel(lambda path, body: openai("I think that the open method does it.")) as server:
        code, told = hephaestus(
            capsys, "demo", "--home", home, "--model", server.root + "/v1", "--model-name", "fake"
        )  # fmt: skip
    assert code == 0
    assert len(server.seen) == 1
    assert told["runs"][0]["outcome"]["attempts"] == 2
    assert "I think" not in told["runs"][0]["outcome"]["value"]["answer"]


def test_a_person_sees_what_happens(report: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--home", str(home)]) == 0
    shown = capsys.readouterr()
    for words in (
        "published stdlib-guide@",
        "refused vague-helper",
        "VERIFIED",
        "nothing is left",
        "receipts, verified",
    ):
        assert words in shown.out
    assert "sent back attempt 1: quotations-verbatim" in shown.out
    assert "launched careless-guide#2" in shown.err


@pytest.fixture
def another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forging as a Python does whose documentation differs in one passage, and whose SQLite is another one."""
    first, *others = python_docs()
    changed = Passage(id=first.id, title=first.title, source=first.source, text=first.text + " And more.")
    monkeypatch.setattr(knowledge, "_documentation", lambda: (changed, *others))
    monkeypatch.setattr(forge, "BUILDER", "fts5-porter/1+sqlite-0.0.0")


@pytest.mark.usefixtures("another_python")
def test_a_home_that_another_python_filled_is_used_as_it_is(
    report: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, again = hephaestus(capsys, "demo", "--home", home)
    assert code == 0
    assert [build["reused"] for build in report["builds"]] == [False, False, False]
    assert [build["reused"] for build in again["builds"]] == [True, True, False]
    assert [build["status"] for build in again["builds"]] == ["published", "published", "refused"]
    digests = [[build["digest"] for build in told["builds"]] for told in (report, again)]
    assert digests[0] == digests[1]
    assert again["certificate"]["verified"] is True


def test_a_home_with_other_examples_is_left_alone(
    report: dict[str, Any], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with demo.example_packages() as packages:
        (packages / demo.GOOD[0] / "README.md").write_text("other")
        code, failed = hephaestus(capsys, "demo", "--home", home, "--examples", packages)
    assert code == 1
    assert failed["error"]["kind"] == "AlreadyPublished"
    assert "README.md" in failed["error"]["message"]
    assert "--home" in failed["error"]["hint"]


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_the_copies_of_the_examples_are_gone_however_their_use_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def use() -> None:
        with demo.example_packages() as packages:
            assert (packages / demo.VAGUE / "agent.toml").is_file()
            assert list(tmp_path.iterdir()) == [packages]
            raise end

    with pytest.raises(end):
        use()
    assert list(tmp_path.iterdir()) == []


def test_where_no_examples_are_installed_it_is_said_how_to_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "demo.py"))
    monkeypatch.setattr(demo.resources, "files", lambda package: tmp_path)
    with pytest.raises(NotFound) as caught, demo.example_packages():
        pass
    assert "--examples" in str(caught.value.hint)
