"""The runtime: the one long-lived object of an embedding process, from which task forces borrow."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread
import msgspec

from hephaestus.assets import Manifest, parse_manifest
from hephaestus.errors import IntegrityError, InvalidRequest, KnowledgeError, StorageError, UsageError
from hephaestus.hub import Hub
from hephaestus.knowledge import PASSAGES_FILE, PassageSet, build_shard
from hephaestus.receipts import Draft, Journal
from hephaestus.routing import CardTable, Router, decision_body
from hephaestus.runtime.config import Config, default_home
from hephaestus.runtime.launch import LaunchSpec
from hephaestus.runtime.leftovers import sweep
from hephaestus.runtime.signer import SignerClient
from hephaestus.runtime.workspace import errand, workspace
from hephaestus.stormbreaker import Undecided
from hephaestus_runner.protocol import Limits, Policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from hephaestus.canonical import Digest
    from hephaestus.hub import Release
    from hephaestus.receipts import Entry
    from hephaestus.routing import Decision
    from hephaestus.stormbreaker import Outcome

SHARD = "shard"
JOURNAL = "journal.db"
_SEARCH_LIMITS = Limits(wall_ms=30_000, cpu_s=20)


class SearchHit(msgspec.Struct, frozen=True):
    """A passage that a search found, as the confined child reported it."""

    id: str
    title: str
    source: str
    text: str
    score: int  # thousandths, higher is better


class Force(Protocol):
    """What :meth:`Runtime.run_many` needs of a task force."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    async def run(self) -> Outcome:
        """Carry the decision out."""
        ...


