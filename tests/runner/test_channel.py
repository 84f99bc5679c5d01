"""The child's end of the pipe: requests find their answers, and a host that gives up is heard."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from hephaestus_runner.channel import Cancelled, Channel, HostGone
from hephaestus_runner.protocol import (
    Accepted,
    Bye,
    Cancel,
    Event,
    FrameReader,
    Message,
    Policy,
    Result,
    Start,
    Stop,
    ToolCall,
    Usage,
    WireError,
    frame,
)


class Host:
    """The other end, with its answers written ahead."""

    def __init__(self) -> None:
        self.child_reads, self.writes = os.pipe()
        self.reads, self.child_writes = os.pipe()
        self.channel = Channel(self.child_reads, self.child_writes)

    def say(self, *messages: Message) -> None:
        for message in messages:
            os.write(self.writes, frame(message))

    def heard(self) -> list[Message]:
        return FrameReader().feed(os.read(self.reads, 1 << 16))

    def close(self) -> None:
        for descriptor in (self.child_reads, self.writes, self.reads, self.child_writes):
            try:
                os.close(descriptor)
            except OSError:
                continue


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


def call(number: int) -> ToolCall:
    return ToolCall(number, "x", b"1")


def test_a_request_gets_the_answer_with_its_number(host: Host) -> None:
    host.say(Result(1, b"1"), Result(2, b"2"))
    assert host.channel.request(call) == Result(1, b"1")
    assert host.channel.request(call) == Result(2, b"2")
    assert host.heard() == [call(1), call(2)]


def test_a_late_answer_to_a_cancelled_request_is_passed_over(host: Host) -> None:
    host.say(Cancel(1, "too slow"))
    with pytest.raises(Cancelled, match="too slow"):
        host.channel.request(call)
    host.say(Cancel(1, "again"), Result(1, b"late"), Result(2, b"2"))
    assert host.channel.request(call) == Result(2, b"2")


@pytest.mark.parametrize("message", [Stop(100), Cancel(0, "enough")])
def test_once_the_work_is_given_up_no_request_goes_out(host: Host, message: Message) -> None:
    host.say(message)
    with pytest.raises(Cancelled):
        host.channel.request(call)
    host.heard()
    with pytest.raises(Cancelled):
        host.channel.request(call)
    host.channel.send(Event("last", b"1"))
    assert host.heard() == [Event("last", b"1")]


def test_being_given_up_is_not_caught_by_ordinary_handlers() -> None:
    assert not issubclass(Cancelled, Exception)


@pytest.mark.parametrize("message", [Result(5, b"1"), Bye(Usage()), Accepted(9)])
def test_an_answer_out_of_order_is_an_error(host: Host, message: Message) -> None:
    host.say(message)
    with pytest.raises(WireError, match="where the answer to 1 was expected"):
        host.channel.request(call)


def test_a_host_that_is_gone_is_noticed_in_both_directions(host: Host) -> None:
    os.close(host.writes)
    with pytest.raises(HostGone):
        host.channel.request(call)
    os.close(host.reads)
    with pytest.raises(HostGone):
        host.channel.send(Event("x", b"1"))
    host.channel.end(Bye(Usage()))  # nobody left to hear it


def test_the_work_comes_first_or_not_at_all(host: Host) -> None:
    begin = Start("run", "a@1.0.0", Policy(), 1, b"{}", ())
    host.say(begin, Stop(1), Result(1, b"1"))
    assert host.channel.start() == begin
    assert host.channel.start() is None
    with pytest.raises(WireError, match="Start was expected"):
        host.channel.start()
    os.close(host.writes)
    assert host.channel.start() is None


def test_messages_of_several_threads_stay_whole(host: Host) -> None:
    big = Event("big", b"x" * 100_000)
    threads = [threading.Thread(target=host.channel.send, args=(big,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    reader, seen = FrameReader(), 0
    while seen < 8:
        for message in reader.feed(os.read(host.reads, 1 << 16)):
            assert message == big
            seen += 1
    for thread in threads:
        thread.join()


def test_a_message_over_the_limit_is_refused_and_nothing_of_it_sent(host: Host) -> None:
    with pytest.raises(WireError):
        host.channel.send(Event("x", b"x" * (9 << 20)))
    host.channel.send(Event("y", b"1"))
    assert host.heard() == [Event("y", b"1")]
