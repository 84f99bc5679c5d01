"""A signal is never lost, and never interrupts where that would leave something half done."""

from __future__ import annotations

import os
import signal
import threading

import anyio
import pytest
from tests.cli.conftest import Type

from hephaestus.cli import app, signals
from hephaestus.cli.signals import Signals, Stopped, interruptible

ASKS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), ASKS)
@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("words", [["version"], ["list"], ["route", "x"]])
def test_a_signal_while_the_command_is_read_ends_it_before_it_begins(
    typed: Type, monkeypatch: pytest.MonkeyPatch, number: int, code: int, words: list[str], json: bool
) -> None:
    parser = app.parser

    def slow() -> object:
        send(number)
        return parser()

    monkeypatch.setattr(app, "parser", slow)
    done = typed(*words, *(["--json"] if json else []))
    assert done.code == code
    said = "interrupted" if number == signal.SIGINT else f"interrupted by {signal.Signals(number).name}"
    if json:
        assert (done.error["kind"], done.error["message"]) == ("Interrupted", said)
    else:
        assert (done.out, done.err) == ("", f"error: {said}\n")


@pytest.mark.parametrize(("number", "code"), ASKS)
def test_a_signal_before_the_event_loop_runs_is_not_lost(
    typed: Type, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    run = anyio.run

    def late(*arguments: object) -> object:
        send(number)
        return run(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(anyio, "run", late)
    assert typed("list").code == code


@pytest.mark.parametrize(("number", "code"), ASKS)
def test_a_signal_cancels_what_is_under_way_and_lets_it_finish_its_end(
    typed: Type, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    said = []

    async def handler(*_: object) -> int:
        try:
            send(number)
            send(number)  # impatience
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                said.append("ended")
        return 0

    monkeypatch.setattr("hephaestus.cli.doctor._version", handler)
    assert typed("version").code == code
    assert said == ["ended"]


def test_a_command_that_ends_in_spite_of_a_signal_keeps_its_answer(
    typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(*_: object) -> int:
        with anyio.CancelScope(shield=True):
            send(signal.SIGTERM)
            await anyio.lowlevel.checkpoint()
        return 7

    monkeypatch.setattr("hephaestus.cli.doctor._version", handler)
    assert typed("version").code == 7


def test_waiting_for_a_person_is_broken_off() -> None:
    with Signals():
        with pytest.raises(Stopped), interruptible():
            send(signal.SIGINT)
        with pytest.raises(Stopped), interruptible():
            pytest.fail("it was asked to stop before")


def test_outside_of_a_command_nothing_is_held_off() -> None:
    with interruptible():
        pass
    assert signals._held == []


def test_handlers_are_put_back_and_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        handler = signal.getsignal(signal.SIGTERM)
        with Signals() as held:
            send(signal.SIGHUP)
            assert held.number is None
            assert signal.getsignal(signal.SIGTERM) != handler
        assert signal.getsignal(signal.SIGTERM) == handler
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_commands_run_too() -> None:
    codes: list[int] = []

    def work() -> None:
        with Signals() as held:
            held.check()
            codes.append(0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert codes == [0]
