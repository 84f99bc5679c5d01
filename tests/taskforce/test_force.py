"""Whole runs: how they end, what is certified, what is written down, and that nothing is left."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest
from tests.support.deployed import deployed
from tests.support.fake_model import FakeModel, openai
from tests.support.packages import package_files

import hephaestus.receipts as receipts
from hephaestus import canonical
from hephaestus.assets import CheckSpec, parse_manifest
from hephaestus.errors import StorageError, UsageError
from hephaestus.forge import Forge
from hephaestus.hub import ReleaseDraft, Tree
from hephaestus.runtime import Config, ModelEndpoint, Runtime
from hephaestus.stormbreaker import Interrupted, Refused, Undecided, Verified, verify_certificate
from hephaestus.taskforce import TaskForce, explain

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="agents run isolated on Linux only"),
]

WRONG = 'def run(task):\n    return {"txt": "wrong"}\n'
LEARNS = """
def run(task):
    if any(f.check == "shape" for f in task.feedback):
        return {"text": "right"}
    return {"wrong": task.attempt}
"""
MODEL = "\n[permissions]\nmodels = ['default']\n[permissions.limits]\nmodel_calls = 2\n"
ASKS_MODEL = """
def run(task):
    return {"text": task.model.complete([{"role": "user", "content": task.input["request"]}])}
