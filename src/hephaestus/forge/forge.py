"""The forge: makes releases of folders and moves channels to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from hephaestus.assets import Range, Version, parse_card
from hephaestus.errors import AssetError, BriefRefused, HubError, IntegrityError, NotFound
from hephaestus.forge.examine import Examination, examine
from hephaestus.forge.knowledge import gather
from hephaestus.hub import ReleaseDraft
from hephaestus.knowledge import BUILDER, PASSAGES_FILE
from hephaestus.routing import CardEntry, compile_cards

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hephaestus.hub import Generation, Release
    from hephaestus.runtime import Runtime


class Forge:
    """Publishes and deploys. Borrows a runtime and holds nothing itself."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def check(self, folder: Path | str) -> Examination:
        """Everything that would stop :meth:`publish`, without publishing.

        Raises:
            AssetError: If the folder itself cannot be taken.
            IsolationUnavailable: If the package's code cannot be looked at in isolation here.
        """
        return await examine(self._runtime, _path(folder))

    async def publish(self, folder: Path | str, *, override: str | None = None) -> Release:
        """Make a release of a package folder.

        Args:
            folder: The package.
            override: The reason for building although the interview refuses. It marks every certificate of the agent.

        Returns:
            The release; the same one again if exactly these contents were published before.

        Raises:
            AssetError: With the first problem, if the package is not well-formed.
            BriefRefused: If the specification is too vague.
            AlreadyPublished: If this name and version exist with other contents.
            IsolationUnavailable: If the package's code cannot be looked at in isolation here.
        """
        found = await self.check(folder)
        if found.problems:
            first, more = found.problems[0], len(found.problems) - 1
            rest = f" (and {more} more; `hephaestus check` lists them)" if more else ""
            # An AssetError's message starts with its place already.
            message = first.message.removeprefix(f"{first.file}:{first.line}: ").removeprefix(f"{first.file}: ")
            raise AssetError(message + rest, file=first.file, line=first.line, hint=first.hint)
        assert found.manifest is not None
        assert found.report is not None
        if not found.report.builds and override is None:
            raise BriefRefused(
                f"{found.manifest.agent.name}: the specification is too vague to build (score {found.report.score})",
                report=found.report,
                hint="answer the questions in brief.toml, then publish again",
            )
        # Only what derives something is part of a release: the version of this library is not, or an upgrade would
        # make other bytes of the same package.
        tree, built = found.tree, dict[str, str]()
        if found.manifest.knowledge:
            if tree.get(PASSAGES_FILE) is not None:
                raise AssetError("this name is kept for the passages that the build makes", file=PASSAGES_FILE)
            passages = await anyio.to_thread.run_sync(gather, found.manifest.knowledge, tree)
            tree = tree.with_files({PASSAGES_FILE: passages})
            built["knowledge"] = BUILDER
        draft = ReleaseDraft(manifest=found.manifest, tree=tree, built=built, override=override)
        release = await self._runtime.hub.publish(draft, sealer=self._runtime.signer)
        # Derived, so it may come after: a run would build it when it is missing.
        await self._runtime.shard(release)
        return release

    async def deploy(
        self,
        channel: str,
        releases: Sequence[Release | str],
        *,
        only: bool = False,
        why: str = "",
        by: str = "",
    ) -> Generation:
        """Move a channel: its agents, plus these releases, each in the place of an earlier version of the same agent.

        Args:
            channel: Its name; made if new.
            releases: Releases or references to them. What they may call is added: the newest release that fits every
                agent that may call it. A run calls exactly what was deployed with its agent.
            only: Whether the channel keeps nothing but these.
            why: For the history.
            by: For the history.

        Raises:
            NotFound: If a reference or something that an agent may call is not in the hub.
            HubError: If an agent would be deployed beside one that may not call its version. Nothing was changed.
            StaleGeneration: If someone else moved the channel meanwhile.
        """
        hub = self._runtime.hub
        kept: dict[str, Release] = {}
        number = None
        try:
            newest = await hub.generation(channel)
        except NotFound:
            number = 0
        else:
            number = newest.number
            if not only:
                for digest in newest.releases:
                    release = await hub.release(digest)
                    kept[release.name] = release
        for wanted in releases:
            release = await hub.release(wanted) if isinstance(wanted, str) else wanted
            kept[release.name] = release
        await self._add_called(kept)
        closure = [kept[name] for name in sorted(kept)]
        entries = [await self._card(release) for release in closure]
        table = await anyio.to_thread.run_sync(compile_cards, entries)
        return await hub.deploy(channel, closure, card_table=table, expected=number, by=by, why=why)

    async def rollback(self, channel: str, *, to: int | None = None, why: str = "", by: str = "") -> Generation:
        """Move a channel back to what its newest generation replaced, or to generation ``to``.

        Args:
            channel: Its name.
            to: The generation to go back to.
            why: For the history.
            by: For the history.

        Raises:
            NotFound: If there is no such generation.
        """
        return await self._runtime.hub.rollback(channel, to=to, why=why, by=by)

    async def _add_called(self, kept: dict[str, Release]) -> None:
        """Add what is called to ``kept``, until nothing is missing and every release fits all that may call it."""
        called: dict[str, dict[str, str]] = {}  # agent -> who may call it -> in which range
        waiting = list(kept.values())
        while waiting:
            for release in waiting:
                for name, wanted in (await self._runtime.manifest(release)).agents.items():
                    called.setdefault(name, {})[release.ref] = wanted
            missing = [name for name in sorted(called) if name not in kept]
            waiting = [await self._newest(name, called[name]) for name in missing]
            kept.update((release.name, release) for release in waiting)
        for name, callers in sorted(called.items()):
            for caller, wanted in sorted(callers.items()):
                if not _in_range(kept[name], wanted):
                    raise HubError(
                        f"{caller} may call {name}@{wanted}, but {kept[name].ref} would be deployed beside it",
                        hint=f"deploy `{name}` in that range, or a `{caller.partition('@')[0]}` that may call this one",
                    )

    async def _newest(self, name: str, callers: Mapping[str, str]) -> Release:
        releases = await self._runtime.hub.releases(name)
        for release in releases:
            if not release.yanked and all(_in_range(release, wanted) for wanted in callers.values()):
                return release
        wishes = ", ".join(f"{caller} may call {name}@{wanted}" for caller, wanted in sorted(callers.items()))
        here = ", ".join(f"{release.version}{' (yanked)' if release.yanked else ''}" for release in releases[:10])
        raise NotFound(f"no release of {name} fits: {wishes}", hint=f"the newest here: {here}")

    async def _card(self, release: Release) -> CardEntry:
        data = (await self._runtime.hub.tree(release)).get("card.toml")
        if data is None:
            raise IntegrityError(f"{release.ref} has no card.toml")
        return CardEntry(agent=release.name, release=release.ref, digest=release.digest, card=parse_card(data))


def _in_range(release: Release, wanted: str) -> bool:
    return Version.parse(release.version) in Range.parse(wanted)


def _path(folder: Path | str) -> Path:
    from pathlib import Path as _Path

    return _Path(folder)
