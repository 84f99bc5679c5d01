"""What the hub takes and gives: drafts, releases, generations, derived files. Values only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from hephaestus import canonical
from hephaestus.assets import Manifest
from hephaestus.canonical import Digest
from hephaestus.hub.tree import Tree

if TYPE_CHECKING:
    from hephaestus.seals import Seal


class ReleaseDraft(msgspec.Struct, frozen=True):
    """What is handed in to be published. The hub believes none of it that it can read from ``tree`` itself."""

    manifest: Manifest
    tree: Tree
    built: dict[str, str] = {}  # what built derived parts -> its version; becomes part of the release digest
    override: str | None = None  # why a brief that the interview refuses is published all the same


class Release(msgspec.Struct, frozen=True):
    """One published version of one agent. Everything but ``yanked`` is the same for ever."""

    name: str
    version: str
    digest: Digest  # of the tree: the identity
    manifest: Digest  # of the OCI manifest blob
    summary: str
    published_at: int  # unix seconds
    score: int  # of the brief, computed by the hub at publish; 0 is the clearest, 100 the vaguest
    override: str | None = None  # the reason, where the interview refused the brief; certificates repeat it
    signed_by: str | None = None  # id of the key that signed it, None: unsigned
    yanked: bool = False

    @property
    def ref(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


class Generation(msgspec.Struct, frozen=True):
    """One move of a channel. ``number`` only grows; ``parent`` is what a rollback goes back to."""

    channel: str
    number: int
    parent: int | None
    closure: Digest  # of the releases and the card table together
    releases: tuple[Digest, ...]  # release digests, in the order of their names
    card_table: Digest
    at: int  # unix seconds
    by: str
    why: str


class Derived(msgspec.Struct, frozen=True):
    """A file that was computed from a release and can be computed again, for example a knowledge shard."""

    kind: str
    digest: Digest
    builder: str  # what built it, with its version
    path: Path


class Sealer(Protocol):
    """Who signs releases for a hub; fits :class:`hephaestus.seals.Signer`."""

    async def sign(self, tag: str, payload: bytes, /) -> Seal:
        """Seal ``payload`` for the purpose ``tag``."""
        ...


def release_payload(release: Release) -> bytes:
    """The bytes that a seal of purpose ``release`` covers.

    Name and version are in it, so that a signed tree cannot be served again under another name.
    """
    return canonical.encode(
        {
            "name": release.name,
            "version": release.version,
            "digest": release.digest,
            "manifest": release.manifest,
        }
    )
