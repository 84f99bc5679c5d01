"""The pieces of confinement: rule sets of each Landlock version, descriptors, limits, and what is refused up front."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest
from tests.support.children import linux_only

from hephaestus_runner import confine, landlock, limits, syscalls
from hephaestus_runner.config import Bind, Config, places
from hephaestus_runner.protocol import Level, Limits


def config(level: Level = "isolated", **more: object) -> Config:
    fields = {
        "role": "agent", "level": level, "limits": Limits(), "homes": {}, "python": "/python", "folder": "/private",
        "reader": 3, "writer": 4, "control": 5, **more,
    }  # fmt: skip
    return Config(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "rights", "size"),
    [(1, 13, 8), (2, 14, 8), (3, 15, 8), (4, 15, 16), (5, 16, 16), (6, 16, 24), (7, 16, 24)],
)
def test_every_right_that_a_version_knows_is_handled_and_none_that_it_does_not(
    version: int, rights: int, size: int
) -> None:
    assert landlock.file_rights(version) == (1 << rights) - 1
    attr = landlock.attributes(version)
    assert len(attr) == size
    assert struct.unpack_from("=Q", attr)[0] == (1 << rights) - 1
    assert all(struct.unpack_from("=Q", attr, at)[0] == 3 for at in range(8, size, 8))


def test_an_isolated_child_has_fixed_places_and_any_other_the_hosts() -> None:
    given = {"package": "/p", "shard": "/s", "exchange": "/e"}
    isolated = places(config(**given))
    assert (isolated.scratch, isolated.package, isolated.shard, isolated.exchange) == (
        "/work", "/package", "/knowledge/shard", "/exchange",
    )  # fmt: skip
    restricted = places(config("restricted", **given))
    assert (restricted.scratch, restricted.package, restricted.shard, restricted.exchange) == (
        "/private/work",
        "/p",
        "/s",
        "/e",
    )
    assert places(config()).package is None


def test_a_kernel_without_landlock_reaches_no_level(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(landlock, "abi", missing)
    for level in ("isolated", "restricted"):
        with pytest.raises(confine.Unconfined, match="no Landlock"):
            confine._landlock_version(config(level))


def test_restricted_needs_a_landlock_that_keeps_signals_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 5)
    assert confine._landlock_version(config("isolated")) == 5
    with pytest.raises(confine.Unconfined, match="version 5"):
        confine._landlock_version(config("restricted"))


def test_a_process_with_threads_is_not_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "threads", lambda: 2)
    with pytest.raises(confine.Unconfined, match="2 threads"):
        confine.leave(config())
    with pytest.raises(confine.Unconfined, match="2 threads"):
        confine.confine(config())


def test_restricted_names_the_path_that_its_user_cannot_read() -> None:
    wanting = config("restricted", binds=(Bind("/nonexistent/lib", "/lib"),))
    with pytest.raises(PermissionError, match="/nonexistent/lib"):
        confine._within_reach(wanting)


@linux_only
def test_a_refused_call_is_named() -> None:
    with pytest.raises(OSError, match="mount tmpfs on /nonexistent"):
        syscalls.mount("tmpfs", "/nonexistent", "tmpfs", 0)
    with pytest.raises(OSError, match="close_range"):
        syscalls.syscall("close_range", 10, 5, 0)
    with pytest.raises(OSError, match="prctl 9999"):
        syscalls.prctl(9999)
    with pytest.raises(OSError, match="detach /nonexistent"):
        syscalls.detach("/nonexistent")


def test_a_call_that_this_machine_has_not_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls.platform, "machine", lambda: "aarch64")
    with pytest.raises(syscalls.Unsupported, match="has no system call iopl"):
        syscalls.syscall("iopl", 3)


def in_child(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@linux_only
@pytest.mark.parametrize("old_kernel", [False, True])
def test_all_descriptors_but_the_kept_are_closed(old_kernel: bool) -> None:
    code = f"""
import os
from hephaestus_runner import limits, syscalls
if {old_kernel}:
    def missing(*arguments):
        raise OSError(38, "Function not implemented")
    syscalls.syscall = missing
opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
limits.close_all_but({{0, 1, 2, opened[3], opened[7]}})
def is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False
print([fd for fd in range(60) if is_open(fd)] == [0, 1, 2, opened[3], opened[7]])
"""
    assert in_child(code) == "True\n"


@linux_only
def test_limits_never_rise_above_what_the_host_has() -> None:
    code = """
import resource
from hephaestus_runner import limits
from hephaestus_runner.protocol import Limits
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
limits.set_limits(Limits(open_files=300, cpu_s=7), processes=5)
print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CPU),
      resource.getrlimit(resource.RLIMIT_NPROC), resource.getrlimit(resource.RLIMIT_CORE))
"""
    assert in_child(code) == "(100, 100) (7, 7) (5, 5) (0, 0)\n"


def test_threads_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.threads() >= 1
    monkeypatch.setattr(limits, "LINUX", False)
    assert limits.threads() >= 1
    limits.die_with_parent()  # nothing to do there
    limits.adopt_orphans()
