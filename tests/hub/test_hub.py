"""Publishing: once, for ever, and only what the hub has looked at itself."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.support.packages import VAGUE_BRIEF, draft, draft_of, package_files, write_package

from hephaestus.canonical import Digest, digest_bytes
from hephaestus.errors import (
    AlreadyPublished,
    AssetError,
    BriefRefused,
    HubError,
    IntegrityError,
    NotFound,
    SignerError,
    UsageError,
)
from hephaestus.hub import Hub, ReleaseDraft, Tree, release_payload
from hephaestus.seals import Seal

pytestmark = pytest.mark.anyio


class FakeSealer:
    """Signs with the bytes it was given, so a test can see what they were."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    async def sign(self, tag: str, payload: bytes, /) -> Seal:
        self.asked.append((tag, payload))
        return Seal("0123456789abcdef", b"s" * 64)


class BrokenSealer:
    async def sign(self, tag: str, payload: bytes, /) -> Seal:
        raise SignerError("the signer is gone")


async def test_a_published_package_comes_back_byte_for_byte(hub: Hub, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "echo", files={"prompts/a.md": "hello", "knowledge/x.md": b"\xff", "tests/t": ""})
    (folder / "src" / "echo.py").chmod(0o755)
    sent = draft_of(folder)
    release = await hub.publish(sent)
    assert release.digest == sent.tree.digest
    assert await hub.tree(release) == sent.tree
    assert (await hub.tree(release)).files["src/echo.py"].mode == 0o755
    for path, file in sent.tree.files.items():
        assert await hub.read("echo@1.0.0", path) == file.data
    assert {row.path for row in await hub.files("echo")} == set(sent.tree.files)


async def test_publishing_the_same_bytes_again_gives_the_first_release(hub: Hub) -> None:
    first = await hub.publish(draft())
    assert await hub.publish(draft()) == first
    assert await hub.releases() == (first,)


