"""Agents and orchestrators that lie, flood and break off: one ending each, with the part that is really to blame."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.deployed import deployed
from tests.support.fake_model import FakeModel, openai

from hephaestus.errors import SignerError, UsageError
from hephaestus.runtime import Config, ModelEndpoint
from hephaestus.stormbreaker import Interrupted, Undecided, Verified
from hephaestus.taskforce import TaskForce
from hephaestus.taskforce.agents import MAX_CALLS, MAX_TEXT

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="agents run isolated on Linux only"),
]

CHIEF: dict[str, Any] = {"name": "chief", "role": "orchestrator", "manifest_more": '\n[agents]\necho = "^1"\n'}
MODEL = "\n[permissions]\nmodels = ['default']\n[permissions.limits]\nmodel_calls = 2\n"
IMPORTS = "import os, threading\nfrom hephaestus_runner import protocol as P\n"


def code(*lines: str) -> str:
    """A module whose ``run(task)`` has these lines; ``send`` writes any message straight to the host."""
    body = "\n".join(f"    {line}" for line in ("send = task._channel.send", *lines))
    return f"{IMPORTS}def run(task):\n{body}\n"


@pytest.mark.parametrize(
    ("lines", "kind", "cause"),
    [
        (["threading.Event().wait()"], "undecided", "budget"),
        (["os.write(task._channel._writer, b'\\xff' * 64)", "threading.Event().wait()"], "undecided", "orchestration"),
        (["send(P.Submit(1, P.File('x', 'sha256:0', 1)))", "threading.Event().wait()"], "undecided", "orchestration"),
        (['send(P.Submit(1, b\'{"text": "x"}\'))', "os._exit(0)"], "verified", None),
        (["send(P.Call(1, 'n' * 7_000_000, b'{}', 1000))", "threading.Event().wait()"], "undecided", "budget"),
        (["send(P.Accepted(1))"], "undecided", "orchestration"),
    ],
    ids=[
        "hangs",
        "garbage",
        "file-without-exchange",
        "leaves-before-the-ruling",
        "a-name-of-megabytes",
        "wrong-message",
    ],
)
async def test_trouble_with_an_orchestrator_is_an_outcome(
    tmp_path: Path, lines: list[str], kind: str, cause: str | None
) -> None:
    limits = "\n[permissions.limits]\nwall_seconds = 2\n"
    chief = {**CHIEF, "code": code(*lines), "manifest_more": CHIEF["manifest_more"] + limits}
    async with deployed(tmp_path, {}, chief) as here:
        outcome, force = await here.run("chief")
        assert (outcome.kind, outcome.cause) == (kind, cause), outcome
        assert force.disposal is not None
        assert force.disposal.verified
        assert (await here.kinds(force.run_id))[-1] == "ending"


@pytest.mark.parametrize(
    "value",
    [r"b'NaN'", r"b''", r"b'\xff'", r"b'\"\\ud800\"'", r"b'[' * 100_000", r"b'{\"a\":1,\"a\":2}'", r"b'1' * 5000"],
)
async def test_what_an_agent_answers_is_read_by_the_host_before_anyone_gets_it(tmp_path: Path, value: str) -> None:
    async with deployed(tmp_path, {"code": code(f"send(P.Result(0, {value}))", "os._exit(0)")}) as here:
        outcome, force = await here.run("echo")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == "output"
        assert force.attempts == 0


@pytest.mark.parametrize("claimed", ["tool", "model", "budget", "check", "caller", "isolation"])
async def test_an_agent_cannot_put_the_blame_elsewhere(tmp_path: Path, claimed: str) -> None:
    async with deployed(tmp_path, {"code": code(f"send(P.Failure(0, '{claimed}', 'not me'))", "os._exit(0)")}) as here:
        outcome, _ = await here.run("echo")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == "agent_code"


async def test_a_failure_that_an_agent_got_over_is_no_excuse_later(tmp_path: Path) -> None:
    lines = ["try:", "    task.tool('nothing', {})", "except Exception:", "    pass", "raise ValueError('my own')"]
    async with deployed(tmp_path, {"code": code(*lines)}) as here:
        outcome, _ = await here.run("echo")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == "agent_code"
        assert "my own" in outcome.message


async def test_an_orchestrators_own_failure_is_not_its_helpers(tmp_path: Path) -> None:
    lines = ["try:", "    task.call('echo', {})", "except Exception:", "    pass", "raise KeyError('my own')"]
    helper = {"code": "def run(task):\n    raise ValueError('helper')\n"}
    async with deployed(tmp_path, helper, {**CHIEF, "code": code(*lines)}) as here:
        outcome, _ = await here.run("chief")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == "agent_code"
        assert "my own" in outcome.message
        (entry,) = [await here.runtime.journal.entry(seq) for seq in outcome.entries]
        assert entry.value["instance"] == "orchestrator"


async def test_a_model_that_fails_an_orchestrator_is_named(tmp_path: Path) -> None:
    lines = ["task.model.complete([{'role': 'user', 'content': 'x'}])"]
    chief = {**CHIEF, "code": code(*lines), "manifest_more": CHIEF["manifest_more"] + MODEL}
    with FakeModel(lambda path, body: (401, b"no")) as server:
        config = Config(model=ModelEndpoint(url=server.root + "/v1", name="fake", attempts=1))
        async with deployed(tmp_path, {}, chief, config=config) as here:
            outcome, _ = await here.run("chief")
            assert isinstance(outcome, Undecided)
            assert outcome.cause == "model"


async def test_too_many_model_calls_are_a_matter_of_the_budget(tmp_path: Path) -> None:
    lines = ["for _ in range(3):", "    task.model.complete([{'role': 'user', 'content': 'x'}])"]
    with FakeModel(lambda path, body: openai("x")) as server:
        config = Config(model=ModelEndpoint(url=server.root + "/v1", name="fake"))
        async with deployed(tmp_path, {"code": code(*lines), "manifest_more": MODEL}, config=config) as here:
            outcome, _ = await here.run("echo")
            assert isinstance(outcome, Undecided)
            assert outcome.cause == "budget"


async def test_cpu_time_that_is_used_up_is_a_matter_of_the_budget(tmp_path: Path) -> None:
    limits = "\n[permissions.limits]\ncpu_seconds = 1\n"
    async with deployed(tmp_path, {"code": code("while True:", "    pass"), "manifest_more": limits}) as here:
        outcome, _ = await here.run("echo")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == "budget"
        assert "CPU" in outcome.message


async def test_words_of_an_agent_reach_neither_bodies_nor_progress(tmp_path: Path) -> None:
    lines = [
        "send(P.Event('xyzzy', b'{}'))",
        "send(P.Event('plugh ' * 400_000, b'1'))",
        "try:",
        "    task.tool('frobozz', {})",
        "except Exception:",
        "    pass",
        "return {'text': 'x'}",
    ]
    async with deployed(tmp_path, {"code": code(*lines)}) as here:
        seen: list[object] = []
        outcome, force = await here.run("echo", on_event=seen.append)
        assert isinstance(outcome, Verified), outcome
        for word in ("xyzzy", "plugh", "frobozz"):
            assert word not in repr(seen)
            for entry in await here.runtime.journal.entries(run=force.run_id):
                assert word.encode() not in entry.body


async def test_an_erased_run_cannot_be_guessed_from_its_exchanges(tmp_path: Path) -> None:
    import hashlib

    from hephaestus import canonical

    async with deployed(tmp_path, {}) as here:
        _, force = await here.run("echo")
        (exchange,) = await here.runtime.journal.entries(run=force.run_id, kind="exchange")
        kept = await here.runtime.journal.secrets(exchange)
        assert kept is not None
        for tag in ("hephaestus/exchange/1", f"hephaestus/exchange/{force.run_id}"):
            guess = canonical.digest_bytes(canonical.tagged(tag, kept["request"]))
            assert exchange.value["request"] != guess
        assert hashlib.sha256(kept["request"]).hexdigest() not in exchange.body.decode()


async def test_calls_without_end_are_cut_off(tmp_path: Path) -> None:
    # Calls of nobody are cheap and count like all others.
    lines = [
        "from hephaestus_runner.sdk import AgentFailed",
        "while True:",
        "    try:",
        "        task.call('nobody', {})",
        "    except AgentFailed as error:",
        "        if error.cause == 'budget':",
        "            raise",
    ]
    async with deployed(tmp_path, {}, {**CHIEF, "code": code(*lines)}) as here:
        outcome, force = await here.run("chief")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == "budget"
        exchanges = await here.runtime.journal.entries(run=force.run_id, kind="exchange")
        assert len(exchanges) == MAX_CALLS


async def test_texts_of_children_are_cut_to_a_readable_length(tmp_path: Path) -> None:
    async with deployed(
        tmp_path,
        {"code": code("send(P.Failure(0, 'agent_code', 'A' * 5_000_000))", "os._exit(0)")},
        {**CHIEF, "code": code("task.ask('q' * 5_000_000)")},
    ) as here:
        outcome, _ = await here.run("echo")
        assert isinstance(outcome, Undecided)
        assert len(outcome.message) < 2 * MAX_TEXT
        asked, _ = await here.run("chief")
        assert isinstance(asked, Interrupted)
        assert len(asked.question) == MAX_TEXT


@pytest.mark.parametrize("context", [{"a": object()}, {"a": float("nan")}, {"a": "x" * (2 << 20)}, {"a": "\ud800"}])
async def test_a_context_that_cannot_be_handed_over_is_refused_at_once(tmp_path: Path, context: dict[str, Any]) -> None:
    async with deployed(tmp_path, {}) as here:
        with pytest.raises(UsageError, match="context"):
            TaskForce(here.runtime, here.router.route("echo"), context=context)


async def test_a_pass_that_nobody_can_seal_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with deployed(tmp_path, {}) as here:

        async def dead(*args: object) -> object:
            raise SignerError("planted")

        monkeypatch.setattr(here.runtime.signer, "sign", dead)
        outcome, force = await here.run("echo")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == "check"
        assert "planted" in outcome.message
        assert (await here.kinds(force.run_id))[-1] == "ending"


async def test_a_key_of_the_host_never_reaches_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "try:",
        "    return {'text': task.model.complete([{'role': 'user', 'content': 'x'}])}",
        "except Exception as error:",
        "    return {'text': str(error)}",
    ]
    monkeypatch.setenv("PLANTED_KEY", "sk-PLANTED\nx")
    with FakeModel(lambda path, body: (401, b"sk-PLANTED is not a key")) as server:
        endpoint = ModelEndpoint(url=server.root + "/v1", name="fake", attempts=1, key_env="PLANTED_KEY")
        package = {"code": code(*lines), "manifest_more": MODEL}
        async with deployed(tmp_path / "bad", package, config=Config(model=endpoint)) as here:
            outcome, _ = await here.run("echo")
            assert isinstance(outcome, Undecided)
            assert outcome.cause == "model"
            assert "PLANTED\n" not in outcome.message
        monkeypatch.setenv("PLANTED_KEY", "sk-PLANTED")
        async with deployed(tmp_path / "good", package, config=Config(model=endpoint)) as here:
            outcome, _force = await here.run("echo")
            assert isinstance(outcome, Verified)
            assert "PLANTED" not in repr(outcome.value)
            assert "401" in outcome.value["text"]