class Runtime:
    """Owns the hub, the journal, the signer process and what was loaded from releases. Made by :meth:`open`."""

    def __init__(self, *, home: Path, hub: Hub, journal: Journal, signer: SignerClient, config: Config) -> None:
        self.home = home
        self.hub = hub
        self.journal = journal
        self.signer = signer
        self.config = config
        self._routers: dict[str, Router] = {}
        self._passages: dict[str, PassageSet] = {}
        self._building = anyio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, home: Path | None = None, *, config: Config | None = None) -> AsyncIterator[Self]:
        """Open or create the home of a runtime.

        Args:
            home: A folder; by default ``$HEPHAESTUS_HOME``, else the user's data folder.
            config: Settings.

        Raises:
            StorageError: If the folder cannot be used.
            IntegrityError: If what is there is not a home, or is damaged.
        """
        home = home or default_home()
        async with AsyncExitStack() as stack:
            try:
                await anyio.to_thread.run_sync(lambda: (home / "runs").mkdir(parents=True, exist_ok=True))
            except OSError as error:
                raise StorageError(
                    f"{home} cannot be used as a home: {error.strerror}", hint="name another folder with --home"
                ) from error
            hub = await stack.enter_async_context(Hub.open(home / "hub"))
            journal = await stack.enter_async_context(Journal.open(home / JOURNAL))
            signer = await stack.enter_async_context(SignerClient.open(home / "keys"))
            if await sweep(home / "runs", journal):
                await journal.sign_head(signer)
            yield cls(home=home, hub=hub, journal=journal, signer=signer, config=config or Config())

    @property
    def journal_path(self) -> Path:
        """The database of receipts."""
        return self.home / JOURNAL

    @property
    def runs(self) -> Path:
        """The folder that holds the private folders of what is running now."""
        return self.home / "runs"

    async def router(self, channel: str = "stable") -> Router:
        """The router over the card table of a channel's newest generation.

        Raises:
            NotFound: If nothing was deployed to that channel yet.
        """
        table = CardTable.load(await self.hub.card_table(channel))
        # Building the lookup structures costs more than a decision; the digest says when they are still good.
        return self._routers.setdefault(table.digest, Router(table))

    async def table(self, digest: Digest) -> CardTable:
        """The card table that a decision was made from, whatever its channel holds by now.

        Args:
            digest: As the decision has it.

        Raises:
            NotFound: If it was never deployed to this hub.
            IntegrityError: If it is damaged, or was compiled for another version of the router.
        """
        if (known := self._routers.get(digest)) is not None:
            return known.table
        return CardTable.load(await self.hub.table(digest))

    async def keep(self, decision: Decision) -> Entry:
        """Append a decision that no task force carries out to the journal, as its receipt."""
        draft = Draft(
            kind="decision",
            run=f"route-{secrets.token_hex(8)}",
            body=decision_body(decision),
            secrets={"request": decision.request.encode()},
        )
        (entry,) = await self.journal.append(draft)
        return entry

    async def seal_keys(self) -> dict[str, bytes]:
        """The public keys that certificates and journal heads of this runtime verify with, by key id."""
        return {**await self.signer.public_keys("certificate"), **await self.signer.public_keys("head")}

    async def manifest(self, release: Release) -> Manifest:
        """The manifest of a release."""
        return parse_manifest(await self.hub.read(release, "agent.toml"))

    async def passages(self, release: Release) -> PassageSet | None:
        """The canonical text of a release's knowledge, or None where it has none."""
        manifest = await self.manifest(release)
        if not manifest.knowledge:
            return None
        if (known := self._passages.get(release.digest)) is None:
            known = PassageSet.parse(await self.hub.read(release, PASSAGES_FILE))
            if len(self._passages) >= 8:  # a few megabytes each
                self._passages.pop(next(iter(self._passages)))
            self._passages[release.digest] = known
        return known

    async def shard(self, release: Release) -> Path | None:
        """The release's knowledge as a search index; built from its passages when it is not there yet.

        A shard is derived: losing one loses nothing, and neither does damage to one. It is built again.

        Raises:
            IntegrityError: If the passages are damaged, of which there is no second source.
        """
        if (passages := await self.passages(release)) is None:
            return None
        async with self._building:
            with suppress(IntegrityError):  # a damaged one is replaced below, like one that is not there
                if (there := await self.hub.derived(release, SHARD)) is not None:
                    return there
            async with workspace(self.runs) as place:
                path = place.folder / "knowledge.shard"
                info = await anyio.to_thread.run_sync(build_shard, passages, path)
                if info.source != passages.digest:
                    raise IntegrityError("the shard was not built from the passages of this release")
                return await self.hub.put_derived(release, SHARD, path, digest=info.digest, builder=info.builder)

    async def search(self, release: Release, query: str, *, limit: int = 10) -> tuple[SearchHit, ...]:
        """Search a release's knowledge, in a confined child: the host opens no database of a package.

        Args:
            release: Whose knowledge.
            query: Words.
            limit: Hits at most, 1 to 100.

        Raises:
            KnowledgeError: If the release has no knowledge or the child's answer is none.
        """
        shard = await self.shard(release)
        if shard is None:
            raise KnowledgeError(f"{release.ref} carries no knowledge")
        policy = Policy(level=self.config.level, limits=_SEARCH_LIMITS, knowledge=True)
        async with workspace(self.runs) as place:
            answer = await errand(
                place,
                LaunchSpec(role="search", policy=policy, shard=shard),
                msgspec.json.encode({"query": query, "limit": limit}),
                release=release.ref,
            )
        try:
            return msgspec.json.decode(answer, type=tuple[SearchHit, ...])
        except msgspec.DecodeError as error:
            raise KnowledgeError(
                f"the search of {release.ref} answered with something else than hits: {error}"
            ) from error

    async def warm(self, channel: str = "stable") -> None:
        """Do now what the first request would wait for: unpack releases, build shards, start the signer."""
        generation = await self.hub.generation(channel)
        for digest in generation.releases:
            release = await self.hub.release(digest)
            await self.hub.unpack(release)
            await self.shard(release)
        await self.signer.start()
        await self.router(channel)

    @asynccontextmanager
    async def run_many(
        self,
        requests: Iterable[str],
        *,
        force: Callable[[Runtime, Decision], Force],
        channel: str = "stable",
        limit: int = 4,
    ) -> AsyncIterator[AsyncIterator[tuple[int, Outcome]]]:
        """Route and run many requests.

        Args:
            requests: Texts; taken lazily, at most ``limit`` more than outcomes were received. One that no router reads
                comes back as ``Undecided`` with the cause ``caller``, and the others go on.
            force: What carries a decision out: :class:`hephaestus.TaskForce`.
            channel: Whose agents.
            limit: Runs at the same time, those with an outcome that nobody received yet included.

        Yields:
            An asynchronous iterator of a request's index and its outcome, in order of completion. It is handed out by
            a context manager because leaving early has to end the runs that are still under way.

        Raises:
            UsageError: If ``limit`` is below 1.
            NotFound: If nothing was deployed to that channel yet.
            ExceptionGroup: When the block is left, with what a run raised that the host failed; it ends the others.
        """
        if limit < 1:
            raise UsageError(f"limit is {limit}: at least one run at a time was expected")
        router = await self.router(channel)
        slots = anyio.Semaphore(limit)
        send, receive = anyio.create_memory_object_stream[tuple[int, "Outcome"]](0)

        async def one(index: int, request: str) -> None:
            await send.send((index, await carried_out(request)))
            slots.release()  # not before someone took the outcome: what nobody waits for must not run ahead

        async def carried_out(request: str) -> Outcome:
            try:
                decision = router.route(request)
            except InvalidRequest as error:
                return Undecided(cause="caller", message=str(error))
            async with force(self, decision) as borrowed:
                return await borrowed.run()

        async def feed() -> None:
            async with send, anyio.create_task_group() as runs:
                await slots.acquire()
                for index, request in enumerate(requests):
                    runs.start_soon(one, index, request)
                    await slots.acquire()

        async with anyio.create_task_group() as group, receive:
            group.start_soon(feed)
            try:
                yield receive
            finally:
                group.cancel_scope.cancel()  # before `receive` closes, which would be an error to those who send
