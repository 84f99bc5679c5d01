"""What does being durable, chained, encrypted and sealed cost, compared with only being stored?

Unit: seconds per call, as pytest-benchmark prints it; `extra_info` says how many entries a call holds. The baseline of
the journal is a bare INSERT of the same body in a WAL database with the same synchronous=FULL, one transaction each,
measured in the same run on the same disk. Calls of the journal include the way into the event loop and back, which a
program that lives in the loop does not pay; `test_entering_the_loop` measures that alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hephaestus import canonical, seals
from hephaestus.receipts import Draft, Journal, verify_journal
from hephaestus.runtime.signer import SignerClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY: dict[str, Any] = {
    "kind": "routed",
    "request": canonical.digest("bench/1", 1),
    "table": canonical.digest("bench/1", 2),
    "winner": {"agent": "stdlib-guide", "release": "stdlib-guide@1.0.0", "score": 812},
    "matches": [{"trigger": f"trigger {n}", "weight": n, "at": [n, n + 1]} for n in range(6)],
}
DRAFT = Draft("decision", "run-1", BODY)
TOGETHER = 64


@pytest.fixture
def portal() -> Iterator[anyio.from_thread.BlockingPortal]:
    with anyio.from_thread.start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def journal(portal: anyio.from_thread.BlockingPortal, tmp_path: Path) -> Iterator[Journal]:
    with portal.wrap_async_context_manager(Journal.open(tmp_path / "journal.db")) as journal:
        yield journal


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(tmp_path / "plain.db"))
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000")
    connection.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, run TEXT, body BLOB)")
    yield connection
    connection.close()


def insert(connection: apsw.Connection, count: int) -> None:
    body = canonical.encode(BODY)
    for _ in range(count):
        connection.execute("INSERT INTO entry (run, body) VALUES ('run-1', ?)", (body,))


@pytest.mark.benchmark(group="append one")
def test_baseline_insert_one(benchmark: Any, plain: apsw.Connection) -> None:
    benchmark(insert, plain, 1)


@pytest.mark.benchmark(group="append one")
def test_entering_the_loop(benchmark: Any, portal: anyio.from_thread.BlockingPortal) -> None:
    benchmark(portal.call, anyio.lowlevel.checkpoint)


@pytest.mark.benchmark(group="append one")
def test_append_one(benchmark: Any, portal: anyio.from_thread.BlockingPortal, journal: Journal) -> None:
    benchmark(portal.call, journal.append, DRAFT)


@pytest.mark.benchmark(group="append one")
def test_append_one_with_a_secret(benchmark: Any, portal: anyio.from_thread.BlockingPortal, journal: Journal) -> None:
    benchmark(portal.call, journal.append, Draft("decision", "run-1", BODY, {"request": b"x" * 2000}))


@pytest.mark.benchmark(group=f"append {TOGETHER} from as many callers")
def test_baseline_insert_many(benchmark: Any, plain: apsw.Connection) -> None:
    benchmark.extra_info["entries"] = TOGETHER
    benchmark(insert, plain, TOGETHER)


@pytest.mark.benchmark(group=f"append {TOGETHER} from as many callers")
def test_append_many(benchmark: Any, portal: anyio.from_thread.BlockingPortal, journal: Journal) -> None:
    benchmark.extra_info["entries"] = TOGETHER

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(TOGETHER):
                group.start_soon(journal.append, DRAFT)

    benchmark(portal.call, all_at_once)


@pytest.mark.benchmark(group="verify 10000 entries")
@pytest.mark.parametrize("secrets", [False, True], ids=["bodies", "with secrets"])
def test_verify(
    benchmark: Any, portal: anyio.from_thread.BlockingPortal, journal: Journal, tmp_path: Path, secrets: bool
) -> None:
    draft = Draft("decision", "run-1", BODY, {"request": b"x" * 200} if secrets else {})
    for _ in range(10):
        portal.call(journal.append, *([draft] * 1000))
    benchmark.extra_info["entries"] = 10_000
    found = benchmark.pedantic(verify_journal, (tmp_path / "journal.db",), {"keys": {}}, rounds=3)
    assert found.ok
    assert found.entries == 10_000


@pytest.mark.benchmark(group="seal and verify")
def test_baseline_sign_in_process(benchmark: Any) -> None:
    private = Ed25519PrivateKey.generate()
    benchmark(private.sign, seals.signed_bytes("certificate", canonical.encode(BODY)))


@pytest.mark.benchmark(group="seal and verify")
def test_seal(benchmark: Any, portal: anyio.from_thread.BlockingPortal, tmp_path: Path) -> None:
    payload = canonical.encode(BODY)
    with portal.wrap_async_context_manager(SignerClient.open(tmp_path / "keys")) as signer:
        portal.call(signer.sign, "certificate", payload)  # starts the process
        benchmark(portal.call, signer.sign, "certificate", payload)


@pytest.mark.benchmark(group="seal and verify")
def test_verify_a_seal(benchmark: Any) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    payload = canonical.encode(BODY)
    seal = seals.Seal(seals.key_id(public), private.sign(seals.signed_bytes("certificate", payload)))
    benchmark(seals.verify, "certificate", payload, seal, public)


@pytest.mark.benchmark(group="seal and verify")
def test_start_the_signer_and_seal(benchmark: Any, portal: anyio.from_thread.BlockingPortal, tmp_path: Path) -> None:
    async def once() -> None:
        async with SignerClient.open(tmp_path / "keys") as signer:
            await signer.sign("certificate", b"payload")

    benchmark.pedantic(portal.call, (once,), rounds=10, warmup_rounds=1)
