"""Several processes at one hub, and killed ones: one wins, nothing is torn, nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.packages import draft

from hephaestus.errors import AlreadyPublished
from hephaestus.hub import Release
from hephaestus.hub.admission import Admitted
from hephaestus.hub.store import Store

ROOT = Path(__file__).parents[2]

# Every worker opens the hub, says that it is ready, and waits for its order, so that all of them start at once.
WORKER = """
import json, sys
from pathlib import Path
from hephaestus.errors import HephaestusError
from hephaestus.hub import Release
from hephaestus.hub.store import Store
from tests.support.packages import draft

store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    try:
        if "channel" in order:
            made = store.deploy(order["channel"], (order["release"],), card_table=order["table"].encode(),
                                expected=order["expected"], by="", why="")
            print(json.dumps({"number": made.number}), flush=True)
            continue
        admitted = store.admit(draft(version=order["version"], files={"prompts/who.md": order["text"]}))
        release = admitted
        if not isinstance(admitted, Release):
            release = store.commit(admitted, store.write(admitted), None)
        print(json.dumps({"digest": release.digest}), flush=True)
    except HephaestusError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}), flush=True)
"""


@contextmanager
def workers(hub: Path, count: int, script: str = WORKER) -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(hub)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(count)
    ]  # fmt: skip
    try:
        for worker in started:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        yield started
    finally:
        for worker in started:
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.close()
            worker.stdout.close()
            worker.wait()


def order(started: list[subprocess.Popen[str]], orders: list[dict[str, object]]) -> list[dict[str, object]]:
    for worker, what in zip(started, orders, strict=True):
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(what) + "\n")
        worker.stdin.flush()
    answers = []
    for worker in started:
        assert worker.stdout is not None
        answers.append(json.loads(worker.stdout.readline()))
    return answers


def test_processes_that_make_one_hub_at_once_make_one_hub(tmp_path: Path) -> None:
    with workers(tmp_path / "hub", 3) as started:
        answers = order(started, [{"version": f"1.0.{n}", "text": "x"} for n in range(3)])
    assert not [answer for answer in answers if "error" in answer]
    assert_whole(tmp_path / "hub", {"1.0.0", "1.0.1", "1.0.2"})


def test_of_two_processes_that_publish_other_bytes_as_one_version_exactly_one_wins(tmp_path: Path) -> None:
    with workers(tmp_path / "hub", 2) as started:
        for round_ in range(8):
            version = f"1.{round_}.0"
            answers = order(started, [{"version": version, "text": who} for who in ("one", "two")])
            won = [answer for answer in answers if "digest" in answer]
            lost = [answer for answer in answers if "error" in answer]
            assert len(won) == len(lost) == 1, answers
            assert lost[0]["error"] == "AlreadyPublished"
            assert str(won[0]["digest"]) in str(lost[0]["message"])
            store = Store(tmp_path / "hub")
            assert store.find(f"echo@{version}").digest == won[0]["digest"]
            store.close()
    assert_whole(tmp_path / "hub", {f"1.{n}.0" for n in range(8)})


def test_two_processes_that_publish_the_same_bytes_get_the_same_release(tmp_path: Path) -> None:
    with workers(tmp_path / "hub", 2) as started:
        for round_ in range(8):
            answers = order(started, [{"version": f"1.{round_}.0", "text": "same"}] * 2)
            assert len({str(answer["digest"]) for answer in answers}) == 1, answers
    assert_whole(tmp_path / "hub", {f"1.{n}.0" for n in range(8)})


def test_of_two_processes_that_move_a_channel_from_one_generation_exactly_one_wins(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub")
    publish(store, "1.0.0")
    with workers(tmp_path / "hub", 2) as started:
        for number in range(6):
            answers = order(
                started,
                [
                    {"channel": "stable", "release": "echo", "table": f"{number} {who}", "expected": number}
                    for who in ("one", "two")
                ],
            )
            assert sorted(str(answer.get("error")) for answer in answers) == ["None", "StaleGeneration"], answers
            assert {answer["number"] for answer in answers if "number" in answer} == {number + 1}
    assert [generation.number for generation in store.history("stable")] == [6, 5, 4, 3, 2, 1]
    store.close()


def test_whoever_commits_second_gets_what_the_first_one_published(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub")
    first, same, other = (store.admit(draft(files={"a.txt": text})) for text in ("1", "1", "2"))
    assert isinstance(first, Admitted)
    assert isinstance(same, Admitted)
    assert isinstance(other, Admitted)
    written = [store.write(admitted) for admitted in (first, same, other)]
    release = store.commit(first, written[0], None)
    assert store.commit(same, written[1], None) == release
    with pytest.raises(AlreadyPublished, match=r"`a\.txt`"):
        store.commit(other, written[2], None)
    assert store.releases(None) == (release,)
    store.close()


def publish(store: Store, version: str) -> str:
    admitted = store.admit(draft(version=version, files={"prompts/who.md": "x"}))
    if isinstance(admitted, Release):
        return admitted.digest
    return store.commit(admitted, store.write(admitted), None).digest


def assert_whole(hub: Path, acknowledged: set[str], *, possible: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Everything acknowledged is there, all that is there is whole, and the hub goes on working."""
    store = Store(hub)
    found = {release.version for release in store.releases(None)}
    assert acknowledged <= found <= acknowledged | possible
    assert store.audit() == ()
    for version in found:
        assert store.tree(f"echo@{version}").get("prompts/who.md") is not None
    store.close()