"""


async def test_a_pass_is_certified_for_exactly_the_bytes_that_were_checked(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        outcome, force = await here.run("echo this please")
        assert isinstance(outcome, Verified)
        assert outcome.value == {"text": "ECHO THIS PLEASE"}
        certificate = outcome.certificate
        keys = await here.runtime.seal_keys()
        artefact = b'{"text": "ECHO THIS PLEASE"}'
        verify_certificate(certificate, keys, run=force.run_id)
        (attempt,) = await here.runtime.journal.entries(run=force.run_id, kind="attempt")
        secrets = await here.runtime.journal.secrets(attempt)
        assert secrets is not None
        verify_certificate(certificate, keys, artefact=secrets["artefact"])
        assert canonical.parse_json(secrets["artefact"]) == canonical.parse_json(artefact)
        assert certificate.attempt == 1
        assert certificate.origins == {"card": (), "package": ("shape",), "caller": ()}
        assert certificate.isolation.level == "isolated"


async def test_everything_that_happened_is_in_the_journal_in_order(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        outcome, force = await here.run("echo this please")
        kinds = await here.kinds(force.run_id)
        assert [k for k in kinds if k != "event"] == [
            "decision", "lock", "start", "start", "exchange", "attempt", "verdict", "disposal", "certificate", "ending",
        ]  # fmt: skip
        assert isinstance(outcome, Verified)
        (disposal,) = await here.runtime.journal.entries(run=force.run_id, kind="disposal")
        assert outcome.certificate.receipt == disposal.link
        keys = await here.runtime.seal_keys()
    verification = receipts.verify_journal(tmp_path / "home" / "journal.db", keys=keys)
    assert verification.ok, verification.problems
    assert verification.head is not None


async def test_bodies_of_the_journal_hold_neither_request_nor_answer(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        await here.run("echo xyzzy plugh")
        for entry in await here.runtime.journal.entries():
            body = entry.body.lower()
            # The route itself names the words that matched; these two match nothing.
            assert b"xyzzy" not in body, entry.kind
            assert b"plugh" not in body, entry.kind


async def test_nothing_of_a_task_force_is_left(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        await here.run("echo warm up")  # starts the signer, which stays
        before = (set(os.listdir("/proc/self/fd")), _children())
        outcome, force = await here.run("echo this please")
        after = (set(os.listdir("/proc/self/fd")), _children())
        assert isinstance(outcome, Verified)
        assert after == before
        assert list((tmp_path / "home" / "runs").iterdir()) == []
        assert force.disposal is not None
        assert force.disposal.verified
        assert force.disposal.children == 2


def _children() -> set[str]:
    """Process ids of the live descendants of this process."""
    parents: dict[str, str] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        state, parent = status.rpartition(")")[2].split()[:2]
        if state != "Z":
            parents[pid] = parent
    found, todo = set(), {str(os.getpid())}
    while todo:
        todo = {pid for pid, parent in parents.items() if parent in todo} - found
        found |= todo
    return found


async def test_findings_send_an_agent_back_until_it_is_right(tmp_path: Path) -> None:
    async with deployed(tmp_path, {"code": LEARNS}) as here:
        steps: list[str] = []
        outcome, force = await here.run("echo", on_event=lambda p: steps.append(p.step))
        assert isinstance(outcome, Verified)
        assert (outcome.certificate.attempt, force.attempts) == (2, 2)
        assert steps.index("sent back") < steps.index("passed")


async def test_with_the_findings_withheld_the_same_agent_does_not_pass(tmp_path: Path) -> None:
    async with deployed(tmp_path, {"code": LEARNS}) as here:
        outcome, _ = await here.run("echo", feedback=False)
        assert isinstance(outcome, Refused)


async def test_an_agent_that_never_gets_it_right_is_refused(tmp_path: Path) -> None:
    async with deployed(tmp_path, {"code": WRONG}) as here:
        outcome, force = await here.run("echo")
        assert isinstance(outcome, Refused)
        assert (outcome.cause, outcome.exit_code, outcome.candidate) == ("output", 3, None)
        assert any(not finding.passed for finding in outcome.findings)
        explanation = await explain(here.runtime.journal, force.run_id)
        assert explanation.cause == "output"
        assert "shape" in explanation.summary
        kinds = {entry.seq: entry.kind for entry in await here.runtime.journal.entries(run=force.run_id)}
        assert [kinds[seq] for seq in outcome.entries] == ["verdict"]
        assert force.disposal is not None
        assert force.disposal.verified


async def test_a_refusal_carries_the_candidate_only_when_asked_for_by_name(tmp_path: Path) -> None:
    async with deployed(tmp_path, {"code": WRONG}) as here:
        outcome, _ = await here.run("echo", keep_candidate=True)
        assert isinstance(outcome, Refused)
        assert outcome.candidate is not None
        assert b"wrong" in outcome.candidate.unverified


@pytest.mark.parametrize(
    ("code", "cause", "says"),
    [
        ("def run(task):\n    raise ValueError('planted')\n", "agent_code", "planted"),
        ("import os\ndef run(task):\n    os._exit(0)\n", "agent_code", "without an answer"),
        ("import ctypes\ndef run(task):\n    ctypes.string_at(0)\n", "agent_code", "SIGSEGV"),
        ("import threading\ndef run(task):\n    threading.Event().wait()\n", "budget", "longer than"),
        ("def run(task):\n    return object()\n", None, ""),
        ("def run(task):\n    return task.tool('shell', {})\n", "tool", "no tool"),
        (
            "import sys\ndef run(task):\n    sys.setrecursionlimit(10**9)\n    return eval('['*10**6)\n",
            "agent_code",
            "",
        ),
    ],
    ids=["raises", "exits", "crashes", "hangs", "no-json", "no-such-tool", "bomb"],
)
async def test_a_broken_agent_ends_undecided_with_the_part_that_broke(
    tmp_path: Path, code: str, cause: str | None, says: str
) -> None:
    limits = "\n[permissions.limits]\nwall_seconds = 2\n"
    async with deployed(tmp_path, {"code": code, "manifest_more": limits}) as here:
        outcome, force = await here.run("echo")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == cause if cause else outcome.cause in ("agent_code", "output")
        assert says in outcome.message
        assert force.attempts == 0
        explanation = await explain(here.runtime.journal, force.run_id)
        assert explanation.cause == outcome.cause
        assert explanation.advice
        kinds = {entry.seq: entry.kind for entry in await here.runtime.journal.entries(run=force.run_id)}
        assert [kinds[seq] for seq in outcome.entries] == ["exchange"]
        assert force.disposal is not None
        assert force.disposal.verified


async def test_what_an_agent_prints_harms_nothing(tmp_path: Path) -> None:
    code = """
import os, sys
def run(task):
    for fd in range(3, 64):
        try:
            os.write(fd, b"\\xff" * 64)
        except OSError:
            pass
    print("garbage" * 10_000)
    return {"text": "x"}
"""
    async with deployed(tmp_path, {"code": code}) as here:
        outcome, force = await here.run("echo")
        # Writing into the protocol pipe breaks that child, and nothing else.
        assert isinstance(outcome, (Undecided, Verified))
        assert outcome.cause in (None, "agent_code")
        again, _ = await here.run("echo")
        assert again.kind == outcome.kind
        assert force.disposal is not None
        assert force.disposal.verified


async def test_processes_that_an_agent_leaves_behind_are_gone(tmp_path: Path) -> None:
    code = """
import os, time
def run(task):
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            while True:
                time.sleep(1000)
    return {"text": "x"}
