"""The folder: an OCI image layout whose blobs are whole, read-only and verified."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import msgspec
import pytest
from tests.support.packages import draft

from hephaestus import canonical
from hephaestus.canonical import Digest, digest_bytes
from hephaestus.errors import IntegrityError, StorageError
from hephaestus.hub import Hub, artifact
from hephaestus.hub.layout import Layout, hex_of


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "hub")
    made.create()
    return made


def test_a_new_hub_is_an_oci_image_layout(layout: Layout) -> None:
    assert json.loads((layout.folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((layout.folder / "index.json").read_bytes())
    assert index["schemaVersion"] == 2
    assert index["manifests"] == []


def test_making_a_hub_again_changes_nothing(layout: Layout) -> None:
    (layout.folder / "index.json").chmod(0o644)
    (layout.folder / "index.json").write_bytes(b"exported")
    layout.create()
    assert (layout.folder / "index.json").read_bytes() == b"exported"


@pytest.mark.anyio
async def test_a_release_is_an_oci_artifact_that_other_tools_can_follow(hub: Hub) -> None:
    release = await hub.publish(draft(files={"prompts/a.md": "a", "knowledge/b.md": "b", "tests/t.py": ""}))
    blobs = hub.folder / "blobs"

    def blob(digest: str) -> bytes:
        data = (blobs / digest.replace(":", "/")).read_bytes()
        assert digest_bytes(data) == digest
        return data

    manifest = json.loads(blob(release.manifest))
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["artifactType"] == "application/vnd.hephaestus.agent.v1+json"
    assert manifest["annotations"]["dev.hephaestus.tree"] == release.digest
    assert not any("created" in key for key in manifest["annotations"])
    for descriptor in (manifest["config"], *manifest["layers"]):
        assert len(blob(descriptor["digest"])) == descriptor["size"]
    assert [layer["mediaType"].split(".")[-3] for layer in manifest["layers"]] == [
        "code",
        "knowledge",
        "prompts",
        "tests",
    ]
    config = json.loads(blob(manifest["config"]["digest"]))
    assert config["manifest"]["agent"]["name"] == "echo"
    assert {row["path"] for rows in config["parts"].values() for row in rows} == {
        row.path for row in await hub.files("echo")
    }


@pytest.mark.anyio
async def test_two_hubs_make_the_same_blobs_of_the_same_package(hub: Hub, tmp_path: Path) -> None:
    async with Hub.open(tmp_path / "other") as other:
        assert (await hub.publish(draft())).manifest == (await other.publish(draft())).manifest


def test_a_blob_is_read_only_named_by_its_digest_and_leaves_no_temporary_file(layout: Layout) -> None:
    digest, size = layout.put([b"ab", b"c"])
    assert (digest, size) == (digest_bytes(b"abc"), 3)
    assert layout.blob(digest).stat().st_mode & 0o777 == 0o444
    assert layout.read(digest, size=3) == b"abc"
    assert list((layout.folder / "tmp").iterdir()) == []


def test_a_damaged_blob_is_an_error_that_names_it(layout: Layout) -> None:
    digest, _ = layout.put([b"abc"])
    layout.blob(digest).chmod(0o644)
    layout.blob(digest).write_bytes(b"abd")
    with pytest.raises(IntegrityError, match=digest):
        layout.read(digest)
    layout.blob(digest).write_bytes(b"ab")
    with pytest.raises(IntegrityError, match=f"{digest} has 2 bytes"):
        layout.read(digest, size=3)
    with pytest.raises(IntegrityError, match="cut off"):
        layout.read_slice(digest, start=1, size=2)
    layout.put([b"abc"])
    assert layout.read(digest) == b"abc", "writing it again repairs it"


def test_a_missing_blob_is_an_error_that_names_it(layout: Layout) -> None:
    digest = digest_bytes(b"never written")
    with pytest.raises(IntegrityError, match=digest):
        layout.read(digest)


def test_a_blob_that_is_a_link_or_a_folder_is_not_followed(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"abc")
    layout.blob(digest_bytes(b"abc")).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="missing"):
        layout.read(digest_bytes(b"abc"))
    layout.blob(digest_bytes(b"d")).mkdir()
    with pytest.raises(IntegrityError, match="not a regular file"):
        layout.read(digest_bytes(b"d"))


def test_a_digest_that_is_none_never_becomes_a_path(layout: Layout) -> None:
    for text in ("sha256:../../etc/passwd", "sha256:" + "A" * 64, "md5:1", ""):
        with pytest.raises(ValueError, match="not a digest"):
            layout.blob(Digest(text))
    assert hex_of(digest_bytes(b"")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("call", ["write", "fsync", "fchmod", "rename"])
def test_a_blob_that_cannot_be_written_is_an_error_and_leaves_nothing(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(StorageError, match="No space left") as caught:
            layout.put([b"abc"])
    assert "free some space" in (caught.value.hint or "")
    assert list((layout.folder / "tmp").iterdir()) == []
    assert list(layout.blobs.iterdir()) == []


def test_a_blob_that_cannot_be_opened_is_an_error(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, _ = layout.put([b"abc"])

    def failing(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(StorageError, match="could not read"):
        layout.read(digest)


async def forge_config(hub: Hub, **changes: object) -> artifact.Config:
    """A published release whose config is then replaced, together with everything that points at it."""
    release = await hub.publish(draft())
    layout = Layout(hub.folder)
    manifest = msgspec.convert(canonical.decode(layout.read(release.manifest)), artifact.OciManifest)
    config = msgspec.convert(canonical.decode(layout.read(manifest.config.digest)), artifact.Config)
    changed = msgspec.structs.replace(config, **changes)
    digest, size = layout.put([canonical.encode(changed)])
    forged = msgspec.structs.replace(manifest, config=artifact.Descriptor(artifact.CONFIG_TYPE, digest, size))
    forged_digest, _ = layout.put([canonical.encode(forged)])
    with pytest.raises(IntegrityError) as caught:
        artifact.read_tree(layout, artifact.load(layout, forged_digest, tree=release.digest, ref=release.ref))
    assert "sha256:" in str(caught.value)
    return config


@pytest.mark.anyio
async def test_a_config_that_says_something_else_than_the_catalogue_is_refused(hub: Hub) -> None:
    config = await forge_config(hub, version="6.6.6")
    await forge_config(hub, tree=digest_bytes(b"other"))
    rows = config.parts["code"]
    await forge_config(hub, parts={"code": rows[1:]})
    await forge_config(hub, parts={"code": rows, "prompts": rows})
    await forge_config(hub, parts={"code": (msgspec.structs.replace(rows[0], size=-512), *rows[1:])})
    await forge_config(hub, parts={"code": (msgspec.structs.replace(rows[0], size=rows[0].size + 1), *rows[1:])})
    await forge_config(hub, parts={"code": (msgspec.structs.replace(rows[0], size=1 << 40), *rows[1:])})


@pytest.mark.anyio
async def test_a_layer_with_other_contents_than_the_file_table_is_refused(hub: Hub) -> None:
    release = await hub.publish(draft())
    layout = Layout(hub.folder)
    manifest = msgspec.convert(canonical.decode(layout.read(release.manifest)), artifact.OciManifest)
    (layer,) = manifest.layers
    evil, size = layout.put([layout.read(layer.digest).replace(b".upper()", b".lower()")])
    assert size == layer.size
    forged = msgspec.structs.replace(manifest, layers=(msgspec.structs.replace(layer, digest=evil),))
    digest, _ = layout.put([canonical.encode(forged)])
    stored = artifact.load(layout, digest, tree=release.digest, ref=release.ref)
    with pytest.raises(IntegrityError, match="have the digest"):
        artifact.read_tree(layout, stored)
    with pytest.raises(IntegrityError, match=evil):
        artifact.read_file(layout, stored, "src/echo.py")


@pytest.mark.anyio
async def test_a_document_that_is_none_is_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    release = await hub.publish(draft())
    layout = Layout(hub.folder)
    for content in (b"", b"[]", b'{"b":1,"a":2}', b'{"schemaVersion":2}', b"\xff"):
        digest, _ = layout.put([content])
        with pytest.raises(IntegrityError, match=digest):
            artifact.load(layout, digest, tree=release.digest, ref=release.ref)
    monkeypatch.setattr(artifact, "MAX_DOCUMENT", 10)
    with pytest.raises(IntegrityError, match="more than the 10"):
        artifact.load(layout, release.manifest, tree=release.digest, ref=release.ref)


def test_files_travel_with_the_part_they_belong_to() -> None:
    parts = ["agent.toml", "src/a.py", "prompts/a.md", "prompts", "knowledge/x/y", "tests/t", "code/x", "other/x"]
    assert [artifact.part_of(path) for path in parts] == [
        "code", "code", "prompts", "code", "knowledge", "tests", "code", "code",
    ]  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the names of descriptors from /proc")
@pytest.mark.anyio
async def test_nothing_is_acknowledged_before_every_byte_and_name_is_forced_to_the_disk(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut would need, seen as an order of calls: a machine that loses power is not to be had in a test."""
    events: list[tuple[str, str]] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        real_fsync(descriptor)
        events.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))

    def rename(old: Path, new: Path) -> None:
        events.append(("rename", f"{old} {new}"))
        real_rename(old, new)

    def commit() -> bool:
        events.append(("commit", ""))
        return False

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    connection = hub._store._database._connection
    assert connection is not None
    connection.set_commit_hook(commit)
    await hub.publish(draft(files={"prompts/a.md": "a"}))
    connection.set_commit_hook(None)

    blobs = str(hub.folder / "blobs" / "sha256")
    committed = max(at for at, event in enumerate(events) if event[0] == "commit")
    renames = [at for at, event in enumerate(events) if event[0] == "rename"]
    assert len(renames) == 4
    for at in renames:
        old, _ = events[at][1].split(" ")
        assert ("fsync", old) in events[:at], "the bytes come before the name"
    assert ("fsync", blobs) in events[max(renames) : committed], "the names come before the catalogue"
    assert events[committed:] == [("commit", "")], "nothing of a release is written after it was acknowledged"
