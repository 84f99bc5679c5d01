"""The role of an agent: call the package's entry point with a :class:`~hephaestus_runner.sdk.Task`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from hephaestus_runner.adapters import python
from hephaestus_runner.sdk import Task
from hephaestus_runner.work import NotJson, WorkFailed, to_json

if TYPE_CHECKING:
    from hephaestus_runner.channel import Channel
    from hephaestus_runner.config import Config, Places
    from hephaestus_runner.protocol import Start


def run(channel: Channel, start: Start, config: Config, place: Places) -> bytes:
    """What the entry function returns, as JSON.

    Raises:
        WorkFailed: If it raised, or returned what has no JSON form.
    """
    random.seed(start.seed)
    target = python.function(config.entry, place)
    value = python.call(config.entry, target, Task(channel, start, place))
    try:
        return to_json(value)
    except NotJson as error:
        raise WorkFailed("output", f"{config.entry} returned what is {error}") from error
