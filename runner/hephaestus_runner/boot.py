"""The life of a confined child: say hello, wait for the work, do it, answer, say goodbye."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import sys

from hephaestus_runner import protocol
from hephaestus_runner.channel import Cancelled, Channel, HostGone
from hephaestus_runner.config import Config, Places, places
from hephaestus_runner.protocol import Bye, Failure, Hello, Result, Start, Usage
from hephaestus_runner.work import WorkFailed, clean, pack, trace_of


def run(config: Config, features: dict[str, str]) -> None:
    """Serve one :class:`Start`; returns when nothing is left to do.

    Args:
        config: From the host.
        features: What confinement reached, for :class:`Hello`.
    """
    place = places(config)
    os.environ.update(HOME=place.scratch, TMPDIR=place.scratch, PATH="/usr/bin:/bin")
    sys.executable = config.python
    channel = Channel(config.reader, config.writer)
    try:
        channel.send(Hello(protocol.VERSION, config.level, features))
        start = channel.start()
        if start is not None:
            _serve(channel, start, config, place)
    except HostGone:
        # Nobody is left to say anything to.
        return


def _serve(channel: Channel, start: Start, config: Config, place: Places) -> None:
    answer = _answer(channel, start, config, place)
    for stream in (sys.stdout, sys.stderr):
        # What was printed belongs before the end; but package code may have put anything in the stream's place.
        with contextlib.suppress(Exception):
            stream.flush()
    channel.send(answer)
    channel.end(Bye(_usage()))


def _answer(channel: Channel, start: Start, config: Config, place: Places) -> Result | Failure:
    role = importlib.import_module(f"hephaestus_runner.roles.{config.role}")
    try:
        value: bytes = role.run(channel, start, config, place)
        return Result(0, pack(value, place.exchange))
    except WorkFailed as error:
        return Failure(0, error.cause, clean(error.message), error.trace)
    except HostGone:
        raise
    except Cancelled as error:
        return Failure(0, "caller", clean(f"given up: {error}"))
    except ValueError as error:
        # NotJson and WireError: the value cannot be sent, or the host did not keep to the protocol.
        return Failure(0, "output", clean(str(error)), trace_of(error))


def _usage() -> Usage:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(cpu_ms=int(seconds * 1000), peak_bytes=max(own.ru_maxrss, children.ru_maxrss) * unit)