"""
    async with deployed(tmp_path, {"code": code}) as here:
        await here.run("echo warm up")
        before = _children()
        outcome, force = await here.run("echo")
        assert isinstance(outcome, Verified)
        assert _children() == before
        assert force.disposal is not None
        assert force.disposal.verified


async def test_no_route_ends_before_anything_is_started(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        outcome, force = await here.run("what will the weather be tomorrow?")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == "routing"
        assert await here.kinds(force.run_id) == ["decision", "disposal", "ending"]
        assert force.disposal is not None
        assert force.disposal.children == 0


async def test_a_package_without_any_check_is_refused_before_it_runs(tmp_path: Path) -> None:
    files = package_files(name="bare")
    files["agent.toml"] = files["agent.toml"].split(b"[[checks]]")[0]
    unchecked = ReleaseDraft(
        manifest=parse_manifest(files["agent.toml"]),
        tree=Tree({}).with_files(files),
        override="a test of what happens without checks",
    )
    async with Runtime.open(tmp_path / "home") as runtime:
        release = await runtime.hub.publish(unchecked)
        await Forge(runtime).deploy("stable", [release])
        decision = (await runtime.router("stable")).route("bare")
        async with TaskForce(runtime, decision) as force:
            outcome = await force.run()
        assert isinstance(outcome, Refused)
        assert outcome.cause == "check"
        assert force.disposal is not None
        assert force.disposal.children == 0
        # A check of the caller is enough.
        own = CheckSpec(id="own", kind="regex", about="holds BARE", params={"select": "/text", "must": "BARE"})
        async with TaskForce(runtime, decision, checks=[own]) as force:
            outcome = await force.run()
        assert isinstance(outcome, Verified), outcome
        assert outcome.certificate.origins == {"card": (), "package": (), "caller": ("own",)}
        assert [o.what for o in outcome.certificate.overrides] in ([], ["interview"])


CHECKED = """
[[checks]]
id = "own-code"
kind = "python"
about = "the text is not empty"
params = { entry = "rules:check" }
"""


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("return {'inspected': 1, 'findings': []}", "verified"),
        ("return {'inspected': 1, 'findings': [{'expected': 'y', 'found': 'x', 'where': '/text'}]}", "refused"),
        ("return {'inspected': 0, 'findings': []}", "undecided"),
        ("raise RuntimeError('planted')", "undecided"),
        ("return 'fine'", "undecided"),
        ("import os; os._exit(0)", "undecided"),
    ],
    ids=["passes", "fails", "inspects-nothing", "raises", "answers-nonsense", "exits"],
)
async def test_a_check_that_is_code_of_the_package_runs_apart_and_only_a_pass_passes(
    tmp_path: Path, rule: str, kind: str
) -> None:
    package = {"manifest_more": CHECKED, "files": {"src/rules.py": f"def check(artefact, params):\n    {rule}\n"}}
    async with deployed(tmp_path, package) as here:
        outcome, force = await here.run("echo")
        assert outcome.kind == kind
        if kind == "undecided":
            assert outcome.cause == "check"
            assert force.attempts == 0


async def test_a_model_is_reached_through_the_host_and_both_sides_are_written_down(tmp_path: Path) -> None:
    with FakeModel(lambda path, body: openai("from the model")) as server:
        config = Config(model=ModelEndpoint(url=server.root + "/v1", name="fake"))
        async with deployed(tmp_path, {"code": ASKS_MODEL, "manifest_more": MODEL}, config=config) as here:
            outcome, force = await here.run("echo something")
            assert isinstance(outcome, Verified), outcome
            assert outcome.value == {"text": "from the model"}
            exchanges = await here.runtime.journal.entries(run=force.run_id, kind="exchange")
            said = [await here.runtime.journal.secrets(entry) for entry in exchanges]
            assert any(
                b"from the model" in one["answer"] and b"echo something" in one["request"] for one in said if one
            )


async def test_a_model_outage_is_not_the_agents_fault_and_costs_no_attempt(tmp_path: Path) -> None:
    with FakeModel(lambda path, body: (401, b"no")) as server:
        config = Config(model=ModelEndpoint(url=server.root + "/v1", name="fake", attempts=1))
        async with deployed(tmp_path, {"code": ASKS_MODEL, "manifest_more": MODEL}, config=config) as here:
            outcome, force = await here.run("echo")
            assert isinstance(outcome, Undecided)
            assert (outcome.cause, force.attempts) == ("model", 0)


async def test_an_agent_cannot_blame_a_model_that_it_never_asked(tmp_path: Path) -> None:
    code = (
        "from hephaestus_runner.sdk import ModelFailed\ndef run(task):\n    raise ModelFailed('down', cause='model')\n"
    )
    async with deployed(tmp_path, {"code": code, "manifest_more": MODEL}) as here:
        outcome, _ = await here.run("echo")
        assert isinstance(outcome, Undecided)
        assert outcome.cause == "agent_code"


async def test_a_package_without_the_permission_reaches_no_model(tmp_path: Path) -> None:
    code = """
