"""Releases in the catalogue: written once, found by name, range or digest, yanked. Functions over a connection."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from hephaestus.assets import Range, Version
from hephaestus.canonical import Digest, is_digest
from hephaestus.errors import NotFound, UsageError
from hephaestus.hub.values import Release
from hephaestus.seals import Seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

_COLUMNS = """r.name, r.version, r.digest, r.manifest, r.summary, r.published_at, r.score, r.override,
    (SELECT key_id FROM seal WHERE seal.release = r.id ORDER BY key_id LIMIT 1), r.yanked"""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def insert(
    connection: apsw.Connection, release: Release, *, dependencies: Mapping[str, str], seal: Seal | None
) -> None:
    """Add a release. The blobs it names must be durable by now.

    Raises:
        apsw.ConstraintError: If this name and version, or this digest, is there already.
    """
    version = Version.parse(release.version)
    connection.execute("INSERT INTO package (name) VALUES (?) ON CONFLICT DO NOTHING", (release.name,))
    connection.execute(
        """INSERT INTO release
           (name, version, sort_key, prerelease, digest, manifest, summary, published_at, score, override, yanked)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)""",
        (
            release.name,
            release.version,
            version.sort_key(),
            int(bool(version.prerelease)),
            release.digest,
            release.manifest,
            release.summary,
            release.published_at,
            release.score,
            release.override,
        ),
    )
    identity = connection.last_insert_rowid()
    connection.executemany(
        "INSERT INTO dep (release, name, range) VALUES (?, ?, ?)",
        [(identity, name, wanted) for name, wanted in sorted(dependencies.items())],
    )
    if seal is not None:
        connection.execute(
            "INSERT INTO seal (release, key_id, seal) VALUES (?, ?, ?)", (identity, seal.key_id, seal.seal)
        )


def published(connection: apsw.Connection, name: str, version: str) -> Release | None:
    """The release of exactly this name and version, if there is one."""
    return _one(connection, "r.name = ? AND r.version = ?", (name, version))


def find(connection: apsw.Connection, reference: str) -> Release:
    """The release that a reference means.

    Args:
        connection: A reading connection.
        reference: ``name`` (the newest; a prerelease only where there is nothing else), ``name@1.2.3`` (exactly that
            one), ``name@^1.2`` (the newest in the range) or a digest. Yanked releases are found only by their exact
            version and by digest.

    Raises:
        NotFound: With the nearest names or versions that are here.
        UsageError: If the part after ``@`` is neither a version nor a range.
    """
    if is_digest(reference):
        if (found := _one(connection, "r.digest = ?", (reference,))) is None:
            raise NotFound(f"no release with the digest {reference} in this hub")
        return found
    name, at, wanted = reference.partition("@")
    if not _NAME.fullmatch(name) or not _known(connection, name):
        raise _no_package(connection, name)
    if not at:
        found = _one(connection, "r.name = ? AND r.yanked = 0 ORDER BY r.prerelease, r.sort_key DESC LIMIT 1", (name,))
    else:
        found = _by_version(connection, name, wanted)
    if found is None:
        raise _no_version(connection, name, reference)
    return found


def listed(connection: apsw.Connection, name: str | None) -> tuple[Release, ...]:
    """All releases (of one package), by name and from the newest version down; yanked ones included.

    Raises:
        NotFound: If ``name`` is given and there is no such package.
    """
    if name is not None and not _known(connection, name):
        raise _no_package(connection, name)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM release r WHERE ?1 IS NULL OR r.name = ?1 ORDER BY r.name, r.sort_key DESC",  # noqa: S608
        (name,),
    )
    return tuple(_release(row) for row in rows)


def set_yanked(connection: apsw.Connection, release: Release, *, yanked: bool) -> Release:
    """Hide a release from new resolutions, or show it again. It stays readable by exact version and digest."""
    connection.execute("UPDATE release SET yanked = ? WHERE digest = ?", (int(yanked), release.digest))
    return msgspec.structs.replace(release, yanked=yanked)


def seals(connection: apsw.Connection, digest: Digest) -> tuple[Seal, ...]:
    """All seals of a release."""
    rows = connection.execute(
        "SELECT key_id, seal FROM seal JOIN release r ON r.id = seal.release WHERE r.digest = ? ORDER BY key_id",
        (digest,),
    )
    return tuple(Seal(key_id, seal) for key_id, seal in rows)


def put_derived(connection: apsw.Connection, release: Digest, kind: str, *, digest: Digest, builder: str) -> None:
    """Record the derived file of one kind; a former one of that kind is forgotten."""
    connection.execute(
        """INSERT INTO derived (release, kind, digest, builder)
           SELECT id, ?, ?, ? FROM release WHERE digest = ?
           ON CONFLICT DO UPDATE SET digest = excluded.digest, builder = excluded.builder""",
        (kind, digest, builder, release),
    )


def derived(connection: apsw.Connection, release: Digest, kind: str) -> tuple[Digest, str] | None:
    """Digest and builder of the derived file of one kind, if there is one."""
    row = connection.execute(
        """SELECT d.digest, d.builder FROM derived d JOIN release r ON r.id = d.release
           WHERE r.digest = ? AND d.kind = ?""",
        (release, kind),
    ).fetchone()
    return None if row is None else (Digest(row[0]), row[1])


def next_free(connection: apsw.Connection, name: str, version: str) -> Version:
    """The version to suggest where ``version`` is taken: one patch above the newest of the same major and minor."""
    taken = Version.parse(version)
    rows = connection.execute("SELECT version FROM release WHERE name = ?", (name,))
    line = [found for (text,) in rows if (found := Version.parse(text)).major == taken.major]
    patch = max((v.patch for v in line if v.minor == taken.minor and not v.prerelease), default=taken.patch - 1)
    # A taken prerelease is followed by the release that it led to, if that one is still free.
    return Version(taken.major, taken.minor, max(patch + 1, taken.patch))


def _by_version(connection: apsw.Connection, name: str, wanted: str) -> Release | None:
    try:
        return published(connection, name, str(Version.parse(wanted)))
    except ValueError:
        pass
    try:
        allowed = Range.parse(wanted)
    except ValueError as error:
        raise UsageError(f"`{name}@{wanted[:200]}`: {error}") from error
    rows = connection.execute(
        "SELECT version FROM release WHERE name = ? AND yanked = 0 ORDER BY sort_key DESC", (name,)
    )
    version = next((text for (text,) in rows if Version.parse(text) in allowed), None)
    return None if version is None else published(connection, name, version)


def _known(connection: apsw.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM package WHERE name = ?", (name,)).fetchone() is not None


def _no_package(connection: apsw.Connection, name: str) -> NotFound:
    names = [row[0] for row in connection.execute("SELECT name FROM package ORDER BY name")]
    near = difflib.get_close_matches(name[:100], names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else None
    if not names:
        hint = "the hub is empty: publish a package first"
    return NotFound(f"no agent named {name[:100]!r} in this hub", hint=hint)


def _no_version(connection: apsw.Connection, name: str, reference: str) -> NotFound:
    rows = connection.execute(
        "SELECT version, yanked FROM release WHERE name = ? ORDER BY sort_key DESC LIMIT 10", (name,)
    )
    versions = ", ".join(f"{version} (yanked)" if yanked else version for version, yanked in rows)
    return NotFound(
        f"no release of `{name}` matches `{reference[:200]}`",
        hint=f"the newest here: {versions}; a yanked one is found by its exact version only",
    )


def _one(connection: apsw.Connection, where: str, values: tuple[Any, ...]) -> Release | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM release r WHERE {where}", values).fetchone()  # noqa: S608
    return None if row is None else _release(row)


def _release(row: tuple[Any, ...]) -> Release:
    return Release(*(*row[:-1], bool(row[-1])))
