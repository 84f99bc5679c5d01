"""From a folder to a release: what publishes, what is refused, and with which words."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.packages import BRIEF, VAGUE_BRIEF, package_files, write_package

from hephaestus.errors import AlreadyPublished, AssetError, BriefRefused, HubError, NotFound
from hephaestus.forge import Forge, examine, new_package
from hephaestus.hub import Release, Tree
from hephaestus.interview import Report
from hephaestus.runtime import Runtime

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="publishing looks at a package's code in isolation"),
]


@asynccontextmanager
async def forge_at(tmp_path: Path) -> AsyncIterator[tuple[Forge, Runtime]]:
    async with Runtime.open(tmp_path / "home") as runtime:
        yield Forge(runtime), runtime


async def test_a_good_package_becomes_a_signed_release(tmp_path: Path) -> None:
    async with forge_at(tmp_path) as (forge, runtime):
        release = await forge.publish(write_package(tmp_path / "p"))
        assert release.ref == "echo@1.0.0"
        keys = await runtime.signer.public_keys("release")
        assert release.signed_by in keys
        again = await forge.publish(tmp_path / "p")
        assert again == release


async def test_a_published_release_never_changes(tmp_path: Path) -> None:
    async with forge_at(tmp_path) as (forge, runtime):
        release = await forge.publish(write_package(tmp_path / "p"))
        other = write_package(tmp_path / "q", code='def run(task):\n    return {"text": "other"}\n')
        with pytest.raises(AlreadyPublished):
            await forge.publish(other)
        assert await runtime.hub.release("echo@1.0.0") == release


async def test_a_vague_brief_is_refused_with_scores_and_questions(tmp_path: Path) -> None:
    async with forge_at(tmp_path) as (forge, runtime):
        folder = write_package(tmp_path / "p", brief=VAGUE_BRIEF)
        with pytest.raises(BriefRefused) as caught:
            await forge.publish(folder)
        report = caught.value.report
        assert isinstance(report, Report)
        assert report.score > 20
        assert set(report.axes) == {"goal", "constraint", "scope", "context"}
        assert report.next_questions
        assert caught.value.exit_code == 4
        assert await runtime.hub.releases() == ()
        release = await forge.publish(folder, override="an experiment")
        assert release.override == "an experiment"


@pytest.mark.parametrize(
    ("change", "file", "says"),
    [
        ({"files": {"agent.toml": "schema = [\n"}}, "agent.toml", "not TOML"),
        ({"manifest_more": "\n[permissons]\n"}, "agent.toml", "permissons"),
        ({"files": {"card.toml": "schema = 1\ncapabilities = []\ntriggers = ['x']\n"}}, "card.toml", "capability"),
        ({"card": "schema = 1\ncapabilities = ['x']\ntriggers = ['?!']\n"}, "card.toml", "?!"),
        ({"files": {"brief.toml": "schema = 2\n"}}, "brief.toml", "schema"),
        ({"code": "x = 1\n"}, "agent.toml", "run"),
        ({"code": "def run(:\n"}, "agent.toml", "echo:run"),
        ({"code": "import no_such_module\n"}, "agent.toml", "no_such_module"),
        ({"files": {"schema/output.json": "{"}}, "schema/output.json", "JSON"),
        ({"files": {"schema/output.json": '{"type": 5}'}}, "schema/output.json", "draft 2020-12"),
        ({"manifest_more": "\n[python]\ndependencies = ['requests']\n"}, "agent.toml", "dependencies"),
        ({"manifest_more": "\n[permissions]\nhosts = ['example.org']\n"}, "agent.toml", "network"),
        ({"manifest_more": "\n[permissions]\ntools = ['shell']\n"}, "agent.toml", "tool"),
        ({"manifest_more": "\n[permissions]\nmodels = ['other']\n"}, "agent.toml", "other"),
        ({"manifest_more": "\n[[knowledge]]\nkind = 'folder'\npath = 'texts'\n"}, "agent.toml", "texts"),
        ({"manifest_more": "\n[[checks]]\nid='x'\nkind='psychic'\nabout='y'\n"}, "agent.toml", "psychic"),
    ],
    ids=[
        "broken-toml", "unknown-table", "no-capability", "trigger-without-words", "unknown-schema", "no-entry",
        "syntax-error",
        "missing-module", "schema-no-json", "schema-no-schema", "dependencies", "hosts", "tools", "models",
        "empty-knowledge", "unknown-check",
    ],
)  # fmt: skip
async def test_a_package_that_cannot_run_is_not_published(
    tmp_path: Path, change: dict[str, Any], file: str, says: str
) -> None:
    async with forge_at(tmp_path) as (forge, runtime):
        folder = write_package(tmp_path / "p", **change)
        with pytest.raises(AssetError) as caught:
            await forge.publish(folder)
        assert caught.value.file == file
        assert says in str(caught.value)
        assert str(caught.value).count(f"{file}:") <= 1
        assert await runtime.hub.releases() == ()


async def test_a_schema_that_points_outside_its_own_file_is_refused(tmp_path: Path) -> None:
    manifest = package_files()["agent.toml"].decode()
    manifest = manifest.replace("[contract]", '[contract]\ninput = "schema/input.json"')
    files = {"agent.toml": manifest, "schema/input.json": '{"$ref": "file:///etc/hostname"}'}
    async with forge_at(tmp_path) as (forge, _):
        found = await forge.check(write_package(tmp_path / "p", files=files))
        (problem,) = found.problems
        assert problem.file == "schema/input.json"


async def test_a_contract_that_no_check_enforces_is_refused(tmp_path: Path) -> None:
    manifest = package_files()["agent.toml"].decode()
    manifest = manifest.replace('kind = "json-schema"', 'kind = "regex"').replace(
        'schema = "schema/output.json" }', 'must = "[A-Z]" }'
    )
    async with forge_at(tmp_path) as (forge, _):
        found = await forge.check(write_package(tmp_path / "p", files={"agent.toml": manifest}))
        (problem,) = found.problems
        assert "no check holds the output" in problem.message
        assert problem.hint is not None
        assert "json-schema" in problem.hint


@pytest.mark.parametrize(("budget", "more", "agrees"), [
    ("attempts = 3", "", True),
    ("attempts = 2", "\n[permissions.limits]\nattempts = 2\n", True),
    ("attempts = 2", "", False),
    ("attempts = 3", "\n[permissions.limits]\nattempts = 2\n", False),
    ("tokens = 100", "\n[permissions.limits]\nattempts = 2\n", True),
])  # fmt: skip
async def test_the_attempts_of_the_specification_are_those_that_a_run_has(
    tmp_path: Path, budget: str, more: str, agrees: bool
) -> None:
    brief = BRIEF.replace("attempts = 3", budget)
    async with forge_at(tmp_path) as (forge, _):
        found = await forge.check(write_package(tmp_path / "p", brief=brief, manifest_more=more))
        if agrees:
            assert found.problems == ()
        else:
            (problem,) = found.problems
            assert problem.file == "brief.toml"
            assert "budget.attempts" in problem.message
            assert "[permissions.limits] of agent.toml" in (problem.hint or "")


def test_a_child_of_another_user_can_read_the_copy_whatever_the_umask(tmp_path: Path) -> None:
    tree = Tree({}).with_files({**package_files(), "deep/er/data.txt": b"x"})
    before = os.umask(0o077)
    try:
        examine._stage(tree, tmp_path / "copy")
    finally:
        os.umask(before)
    copy = tmp_path / "copy"
    modes = {path.relative_to(copy).as_posix(): path.stat().st_mode & 0o777 for path in copy.rglob("*")}
    folders = {path for path in modes if (copy / path).is_dir()}
    assert {path: mode for path, mode in modes.items() if path not in folders} == dict.fromkeys(tree.files, 0o644)
    assert {modes[path] for path in folders} | {copy.stat().st_mode & 0o777} == {0o755}


async def test_a_check_lists_every_problem_at_once(tmp_path: Path) -> None:
    async with forge_at(tmp_path) as (forge, _):
        folder = write_package(
            tmp_path / "p", code="x = 1\n", manifest_more="\n[permissions]\nhosts = ['a']\ntools = ['b']\n"
        )
        (folder / "card.toml").unlink()
        found = await forge.check(folder)
        assert not found.publishes
        assert len(found.problems) == 4
        assert any("card.toml is missing" in problem.message for problem in found.problems)


async def test_code_that_hangs_on_import_does_not_hang_the_forge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "_LIMITS", msgspec.structs.replace(examine._LIMITS, wall_ms=1500))
    async with forge_at(tmp_path) as (forge, _):
        folder = write_package(tmp_path / "p", code="import threading\nthreading.Event().wait()\n")
        found = await forge.check(folder)
        assert any("longer than" in problem.message for problem in found.problems)


async def test_importing_a_package_reaches_nothing_of_the_host(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("host")
    code = f"""
