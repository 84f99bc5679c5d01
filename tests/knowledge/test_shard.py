"""A shard is one finished, read-only file; the same passages make the same bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hephaestus.canonical import digest_bytes
from hephaestus.errors import KnowledgeError, StorageError
from hephaestus.knowledge import BUILDER, Passage, PassageSet, build_shard
from hephaestus.knowledge.index import Indexer, summary
from hephaestus_runner.search import Shard


def passage(id_: str, text: str, *, title: str = "") -> Passage:
    return Passage(id=id_, title=title or id_, source="s", text=text)


SET = PassageSet.of(
    [
        passage("arc", "module arc\n\nRead and write archives.\n\nMore.", title="module arc"),
        passage("arc.Archive", "Open one."),
        passage(
            "arc.Archive.openMember",
            "arc.Archive.openMember(name)\n\nGive a stream.",
            title="arc.Archive.openMember(name)",
        ),
        passage("net.gethostbyname", "get the host by its name, " * 12),
        passage("guide.md#0001", "How to begin.", title="Getting started"),
    ]
)


def test_the_same_passages_make_the_same_bytes(tmp_path: Path) -> None:
    one, two = build_shard(SET, tmp_path / "one"), build_shard(SET, tmp_path / "two")
    assert one == two
    assert one.digest == digest_bytes((tmp_path / "one").read_bytes())
    assert (one.passages, one.builder, one.source) == (5, BUILDER, SET.digest)


def test_a_shard_is_read_only_and_stands_alone(tmp_path: Path) -> None:
    build_shard(SET, tmp_path / "shard")
    assert os.listdir(tmp_path) == ["shard"]
    assert (tmp_path / "shard").stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "shard").read_bytes()[18:20] == b"\x01\x01"  # no write-ahead log


def test_every_passage_is_in_it(tmp_path: Path) -> None:
    build_shard(SET, tmp_path / "shard")
    with Shard.open(tmp_path / "shard") as shard:
        assert shard.passages == len(SET)
        for wanted in SET:
            hit = shard.get(wanted.id)
            assert hit is not None
            assert (hit.title, hit.source, hit.text) == (wanted.title, wanted.source, wanted.text)


def test_a_member_is_found_by_what_its_module_is_for(tmp_path: Path) -> None:
    build_shard(SET, tmp_path / "shard")
    with Shard.open(tmp_path / "shard") as shard:
        assert "arc.Archive.openMember" in [hit.id for hit in shard.search("stream from an archive")]


def test_names_are_taken_apart() -> None:
    indexer = Indexer(SET)
    assert indexer.parts("openMember") == ["openmember", "open", "member"]
    assert indexer.parts("gethostbyname") == ["gethostbyname", "get", "host", "by", "name"]
    assert indexer.parts("qwertyui") == ["qwertyui"]


def test_a_summary_is_the_first_sentence_after_the_signature() -> None:
    assert summary(SET.get("arc") or passage("x", "y")) == "Read and write archives."
    assert (
        summary(passage("c.f", "c.f\n\nf(a, b) -> list\n\nDo it. Then rest.", title="c.f")) == "f(a, b) -> list Do it."
    )
    assert summary(passage("c.g", "c.g", title="c.g")) == "c.g"


def test_a_shard_without_passages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="without passages"):
        build_shard(PassageSet.of([]), tmp_path / "shard")


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "shard").write_text("mine")
    with pytest.raises(KnowledgeError, match="never written over"):
        build_shard(SET, tmp_path / "shard")
    assert (tmp_path / "shard").read_text() == "mine"


def test_a_folder_that_is_not_there_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not be written"):
        build_shard(SET, tmp_path / "nowhere" / "shard")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_failed_link_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hephaestus.knowledge.shard.os.link", full)
    with pytest.raises(StorageError, match="No space left"):
        build_shard(SET, tmp_path / "shard")
    assert os.listdir(tmp_path) == []
