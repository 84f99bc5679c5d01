"""The Hub: the home of releases, for asynchronous callers. What it does is in ``store`` and below."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

import anyio
import anyio.to_thread

from hephaestus.hub.values import Derived, Generation, Release, ReleaseDraft, Sealer, release_payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    from hephaestus.canonical import Digest
    from hephaestus.hub.store import Store
    from hephaestus.hub.tree import Row, Tree
    from hephaestus.seals import Seal

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Hub:
    """A store of releases and channels in one folder. Made by :meth:`open`; used by many tasks and processes at once.

    Every method does its work in a worker thread and, once begun, finishes it: a cancelled publish is either not there
    or whole. Methods that take a release take a :class:`Release` or a reference (see :meth:`release`).
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        """Open the hub in a folder; make it where there is none.

        A hub on a read-only or full disk is opened for reading, and publishing there says so.

        Args:
            path: The hub's own folder.

        Raises:
            StorageError: If the folder can be neither written nor read.
            IntegrityError: If the catalogue is damaged.
        """
        # apsw costs 15 ms to import; whoever only names a Release should not pay it.
        from hephaestus.hub.store import Store

        store = await _work(Store, path)
        try:
            yield cls(store)
        finally:
            with anyio.CancelScope(shield=True):
                await _work(store.close)

    @property
    def folder(self) -> Path:
        """Where the hub lies."""
        return self._store.layout.folder

    @property
    def writable(self) -> bool:
        """Whether anything can be published here."""
        return self._store.writable

    # Releases

    async def publish(self, draft: ReleaseDraft, *, sealer: Sealer | None = None) -> Release:
        """Publish a package, for ever.

        Manifest, card and brief are read again from the tree, and the brief is scored again. First every blob becomes
        durable, then the catalogue names them, in one transaction. Publishing the same bytes again returns what is
        there.

        Args:
            draft: What to publish. Its ``override`` is kept only where the interview refuses the brief.
            sealer: Who signs; None leaves the release unsigned, which ``signed_by`` then shows.

        Raises:
            AlreadyPublished: If this name and version exist with other bytes.
            AssetError: If a file of the package is missing or does not say what it must.
            BriefRefused: If the brief is too vague and the draft gives no reason to publish it all the same.
            StorageError: If the disk is full or read-only. What was published before is not touched.
        """
        admitted = await _work(self._store.admit, draft)
        if isinstance(admitted, Release):
            return admitted
        release = await _work(self._store.write, admitted)
        # The signer is another process, asked between the two steps; nothing refers to the blobs yet.
        seal = None if sealer is None else await sealer.sign("release", release_payload(release))
        return await _work(self._store.commit, admitted, release, seal)

    async def release(self, reference: str) -> Release:
        """The release that a reference means.

        Args:
            reference: ``name`` (the newest that is not yanked; a prerelease only where there is nothing else),
                ``name@1.2.3``, ``name@^1.2`` (the newest in that range) or a digest.

        Raises:
            NotFound: With the nearest names or versions.
            UsageError: If the part after ``@`` is neither version nor range.
        """
        return await _work(self._store.find, reference)

    async def releases(self, name: str | None = None) -> tuple[Release, ...]:
        """All releases (of one agent), by name and from the newest version down; yanked ones included.

        Raises:
            NotFound: If there is no agent of that name.
        """
        return await _work(self._store.releases, name)

    async def yank(self, release: Release | str, *, yanked: bool = True) -> Release:
        """Hide a release from references without an exact version, or show it again (``yanked=False``).

        Generations that hold it go on as before.

        Raises:
            NotFound: If it is not in this hub.
        """
        return await _work(self._store.yank, release, yanked=yanked)

    async def seals(self, release: Release | str) -> tuple[Seal, ...]:
        """All seals of a release. What they cover: :func:`release_payload`; to check one: ``seals.verify_trusted``.

        Raises:
            NotFound: If it is not in this hub.
        """
        return await _work(self._store.seals, release)

    # Contents

    async def tree(self, release: Release | str) -> Tree:
        """All files of a release, every byte verified.

        Raises:
            IntegrityError: Naming the blob that is damaged or missing.
        """
        return await _work(self._store.tree, release)

    async def read(self, release: Release | str, path: str) -> bytes:
        """One file of a release, verified.

        Raises:
            NotFound: If the release holds no such file.
            IntegrityError: If its bytes are damaged.
        """
        return await _work(self._store.read, release, path)

    async def files(self, release: Release | str) -> tuple[Row, ...]:
        """Path, mode, size and digest of every file of a release.

        Raises:
            IntegrityError: If the file table is damaged.
        """
        return await _work(self._store.files, release)

    async def unpack(self, release: Release | str) -> Path:
        """A read-only folder with exactly the files of a release, world-readable, kept in the hub.

        It is verified in full once a process; later calls compare inode, size and change time of every file. A damaged
        folder is replaced from the blobs.

        Raises:
            IntegrityError: If a blob of the release is damaged.
            StorageError: If it has to be written and cannot be.
        """
        return await _work(self._store.unpack, release)

    async def put_derived(
        self, release: Release | str, kind: str, source: Path, *, digest: Digest, builder: str
    ) -> Path:
        """Keep a copy of a file that was computed from a release; one a kind, the last one counts.

        Args:
            release: What it was computed from.
            kind: What it is, for example ``shard``.
            source: The file; it is copied.
            digest: Of the file.
            builder: What computed it, with its version.

        Returns:
            Where the copy lies: a read-only file.

        Raises:
            IntegrityError: If ``source`` has another digest.
            StorageError: If it cannot be copied.
        """
        return await _work(self._store.put_derived, release, kind, source, digest=digest, builder=builder)

    async def derived(self, release: Release | str, kind: str) -> Path | None:
        """The derived file of one kind, verified as :meth:`unpack` does; None where it was not computed or is gone.

        Raises:
            IntegrityError: If it is damaged.
        """
        found = await self.derived_record(release, kind)
        return None if found is None else found.path

    async def derived_record(self, release: Release | str, kind: str) -> Derived | None:
        """As :meth:`derived`, with digest and builder.

        Raises:
            IntegrityError: If the file is damaged.
        """
        return await _work(self._store.derived, release, kind)

    # Channels

    async def deploy(
        self,
        channel: str,
        releases: Iterable[Release | str],
        *,
        card_table: bytes,
        expected: int | None = None,
        by: str = "",
        why: str = "",
    ) -> Generation:
        """Put releases in force on a channel, in one step.

        Args:
            channel: Its name: lower-case words joined by hyphens. Made by its first deploy.
            releases: All that shall be in force, one of each name; not only what is new.
            card_table: Their compiled routing cards.
            expected: The number of the generation that the caller saw last (0: none); None: whatever is there.
            by: Who.
            why: What for.

        Returns:
            The new generation; the newest one, unchanged, if it holds exactly this already.

        Raises:
            StaleGeneration: If the channel is not at ``expected`` any more. Nothing was changed.
            NotFound: If a release is not in this hub.
            HubError: If nothing is named, or one agent twice.
        """
        return await _work(
            self._store.deploy,
            channel,
            tuple(releases),
            card_table=card_table,
            expected=expected,
            by=by,
            why=why,
        )

    async def rollback(
        self, channel: str, *, to: int | None = None, expected: int | None = None, by: str = "", why: str = ""
    ) -> Generation:
        """Put an earlier closure in force again, as a new generation.

        Without ``to`` it is that of the newest generation's parent. The new generation takes over the parent of the one
        that it restores: after A, B, rollback, C a second rollback leads to A, not to the B that was taken back.

        Raises:
            NotFound: If there is no such channel or generation.
            HubError: If there is nothing to go back to.
            StaleGeneration: If the channel is not at ``expected`` any more.
        """
        return await _work(self._store.rollback, channel, to=to, expected=expected, by=by, why=why)

    async def history(self, channel: str) -> tuple[Generation, ...]:
        """All generations of a channel, newest first.

        Raises:
            NotFound: If nothing was ever deployed to it.
        """
        return await _work(self._store.history, channel)

    async def generation(self, channel: str, number: int | None = None) -> Generation:
        """One generation of a channel, by default the newest.

        Raises:
            NotFound: If there is no such channel or generation.
        """
        return await _work(self._store.generation, channel, number)

    async def card_table(self, channel: str, number: int | None = None) -> bytes:
        """The card table of a generation, verified; by default of the newest.

        Raises:
            NotFound: If there is no such channel or generation.
            IntegrityError: If its blob is damaged.
        """
        return await _work(self._store.card_table, channel, number)

    async def table(self, digest: Digest) -> bytes:
        """A card table by its digest, verified: what a decision that carries this digest was made from.

        Raises:
            NotFound: If no generation of any channel holds it.
            IntegrityError: If its blob is damaged.
        """
        return await _work(self._store.table, digest)

    async def channels(self) -> tuple[str, ...]:
        """The names of all channels."""
        return await _work(self._store.channels)

    # Health

    async def audit(self) -> tuple[str, ...]:
        """Verify everything that the hub holds: the catalogue, and every byte of every release and card table.

        Returns:
            What is wrong, one sentence each; empty: nothing. Reads all of the hub, so it takes as long as that takes.
        """
        return await _work(self._store.audit)


async def _work(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs))