def run(task):
    assert task.model is None
    return task.tool("model", {"messages": [{"role": "user", "content": "x"}]})
"""
    with FakeModel(lambda path, body: openai("x")) as server:
        config = Config(model=ModelEndpoint(url=server.root + "/v1", name="fake"))
        async with deployed(tmp_path, {"code": code}, config=config) as here:
            outcome, _ = await here.run("echo")
            assert isinstance(outcome, Undecided)
            assert outcome.cause == "tool"
        assert server.seen == []


async def test_more_model_calls_than_allowed_are_refused(tmp_path: Path) -> None:
    code = """
def run(task):
    for _ in range(3):
        text = task.model.complete([{"role": "user", "content": "x"}])
    return {"text": text}
"""
    with FakeModel(lambda path, body: openai("x")) as server:
        config = Config(model=ModelEndpoint(url=server.root + "/v1", name="fake"))
        async with deployed(tmp_path, {"code": code, "manifest_more": MODEL}, config=config) as here:
            outcome, _ = await here.run("echo")
            assert isinstance(outcome, Undecided)
            assert "more than the 2 model calls" in outcome.message
        assert len(server.seen) == 2


CHIEF = {
    "name": "chief",
    "role": "orchestrator",
    "manifest_more": '\n[agents]\necho = "^1"\n',
}


async def test_a_package_can_direct_other_agents_itself(tmp_path: Path) -> None:
    code = """
def run(task):
    answers = [task.call("echo", {"request": word})["text"] for word in task.input["request"].split()[1:]]
    task.submit({"text": "-".join(answers)})
