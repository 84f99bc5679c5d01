"""The filter, evaluated here instruction by instruction for both machines: what it refuses and what it lets through."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus_runner import seccomp, syscalls
from hephaestus_runner.protocol import Level
from hephaestus_runner.syscalls import ARCHES, NUMBERS, Unsupported

MACHINES = ["x86_64", "aarch64"]
ALLOW, KILL, EPERM, ENOSYS, EAFNOSUPPORT = 0x7FFF0000, 0x80000000, 0x50001, 0x50026, 0x50061


def evaluate(code: bytes, machine: str, call: int, *arguments: int, arch: int | None = None) -> int:
    """What the kernel would answer."""
    data = struct.pack("<IIQ6Q", call, ARCHES[machine][1] if arch is None else arch, 0, *(*arguments, *[0] * 6)[:6])
    program = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    accumulator, at = 0, 0
    while True:
        operation, yes, no, value = program[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x06:
                return value
            case 0x54:
                accumulator &= value
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x45:
                at += yes if accumulator & value else no
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


def ask(level: Level, machine: str, name: str, *arguments: int) -> int:
    call = syscalls.number(name, machine)
    assert call is not None
    return evaluate(seccomp.build(level, machine), machine, call, *arguments)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("level", ["isolated", "restricted"])
def test_every_call_of_the_deny_list_is_refused(level: Level, machine: str) -> None:
    names = seccomp.DENIED + (seccomp.DENIED_RESTRICTED if level == "restricted" else ())
    code = seccomp.build(level, machine)
    for name in names:
        call = syscalls.number(name, machine)
        assert call is None or evaluate(code, machine, call) == EPERM, name


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("level", ["isolated", "restricted"])
def test_what_is_not_on_the_list_is_allowed(level: Level, machine: str) -> None:
    code = seccomp.build(level, machine)
    listed = {pair[ARCHES[machine][0]] for pair in NUMBERS.values()}
    for call in set(range(460)) - listed:
        assert evaluate(code, machine, call) == ALLOW, call


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("level", ["isolated", "restricted"])
def test_another_architecture_is_killed(level: Level, machine: str) -> None:
    code = seccomp.build(level, machine)
    assert evaluate(code, machine, 0, arch=0x40000003) == KILL
    if machine == "x86_64":
        assert evaluate(code, machine, 0x40000000 | 1) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_a_fork_is_allowed_and_a_clone_into_any_new_namespace_is_not(machine: str) -> None:
    assert ask("isolated", machine, "clone3") == ENOSYS
    assert ask("isolated", machine, "clone", 0x1200011) == ALLOW
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert ask("isolated", machine, "clone", flag | 17) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@given(high=st.integers(0, 2**32 - 1))
def test_the_high_half_of_an_ioctl_command_hides_nothing(machine: str, high: int) -> None:
    for command in (0x5412, 0x541C):
        assert ask("isolated", machine, "ioctl", 0, high << 32 | command) == EPERM
    assert ask("isolated", machine, "ioctl", 0, high << 32 | 0x5401) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_isolated_has_sockets_of_three_families_and_no_raw_ones(machine: str) -> None:
    for name in ("socket", "socketpair"):
        assert ask("isolated", machine, name, 1, 1) == ALLOW
        assert ask("isolated", machine, name, 2, 1 | 0o4000) == ALLOW
        assert ask("isolated", machine, name, 10, 2) == ALLOW
        assert ask("isolated", machine, name, 2, 3) == EPERM
        assert ask("isolated", machine, name, 2, 3 | 0o2000000) == EPERM
        for family in (16, 17, 38, 40):
            assert ask("isolated", machine, name, family, 1) == EAFNOSUPPORT


@pytest.mark.parametrize("machine", MACHINES)
def test_restricted_opens_no_socket_but_connected_pairs(machine: str) -> None:
    assert ask("restricted", machine, "socket", 1, 1) == EPERM
    assert ask("restricted", machine, "connect") == EPERM
    assert ask("restricted", machine, "socketpair", 1, 1 | 0o2000000) == ALLOW
    assert ask("restricted", machine, "socketpair", 1, 5) == ALLOW
    assert ask("restricted", machine, "socketpair", 1, 2) == EPERM
    assert ask("restricted", machine, "socketpair", 2, 1) == EAFNOSUPPORT


@pytest.mark.parametrize("machine", MACHINES)
@given(pid=st.integers(1, 2**31 - 1))
def test_restricted_names_no_process_but_the_caller(machine: str, pid: int) -> None:
    for name in seccomp.SELF_ONLY:
        assert ask("restricted", machine, name, pid) == EPERM
        assert ask("restricted", machine, name, 0) == ALLOW
        assert ask("isolated", machine, name, pid) == ALLOW
    for name, which in seccomp.SELF_ONLY_WHICH.items():
        assert ask("restricted", machine, name, which, 0) == ALLOW
        assert ask("restricted", machine, name, which, pid) == EPERM
        assert ask("restricted", machine, name, which + 1, 0) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("level", ["isolated", "restricted"])
def test_the_program_is_one_that_the_kernel_takes(level: Level, machine: str) -> None:
    code = seccomp.build(level, machine)
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096
    for at in range(0, len(code), 8):
        operation, yes, no, _ = struct.unpack_from("=HBBI", code, at)
        if operation & 7 == 5:
            assert at + 8 * (1 + max(yes, no)) < len(code)


def test_a_machine_without_a_table_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="riscv64"):
        seccomp.build("isolated", "riscv64")
    with pytest.raises(Unsupported, match="riscv64"):
        syscalls.number("ptrace", "riscv64")


def test_both_columns_hold_no_number_twice() -> None:
    for column in (0, 1):
        numbers = [pair[column] for pair in NUMBERS.values() if pair[column] is not None]
        assert len(numbers) == len(set(numbers))