# Publishes versions until it kills itself at the named call. What it acknowledged stands on its standard output.
VICTIM = """
import os, signal, sys
from pathlib import Path
from hephaestus.hub.store import Store
from tests.support.packages import draft

hub, where, nth = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def publish(version):
    admitted = store.admit(draft(version=version, files={"prompts/who.md": version}))
    release = store.commit(admitted, store.write(admitted), None)
    print(release.version, flush=True)

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

store = Store(hub)
publish("1.0.0")
store.deploy("stable", ("echo@1.0.0",), card_table=b"1", expected=None, by="", why="")
if where == "commit":            # after all statements, before SQLite writes the commit
    store._database._connection.set_commit_hook(die)
elif where == "committed":       # the commit is in the log, nobody was told
    store._database._connection.set_wal_hook(die)
else:
    real, calls = getattr(os, where), 0
    def dying(*args, **options):
        global calls
        calls += 1
        if calls == nth:
            die()
        return real(*args, **options)
    setattr(os, where, dying)
publish("1.1.0")
"""

POINTS = [
    *[("rename", n) for n in (1, 2, 4)],
    *[("fsync", n) for n in (1, 4, 5)],
    *[("write", n) for n in (1, 3)],
    ("fchmod", 2),
    ("commit", 1),
    ("committed", 1),
]


@pytest.mark.parametrize(("where", "nth"), POINTS)
def test_a_publisher_killed_at_any_step_leaves_whole_releases_and_a_hub_that_works(
    tmp_path: Path, where: str, nth: int
) -> None:
    hub = tmp_path / "hub"
    victim = subprocess.run(
        [sys.executable, "-c", VICTIM, str(hub), where, str(nth)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert victim.returncode == -signal.SIGKILL, victim.stderr
    assert victim.stdout.split() == ["1.0.0"]
    assert_whole(hub, {"1.0.0"}, possible={"1.1.0"} if where == "committed" else set())
    store = Store(hub)
    assert store.card_table("stable", None) == b"1"
    publish(store, "1.2.0")
    store.close()
    assert_whole(hub, {"1.0.0", "1.2.0"}, possible={"1.1.0"})


# Publishes and deploys without end, one line for each that was acknowledged.
ENDLESS = """
import sys
from pathlib import Path
from hephaestus.hub.store import Store
from tests.support.packages import draft

store = Store(Path(sys.argv[1]))
print("ready", flush=True)
start = int(sys.stdin.readline())
for number in range(start, start + 1000):
    admitted = store.admit(draft(version=f"1.{number}.0", files={"prompts/who.md": str(number)}))
    release = store.commit(admitted, store.write(admitted), None)
    print(f"1.{number}.0", flush=True)
    store.deploy("stable", (release,), card_table=str(number).encode(), expected=None, by="", why="")
"""


def test_publishers_killed_at_random_leave_every_acknowledged_release(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    acknowledged: set[str] = set()
    possible: set[str] = set()
    for round_, (first, second) in enumerate([(1, 2), (3, 1), (2, 5), (4, 4)]):
        with workers(hub, 2, ENDLESS) as started:
            for number, (worker, lines) in enumerate(zip(started, (first, second), strict=True)):
                assert worker.stdin is not None
                worker.stdin.write(f"{(round_ * 2 + number) * 1000}\n")
                worker.stdin.flush()
                assert worker.stdout is not None
                acknowledged |= {worker.stdout.readline().strip() for _ in range(lines)}
            for worker in started:
                os.kill(worker.pid, signal.SIGKILL)  # wherever it is by now
            for number, worker in enumerate(started):
                assert worker.stdout is not None
                acknowledged |= {line.strip() for line in worker.stdout if line.endswith("\n")}
                # At most one more was committed whose acknowledgement never left the process.
                minors = [int(version.split(".")[1]) for version in acknowledged]
                mine = [minor for minor in minors if minor // 1000 == round_ * 2 + number]
                possible.add(f"1.{max(mine) + 1}.0")
        assert_whole(hub, acknowledged, possible=possible)
    store = Store(hub)
    numbers = [generation.number for generation in store.history("stable")]
    assert numbers == list(range(len(numbers), 0, -1))
    store.close()