"""
    async with deployed(tmp_path, {}, {**CHIEF, "code": code}) as here:
        outcome, force = await here.run("chief a b")
        assert isinstance(outcome, Verified), outcome
        assert outcome.value == {"text": "A-B"}
        assert force.disposal is not None
        assert force.disposal.children == 3


@pytest.mark.parametrize(
    ("body", "kind", "cause"),
    [
        ("task.ask('which one?')", "interrupted", "caller"),
        ("task.call('nobody', {})", "undecided", "orchestration"),
        ("task.call('echo', [])", "undecided", "orchestration"),
        ("return {'text': 'x'}", "undecided", "orchestration"),
        ("raise ValueError('planted')", "undecided", "agent_code"),
    ],
    ids=["asks", "calls-nobody", "calls-wrongly", "submits-nothing", "raises"],
)
async def test_an_orchestrator_that_goes_wrong_is_named_as_the_part_that_did(
    tmp_path: Path, body: str, kind: str, cause: str
) -> None:
    async with deployed(tmp_path, {}, {**CHIEF, "code": f"def run(task):\n    {body}\n"}) as here:
        outcome, force = await here.run("chief")
        assert (outcome.kind, outcome.cause) == (kind, cause), outcome
        if isinstance(outcome, Interrupted):
            assert outcome.question == "which one?"
            assert outcome.exit_code == 8
        assert (await explain(here.runtime.journal, force.run_id)).cause == cause


async def test_a_run_that_is_broken_off_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    code = "import threading\ndef run(task):\n    threading.Event().wait()\n"
    async with deployed(tmp_path, {"code": code}) as here:
        force = TaskForce(here.runtime, here.router.route("echo"), on_event=lambda p: seen(p.step))
        with anyio.CancelScope() as scope:

            def seen(step: str) -> None:
                if step == "calling":
                    scope.cancel()

            async with force:
                await force.run()
        assert scope.cancelled_caught
        kinds = await here.kinds(force.run_id)
        assert kinds[-2:] == ["disposal", "ending"]
        assert (await explain(here.runtime.journal, force.run_id)).cause == "caller"
        assert list((tmp_path / "home" / "runs").iterdir()) == []


async def test_a_task_force_runs_once_and_only_in_its_context(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        force = TaskForce(here.runtime, here.router.route("echo"))
        with pytest.raises(UsageError):
            await force.run()
        async with force:
            await force.run()
            with pytest.raises(UsageError):
                await force.run()


async def test_many_requests_come_back_as_they_are_done(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        requests = [f"echo {n}" for n in range(4)]
        found = {}
        async with here.runtime.run_many(requests, force=TaskForce, limit=2) as outcomes:
            async for index, outcome in outcomes:
                found[index] = outcome.value  # type: ignore[union-attr]
        assert found == {n: {"text": f"ECHO {n}"} for n in range(4)}


async def test_leaving_early_ends_the_runs_under_way(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        async with here.runtime.run_many((f"echo {n}" for n in range(50)), force=TaskForce, limit=2) as outcomes:
            async for _ in outcomes:
                break
        assert list((tmp_path / "home" / "runs").iterdir()) == []


async def test_a_run_lock_is_the_same_for_the_same_work(tmp_path: Path) -> None:
    async with deployed(tmp_path, {}) as here:
        first, _ = await here.run("echo one")
        second, _ = await here.run("echo one")
        other, _ = await here.run("echo two")
        assert isinstance(first, Verified)
        assert isinstance(second, Verified)
        assert isinstance(other, Verified)
        assert first.certificate.lock == second.certificate.lock != other.certificate.lock


async def test_a_request_that_does_not_fit_the_input_schema_is_the_callers_affair(tmp_path: Path) -> None:
    schema = '{"properties": {"request": {"maxLength": 8}}}'
    package = {"files": {"schema/input.json": schema}}
    async with deployed(tmp_path, {**package, "manifest_more": ""}) as here:
        pass
    manifest = 'output = "schema/output.json"'
    from tests.support import packages

    text = packages.MANIFEST.replace(manifest, manifest + '\ninput = "schema/input.json"', 1)
    del here
    files = {"agent.toml": text.format(name="echo", version="2.0.0", summary="s", module="echo", role="agent")}
    async with deployed(tmp_path / "two", {"files": {**package["files"], **files}}) as here:
        outcome, force = await here.run("echo a long request")
        assert isinstance(outcome, Undecided)
        assert (outcome.cause, force.attempts) == ("caller", 0)
        short, _ = await here.run("echo")
        assert isinstance(short, Verified)


async def test_a_failure_of_the_host_itself_is_raised_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployed(tmp_path, {}) as here:

        async def broken(*args: object) -> bytes:
            raise StorageError("planted")

        monkeypatch.setattr(here.runtime.hub, "tree", broken)
        force = TaskForce(here.runtime, here.router.route("echo"))
        with pytest.raises(StorageError, match="planted"):
            async with force:
                await force.run()
        explanation = await explain(here.runtime.journal, force.run_id)
        assert explanation.cause == "orchestration"
        assert "planted" in explanation.summary
        assert force.disposal is not None
        assert force.disposal.verified


async def test_a_journal_that_cannot_be_written_stops_the_run_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deployed(tmp_path, {}) as here:

        async def full(*drafts: object) -> tuple[object, ...]:
            raise StorageError("the disk is full")

        monkeypatch.setattr(here.runtime.journal, "append", full)
        force = TaskForce(here.runtime, here.router.route("echo"))
        with pytest.raises(StorageError, match="full"):
            async with force:
                await force.run()
        assert list((tmp_path / "home" / "runs").iterdir()) == []


async def test_a_warm_runtime_has_done_what_the_first_request_would_wait_for(tmp_path: Path) -> None:
    package = {
        "manifest_more": "\n[[knowledge]]\nkind = 'folder'\npath = 'texts'\n",
        "files": {"texts/a.md": "# Anvils\n\nAn anvil weighs 80 kilograms and is made of steel.\n"},
    }
    async with deployed(tmp_path, package) as here:
        release = await here.runtime.hub.release("echo")
        shard = await here.runtime.shard(release)
        assert shard is not None
        shard.unlink()
        await here.runtime.warm()
        assert shard.is_file(), "a shard that was lost is built again"
        outcome, _ = await here.run("echo")
        assert isinstance(outcome, Verified)
        assert outcome.certificate.knowledge is not None


async def test_what_an_agent_prints_is_kept_as_events(tmp_path: Path) -> None:
    code = """
import sys
def run(task):
    print("printed to stdout")
    print("printed to stderr", file=sys.stderr)
    sys.stdout.flush()
    return {"text": "x"}
"""
    async with deployed(tmp_path, {"code": code}) as here:
        outcome, force = await here.run("echo")
        assert isinstance(outcome, Verified)
        found = {}
        for entry in await here.runtime.journal.entries(run=force.run_id, kind="event"):
            if entry.value["kind"] == "printed":
                kept = await here.runtime.journal.secrets(entry)
                assert kept is not None
                found[entry.value["stream"]] = kept["text"].decode()
                assert b"printed to" not in entry.body
        assert found == {"stdout": "printed to stdout\n", "stderr": "printed to stderr\n"}
