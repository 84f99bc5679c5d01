"""The role of a check: call one function of the package over plain data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from hephaestus_runner.adapters import python
from hephaestus_runner.work import NotJson, WorkFailed, to_json

if TYPE_CHECKING:
    from hephaestus_runner.channel import Channel
    from hephaestus_runner.config import Config, Places
    from hephaestus_runner.protocol import Start


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the function is called with."""

    artefact: Any
    params: dict[str, Any] = {}


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which function."""

    entry: str
    payload: Payload


def run(channel: Channel, start: Start, config: Config, place: Places) -> bytes:  # noqa: ARG001
    """What ``function(artefact, params)`` returns, as JSON; the host reads it strictly.

    Raises:
        WorkFailed: If it raised, or returned what has no JSON form.
    """
    order = msgspec.convert(json.loads(start.input), Order)
    target = python.function(order.entry, place)
    value = python.call(order.entry, target, order.payload.artefact, order.payload.params)
    try:
        return to_json(value)
    except NotJson as error:
        raise WorkFailed("check", f"{order.entry} returned what is {error}") from error
