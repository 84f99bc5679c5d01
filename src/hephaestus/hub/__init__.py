"""The Hub: the home of releases, content-addressed, catalogued, and never changed once published."""

from hephaestus.hub.hub import Hub
from hephaestus.hub.tree import File, Row, Tree
from hephaestus.hub.values import Derived, Generation, Release, ReleaseDraft, Sealer, release_payload

__all__ = [
    "Derived",
    "File",
    "Generation",
    "Hub",
    "Release",
    "ReleaseDraft",
    "Row",
    "Sealer",
    "Tree",
    "release_payload",
]
