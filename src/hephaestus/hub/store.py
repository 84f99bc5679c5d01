"""What the Hub does, synchronously: blobs, catalogue and folders brought together. Safe to use from several threads."""

from __future__ import annotations

import itertools
import re
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from hephaestus.canonical import Digest, is_digest
from hephaestus.errors import AlreadyPublished, HephaestusError, HubError, IntegrityError, NotFound, UsageError
from hephaestus.hub import artifact, catalogue, channels
from hephaestus.hub.admission import Admitted, Package, admit, examine
from hephaestus.hub.database import Database
from hephaestus.hub.layout import Layout, hex_of
from hephaestus.hub.tree import Row, Tree, first_difference
from hephaestus.hub.unpacked import Stamp, file_digest, matches, place_derived, stamp, unpack
from hephaestus.hub.values import Derived, Generation, Release, ReleaseDraft

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

    from hephaestus.seals import Seal

_CACHED = 64  # file tables kept in memory: they never change, so only their number is bounded
_WORDS = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Store:
    """An open hub. :class:`hephaestus.hub.Hub` says what each method promises."""

    def __init__(self, folder: Path) -> None:
        self.layout: Layout = Layout(folder.absolute())
        self._database = Database(self.layout)
        self._stored: dict[Digest, artifact.Stored] = {}
        self._caching = threading.Lock()
        self._verified: dict[Path, Stamp] = {}

    def close(self) -> None:
        """Give the catalogue's file back."""
        self._database.close()

    @property
    def writable(self) -> bool:
        """Whether anything can be published here."""
        return self._database.writable

    # Publishing, in three steps

    def admit(self, draft: ReleaseDraft) -> Admitted | Release:
        """What may be published of a draft, or the release that it already is."""
        package = examine(draft)
        with self._database.reading() as connection:
            there = self._existing(connection, package)
        # What is published already is not scored again: newer weights do not take a release back.
        return admit(package, override=draft.override) if there is None else there

    def write(self, admitted: Admitted) -> Release:
        """Make every blob durable. The release that comes back is not in the catalogue yet."""
        with self._database.writing():
            pass  # a hub that is read-only says so before a byte is written
        package, agent = admitted.package, admitted.package.manifest.agent
        manifest = artifact.store(self.layout, admitted)
        return Release(
            name=agent.name,
            version=agent.version,
            digest=package.tree.digest,
            manifest=manifest,
            summary=agent.summary,
            published_at=int(time.time()),
            score=admitted.score,
            override=admitted.override,
        )

    def commit(self, admitted: Admitted, release: Release, seal: Seal | None) -> Release:
        """Name a written release in the catalogue, unless another process was faster."""
        with self._database.writing() as connection:
            there = self._existing(connection, admitted.package)
            if there is not None:
                return there
            catalogue.insert(connection, release, dependencies=admitted.package.manifest.agents, seal=seal)
        return msgspec.structs.replace(release, signed_by=None if seal is None else seal.key_id)

    def _existing(self, connection: apsw.Connection, package: Package) -> Release | None:
        agent = package.manifest.agent
        there = catalogue.published(connection, agent.name, agent.version)
        if there is None or there.digest == package.tree.digest:
            return there
        path = first_difference(self._load(there).rows, package.tree.rows)
        raise AlreadyPublished(
            f"{there.ref} is already published with other contents: {there.digest} is there, "
            f"{package.tree.digest} was offered; the first file that differs is `{path}`",
            hint=f"bump to {catalogue.next_free(connection, agent.name, agent.version)} in agent.toml",
        )

    # Releases

    def find(self, reference: str) -> Release:
        """The release that a reference means."""
        with self._database.reading() as connection:
            return catalogue.find(connection, reference)

    def releases(self, name: str | None) -> tuple[Release, ...]:
        """All releases, or those of one agent."""
        with self._database.reading() as connection:
            return catalogue.listed(connection, name)

    def yank(self, release: Release | str, *, yanked: bool) -> Release:
        """Hide a release, or show it again."""
        with self._database.writing() as connection:
            return catalogue.set_yanked(connection, _resolve(connection, release), yanked=yanked)

    def seals(self, release: Release | str) -> tuple[Seal, ...]:
        """All seals of a release."""
        with self._database.reading() as connection:
            return catalogue.seals(connection, _resolve(connection, release).digest)

    # Contents

    def tree(self, release: Release | str) -> Tree:
        """All files, verified."""
        return artifact.read_tree(self.layout, self._load(self._resolved(release)))

    def files(self, release: Release | str) -> tuple[Row, ...]:
        """The file table."""
        return self._load(self._resolved(release)).rows

    def read(self, release: Release | str, path: str) -> bytes:
        """One file, verified."""
        found = self._resolved(release)
        try:
            return artifact.read_file(self.layout, self._load(found), path)
        except KeyError as error:
            raise NotFound(f"{found.ref} holds no file `{path[:240]}`") from error

    def unpack(self, release: Release | str) -> Path:
        """A verified folder."""
        found = self._resolved(release)
        folder = self.layout.unpacked / hex_of(found.digest)
        if self._unchanged(folder):
            return folder
        # Taken before the contents are read: a change during the reading is then found by the next call.
        before = stamp(folder) if folder.exists() else None
        if before is None or not matches(folder, found.digest):
            tree = self.tree(found)
            unpack(self.layout, tree)
            before = stamp(folder)
            if not matches(folder, found.digest):
                raise IntegrityError(f"{folder} does not hold what was written to it", hint="check the disk")
        self._verified[folder] = before
        return folder

    def put_derived(self, release: Release | str, kind: str, source: Path, *, digest: Digest, builder: str) -> Path:
        """Keep a copy of a file computed from a release."""
        _check_word(kind, "kind of derived file")
        if not is_digest(digest):
            raise UsageError(f"{digest[:80]!r} is not a digest")
        with self._database.writing() as connection:
            found = _resolve(connection, release)
        path = place_derived(self.layout, source, digest=digest)
        with self._database.writing() as connection:
            catalogue.put_derived(connection, found.digest, kind, digest=digest, builder=builder)
        return path

    def derived(self, release: Release | str, kind: str) -> Derived | None:
        """A derived file, verified."""
        with self._database.reading() as connection:
            found = catalogue.derived(connection, _resolve(connection, release).digest, kind)
        if found is None:
            return None
        digest, builder = found
        path = self.layout.derived / hex_of(digest)
        if not path.exists():
            return None  # it can be computed again, and whoever asks will do so
        if not self._unchanged(path):
            before = stamp(path)
            if file_digest(path) != digest:
                raise IntegrityError(
                    f"{path} ({kind} of a release) is damaged: its bytes have another digest",
                    hint="remove the file; it is computed again when it is next needed",
                )
            self._verified[path] = before
        return Derived(kind, digest, builder, path)

    # Channels

    def deploy(
        self,
        channel: str,
        releases: tuple[Release | str, ...],
        *,
        card_table: bytes,
        expected: int | None,
        by: str,
        why: str,
    ) -> Generation:
        """Append a generation."""
        _check_word(channel, "channel")
        with self._database.writing() as connection:
            members = _members(connection, releases)
        for release in members:
            self._load(release)  # nothing goes in force whose manifest cannot be read
        table, _ = self.layout.put([card_table])
        self.layout.settle()
        draft = Generation(
            channel=channel,
            number=0,
            parent=None,
            closure=channels.closure_digest(members, table),
            releases=tuple(release.digest for release in members),
            card_table=table,
            at=int(time.time()),
            by=by,
            why=why,
        )
        with self._database.writing() as connection:
            return channels.deploy(connection, draft, expected=expected)

    def rollback(self, channel: str, *, to: int | None, expected: int | None, by: str, why: str) -> Generation:
        """Append a generation with an earlier closure."""
        with self._database.writing() as connection:
            return channels.rollback(connection, channel, to=to, expected=expected, at=int(time.time()), by=by, why=why)

    def history(self, channel: str) -> tuple[Generation, ...]:
        """All generations, newest first."""
        with self._database.reading() as connection:
            channels.generation(connection, channel, None)  # an unknown channel is an error, not an empty history
            return channels.history(connection, channel)

    def generation(self, channel: str, number: int | None) -> Generation:
        """One generation."""
        with self._database.reading() as connection:
            return channels.generation(connection, channel, number)

    def card_table(self, channel: str, number: int | None) -> bytes:
        """The card table of a generation, verified."""
        return self.layout.read(self.generation(channel, number).card_table)

    def table(self, digest: Digest) -> bytes:
        """A card table that was deployed, verified."""
        with self._database.reading() as connection:
            if not channels.held(connection, digest):
                raise NotFound(
                    f"no generation of this hub holds the card table {digest[:80]}",
                    hint="route with a table that was deployed to a channel of this hub",
                )
        return self.layout.read(digest)

    def channels(self) -> tuple[str, ...]:
        """The names of all channels."""
        with self._database.reading() as connection:
            return channels.channels(connection)

    # Health

    def audit(self) -> tuple[str, ...]:
        """What is wrong with this hub, one sentence each."""
        problems: list[str] = []
        with self._database.reading() as connection:
            for (finding,) in connection.execute("PRAGMA integrity_check"):
                if finding != "ok":
                    problems.append(f"{self.layout.catalogue}: {finding}")
            problems += [
                f"{self.layout.catalogue}: a row of {table} refers to a {parent} that is not there"
                for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check")
            ]
            releases = catalogue.listed(connection, None)
            generations = [g for name in channels.channels(connection) for g in channels.history(connection, name)]
        with self._caching:
            self._stored.clear()
        for release in releases:
            try:
                artifact.read_tree(self.layout, self._load(release))
            except HephaestusError as error:
                problems.append(f"{release.ref}: {error}")
        by_digest = {release.digest: release for release in releases}
        for generation in generations:
            try:
                self.layout.read(generation.card_table)
            except HephaestusError as error:
                problems.append(f"{generation.channel} {generation.number}: {error}")
            members = [by_digest[digest] for digest in generation.releases]
            if channels.closure_digest(members, generation.card_table) != generation.closure:
                problems.append(f"{generation.channel} {generation.number}: its releases are not its closure")
        return tuple(problems)

    # Shared

    def _resolved(self, release: Release | str) -> Release:
        with self._database.reading() as connection:
            return _resolve(connection, release)

    def _load(self, release: Release) -> artifact.Stored:
        with self._caching:
            known = self._stored.get(release.digest)
        if known is None:
            known = artifact.load(self.layout, release.manifest, tree=release.digest, ref=release.ref)
            with self._caching:
                while len(self._stored) >= _CACHED:
                    del self._stored[next(iter(self._stored))]
                self._stored[release.digest] = known
        return known

    def _unchanged(self, path: Path) -> bool:
        known = self._verified.get(path)
        return known is not None and path.exists() and stamp(path) == known


def _resolve(connection: apsw.Connection, release: Release | str) -> Release:
    # By digest even where a Release is handed in: it may come from another hub, or say something that is not so.
    return catalogue.find(connection, release if isinstance(release, str) else release.digest)


def _members(connection: apsw.Connection, releases: tuple[Release | str, ...]) -> list[Release]:
    found = {release.digest: release for release in (_resolve(connection, given) for given in releases)}
    members = sorted(found.values(), key=lambda release: release.name)
    if not members:
        raise HubError("a generation without releases would leave nothing to route to", hint="name at least one")
    for one, other in itertools.pairwise(members):
        if one.name == other.name:
            raise HubError(
                f"{one.ref} and {other.ref} cannot both be in force: every request for one would fit the other",
                hint="name one release of each agent",
            )
    return members


def _check_word(text: str, what: str) -> None:
    if len(text) > 64 or not _WORDS.fullmatch(text):
        raise UsageError(f"{text[:80]!r} is no name of a {what}: expected lower-case words joined by hyphens")
