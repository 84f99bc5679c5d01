"""The journal: durable order, group commit, notes, secrets, ledger, tape."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from hephaestus import canonical
from hephaestus.errors import IntegrityError, NotFound, StorageError, UsageError
from hephaestus.receipts import Draft, Entry, Journal, commit, database, envelope, vault
from hephaestus.seals import Seal

pytestmark = pytest.mark.anyio

REQUEST = canonical.digest("test/request/1", {"q": 1})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def raw(path: Path) -> apsw.Connection:
    # Not the sqlite3 of the standard library: two copies of SQLite in one process do not see each other's locks.
    return apsw.Connection(str(path))


def event(run: str = "r1", **body: Any) -> Draft:
    return Draft("event", run, body)


def exchange(ordinal: int, *, run: str = "r1", instance: str = "a") -> Draft:
    body = {"instance": instance, "ordinal": ordinal, "request": REQUEST}
    return Draft("exchange", run, body, {"request": b"ask", "answer": b"say"})


async def test_entries_come_back_in_the_order_of_the_chain(path: Path) -> None:
    async with Journal.open(path) as journal:
        first = await journal.append(event(n=1), Draft("lock", "r2", {"b": [1, "x"]}))
        second = await journal.append(event(n=2))
        assert await journal.entries() == first + second
        assert [entry.seq for entry in first + second] == [1, 2, 3]
    async with Journal.open(path) as journal:
        assert await journal.entries() == first + second


async def test_entries_are_selected_by_run_kind_and_place(path: Path) -> None:
    async with Journal.open(path) as journal:
        one, two, three, four = await journal.append(event(n=1), event("r2", n=2), Draft("lock", "r1", {}), event(n=4))
        assert await journal.entries(run="r1") == (one, three, four)
        assert await journal.entries(kind="event") == (one, two, four)
        assert await journal.entries(run="r1", kind="event", after=1) == (four,)
        assert await journal.entries(after=1, limit=2) == (two, three)
        assert await journal.entry(3) == three
        for missing in (0, -1, 5, 2**70):
            with pytest.raises(NotFound, match="no entry"):
                await journal.entry(missing)


async def test_the_digest_is_of_the_envelope_and_the_link_of_both(path: Path) -> None:
    async with Journal.open(path) as journal:
        one, two = await journal.append(event(n=1), Draft("lock", "r2", {"x": "y"}))
    assert one.digest == canonical.digest(
        "hephaestus/journal/event/1", {"schema": 1, "kind": "event", "run": "r1", "body": {"n": 1}}
    )
    link = envelope.chain(envelope.GENESIS, bytes.fromhex(one.digest[7:]))
    assert one.link == "sha256:" + link.hex()
    assert two.link == "sha256:" + envelope.chain(link, bytes.fromhex(two.digest[7:])).hex()


async def test_secrets_join_the_envelope_beside_the_body(path: Path) -> None:
    async with Journal.open(path) as journal:
        (entry,) = await journal.append(Draft("decision", "r1", {"n": 1}, {"request": b"hello"}))
    assert entry.body == b'{"n":1}'
    assert entry.digest == canonical.digest(
        "hephaestus/journal/decision/1",
        {"schema": 1, "kind": "decision", "run": "r1", "body": {"n": 1}, "secrets": dict(entry.secrets)},
    )


async def test_runs_are_summed_up(path: Path) -> None:
    async with Journal.open(path) as journal:
        await journal.append(event("r2"), event("r1"), Draft("ending", "r2", {}), Draft("decision", "", {}))
        found = await journal.runs()
    assert [(run.run, run.first, run.last, run.entries, run.ended) for run in found] == [
        ("r2", 1, 3, 2, True),
        ("r1", 2, 2, 1, False),
    ]


async def test_concurrent_callers_share_a_transaction_and_get_their_own_entries(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    write = commit.write

    def counted(writer: Any, blobs: Any, where: Path, batch: list[commit.Ticket]) -> None:
        batches.append(len(batch))
        write(writer, blobs, where, batch)

    monkeypatch.setattr("hephaestus.receipts.journal.write", counted)
    got: dict[int, tuple[Entry, ...]] = {}

    async with Journal.open(path) as journal:

        async def one(n: int) -> None:
            got[n] = await journal.append(event(f"r{n}", n=n), Draft("ending", f"r{n}", {}))

        async with anyio.create_task_group() as group:
            for n in range(50):
                group.start_soon(one, n)
        stored = await journal.entries()
    assert sum(batches) == 50
    assert len(batches) < 10
    assert sorted((entry for pair in got.values() for entry in pair), key=lambda entry: entry.seq) == list(stored)
    assert all(pair[0].value == {"n": n} and pair[1].seq == pair[0].seq + 1 for n, pair in got.items())


async def test_notes_are_durable_with_the_next_append_and_stand_before_it(path: Path) -> None:
    async with Journal.open(path) as journal:
        journal.note(event(n=1))
        journal.note(event(n=2))
        assert await journal.entries() == ()
        await journal.append(event(n=3))
        assert [entry.value["n"] for entry in await journal.entries()] == [1, 2, 3]
        journal.note(event(n=4))
        await journal.flush()
        assert len(await journal.entries()) == 4
        journal.note(event(n=5))
    async with Journal.open(path) as journal:
        assert [entry.value["n"] for entry in await journal.entries()] == [1, 2, 3, 4, 5]


async def test_a_refused_draft_writes_nothing_of_its_call_and_harms_no_other(path: Path) -> None:
    async with Journal.open(path) as journal:
        await journal.append(exchange(1))
        results: list[object] = []

        async def attempt(*drafts: Draft) -> None:
            try:
                results.append(await journal.append(*drafts))
            except UsageError as error:
                results.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(attempt, event(n=1))
            group.start_soon(attempt, event(n=2), exchange(1))
            group.start_soon(attempt, event(n=3))
        assert sum(isinstance(result, UsageError) for result in results) == 1
        kept = await journal.entries(kind="event")
        assert sorted(entry.value["n"] for entry in kept) == [1, 3]
        assert [entry.seq for entry in await journal.entries()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("draft", "match"),
    [
        (Draft("gossip", "r1", {}), "expected a kind"),  # type: ignore[arg-type]
        (Draft("event", "r 1", {}), "expected a run id"),
        (Draft("event", "../r1", {}), "expected a run id"),
        (Draft("event", "r1\n", {}), "expected a run id"),
        (Draft("event", "r1", {"x": 1.5}), "cannot be hashed"),
        (Draft("event", "r1", {"x": "\ud800"}), "cannot be hashed"),
        (Draft("event", "r1", [1]), "must be a dict"),  # type: ignore[arg-type]
        (Draft("event", "r1", {"x": "y" * (1 << 20)}), "at most"),
        (Draft("event", "r1", {}, {"Bad Name": b""}), "secret's name"),
        (Draft("event", "r1", {}, {"text": "str"}), "must be bytes"),  # type: ignore[dict-item]
        (Draft("exchange", "r1", {"instance": "a", "ordinal": 1}), "must name instance"),
        (Draft("exchange", "r1", {"instance": "a", "ordinal": True, "request": REQUEST}), "must name instance"),
        (Draft("exchange", "r1", {"instance": "a", "ordinal": 1, "request": "x"}), "must name instance"),
    ],
)
async def test_what_is_no_draft_is_refused(path: Path, draft: Draft, match: str) -> None:
    async with Journal.open(path) as journal:
        with pytest.raises(UsageError, match=match):
            await journal.append(event(), draft)
        assert await journal.entries() == ()


async def test_a_secret_over_the_cap_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "MAX_SECRET", 10)
    async with Journal.open(path) as journal:
        with pytest.raises(UsageError, match="at most 10"):
            await journal.append(Draft("event", "r1", {}, {"text": b"x" * 11}))


async def test_nothing_to_append_is_nothing(path: Path) -> None:
    async with Journal.open(path) as journal:
        assert await journal.append() == ()


async def test_a_cancelled_append_that_had_no_turn_writes_nothing(path: Path) -> None:
    async with Journal.open(path) as journal:
        async with journal._turn, anyio.create_task_group() as group:
            group.start_soon(journal.append, event(n=1))
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        await journal.append(event(n=2))
        assert [entry.value["n"] for entry in await journal.entries()] == [2]


async def test_a_transaction_that_runs_is_finished_although_its_caller_is_cancelled(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go = threading.Event(), threading.Event()
    write = commit.write

    def held(*arguments: Any) -> None:
        entered.set()
        assert go.wait(30)
        write(*arguments)

    monkeypatch.setattr("hephaestus.receipts.journal.write", held)
    async with Journal.open(path) as journal:
        async with anyio.create_task_group() as group:
            group.start_soon(journal.append, event(n=1))
            await anyio.to_thread.run_sync(entered.wait, 30)
            group.cancel_scope.cancel()
            go.set()
        assert [entry.value["n"] for entry in await journal.entries()] == [1]


async def test_a_writer_that_breaks_tells_everyone_who_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise MemoryError

    async with Journal.open(path) as journal:
        told: list[BaseException] = []

        async def one() -> None:
            try:
                await journal.append(event())
            except (MemoryError, StorageError) as error:
                told.append(error)

        with monkeypatch.context() as patch:
            patch.setattr("hephaestus.receipts.journal.write", broken)
            async with anyio.create_task_group() as group, journal._turn:
                journal.note(event(n=1))
                for _ in range(3):
                    group.start_soon(one)
                await anyio.wait_all_tasks_blocked()
        assert sorted(type(error).__name__ for error in told) == ["MemoryError", "StorageError", "StorageError"]
        await journal.append(event(n=2))
        assert [entry.value["n"] for entry in await journal.entries()] == [1, 2]


async def test_a_closed_journal_says_so(path: Path) -> None:
    journal = Journal.open(path)
    with pytest.raises(UsageError, match="not open"):
        await journal.append(event())
    async with journal:
        await journal.append(event())
        await journal.close()
        await journal.close()
        with pytest.raises(UsageError, match="not open"):
            await journal.entries()
        with pytest.raises(UsageError, match="not open"):
            journal.note(event())


async def test_closed_it_is_one_file_and_its_sums_that_others_cannot_read(path: Path) -> None:
    async with Journal.open(path) as journal:
        await journal.append(event())
        assert path.with_name("journal.db-wal").exists()
    assert sorted(item.name for item in path.parent.iterdir()) == ["journal.db", "journal.sum"]
    assert {os.stat(item).st_mode & 0o777 for item in path.parent.iterdir()} == {0o600}


# --- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, vault.INLINE, vault.INLINE + 1, 300_000])
async def test_secrets_are_read_back_and_are_not_in_any_file(path: Path, size: int) -> None:
    secret = (b"correct horse battery staple " * (size // 29 + 1))[:size]
    async with Journal.open(path) as journal:
        (entry,) = await journal.append(Draft("event", "r1", {}, {"prompt": secret, "answer": b"42 is it"}))
        assert await journal.secrets(entry) == {"prompt": secret, "answer": b"42 is it"}
    files = [item.read_bytes() for item in path.parent.rglob("*") if item.is_file()]
    assert len(files) == (3 if size + 28 > vault.INLINE else 2)  # database, sums, and a blob
    assert not any(b"battery staple" in data or b"42 is it" in data for data in files)


async def test_equal_secrets_of_two_runs_have_nothing_in_common(path: Path) -> None:
    async with Journal.open(path) as journal:
        one, two = await journal.append(
            Draft("event", "r1", {}, {"prompt": b"yes"}), Draft("event", "r2", {}, {"prompt": b"yes"})
        )
    assert one.secrets["prompt"] != two.secrets["prompt"]


async def test_erasing_a_run_destroys_key_and_ciphertext_and_nothing_else(path: Path) -> None:
    async with Journal.open(path) as journal:
        one, other = await journal.append(
            Draft("event", "r1", {"n": 1}, {"small": b"s" * 100, "large": b"l" * 100_000}),
            Draft("event", "r2", {"n": 2}, {"small": b"kept", "large": b"k" * 100_000}),
        )
        connection = raw(path)
        (key,) = connection.execute("SELECT key FROM run_key WHERE run = 'r1'").fetchone()
        (small,) = connection.execute("SELECT sealed FROM secret WHERE seq = 1 AND name = 'small'").fetchone()
        connection.close()
        await journal.erase("r1")
        assert await journal.secrets(one) is None
        assert await journal.secrets(other) == {"small": b"kept", "large": b"k" * 100_000}
        assert (await journal.entries(run="r1"))[-1].value == {"event": "erased"}
        files = [item.read_bytes() for item in path.parent.rglob("*") if item.is_file()]
        assert not any(key in data or small in data for data in files)
        assert sum(len(data) > 100_000 and data.find(b"SQLite") != 0 for data in files) == 1
        with pytest.raises(UsageError, match="was erased"):
            await journal.append(Draft("event", "r1", {}, {"late": b""}))
        await journal.append(event(n=3))
        entries = await journal.entries()
        await journal.erase("r1")
        assert await journal.entries() == entries


async def test_a_note_that_is_refused_later_is_reported_and_does_not_stop_others(path: Path) -> None:
    async with Journal.open(path) as journal:
        await journal.append(event(n=1))
        await journal.erase("r1")
        journal.note(Draft("event", "r1", {"n": 2}, {"late": b""}))
        await journal.append(event(n=3))
        assert [entry.value.get("n") for entry in await journal.entries()] == [1, None, 3]
        with pytest.raises(UsageError, match="was erased"):
            await journal.flush()
        await journal.flush()


async def test_only_runs_that_are_there_can_be_erased(path: Path) -> None:
    async with Journal.open(path) as journal:
        with pytest.raises(NotFound, match="no run 'nobody'"):
            await journal.erase("nobody")
        await journal.append(event())
        await journal.erase("r1")
        with pytest.raises(UsageError, match="was erased"):
            await journal.append(Draft("event", "r1", {}, {"late": b""}))


async def test_erasing_while_another_reads_says_that_the_key_is_still_in_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 50)
    async with Journal.open(path) as journal:
        await journal.append(Draft("event", "r1", {}, {"text": b"x"}))
        reader = raw(path)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM entry").fetchall()
        with pytest.raises(StorageError, match="still lies in the journal's log"):
            await journal.erase("r1")
        reader.close()
        await journal.erase("r1")
        assert path.with_name("journal.db-wal").stat().st_size == 0


async def test_a_secret_that_is_gone_or_changed_is_never_answered_with_less(path: Path) -> None:
    async with Journal.open(path) as journal:
        one, two, three = await journal.append(
            Draft("event", "r1", {}, {"a": b"first"}),
            Draft("event", "r1", {}, {"a": b"second"}),
            Draft("event", "r1", {}, {"a": b"x" * 50_000}),
        )
        connection = raw(path)
        connection.execute("DELETE FROM secret WHERE seq = 1")
        connection.execute("UPDATE secret SET sealed = zeroblob(10) WHERE seq = 2")
        connection.close()
        with pytest.raises(IntegrityError, match="is missing"):
            await journal.secrets(one)
        with pytest.raises(IntegrityError, match="cut short"):
            await journal.secrets(two)
        (blob,) = [item for item in path.parent.rglob("journal.blobs/*/*") if item.is_file()]
        blob.write_bytes(b"other")
        with pytest.raises(IntegrityError, match="does not hold the bytes"):
            await journal.secrets(three)
        blob.unlink()
        with pytest.raises(IntegrityError, match="is missing"):
            await journal.secrets(three)
        blob.mkdir()
        with pytest.raises(StorageError, match="cannot be read"):
            await journal.secrets(three)


# --- ledger and tape ------------------------------------------------------------------------------


async def test_a_step_is_begun_once_and_done_once(path: Path) -> None:
    async with Journal.open(path) as journal:
        assert await journal.step("r1", "pay") is None
        begun = await journal.begin_step("r1", "pay", REQUEST)
        assert begun.fresh
        assert begun.state == "begun"
    async with Journal.open(path) as journal:
        doubtful = await journal.begin_step("r1", "pay", REQUEST)
        assert not doubtful.fresh
        assert doubtful.state == "begun"
        answer = await journal.commit_step("r1", "pay", exchange(1))
        done = await journal.begin_step("r1", "pay", REQUEST)
        assert (done.state, done.seq, done.fresh) == ("done", answer.seq, False)
        assert await journal.step("r1", "pay") == done


async def test_steps_that_do_not_fit_are_refused_and_write_nothing(path: Path) -> None:
    other = canonical.digest("test/request/1", {"q": 2})
    async with Journal.open(path) as journal:
        with pytest.raises(UsageError, match="never begun"):
            await journal.commit_step("r1", "pay", event())
        await journal.begin_step("r1", "pay", REQUEST)
        with pytest.raises(UsageError, match="does not repeat itself"):
            await journal.begin_step("r1", "pay", other)
        await journal.commit_step("r1", "pay", event())
        with pytest.raises(UsageError, match="done already"):
            await journal.commit_step("r1", "pay", event())
        for step, request in (("", REQUEST), ("x" * 513, REQUEST), ("\ud800", REQUEST), ("ok", "sha256:no")):
            with pytest.raises(UsageError):
                await journal.begin_step("r1", step, request)  # type: ignore[arg-type]
        assert len(await journal.entries()) == 1


async def test_exchanges_are_indexed_by_instance_and_ordinal(path: Path) -> None:
    async with Journal.open(path) as journal:
        await journal.append(exchange(2), exchange(1), exchange(1, instance="b"), exchange(1, run="r2"))
        found = await journal.tape("r1")
        assert [(row.instance, row.ordinal, row.seq, row.request) for row in found] == [
            ("a", 1, 2, REQUEST),
            ("a", 2, 1, REQUEST),
            ("b", 1, 3, REQUEST),
        ]
        assert [row.seq for row in await journal.tape("r1", instance="b")] == [3]
        with pytest.raises(UsageError, match="on the tape already"):
            await journal.append(exchange(2))


# --- heads ----------------------------------------------------------------------------------------


class _Signer:
    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    async def sign(self, tag: str, payload: bytes, /) -> Seal:
        self.asked.append((tag, payload))
        return Seal("k1", b"\1" * 64)


async def test_the_head_is_signed_over_the_chain_with_its_notes(path: Path) -> None:
    signer = _Signer()
    async with Journal.open(path) as journal:
        with pytest.raises(UsageError, match="no head"):
            await journal.sign_head(signer)
        assert await journal.head() is None
        await journal.append(event())
        journal.note(event())
        head = await journal.sign_head(signer)
        (_, last) = await journal.entries()
        assert (head.seq, head.link) == (2, last.link)
        assert signer.asked == [("head", canonical.encode({"schema": 1, "seq": 2, "link": last.link}))]
        assert await journal.head() == head
