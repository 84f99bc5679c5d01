"""Channels: named pointers to a closure of releases, with their whole history. Functions over a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hephaestus import canonical
from hephaestus.canonical import Digest
from hephaestus.errors import HubError, NotFound, StaleGeneration
from hephaestus.hub.values import Generation, Release

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw


def closure_digest(releases: Sequence[Release], card_table: Digest) -> Digest:
    """The digest of what a generation puts in force; the order of ``releases`` does not matter."""
    digests = sorted(release.digest for release in releases)
    return canonical.digest("hephaestus/closure/1", {"card_table": card_table, "releases": digests})


def current(connection: apsw.Connection, channel: str) -> Generation | None:
    """The newest generation, or None where nothing was deployed yet."""
    return next(iter(history(connection, channel, limit=1)), None)


def generation(connection: apsw.Connection, channel: str, number: int | None) -> Generation:
    """One generation, the newest where ``number`` is None.

    Raises:
        NotFound: If there is no such generation or channel.
    """
    if (newest := current(connection, channel)) is None:
        known = ", ".join(channels(connection)) or "none yet"
        raise NotFound(f"nothing was ever deployed to the channel `{channel[:100]}`", hint=f"channels here: {known}")
    if number is None or number == newest.number:
        return newest
    found = _generations(connection, "g.channel = ? AND g.number = ?", (channel, number))
    if not found:
        raise NotFound(f"the channel `{channel}` has the generations 1 to {newest.number}, not {number}")
    return found[0]


def history(connection: apsw.Connection, channel: str, *, limit: int = -1) -> tuple[Generation, ...]:
    """The generations of a channel, newest first; -1: all."""
    return _generations(connection, "g.channel = ? ORDER BY g.number DESC LIMIT ?", (channel, limit))


def channels(connection: apsw.Connection) -> tuple[str, ...]:
    """The names of all channels."""
    return tuple(row[0] for row in connection.execute("SELECT DISTINCT channel FROM generation ORDER BY channel"))


def held(connection: apsw.Connection, card_table: Digest) -> bool:
    """Whether any generation of any channel was put in force with this card table."""
    return (
        connection.execute("SELECT 1 FROM generation WHERE card_table = ? LIMIT 1", (card_table,)).fetchone()
        is not None
    )


def deploy(connection: apsw.Connection, draft: Generation, *, expected: int | None) -> Generation:
    """Append a generation to a channel, in the caller's write transaction.

    Args:
        connection: A writing connection.
        draft: What to put in force; its number and parent are set here.
        expected: The number that the caller saw as the newest (0: none), or None to go on from whatever is there.

    Returns:
        The new generation; the newest one where it has the same closure already, because a second one with nothing
        changed would make the next rollback change nothing.

    Raises:
        StaleGeneration: If the newest is not ``expected``.
    """
    newest = current(connection, draft.channel)
    _expect(draft.channel, newest, expected)
    if newest is not None and newest.closure == draft.closure:
        return newest
    number = newest.number if newest else 0
    return _append(connection, msgspec.structs.replace(draft, number=number + 1, parent=number or None))


def rollback(
    connection: apsw.Connection, channel: str, *, to: int | None, expected: int | None, at: int, by: str, why: str
) -> Generation:
    """Append a generation with the closure of an earlier one: of the newest one's parent, or of number ``to``.

    Its parent is the restored generation's parent, so that after A, B, rollback, C, another rollback leads to A again
    and never to the B that was taken back.

    Raises:
        HubError: If there is nothing before the newest.
        NotFound: If the channel or the generation ``to`` is not there.
        StaleGeneration: If the newest is not ``expected``.
    """
    newest = generation(connection, channel, None)
    _expect(channel, newest, expected)
    target = to if to is not None else newest.parent
    if target is None:
        raise HubError(
            f"generation {newest.number} of the channel `{channel}` has none before it to go back to",
            hint=f"`hephaestus history {channel}` shows them; name one with --to",
        )
    restored = generation(connection, channel, target)
    return _append(connection, msgspec.structs.replace(restored, number=newest.number + 1, at=at, by=by, why=why))


def _expect(channel: str, newest: Generation | None, expected: int | None) -> None:
    found = newest.number if newest else 0
    if expected is not None and expected != found:
        raise StaleGeneration(
            f"the channel `{channel}` is at generation {found}, not {expected} any more; nothing was changed",
            hint=f"look at `hephaestus history {channel}`, then try again",
        )


def _append(connection: apsw.Connection, new: Generation) -> Generation:
    connection.execute(
        """INSERT INTO generation (channel, number, parent, closure, card_table, at, by, why)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (new.channel, new.number, new.parent, new.closure, new.card_table, new.at, new.by, new.why),
    )
    connection.executemany(
        """INSERT INTO generation_release (channel, number, position, release)
           SELECT ?, ?, ?, id FROM release WHERE digest = ?""",
        [(new.channel, new.number, position, digest) for position, digest in enumerate(new.releases)],
    )
    return new


def _generations(connection: apsw.Connection, where: str, values: tuple[str | int, ...]) -> tuple[Generation, ...]:
    rows: list[tuple[Any, ...]] = connection.execute(
        f"""SELECT g.channel, g.number, g.parent, g.closure, g.card_table, g.at, g.by, g.why
            FROM generation g WHERE {where}""",  # noqa: S608
        values,
    ).fetchall()
    return tuple(_generation(row, _members(connection, row[0], row[1])) for row in rows)


def _generation(row: tuple[Any, ...], releases: tuple[Digest, ...]) -> Generation:
    channel, number, parent, closure, card_table, at, by, why = row
    return Generation(channel, number, parent, closure, releases, card_table, at, by, why)


def _members(connection: apsw.Connection, channel: str, number: int) -> tuple[Digest, ...]:
    rows: Iterable[tuple[Any, ...]] = connection.execute(
        """SELECT r.digest FROM generation_release m JOIN release r ON r.id = m.release
           WHERE m.channel = ? AND m.number = ? ORDER BY m.position""",
        (channel, number),
    )
    return tuple(Digest(digest) for (digest,) in rows)
