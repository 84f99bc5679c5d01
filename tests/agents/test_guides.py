"""What the two guides do with a request, a model and a finding, judged by the checks of their own packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.agents.conftest import AGENTS, Model, Task

from hephaestus import canonical
from hephaestus.assets import parse_manifest
from hephaestus.knowledge import PassageSet
from hephaestus.stormbreaker import Stormbreaker, Verdict
from hephaestus_runner.protocol import Feedback
from hephaestus_runner.search import Shard

pytestmark = pytest.mark.anyio

ZIP = "how do I read one file out of a zip archive without extracting it?"


class InProcess:
    """Runs the check of the example in this process: it is our own code here."""

    async def run_check(self, entry: str, payload: bytes, *, deadline_ms: int) -> bytes:
        from stdlib_guide.checks import names_are_quoted

        assert entry == "stdlib_guide.checks:names_are_quoted"
        order = canonical.parse_json(payload)
        return canonical.encode(names_are_quoted(order["artefact"], order["params"]))


async def judge(name: str, value: Any, passages: PassageSet) -> Verdict:
    folder = AGENTS / name
    checks = parse_manifest((folder / "agent.toml").read_bytes()).checks
    breaker = Stormbreaker(
        checks, passages=passages, executor=InProcess(), files=lambda path: Path(folder, path).read_bytes()
    )
    return await breaker.judge(value)


def findings(verdict: Verdict) -> tuple[Feedback, ...]:
    return tuple(
        Feedback(finding.check, detail.expected, detail.found, detail.where)
        for finding in verdict.findings
        for detail in finding.details
    )


async def test_an_answer_names_what_it_quotes_and_passes_every_check(shard: Shard, passages: PassageSet) -> None:
    from stdlib_guide.agent import answer

    value = answer(Task(ZIP, shard))
    assert {quotation["name"] for quotation in value["quotations"]} & {"zipfile.ZipFile.open", "zipfile.ZipFile.read"}
    verdict = await judge("stdlib-guide", value, passages)
    assert verdict.passed, verdict


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # thousands of judgements: one loop is enough
async def test_the_answers_to_all_questions_pass_the_checks(
    answered: dict[str, dict[str, Any]], passages: PassageSet
) -> None:
    for ask, value in answered.items():
        verdict = await judge("stdlib-guide", value, passages)
        assert verdict.passed, (ask, verdict)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_passage_can_be_quoted(shard: Shard, passages: PassageSet) -> None:
    from stdlib_guide.agent import quote

    every = [shard.get(passage.id) for passage in passages]
    quotations = [{"name": hit.id, "quote": quote(hit)} for hit in every if hit is not None]
    for start in range(0, len(quotations), 5):
        value = {"answer": f"`{quotations[start]['name']}`", "quotations": quotations[start : start + 5]}
        verdict = await judge("stdlib-guide", value, passages)
        assert verdict.passed, verdict


@pytest.mark.parametrize("request_", ["", "???", "qwertzuiop asdfghjkl", "\ud800", "the of and"])
async def test_a_request_about_nothing_is_answered_with_nothing_and_refused(
    shard: Shard, passages: PassageSet, request_: str
) -> None:
    from stdlib_guide.agent import answer

    value = answer(Task(request_, shard))
    assert value["quotations"] == []
    assert (await judge("stdlib-guide", value, passages)).failed


def test_a_name_in_the_question_is_quoted_first(shard: Shard) -> None:
    from stdlib_guide.agent import answer

    assert answer(Task("what does shutil.rmtree do?", shard))["quotations"][0]["name"] == "shutil.rmtree"


def test_the_same_question_gets_the_same_answer(shard: Shard) -> None:
    from stdlib_guide.agent import answer

    assert answer(Task(ZIP, shard)) == answer(Task(ZIP, shard))


async def test_a_model_phrases_the_answer_and_code_picks_the_quotations(shard: Shard, passages: PassageSet) -> None:
    from stdlib_guide.agent import answer

    quotations = answer(Task(ZIP, shard))["quotations"]
    said = f"Call `{quotations[0]['name']}` with the name of the member."
    model = Model(f"  {said}\n")
    value = answer(Task(ZIP, shard, model=model))
    assert value == {"answer": said, "quotations": quotations}
    assert (await judge("stdlib-guide", value, passages)).passed
    assert ZIP in model.asked[0][1]["content"]
    assert all(f"### {quotation['name']}\n" in model.asked[0][1]["content"] for quotation in quotations)


@pytest.mark.parametrize(
    "said",
    [
        "Open it and read it.",
        "Use the open method of the archive object.",
        "Call `open()` with the name, in mode `r`.",
        "Use `os.system` and unzip. Or open the member by its name.",
        "Open it:\n```python\nwith ZipFile(x) as z: z.open(`y`)\n```\nand read it.",
        "Open it `and read it.",
        "- open it\n- read it" + "\n- close it" * 400,
    ],
)
async def test_code_holds_the_words_of_a_model_to_what_is_quoted(shard: Shard, passages: PassageSet, said: str) -> None:
    from stdlib_guide.agent import answer

    value = answer(Task(ZIP, shard, model=Model(said)))
    assert (await judge("stdlib-guide", value, passages)).passed
    assert value["quotations"] == answer(Task(ZIP, shard))["quotations"]
    assert "open" in value["answer"].lower().partition("in the documentation")[0]
    assert "system" not in value["answer"]


@pytest.mark.parametrize("said", ["", "  ", "Use `os.system`.", "```\nopen(x)\n```", "`", "x" * 3000])
async def test_where_a_model_says_nothing_that_can_be_kept_the_documentation_speaks(shard: Shard, said: str) -> None:
    from stdlib_guide.agent import answer

    assert answer(Task(ZIP, shard, model=Model(said))) == answer(Task(ZIP, shard))


async def test_a_model_that_guesses_is_sent_back_and_not_asked_again(shard: Shard, passages: PassageSet) -> None:
    from stdlib_guide.agent import answer

    said = Model(f"I think `{answer(Task(ZIP, shard))['quotations'][0]['name']}` does it.")
    first = await judge("stdlib-guide", answer(Task(ZIP, shard, model=said)), passages)
    assert [finding.check for finding in first.findings if finding.details] == ["no-hedging"]
    model = Model()
    second = answer(Task(ZIP, shard, attempt=2, feedback=findings(first), model=model))
    assert second == answer(Task(ZIP, shard))
    assert model.asked == []


async def test_the_careless_guide_invents_a_quotation_and_corrects_it_when_it_is_sent_back(
    shard: Shard, passages: PassageSet
) -> None:
    from careless_guide.agent import answer

    request = "quick answer from memory: how do I make my program sleep?"
    first = await judge("careless-guide", answer(Task(request, shard)), passages)
    assert first.failed
    assert [finding.check for finding in first.findings if finding.details] == ["quotations-verbatim"]
    second = answer(Task(request, shard, attempt=2, feedback=findings(first)))
    assert (await judge("careless-guide", second, passages)).passed


async def test_without_findings_it_does_not_pass_and_neither_does_it_when_it_is_stubborn(
    shard: Shard, passages: PassageSet
) -> None:
    from careless_guide.agent import answer

    first = answer(Task(ZIP, shard))
    assert answer(Task(ZIP, shard, attempt=2)) == first
    sent_back = findings(await judge("careless-guide", first, passages))
    elsewhere = (Feedback("quotations-verbatim", "", "", ""),)
    assert answer(Task(ZIP, shard, attempt=2, feedback=elsewhere)) == first
    assert answer(Task(ZIP, shard, attempt=3, feedback=sent_back, context={"stubborn": True})) == first


def test_the_check_sees_names_that_are_not_quoted() -> None:
    from stdlib_guide.checks import names_are_quoted

    quotations = [{"name": "a.b", "quote": "x"}]
    assert names_are_quoted({"answer": "use `a.b`", "quotations": quotations}, {}) == {"inspected": 2, "findings": []}
    found = names_are_quoted({"answer": "use `a.c` and `a.c`", "quotations": quotations}, {})
    assert [finding["found"] for finding in found["findings"]] == ["a.c"]
    assert names_are_quoted({"answer": "use it", "quotations": quotations}, {})["findings"]


def test_the_vague_helper_runs_all_the_same(shard: Shard) -> None:
    from vague_helper.agent import answer

    assert answer(Task("with this", shard)) == {"text": "I would love to help with: with this"}