async def test_newer_weights_of_the_interview_do_not_take_a_release_back(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await hub.publish(draft())
    monkeypatch.setattr("hephaestus.interview.score.MAX_SCORE", -1)
    assert await hub.publish(draft()) == first
    with pytest.raises(BriefRefused):
        await hub.publish(draft(version="1.0.1"))


async def test_publishing_other_bytes_names_both_digests_the_first_file_and_a_free_version(hub: Hub) -> None:
    first = await hub.publish(draft())
    await hub.publish(draft(version="1.0.1"))
    other = draft(files={"src/echo.py": "def run(task):\n    return {}\n", "zzz.txt": "later"})
    with pytest.raises(AlreadyPublished) as caught:
        await hub.publish(other)
    assert first.digest in str(caught.value)
    assert other.tree.digest in str(caught.value)
    assert "`src/echo.py`" in str(caught.value)
    assert "bump to 1.0.2" in (caught.value.hint or "")
    assert (await hub.release("echo@1.0.0")) == first


async def test_a_taken_prerelease_suggests_the_release_it_led_to(hub: Hub) -> None:
    await hub.publish(draft(version="1.2.0-rc.1"))
    with pytest.raises(AlreadyPublished) as caught:
        await hub.publish(draft(version="1.2.0-rc.1", files={"more.txt": "x"}))
    assert "bump to 1.2.0 " in (caught.value.hint or "")


async def test_a_vague_brief_is_refused_with_its_report_and_leaves_nothing(hub: Hub) -> None:
    with pytest.raises(BriefRefused) as caught:
        await hub.publish(draft(brief=VAGUE_BRIEF))
    assert not caught.value.report.builds  # type: ignore[attr-defined]
    assert "goal.outcome" in str(caught.value) or "goal.acceptance" in str(caught.value)
    assert caught.value.exit_code == 4
    assert await hub.releases() == ()
    assert not any((hub.folder / "blobs" / "sha256").iterdir())


async def test_a_reason_publishes_a_vague_brief_and_stays_with_the_release(hub: Hub) -> None:
    release = await hub.publish(draft(brief=VAGUE_BRIEF, override="a spike for Monday's demo"))
    assert release.override == "a spike for Monday's demo"
    assert (await hub.release("echo")).override == release.override
    assert release.score > 20


async def test_a_blank_reason_is_no_reason(hub: Hub) -> None:
    with pytest.raises(BriefRefused):
        await hub.publish(draft(brief=VAGUE_BRIEF, override="  "))


async def test_a_reason_that_was_not_needed_marks_nothing(hub: Hub) -> None:
    assert (await hub.publish(draft(override="just in case"))).override is None


async def test_the_manifest_of_a_draft_counts_for_nothing(hub: Hub) -> None:
    honest = draft()
    agent = msgspec.structs.replace(honest.manifest.agent, version="9.9.9")
    lying = ReleaseDraft(msgspec.structs.replace(honest.manifest, agent=agent), honest.tree)
    with pytest.raises(HubError, match="not the one in its tree"):
        await hub.publish(lying)


@pytest.mark.parametrize("path", ["card.toml", "brief.toml"])
async def test_a_package_without_card_or_brief_is_refused(hub: Hub, path: str) -> None:
    files = package_files()
    del files[path]
    with pytest.raises(AssetError, match="lacks this file"):
        await hub.publish(ReleaseDraft(draft().manifest, Tree({}).with_files(files)))


async def test_a_contract_that_leaves_the_package_is_refused(hub: Hub) -> None:
    manifest = package_files()["agent.toml"].replace(b'output = "schema/output.json"', b'output = "../../etc/passwd"')
    with pytest.raises(AssetError, match=r"contract\.output") as caught:
        await hub.publish(draft(files={"agent.toml": manifest}))
    assert caught.value.file == "agent.toml"


async def test_a_knowledge_folder_that_is_not_there_is_refused(hub: Hub) -> None:
    more = '\n[[knowledge]]\nkind = "folder"\npath = "notes"\n'
    with pytest.raises(AssetError, match="no folder with files"):
        await hub.publish(draft(manifest_more=more))
    assert await hub.publish(draft(manifest_more=more, files={"notes/a.md": "# A\n\ntext"}))


async def test_a_fraction_in_the_manifest_is_refused_because_it_has_no_canonical_form(hub: Hub) -> None:
    more = '\n[[checks]]\nid = "slow"\nkind = "regex"\nabout = "fast"\nparams = { seconds = 0.5 }\n'
    with pytest.raises(AssetError, match="hashed the same everywhere") as caught:
        await hub.publish(draft(manifest_more=more))
    assert "unit" in (caught.value.hint or "")
    assert await hub.releases() == ()


async def test_what_built_a_release_is_part_of_its_digest(hub: Hub) -> None:
    one = await hub.publish(draft(built={"knowledge": "fts5/1"}))
    with pytest.raises(AlreadyPublished, match=r"`built\.json`"):
        await hub.publish(draft(built={"knowledge": "fts5/2"}))
    assert await hub.publish(draft(built={"knowledge": "fts5/1"})) == one
    assert b"fts5/1" in await hub.read(one, "built.json")


async def test_an_unsigned_release_is_shown_as_such(hub: Hub) -> None:
    release = await hub.publish(draft())
    assert release.signed_by is None
    assert await hub.seals(release) == ()


async def test_a_signature_covers_name_version_digest_and_manifest(hub: Hub) -> None:
    sealer = FakeSealer()
    release = await hub.publish(draft(), sealer=sealer)
    assert release.signed_by == "0123456789abcdef"
    assert sealer.asked == [("release", release_payload(release))]
    payload = release_payload(release).decode()
    for part in (release.name, release.version, release.digest, release.manifest):
        assert part in payload
    assert await hub.release("echo") == release
    assert await hub.seals(release) == (Seal("0123456789abcdef", b"s" * 64),)


async def test_a_signer_that_fails_leaves_no_release(hub: Hub) -> None:
    with pytest.raises(SignerError):
        await hub.publish(draft(), sealer=BrokenSealer())
    assert await hub.releases() == ()
    assert (await hub.publish(draft())).signed_by is None


async def test_a_closed_hub_says_so(tmp_path: Path) -> None:
    async with Hub.open(tmp_path / "hub") as hub:
        await hub.publish(draft())
    with pytest.raises(HubError, match="closed"):
        await hub.release("echo")
    with pytest.raises(HubError, match="closed"):
        await hub.publish(draft(version="2.0.0"))
    with pytest.raises(HubError, match="closed"):
        await hub.yank("echo")


async def test_more_releases_than_are_kept_in_memory_are_all_read(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hephaestus.hub.store._CACHED", 2)
    for number in range(4):
        await hub.publish(draft(version=f"1.{number}.0", files={"n.txt": str(number)}))
    for number in (*range(4), *range(4)):
        assert await hub.read(f"echo@1.{number}.0", "n.txt") == str(number).encode()


async def test_what_was_published_is_there_after_reopening(tmp_path: Path) -> None:
    async with Hub.open(tmp_path / "hub") as hub:
        release = await hub.publish(draft())
        await hub.deploy("stable", [release], card_table=b"{}")
    async with Hub.open(tmp_path / "hub") as hub:
        assert await hub.release("echo") == release
        assert (await hub.generation("stable")).releases == (release.digest,)
        assert await hub.audit() == ()


async def test_a_file_that_a_release_does_not_hold_is_not_found(hub: Hub) -> None:
    release = await hub.publish(draft())
    with pytest.raises(NotFound, match="no file"):
        await hub.read(release, "src/other.py")
    with pytest.raises(NotFound, match="no file"):
        await hub.read(release, "prompts/none.md")


async def test_a_release_of_another_hub_is_not_found(hub: Hub, tmp_path: Path) -> None:
    async with Hub.open(tmp_path / "other") as other:
        foreign = await other.publish(draft())
    with pytest.raises(NotFound):
        await hub.tree(foreign)


async def test_a_derived_file_is_kept_read_only_and_found_by_kind(hub: Hub, tmp_path: Path) -> None:
    release = await hub.publish(draft())
    source = tmp_path / "shard"
    source.write_bytes(b"an index")
    assert await hub.derived(release, "shard") is None
    path = await hub.put_derived(release, "shard", source, digest=digest_bytes(b"an index"), builder="fts5/1")
    assert path.read_bytes() == b"an index"
    assert path.stat().st_mode & 0o777 == 0o444
    assert await hub.derived(release, "shard") == path
    record = await hub.derived_record(release, "shard")
    assert record is not None
    assert record.builder == "fts5/1"
    assert record.digest == digest_bytes(b"an index")


async def test_a_rebuilt_derived_file_takes_the_place_of_the_first(hub: Hub, tmp_path: Path) -> None:
    release = await hub.publish(draft())
    source = tmp_path / "shard"
    for text in (b"one", b"two"):
        source.write_bytes(text)
        await hub.put_derived(release, "shard", source, digest=digest_bytes(text), builder="b")
    found = await hub.derived(release, "shard")
    assert found is not None
    assert found.read_bytes() == b"two"


async def test_a_derived_file_with_another_digest_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    release = await hub.publish(draft())
    source = tmp_path / "shard"
    source.write_bytes(b"an index")
    with pytest.raises(IntegrityError, match="announced"):
        await hub.put_derived(release, "shard", source, digest=digest_bytes(b"other"), builder="b")
    assert await hub.derived(release, "shard") is None
    assert not any((hub.folder / "derived").iterdir())
    with pytest.raises(UsageError):
        await hub.put_derived(release, "shard", source, digest=Digest("md5:1"), builder="b")
    with pytest.raises(UsageError):
        await hub.put_derived(release, "../x", source, digest=digest_bytes(b"an index"), builder="b")


async def test_a_lost_derived_file_is_absent_and_a_damaged_one_is_an_error(hub: Hub, tmp_path: Path) -> None:
    release = await hub.publish(draft())
    source = tmp_path / "shard"
    source.write_bytes(b"an index")
    path = await hub.put_derived(release, "shard", source, digest=digest_bytes(b"an index"), builder="b")
    assert await hub.derived(release, "shard") == path
    path.chmod(0o644)
    path.write_bytes(b"an indeX")
    with pytest.raises(IntegrityError, match="damaged"):
        await hub.derived(release, "shard")
    path.unlink()
    assert await hub.derived(release, "shard") is None
