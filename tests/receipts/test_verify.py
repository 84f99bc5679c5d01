"""Verification: every change of what is stored is found and named by entry."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hephaestus import canonical, seals
from hephaestus.errors import IntegrityError, NotFound, StorageError
from hephaestus.receipts import Draft, Head, Journal, Verification, envelope, render_verification, verify_journal
from hephaestus.receipts import database as db

REQUEST = canonical.digest("test/request/1", {"q": 1})


class Key:
    """A signer without a process."""

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
        self.public = self.private.public_key().public_bytes_raw()
        self.keys = {seals.key_id(self.public): self.public}

    async def sign(self, tag: str, payload: bytes, /) -> seals.Seal:
        return seals.Seal(seals.key_id(self.public), self.private.sign(seals.signed_bytes(tag, payload)))


KEY = Key()
DRAFTS = [
    Draft("decision", "run-1", {"kind": "routed", "n": 1}, {"request": b"how do I read a zip archive?"}),
    Draft("lock", "run-1", {"releases": ["guide@1.0.0"]}),
    Draft("start", "run-2", {"agent": "guide"}),
    Draft("exchange", "run-1", {"instance": "a", "ordinal": 1, "request": REQUEST}, {"answer": b"x" * 50_000}),
    Draft("exchange", "run-1", {"instance": "a", "ordinal": 2, "request": REQUEST}, {"answer": b"y", "ask": b""}),
    Draft("event", "run-2", {"text": "one marker-in-a-body of text"}),
    Draft("verdict", "run-1", {"passed": True}),
    Draft("ending", "run-1", {"ending": "verified"}),
]


async def _build(path: Path) -> None:
    async with Journal.open(path) as journal:
        await journal.append(*DRAFTS[:5])
        await journal.sign_head(KEY)
        await journal.append(*DRAFTS[5:])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "journal.db"
    anyio.run(_build, path)
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    copy(original, tmp_path / "journal.db")
    return tmp_path / "journal.db"


def copy(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    blobs = target.with_name("journal.blobs")
    if blobs.exists():
        shutil.rmtree(blobs)
    shutil.copytree(source.with_name("journal.blobs"), blobs)


def edit(path: Path, sql: str, bindings: tuple[Any, ...] = ()) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql, bindings)
    assert connection.changes() > 0, "the edit must change something, or the test proves nothing"
    connection.close()


def named(found: Verification) -> set[int | None]:
    return {problem.seq for problem in found.problems}


def check(path: Path, **more: Any) -> Verification:
    return verify_journal(path, keys=KEY.keys, **more)


# --- what is right ---


def test_a_journal_that_nobody_touched_verifies(path: Path) -> None:
    found = check(path)
    assert found.ok, found.problems
    assert (found.entries, found.unsealed, found.erased) == (8, 3, 0)
    assert found.head is not None
    assert found.head.seq == 5
    assert render_verification(found) == (
        "8 entries: every one stands as it was written\n"
        f"signed up to entry 5 by key {next(iter(KEY.keys))}\n"
        "3 behind the last signed head: cutting those off could not be seen\n"
    )


@pytest.mark.anyio
async def test_a_journal_is_verified_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with Journal.open(path) as journal:
        assert check(path).ok
        await journal.append(*DRAFTS)
        found = check(path)
        assert found.ok
        assert (found.entries, found.head, found.unsealed) == (8, None, 8)


@pytest.mark.anyio
async def test_erased_secrets_are_no_problem_and_are_counted(path: Path) -> None:
    async with Journal.open(path) as journal:
        await journal.erase("run-1")
    found = check(path)
    assert found.ok, found.problems
    assert found.erased == 3
    assert "the secrets of 3 were erased on purpose" in render_verification(found)


def test_clock_and_process_are_outside_the_hash(path: Path) -> None:
    edit(path, "UPDATE entry SET at = 1, pid = 1")
    assert check(path).ok


# --- what is wrong: columns ---

COLUMNS = ["body", "digest", "link", "kind", "run", "secrets"]


@pytest.fixture(scope="module")
def workbench(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workbench") / "journal.db"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_an_entry_is_named(original: Path, workbench: Path, data: st.DataObject) -> None:
    copy(original, workbench)
    seq = data.draw(st.integers(1, len(DRAFTS)), label="seq")
    column = data.draw(st.sampled_from(COLUMNS), label="column")
    connection = apsw.Connection(str(workbench))
    (value,) = connection.execute(f"SELECT CAST({column} AS BLOB) FROM entry WHERE seq = ?", (seq,)).fetchone()
    if value is None:
        connection.close()
        return
    changed = bytearray(value)
    changed[data.draw(st.integers(0, len(value) - 1), label="byte")] ^= data.draw(st.integers(1, 255), label="flip")
    cast = "CAST(? AS TEXT)" if column in {"kind", "run"} else "?"
    connection.execute(f"UPDATE entry SET {column} = {cast} WHERE seq = ?", (bytes(changed), seq))
    connection.close()
    found = check(workbench)
    assert seq in named(found)
    # A change is named where it is, and nowhere else: but a run has one key, and the tape names runs and kinds too.
    assert named(found) == {seq}
    entry = next(problem for problem in found.problems if problem.seq == seq)
    assert f"entry {seq}" in str(entry)
    if column not in {"kind", "run"}:
        assert (entry.kind, entry.run) == (DRAFTS[seq - 1].kind, DRAFTS[seq - 1].run)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_a_ciphertext_is_named(original: Path, workbench: Path, data: st.DataObject) -> None:
    copy(original, workbench)
    connection = apsw.Connection(str(workbench))
    stored = connection.execute("SELECT seq, name, place, sealed FROM secret").fetchall()
    seq, name, place, sealed = data.draw(st.sampled_from(stored), label="secret")
    in_file = place == "blob" and data.draw(st.booleans(), label="in the file")
    blob = workbench.with_name("journal.blobs") / sealed.hex()[:2] / sealed.hex()
    changed = bytearray(blob.read_bytes() if in_file else sealed)
    changed[data.draw(st.integers(0, len(changed) - 1), label="byte")] ^= data.draw(st.integers(1, 255), label="flip")
    if in_file:
        blob.write_bytes(changed)
    else:
        connection.execute("UPDATE secret SET sealed = ? WHERE seq = ? AND name = ?", (bytes(changed), seq, name))
    connection.close()
    assert named(check(workbench)) == {seq}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE entry SET schema = 2 WHERE seq = 2", {2}),
        ("UPDATE entry SET seq = 9 WHERE seq = 8", {9}),
        ("DELETE FROM entry WHERE seq = 2", {3}),
        ("DELETE FROM entry WHERE seq = 1", {1, 2}),  # 1: its secret is still there
        ("DELETE FROM entry WHERE seq > 4", {5}),
        ("UPDATE secret SET place = 'row' WHERE seq = 4", {4}),
        ("UPDATE secret SET place = 'moon' WHERE seq = 4", {4}),
        ("UPDATE secret SET name = 'other' WHERE seq = 1", {1}),
        ("UPDATE secret SET seq = 2 WHERE seq = 1", {1, 2}),
        ("DELETE FROM secret WHERE seq = 5 AND name = 'ask'", {5}),
        ("INSERT INTO secret VALUES (7, 'more', 'row', x'00')", {7}),
        ("INSERT INTO secret VALUES (70, 'more', 'row', x'00')", {70}),
        ("UPDATE run_key SET key = zeroblob(32)", {1, 4, 5}),
        ("UPDATE run_key SET key = zeroblob(31)", {1, 4, 5}),
        ("UPDATE run_key SET key = NULL, erased = 1", {1}),
        ("DELETE FROM run_key", {1}),
        ("UPDATE run_key SET run = 'run-2'", {1}),
        ("UPDATE tape SET instance = 'b' WHERE seq = 4", {4}),
        ("UPDATE tape SET ordinal = 7 WHERE seq = 4", {4}),
        ("UPDATE tape SET seq = 5 WHERE seq = 4", {4, 5}),
        ("UPDATE tape SET request = 'x' WHERE seq = 4", {4}),
        ("DELETE FROM tape WHERE seq = 4", {4}),
        ("UPDATE head SET seq = 4", {4}),
        ("UPDATE head SET link = zeroblob(32)", {5}),
        ("UPDATE head SET seal = zeroblob(64)", {5}),
        ("UPDATE head SET seal = x''", {5}),
        ("UPDATE head SET key_id = 'abc'", {5}),
        ("UPDATE entry SET body = x'', digest = x'', link = x'' WHERE seq = 3", {3, 4}),  # nothing left to follow from
        ("UPDATE entry SET secrets = x'7b7d' WHERE seq = 2", {2}),
        ("UPDATE entry SET secrets = x'6e756c6c' WHERE seq = 2", {2}),
        ("UPDATE entry SET secrets = NULL WHERE seq = 1", {1}),
    ],
)
def test_what_is_moved_removed_or_put_in_is_named(path: Path, sql: str, expected: set[int]) -> None:
    edit(path, sql)
    found = check(path)
    assert named(found) == expected, [str(problem) for problem in found.problems]


def test_two_secrets_that_change_places_are_named(path: Path) -> None:
    edit(
        path,
        "UPDATE secret SET sealed = (SELECT sealed FROM secret AS o WHERE o.seq = 5 AND o.name != secret.name) "
        "WHERE seq = 5",
    )
    assert named(check(path)) == {5}


def _rewrite(path: Path, seq: int, body: bytes) -> None:
    """What a forger can do who can write the file but has no key: make the whole chain anew behind a changed entry."""
    connection = apsw.Connection(str(path))
    rows = connection.execute("SELECT seq, kind, run, body, secrets FROM entry ORDER BY seq").fetchall()
    link = envelope.GENESIS
    for number, kind, run, old, secrets in rows:
        new = body if number == seq else old
        committed = canonical.parse_json(secrets) if secrets else {}
        digest = envelope.envelope_digest(schema=1, kind=kind, run=run, body=new, secrets=committed)
        link = envelope.chain(link, digest)
        connection.execute("UPDATE entry SET body = ?, digest = ?, link = ? WHERE seq = ?", (new, digest, link, number))
    connection.close()


def test_a_chain_that_is_written_anew_is_seen_at_the_signed_head(path: Path) -> None:
    _rewrite(path, 3, b'{"agent":"impostor"}')
    found = check(path)
    assert named(found) == {5}
    assert "written anew" in str(found.problems[0])
    assert found.head is None


def test_behind_the_last_signed_head_a_rewritten_tail_is_reported_as_unsealed(path: Path) -> None:
    _rewrite(path, 7, b'{"passed":false}')
    found = check(path)
    assert found.ok
    assert found.unsealed == 3


def test_a_head_kept_elsewhere_shows_what_the_file_alone_cannot(path: Path) -> None:
    connection = apsw.Connection(str(path))
    (link,) = connection.execute("SELECT link FROM entry WHERE seq = 8").fetchone()
    connection.close()

    async def sign() -> Head:
        text = envelope.as_digest(link)
        seal = await KEY.sign("head", envelope.head_payload(8, text))
        return Head(seq=8, link=text, key_id=seal.key_id, seal=seal.seal, at=0)

    kept = anyio.run(sign)
    assert check(path, head=kept).unsealed == 0
    edit(path, "DELETE FROM entry WHERE seq > 6")
    assert check(path).ok
    found = check(path, head=kept)
    assert named(found) == {8}
    assert "was cut off" in str(found.problems[0])


def test_bytes_that_hash_right_but_are_no_entry_are_named(path: Path) -> None:
    _rewrite(path, 8, b'{"a": 1}')
    assert "not in canonical form" in str(check(path).problems[0])
    _rewrite(path, 8, b"[1]")
    assert "no entry of this schema" in str(check(path).problems[0])
    _rewrite(path, 8, b'{"ok":1}')
    assert check(path).ok


def test_an_exchange_that_names_nothing_is_named(path: Path) -> None:
    _rewrite(path, 4, b"{}")
    whats = {(problem.seq, problem.what) for problem in check(path).problems}
    assert (4, "an exchange without instance, ordinal and request") in whats


def test_a_journal_that_is_wrong_everywhere_is_reported_in_bounded_time(path: Path) -> None:
    edit(path, "UPDATE entry SET body = x'00', digest = randomblob(32), link = randomblob(32)")
    assert named(check(path)) >= set(range(1, 9))


def test_heads_without_a_trusted_key_are_a_problem(path: Path) -> None:
    found = verify_journal(path, keys={})
    assert named(found) == {5}
    assert found.head is None
    assert "not trusted" in str(found.problems[0])


# --- what is wrong: the file ---


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, len(b"marker-in-a-body") - 1), flip=st.integers(1, 255))
def test_a_byte_that_is_changed_in_the_file_itself_is_named(
    original: Path, workbench: Path, offset: int, flip: int
) -> None:
    copy(original, workbench)
    data = bytearray(workbench.read_bytes())
    assert data.count(b"marker-in-a-body") == 1
    data[data.index(b"marker-in-a-body") + offset] ^= flip
    workbench.write_bytes(data)
    found = check(workbench)
    assert named(found) == {6}
    assert (found.problems[0].kind, found.problems[0].run) == ("event", "run-2")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), garbage=st.binary(min_size=1, max_size=600))
def test_garbage_anywhere_in_the_file_never_raises_anything_else(
    original: Path, workbench: Path, place: float, garbage: bytes
) -> None:
    copy(original, workbench)
    data = bytearray(workbench.read_bytes())
    start = int(len(data) * place)
    data[start : start + len(garbage)] = garbage
    workbench.write_bytes(data)
    try:
        found = check(workbench)
    except (IntegrityError, StorageError):
        return
    render_verification(found)


def test_a_damaged_page_is_reported_with_the_first_entry_that_cannot_be_read(path: Path) -> None:
    async def fill() -> None:
        async with Journal.open(path) as journal:
            for start in range(0, 400, 100):
                drafts = [Draft("event", "run-3", {"n": n, "text": "z" * 200}) for n in range(start, start + 100)]
                await journal.append(*drafts)
            await journal.append(Draft("event", "run-3", {"n": 400}, {"late": b"x"}))
            await journal.sign_head(KEY)

    anyio.run(fill)
    data = bytearray(path.read_bytes())
    middle = data.index(b'"n":150,') // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    found = check(path)
    (unread,) = [problem for problem in found.problems if "and what follows cannot be read" in problem.what]
    assert named(found) <= {unread.seq, None}  # nothing is held against entries that nobody could read
    assert unread.seq is not None
    assert 100 < unread.seq <= 8 + 151


def test_a_changed_byte_in_the_index_of_runs_is_named_too(path: Path) -> None:
    data = bytearray(path.read_bytes())
    connection = apsw.Connection(str(path))
    (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entry_run'").fetchone()
    connection.close()
    start = (page - 1) * 4096
    data[data.index(b"run-2", start, start + 4096) + 4] ^= 1
    path.write_bytes(data)
    assert named(check(path)) & {3, 6}


def test_a_missing_journal_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no journal"):
        check(tmp_path / "journal.db")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda path: path.write_bytes(b"SQLite format 3\0" + b"x" * 5000),
            "damaged or not a database",
        ),
        (lambda path: path.write_text("hello"), "damaged or not a database"),
        (lambda path: path.write_bytes(b""), "of another program"),
        (lambda path: apsw.Connection(str(path)).execute("CREATE TABLE t (x)"), "of another program"),
    ],
)
def test_what_is_no_journal_is_refused(tmp_path: Path, make: Callable[[Path], object], match: str) -> None:
    make(tmp_path / "journal.db")
    with pytest.raises(IntegrityError, match=match):
        check(tmp_path / "journal.db")


@pytest.mark.parametrize(
    ("sql", "match"),
    [
        ("PRAGMA user_version = 2", "has layout 2"),
        ("PRAGMA application_id = 1", "of another program"),
        ("CREATE TABLE extra (x)", "did not make or lacks"),
        ("DROP TABLE head", "did not make or lacks"),
        ("CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM entry; END", "did not make or lacks"),
        ("CREATE VIEW v AS SELECT 1", "did not make or lacks"),
        ("ALTER TABLE entry ADD COLUMN more TEXT", "did not make or lacks"),
    ],
)
def test_a_database_that_is_not_exactly_ours_is_refused_by_reader_and_writer(path: Path, sql: str, match: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match=match):
        check(path)
    with pytest.raises(IntegrityError, match=match):
        db.connect(path)
    assert path.read_bytes() == before


READ_ONLY = """
import sys
from pathlib import Path
from hephaestus.errors import HephaestusError
from hephaestus.receipts import verify_journal

path = Path(sys.argv[1])
try:
    found = verify_journal(path, keys={})
    print(found.entries, len(found.problems), path.with_name("journal.db-shm").exists())
except HephaestusError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1) to make a read-only mount")
def test_a_journal_on_a_read_only_medium_verifies_but_not_without_its_log(path: Path) -> None:
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    inside = [str(path.parent), sys.executable, "-c", READ_ONLY, str(path)]
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", *inside]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode and not done.stdout:
        pytest.skip(f"no read-only mount to be had here: {done.stderr.strip()}")
    assert (done.stdout.strip(), done.stderr) == ("8 1 False", "")
    path.with_name("journal.db-wal").write_bytes(b"frames that must not vanish silently")
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("StorageError", "")
