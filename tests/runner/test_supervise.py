"""The supervisor's own decisions: who is collected, when it gives up waiting, what it does on other systems."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
from tests.support.children import linux_only

from hephaestus_runner import limits, supervise
from hephaestus_runner.config import Config
from hephaestus_runner.protocol import Limits

pytestmark = linux_only


def config(control: int, *, wall_ms: int = 60_000) -> Config:
    return Config(
        role="agent", level="none", limits=Limits(wall_ms=wall_ms), homes={}, python="", folder="", reader=0, writer=0,
        control=control,
    )  # fmt: skip


@pytest.fixture
def _own_signals():
    """The supervisor takes signals over; the test process gets its own back."""
    numbers = (*supervise._ENDING, signal.SIGCONT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


# Not before there is a handler: without one, it would be the end of the tests.
TELLS = """
import os, signal
def caught():
    with open(f"/proc/{os.getppid()}/status") as file:
        return int(next(line for line in file if line.startswith("SigCgt:")).split()[1], 16)
while not caught() >> (signal.SIGTERM - 1) & 1:
    pass
os.kill(os.getppid(), signal.SIGTERM)
input()
"""


@pytest.mark.usefixtures("_own_signals")
@pytest.mark.parametrize("pidfd", [True, False])
@pytest.mark.parametrize("reason", ["ended", "host", "deadline", "orphaned", "told"])
def test_it_waits_until_one_of_its_reasons(reason: str, pidfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    monkeypatch.setattr(supervise, "GRACE_MS", 0)
    near, far = socket.socketpair()
    code = TELLS if reason == "told" else "input()"
    with near, far, subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE) as process:
        if reason == "ended":
            process.kill()
        if reason == "host":
            near.close()
        wall_ms = 50 if reason == "deadline" else 60_000
        host = os.getppid() + 1 if reason == "orphaned" else os.getppid()
        why, status = supervise._watch(process.pid, config(far.fileno(), wall_ms=wall_ms), host)
        assert why == {"orphaned": "host", "told": "host"}.get(reason, reason)
        assert (status is not None) == (reason == "ended")
        if reason == "ended":
            process.returncode = -9
        process.kill()


@pytest.mark.usefixtures("_own_signals")
def test_a_signal_that_wakes_it_for_no_reason_changes_nothing() -> None:
    signals = supervise._Signals()
    try:
        os.kill(os.getpid(), signal.SIGCONT)
        assert signals.arrived == [signal.SIGCONT]
        assert not signals.say_end(os.getppid())
        assert signals.say_end(os.getppid() + 1)
    finally:
        signals.close()


@pytest.mark.usefixtures("_own_signals")
def test_signals_that_come_while_it_is_ending_already_interrupt_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    close = supervise._Signals.close

    def late(self: supervise._Signals) -> None:
        # The end of the host is told twice, and the second time may be here.
        for number in (signal.SIGCONT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        close(self)

    monkeypatch.setattr(supervise._Signals, "close", late)
    near, far = socket.socketpair()
    near.close()
    with far, subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        why, _ = supervise._watch(process.pid, config(far.fileno()), os.getppid())
        assert why == "host"
        process.kill()


def test_without_orphans_to_adopt_the_session_is_what_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LINUX", False)
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        supervise._kill_rest(process.pid)
        assert process.wait() == -signal.SIGKILL
    supervise._kill_rest(process.pid)  # nobody is left


def test_what_will_not_die_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "_SWEEP_S", 0.0)
    monkeypatch.setattr(supervise, "_childless", lambda: False)
    monkeypatch.setattr(supervise, "_kill_rest", lambda child: 3)
    monkeypatch.setattr(supervise, "_reap", lambda child: None)
    assert supervise._sweep(2**22 + 1, None) == (None, 3)


def test_a_host_that_is_gone_is_not_told() -> None:
    near, far = socket.socketpair()
    near.close()
    with far:
        supervise._tell(far.fileno(), {"pid": 1})
