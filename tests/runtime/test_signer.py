"""The signer process, its client and the key folder: what is sealed, what is refused, and what survives."""

# ruff: noqa: ASYNC220, ASYNC230, ASYNC240 - tests look at files and processes directly

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus import seals
from hephaestus.errors import IntegrityError, NotFound, SignerError, StorageError, UsageError
from hephaestus.runtime import keyring, signer_process
from hephaestus.runtime.signer import SignerClient

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def pid_of(signer: SignerClient) -> int:
    assert signer._process is not None
    return signer._process.popen.pid


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# --- sealing --------------------------------------------------------------------------------------


async def test_a_seal_verifies_for_its_purpose_and_for_no_other(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        seal = await signer.sign("certificate", b"payload")
        keys = await signer.public_keys("certificate")
    seals.verify_trusted("certificate", b"payload", seal, keys)
    with pytest.raises(IntegrityError, match="does not verify"):
        seals.verify_trusted("head", b"payload", seal, keys)
    with pytest.raises(IntegrityError, match="does not verify"):
        seals.verify_trusted("certificate", b"payloae", seal, keys)


async def test_releases_have_a_key_of_their_own(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        certificate, head, release = [await signer.sign(tag, b"x") for tag in ("certificate", "head", "release")]
        assert certificate.key_id == head.key_id != release.key_id
        assert set(await signer.public_keys("head")) == {head.key_id}
        assert set(await signer.public_keys("release")) == {release.key_id}


async def test_nothing_is_started_and_no_file_made_before_the_first_seal(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        assert await signer.public_keys("head") == {}
        assert signer._process is None
    assert not os.path.exists(folder)


async def test_a_started_signer_is_the_one_that_seals_and_ends_with_its_client(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.start()
        pid = pid_of(signer)
        await signer.sign("head", b"x")
        assert pid_of(signer) == pid
        assert not gone(pid)
    assert gone(pid)
    with pytest.raises(SignerError, match="not open"):
        await signer.sign("head", b"x")


async def test_keys_are_kept_and_private(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        first = await signer.sign("head", b"x")
    async with SignerClient.open(folder) as signer:
        assert await signer.sign("head", b"x") == first
    modes = {item.relative_to(folder).as_posix(): os.stat(item).st_mode & 0o777 for item in folder.rglob("*")}
    assert modes == {
        "seal": 0o700,
        f"seal/{first.key_id}.key": 0o600,
        f"seal/{first.key_id}.pub": 0o644,
        "seal/active": 0o600,
    }
    assert os.stat(folder).st_mode & 0o777 == 0o700


async def test_the_signer_has_no_environment_no_core_file_and_no_terminal(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.start()
        proc = f"/proc/{pid_of(signer)}"
        # Not even readable for its own user: the process is not dumpable. Root can look.
        if os.geteuid() == 0:
            with open(f"{proc}/environ", "rb") as file:
                assert b"PATH" not in file.read()
        with open(f"{proc}/limits") as file:
            (core,) = [line for line in file if line.startswith("Max core file size")]
        assert core.split()[4:6] == ["0", "0"]
        with open(f"{proc}/stat") as file:
            assert file.read().rpartition(")")[2].split()[3] == str(pid_of(signer))  # a session of its own


async def test_the_signer_loads_no_more_of_the_library_than_seals(folder: Path) -> None:
    code = (
        "import sys; sys.argv = ['x', '-1']; import runpy\n"
        f"runpy.run_path({signer_process.__file__!r})\n"
        "print(sorted(name for name in sys.modules if name.startswith('hephaestus')))"
    )
    done = await anyio.run_process([sys.executable, "-c", code])
    names = ["hephaestus", "hephaestus.canonical", "hephaestus.errors", "hephaestus.seals"]
    assert done.stdout.decode().strip() == str(names)


async def test_concurrent_requests_each_get_their_own_seal(folder: Path) -> None:
    got: dict[int, seals.Seal] = {}
    async with SignerClient.open(folder) as signer:

        async def one(n: int) -> None:
            got[n] = await signer.sign("head", b"%d" % n)

        async with anyio.create_task_group() as group:
            for n in range(30):
                group.start_soon(one, n)
        keys = await signer.public_keys("head")
    for n, seal in got.items():
        seals.verify_trusted("head", b"%d" % n, seal, keys)
    assert len(got) == 30


async def test_two_signers_that_start_at_once_make_one_key(folder: Path) -> None:
    ids: set[str] = set()

    async def one() -> None:
        async with SignerClient.open(folder) as signer:
            ids.add((await signer.sign("head", b"x")).key_id)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(one)
    assert len(ids) == 1
    assert [key.key_id for key in keyring.read_keys(folder)] == list(ids)


async def test_a_large_payload_crosses_and_a_larger_one_is_refused_with_advice(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        payload = b"x" * (signer_process.MAX_FRAME - 100)
        seal = await signer.sign("release", payload)
        seals.verify_trusted("release", payload, seal, await signer.public_keys("release"))
        with pytest.raises(SignerError, match="over the signer's limit") as caught:
            await signer.sign("release", payload + b"x" * 100)
        assert caught.value.hint == "seal a digest instead of the bytes"


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["", "certificates", "seal", "hephaestus/seal/head/1", "a\0b"])
async def test_unknown_purposes_are_refused_and_the_signer_goes_on(folder: Path, purpose: str) -> None:
    async with SignerClient.open(folder) as signer:
        with pytest.raises(SignerError, match="the signer seals certificate, head, release, not"):
            await signer.sign(purpose, b"x")
        await signer.sign("head", b"x")
        with pytest.raises(SignerError, match="expected a purpose"):
            await signer.public_keys(purpose)


def test_both_sides_know_the_same_purposes() -> None:
    assert tuple(signer_process.KEY_OF) == seals.PURPOSES
    assert set(signer_process.KEY_OF.values()) == set(keyring.KEY_NAMES)


async def test_a_refusal_reaches_the_caller_with_the_way_out(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.sign("head", b"x")
        os.chmod(folder, 0o755)
    async with SignerClient.open(folder) as signer:
        with pytest.raises(SignerError, match="open to others") as caught:
            await signer.sign("head", b"x")
        assert f"chmod 700 {folder}" in str(caught.value.hint)
        os.chmod(folder, 0o700)
        await signer.sign("head", b"x")


async def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    async with SignerClient.open(tmp_path / "missing" / "keys") as signer:
        with pytest.raises(SignerError, match="cannot be used: No such file"):
            await signer.sign("head", b"x")


# --- the keys, without a process around them ---


def sealed(folder: Path, *, purpose: str = "head") -> str:
    """A key, made by the first seal; its id."""
    return signer_process.Keys(folder).sign(purpose, b"x")[0]


def refused(folder: Path, match: str) -> str:
    """Sealing is refused by a signer that starts now; the hint."""
    with pytest.raises(signer_process.Fault, match=match) as caught:
        signer_process.Keys(folder).sign("head", b"x")
    return caught.value.hint


@pytest.mark.parametrize("what", ["", "seal", "seal/KEY"])
def test_permissions_that_are_too_open_are_refused_with_the_command_that_closes_them(folder: Path, what: str) -> None:
    name = sealed(folder)
    path = folder / what.replace("KEY", f"{name}.key")
    mode = path.stat().st_mode & 0o777
    path.chmod(mode | 0o040)
    assert f"chmod {mode:o} {path}" in refused(folder, "open to others")
    path.chmod(mode)
    assert sealed(folder) == name


def test_a_folder_of_keys_that_is_a_link_or_another_user_s_is_refused(folder: Path) -> None:
    real = folder.with_name("real")
    real.mkdir(0o700)
    folder.symlink_to(real)
    refused(folder, "is not a folder")
    if os.geteuid() == 0:
        os.chown(real, 12345, 12345)
        refused(real, "belongs to user 12345")


def test_a_private_key_that_is_a_link_is_refused(folder: Path) -> None:
    path = folder / "seal" / f"{sealed(folder)}.key"
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")
    refused(folder, "is not a regular file")


def test_a_private_key_that_is_not_the_named_one_is_refused(folder: Path) -> None:
    path = folder / "seal" / f"{sealed(folder)}.key"
    other = folder / "release" / f"{sealed(folder, purpose='release')}.key"
    for content, match in ((b"garbage", "not an unencrypted PKCS 8 key"), (other.read_bytes(), "another key than")):
        path.write_bytes(content)
        assert refused(folder, match) == "put it back from a backup"
    path.unlink()
    assert "from a backup, or rotate key 'seal'" in refused(folder, "is missing")


@pytest.mark.parametrize("content", [None, b"", b"../../etc/passwd\n", b"\xff"])
def test_keys_without_one_that_is_active_never_lead_to_a_silent_new_key(folder: Path, content: bytes | None) -> None:
    old = sealed(folder)
    active = folder / "seal" / "active"
    active.unlink()
    if content is not None:
        active.write_bytes(content)
    assert "rotate key 'seal'" in refused(folder, "active")
    new = signer_process.Keys(folder).rotate("seal")
    assert set(keyring.trusted(folder, "head")) == {old, new}


def test_of_two_that_find_no_key_the_slower_takes_the_faster_one_s(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faster: list[str] = []
    keys = signer_process.Keys(folder)
    first = keys._first

    def overtaken(name: str) -> str:
        faster.append(sealed(folder))
        return first(name)

    monkeypatch.setattr(keys, "_first", overtaken)
    assert keys.sign("head", b"x")[0] == faster[0]


def test_what_is_half_written_never_carries_the_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = sealed(folder)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            keyring.revoke(folder, name, reason="x")
    assert [item.name for item in folder.iterdir()] == ["seal"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = signer_process.answer(signer_process.Keys(folder), signer_process.Rotate(4, "seal"))
    assert isinstance(answer, signer_process.Refused)
    assert (answer.id, "No space left on device" in answer.message) == (4, True)
    assert {item.name for item in (folder / "seal").iterdir()} == {f"{name}.key", f"{name}.pub", "active"}
    assert sealed(folder) == name


# --- rotation, revocation, backup, loss -----------------------------------------------------------


async def test_after_rotation_old_seals_verify_and_new_ones_are_by_the_new_key(folder: Path) -> None:
    async with SignerClient.open(folder) as other, SignerClient.open(folder) as signer:
        old = await signer.sign("head", b"x")
        assert await other.sign("head", b"x") == old
        new = await signer.rotate("seal")
        assert (await signer.sign("head", b"x")).key_id == new != old.key_id
        assert (await other.sign("head", b"x")).key_id == new  # a signer that runs already notices
        seals.verify_trusted("head", b"x", old, await signer.public_keys("head"))
        with pytest.raises(SignerError, match="no key 'other'"):
            await signer.rotate("other")  # type: ignore[arg-type]
    assert {(key.key_id, key.active) for key in keyring.read_keys(folder)} == {(old.key_id, False), (new, True)}


async def test_a_revoked_key_neither_seals_nor_verifies(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        old = await signer.sign("head", b"x")
        keyring.revoke(folder, old.key_id, reason="laptop stolen")
        keyring.revoke(folder, old.key_id, reason="again")
        with pytest.raises(SignerError, match="is revoked") as caught:
            await signer.sign("head", b"x")
        assert caught.value.hint == "make a new one: rotate key 'seal'"
        assert await signer.public_keys("head") == {}
        with pytest.raises(IntegrityError, match="unknown or revoked"):
            seals.verify_trusted("head", b"x", old, await signer.public_keys("head"))
        new = await signer.rotate("seal")
        assert set(await signer.public_keys("head")) == {new}
    reasons = {key.key_id: key.revoked for key in keyring.read_keys(folder)}
    assert reasons == {old.key_id: "laptop stolen", new: None}


async def test_what_cannot_be_revoked_says_why(folder: Path) -> None:
    with pytest.raises(NotFound, match="no key folder"):
        keyring.revoke(folder, "0" * 16, reason="x")
    async with SignerClient.open(folder) as signer:
        name = (await signer.sign("head", b"x")).key_id
    with pytest.raises(NotFound, match="no public key"):
        keyring.revoke(folder, "0" * 16, reason="x")
    for reason in ("", " ", "two\nlines", "x" * 201):
        with pytest.raises(UsageError, match="one line"):
            keyring.revoke(folder, name, reason=reason)


async def test_a_lost_private_key_says_so_and_a_backup_brings_it_back(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        old = await signer.sign("head", b"x")
    backup = folder.with_name("backup")
    shutil.copytree(folder, backup)
    os.unlink(folder / "seal" / f"{old.key_id}.key")
    async with SignerClient.open(folder) as signer:
        with pytest.raises(SignerError, match="is missing") as caught:
            await signer.sign("head", b"x")
        assert caught.value.hint is not None
        assert "from a backup, or rotate key 'seal'" in caught.value.hint
        assert [key.private for key in keyring.read_keys(folder)] == [False]
        seals.verify_trusted("head", b"x", old, await signer.public_keys("head"))
        shutil.copy2(backup / "seal" / f"{old.key_id}.key", folder / "seal")
        assert await signer.sign("head", b"x") == old


async def test_a_lost_public_file_is_written_again_from_the_private_one(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        seal = await signer.sign("head", b"x")
    os.unlink(folder / "seal" / f"{seal.key_id}.pub")
    async with SignerClient.open(folder) as signer:
        await signer.sign("head", b"y")
        seals.verify_trusted("head", b"x", seal, await signer.public_keys("head"))


async def test_public_keys_of_others_are_trusted_and_never_sign(folder: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    async with SignerClient.open(theirs) as signer:
        seal = await signer.sign("release", b"x")
    os.makedirs(folder / "release", 0o700)
    os.chmod(folder, 0o700)
    shutil.copy(theirs / "release" / f"{seal.key_id}.pub", folder / "release")
    async with SignerClient.open(folder) as signer:
        seals.verify_trusted("release", b"x", seal, await signer.public_keys("release"))
        assert (await signer.sign("release", b"x")).key_id != seal.key_id


@pytest.mark.parametrize("content", [b"", b"hephaestus-ed25519 x y", b"ssh-ed25519 AAAA", b"\xff" * 100])
async def test_a_public_file_that_holds_something_else_is_an_error(folder: Path, content: bytes) -> None:
    async with SignerClient.open(folder) as signer:
        name = (await signer.sign("head", b"x")).key_id
        (folder / "seal" / f"{name}.pub").write_bytes(content)
        with pytest.raises(IntegrityError, match="does not hold the public key"):
            await signer.public_keys("head")


@pytest.mark.parametrize("content", [b"nonsense\n", b"\xff\xfe\n"])
async def test_a_damaged_list_of_revoked_keys_stops_sealing_and_trusting(folder: Path, content: bytes) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.sign("head", b"x")
        (folder / "revoked").write_bytes(content)
        with pytest.raises(SignerError, match="revoked"):
            await signer.sign("head", b"x")
        with pytest.raises(IntegrityError, match="revoked"):
            await signer.public_keys("head")


async def test_files_that_cannot_be_read_are_a_storage_error(folder: Path) -> None:
    os.makedirs(folder / "revoked")
    async with SignerClient.open(folder) as signer:
        with pytest.raises(StorageError, match="cannot be read"):
            await signer.public_keys("head")


# --- the unhappy order of events ------------------------------------------------------------------


async def test_a_signer_killed_while_it_is_asked_is_one_clear_error_and_starts_again(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        first = await signer.sign("head", b"x")
        pid = pid_of(signer)
        caught: list[SignerError] = []

        async def ask() -> None:
            with pytest.raises(SignerError, match="was ended by signal 9") as info:
                await signer.sign("head", b"x")
            caught.append(info.value)

        os.kill(pid, signal.SIGSTOP)
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            os.kill(pid, signal.SIGKILL)
        assert "starts it anew" in str(caught[0].hint)
        assert await signer.sign("head", b"x") == first
        assert pid_of(signer) != pid
        assert gone(pid)


async def test_a_signer_killed_between_requests_costs_no_request(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        first = await signer.sign("head", b"x")
        for _ in range(2):
            assert signer._process is not None
            popen = signer._process.popen
            popen.kill()
            popen.wait()
            assert await signer.sign("head", b"x") == first
            assert pid_of(signer) != popen.pid


async def test_a_signer_that_ends_between_requests_costs_no_request_before_it_is_waited_for(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        first = await signer.sign("head", b"x")
        assert signer._process is not None
        process = signer._process
        process.socket.shutdown(socket.SHUT_WR)  # it takes this for the end of its host
        await anyio.wait_readable(process.socket)
        assert await signer.sign("head", b"x") == first
        assert signer._process is not process
        assert process.popen.returncode == 0
        assert process.socket.fileno() == -1


async def test_a_signer_that_cannot_be_started_again_is_tried_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.start()
        assert signer._process is not None
        signer._process.popen.kill()
        signer._process.popen.wait()
        started: list[Path] = []

        def refused(folder: Path) -> object:
            started.append(folder)
            raise OSError("no more processes")

        monkeypatch.setattr("hephaestus.runtime.signer._Process", refused)
        with pytest.raises(SignerError, match="could not be started: no more processes"):
            await signer.sign("head", b"x")
        assert started == [folder]


async def test_a_rotation_that_found_no_signer_is_made_exactly_once(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.sign("head", b"x")
        assert signer._process is not None
        signer._process.popen.kill()
        signer._process.popen.wait()
        key = await signer.rotate("seal")
        assert (await signer.sign("head", b"x")).key_id == key
        assert len(await signer.public_keys("head")) == 2


async def test_a_signer_that_hangs_is_ended_and_said_to_have_hung(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.start()
        pid = pid_of(signer)
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr("hephaestus.runtime.signer.TIMEOUT", 0.05)
        with pytest.raises(SignerError, match="did not answer within"):
            await signer.sign("head", b"x")
        assert gone(pid)


async def test_closing_ends_a_signer_that_does_not_listen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hephaestus.runtime.signer.PATIENCE", 0.05)
    async with SignerClient.open(folder) as signer:
        await signer.start()
        pid = pid_of(signer)
        os.kill(pid, signal.SIGSTOP)
    assert gone(pid)


async def test_a_cancelled_request_does_not_spoil_the_next(folder: Path) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.start()
        pid = pid_of(signer)
        os.kill(pid, signal.SIGSTOP)
        async with anyio.create_task_group() as group:
            group.start_soon(signer.sign, "head", b"given up")
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
            os.kill(pid, signal.SIGCONT)
        seal = await signer.sign("head", b"wanted")
        seals.verify_trusted("head", b"wanted", seal, await signer.public_keys("head"))
        assert pid_of(signer) == pid


@pytest.mark.parametrize(
    "hostile",
    [
        b"\xff\xff\xff\xff",
        b"\x05\0\0\0hello",
        b"\x00\0\0\0",
        b"\x01\0\0\0\xc1",
        signer_process.HEADER.pack(300) + b"\x91" * 300,
        signer_process.frame(signer_process.Ready(1)),
    ],
)
async def test_a_hostile_frame_ends_the_signer_and_nothing_else(folder: Path, hostile: bytes) -> None:
    async with SignerClient.open(folder) as signer:
        first = await signer.sign("head", b"x")
        assert signer._process is not None
        process = signer._process
        process.socket.send(hostile)
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:  # it may say why before it ends
                assert isinstance(await process.receive(), signer_process.Refused)
        assert await signer.sign("head", b"x") == first
        assert process.popen.returncode == 2


@pytest.mark.parametrize("cut", [b"\x05", b"\x05\0\0\0he"])
async def test_a_stream_cut_inside_a_frame_ends_the_signer(folder: Path, cut: bytes) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.start()
        assert signer._process is not None
        process = signer._process
        process.socket.send(cut)
        process.socket.shutdown(socket.SHUT_WR)
        await process.receive()
        with pytest.raises(EOFError):
            await process.receive()
        signer._process = None
        assert await process.end(patience=30) == "ended with code 2"


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (b"\xff\xff\xff\xff", "no answer"),
        (b"\x03\0\0\0abc", "no answer"),
        (signer_process.frame(signer_process.Signed(7, "k", b"")), "Signed 7 out of turn"),
        (signer_process.frame(signer_process.Rotated(1, "k")), "Rotated 1 out of turn"),
    ],
)
async def test_an_answer_that_is_none_ends_the_signer(folder: Path, answer: bytes, match: str) -> None:
    async with SignerClient.open(folder) as signer:
        await signer.start()
        assert signer._process is not None
        signer._process._buffer += answer
        with pytest.raises(SignerError, match=match):
            await signer.sign("head", b"x")
        await signer.sign("head", b"x")


async def test_a_signer_that_cannot_start_says_what_it_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hephaestus.runtime.signer._import_roots", list)
    async with SignerClient.open(folder) as signer:
        with pytest.raises(SignerError, match="ended with code 1: ModuleNotFoundError"):
            await signer.start()
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")
        with pytest.raises(SignerError, match="could not be started"):
            await signer.start()


async def test_a_first_word_that_is_not_ready_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); "
        f"s.sendall({signer_process.frame(signer_process.Rotated(0, 'k'))!r}); s.recv(1)"
    )
    monkeypatch.setattr("hephaestus.runtime.signer._BOOT", f"import sys; sys.argv.pop(0)\n{code}")
    async with SignerClient.open(folder) as signer:
        with pytest.raises(SignerError, match="said Rotated instead of being ready"):
            await signer.start()


async def test_the_signer_dies_with_its_host(folder: Path) -> None:
    host = textwrap.dedent(
        """
        import anyio, sys
        from hephaestus.runtime.signer import SignerClient

        async def main():
            async with SignerClient.open(sys.argv[1]) as signer:
                await signer.start()
                print(signer._process.popen.pid, flush=True)
                await anyio.sleep_forever()

        anyio.run(main)
        """
    )
    with subprocess.Popen([sys.executable, "-c", host, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        signer = os.pidfd_open(int(process.stdout.readline()))
        process.kill()
        with anyio.fail_after(30):
            await anyio.wait_readable(signer)
        os.close(signer)


# --- serve, in this process, where its coverage is seen -------------------------------------------


def talk(folder: Path, data: bytes) -> tuple[int, list[signer_process.Answer]]:
    """What serving these bytes ends with and answers."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        code = signer_process.serve(theirs, signer_process.Keys(folder))
        said, answers = ours.recv(1 << 16), []
    decoder: msgspec.msgpack.Decoder[signer_process.Answer] = msgspec.msgpack.Decoder(signer_process.Answer)
    while said:
        (length,) = signer_process.HEADER.unpack_from(said)
        answers.append(decoder.decode(said[4 : 4 + length]))
        said = said[4 + length :]
    return code, answers


def test_serving_answers_until_the_other_side_closes(folder: Path) -> None:
    requests = (
        signer_process.Sign(1, "head", b"x"), signer_process.Rotate(2, "seal"), signer_process.Sign(3, "none", b"x")
    )  # fmt: skip
    code, answers = talk(folder, b"".join(map(signer_process.frame, requests)))
    assert code == 0
    assert [(type(answer).__name__, answer.id) for answer in answers] == [
        ("Ready", 0), ("Signed", 1), ("Rotated", 2), ("Refused", 3),
    ]  # fmt: skip


@given(st.binary(min_size=1, max_size=200))
def test_bytes_that_are_no_request_end_it_and_sign_nothing(data: bytes) -> None:
    code, answers = talk(Path("/nonexistent/keys"), data)
    assert code == 2
    assert [type(answer).__name__ for answer in answers] == ["Ready", "Refused"]
