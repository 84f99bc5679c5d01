"""The role of a search: open a shard and answer one query. Shards are never opened by the host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from hephaestus_runner.work import WorkFailed, to_json

if TYPE_CHECKING:
    from hephaestus_runner.channel import Channel
    from hephaestus_runner.config import Config, Places
    from hephaestus_runner.protocol import Start


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to look for."""

    query: str
    limit: int = 10


def run(channel: Channel, start: Start, config: Config, place: Places) -> bytes:  # noqa: ARG001
    """The hits, best first, as JSON objects.

    Raises:
        WorkFailed: If the query holds nothing to look for, or the shard cannot be read.
    """
    from hephaestus_runner.search import QueryError, Shard

    if place.shard is None:
        raise WorkFailed("specification", "a search was asked for, and no knowledge shard was given")
    query = msgspec.convert(json.loads(start.input), Query)
    try:
        shard = Shard.open(place.shard)
    except (ValueError, OSError) as error:
        raise WorkFailed("tool", f"the knowledge shard cannot be opened: {error}") from error
    try:
        hits = shard.search(query.query, limit=query.limit)
    except QueryError as error:
        raise WorkFailed("caller", str(error)) from error
    finally:
        shard.close()
    return to_json([msgspec.to_builtins(hit) for hit in hits])
