"""The role of an inspection: say of each entry point whether it can be loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from hephaestus_runner.adapters import python
from hephaestus_runner.work import WorkFailed, clean, to_json

if TYPE_CHECKING:
    from hephaestus_runner.channel import Channel
    from hephaestus_runner.config import Config, Places
    from hephaestus_runner.protocol import Start


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entry points."""

    entries: tuple[str, ...]


def run(channel: Channel, start: Start, config: Config, place: Places) -> bytes:  # noqa: ARG001
    """Entry point -> null, or what is wrong with it."""
    order = msgspec.convert(json.loads(start.input), Order)
    found: dict[str, str | None] = {}
    for entry in order.entries:
        try:
            python.function(entry, place)
            found[entry] = None
        except WorkFailed as error:
            found[entry] = clean(error.message)
    return to_json(found)