found = None
try:
    found = open({str(secret)!r}).read()
except OSError:
    pass
assert found is None, "the host's file was read"
def run(task):
    return {{"text": "x"}}
"""
    async with forge_at(tmp_path) as (forge, _):
        found = await forge.check(write_package(tmp_path / "p", code=code))
        assert found.problems == ()


async def test_a_symlink_in_a_package_is_refused(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "p")
    (folder / "src" / "link.py").symlink_to("/etc/passwd")
    async with forge_at(tmp_path) as (forge, _):
        with pytest.raises(AssetError, match=r"src/link\.py"):
            await forge.publish(folder)


async def test_a_folder_of_knowledge_becomes_passages_that_the_digest_covers(tmp_path: Path) -> None:
    more = "\n[[knowledge]]\nkind = 'folder'\npath = 'texts'\n"
    one = {"texts/a.md": "# Anvils\n\nAn anvil weighs 80 kilograms and is made of steel.\n"}
    two = {"texts/a.md": "# Anvils\n\nAn anvil weighs 90 kilograms and is made of steel.\n"}
    async with forge_at(tmp_path) as (forge, runtime):
        release = await forge.publish(write_package(tmp_path / "p", manifest_more=more, files=one))
        other = await forge.publish(write_package(tmp_path / "q", manifest_more=more, files=two, version="1.0.1"))
        passages = await runtime.passages(release)
        assert passages is not None
        assert len(passages) >= 1
        assert release.digest != other.digest
        hits = await runtime.search(release, "how heavy is an anvil? 80 kilograms")
        assert "80 kilograms" in hits[0].text


async def test_a_deploy_keeps_the_other_agents_and_replaces_older_versions(tmp_path: Path) -> None:
    async with forge_at(tmp_path) as (forge, runtime):
        one = await forge.publish(write_package(tmp_path / "a"))
        two = await forge.publish(write_package(tmp_path / "b", name="other"))
        newer = await forge.publish(write_package(tmp_path / "c", version="1.1.0"))
        await forge.deploy("stable", [one])
        await forge.deploy("stable", [two])
        third = await forge.deploy("stable", ["echo@1.1.0"], why="newer")
        assert set(third.releases) == {newer.digest, two.digest}
        router = await runtime.router("stable")
        assert router.route("echo").winner.release == "echo@1.1.0"  # type: ignore[union-attr]
        back = await forge.rollback("stable")
        assert set(back.releases) == {one.digest, two.digest}
        assert (await runtime.router("stable")).route("echo").winner.release == "echo@1.0.0"  # type: ignore[union-attr]
        alone = await forge.deploy("stable", [newer], only=True)
        assert alone.releases == (newer.digest,)
        assert [g.number for g in await runtime.hub.history("stable")] == [5, 4, 3, 2, 1]


async def test_what_an_agent_may_call_is_deployed_with_it(tmp_path: Path) -> None:
    chief = {"name": "chief", "role": "orchestrator", "manifest_more": '\n[agents]\necho = "^1"\n'}
    async with forge_at(tmp_path) as (forge, _):
        leader = await forge.publish(write_package(tmp_path / "a", **chief))
        with pytest.raises(NotFound):
            await forge.deploy("stable", [leader])
        echo = await forge.publish(write_package(tmp_path / "b"))
        generation = await forge.deploy("stable", [leader])
        assert set(generation.releases) == {leader.digest, echo.digest}


def calls(name: str, **agents: str) -> dict[str, Any]:
    """A package that may call these agents in these ranges."""
    lines = "".join(f'{agent} = "{wanted}"\n' for agent, wanted in agents.items())
    return {"name": name, "manifest_more": "\n[agents]\n" + lines}


async def published(forge: Forge, folder: Path, *packages: dict[str, Any]) -> list[Release]:
    return [await forge.publish(write_package(folder / str(n), **package)) for n, package in enumerate(packages)]


async def test_a_helper_is_not_deployed_beside_an_agent_that_may_not_call_it(tmp_path: Path) -> None:
    async with forge_at(tmp_path) as (forge, runtime):
        chief, _, two = await published(forge, tmp_path, calls("chief", echo="^1"), {}, {"version": "2.0.0"})
        first = await forge.deploy("stable", [chief])
        with pytest.raises(HubError, match=r"chief@1\.0\.0 may call echo@\^1, but echo@2\.0\.0 would be") as caught:
            await forge.deploy("stable", [two])
        assert "deploy `echo` in that range, or a `chief`" in (caught.value.hint or "")
        assert await runtime.hub.generation("stable") == first
        newer = await forge.publish(write_package(tmp_path / "c", **calls("chief", echo=">=1"), version="1.1.0"))
        moved = await forge.deploy("stable", [two, newer])
        assert set(moved.releases) == {two.digest, newer.digest}


async def test_an_agent_is_not_deployed_beside_a_helper_that_it_may_not_call(tmp_path: Path) -> None:
    async with forge_at(tmp_path) as (forge, runtime):
        one, _, chief = await published(forge, tmp_path, {}, {"version": "2.0.0"}, calls("chief", echo="^2"))
        first = await forge.deploy("stable", [one])
        with pytest.raises(HubError, match=r"chief@1\.0\.0 may call echo@\^2, but echo@1\.0\.0 would be"):
            await forge.deploy("stable", [chief])
        assert await runtime.hub.generation("stable") == first
        moved = await forge.deploy("stable", [chief, "echo@2.0.0"])
        assert len(moved.releases) == 2


async def test_a_helper_of_several_agents_fits_them_all_or_none_is_deployed(tmp_path: Path) -> None:
    versions = [{"version": version} for version in ("1.2.0", "1.2.9", "1.3.0")]
    wide, narrow = calls("wide", echo="^1"), calls("narrow", echo="~1.2")
    async with forge_at(tmp_path) as (forge, runtime):
        await published(forge, tmp_path / "echo", *versions)
        both = await published(forge, tmp_path, wide, narrow)
        generation = await forge.deploy("stable", both)
        assert (await runtime.hub.release("echo@1.2.9")).digest in generation.releases
        await runtime.hub.yank("echo@1.2.9")
        assert (await runtime.hub.release("echo@1.2.0")).digest in (await forge.deploy("other", both)).releases
        (odd,) = await published(forge, tmp_path / "odd", calls("odd", echo="^1.3"))
        with pytest.raises(NotFound, match=r"no release of echo fits: narrow@1\.0\.0 may call echo@~1\.2,"):
            await forge.deploy("third", [*both, odd])
        assert await runtime.hub.channels() == ("other", "stable")


async def test_what_a_called_agent_calls_is_deployed_and_held_to_its_range_too(tmp_path: Path) -> None:
    middle, top = calls("middle", echo="^1"), calls("top", middle="^1")
    async with forge_at(tmp_path) as (forge, _):
        await published(forge, tmp_path, {}, {"version": "2.0.0"}, middle, top)
        assert len((await forge.deploy("stable", ["top"])).releases) == 3
        with pytest.raises(HubError, match=r"middle@1\.0\.0 may call echo@\^1, but echo@2"):
            await forge.deploy("other", ["top", "echo@2.0.0"])


async def test_the_history_says_who_went_back(tmp_path: Path) -> None:
    async with forge_at(tmp_path) as (forge, _):
        for release in await published(forge, tmp_path, {}, {"version": "1.1.0"}):
            await forge.deploy("stable", [release], by="ada")
        back = await forge.rollback("stable", by="grace", why="wrong counts")
        assert (back.by, back.why) == ("grace", "wrong counts")


async def test_a_new_package_publishes_as_it_is(tmp_path: Path) -> None:
    written = new_package(tmp_path / "word-counter")
    assert "agent.toml" in written
    async with forge_at(tmp_path) as (forge, _):
        found = await forge.check(tmp_path / "word-counter")
        assert found.problems == ()
        release = await forge.publish(tmp_path / "word-counter")
        assert release.name == "word-counter"
