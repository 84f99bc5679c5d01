"""What an agent is: manifest, brief, routing card and version. Pure data; reads no file."""

from hephaestus.assets.brief import Brief
from hephaestus.assets.card import Card
from hephaestus.assets.manifest import CheckSpec, Manifest
from hephaestus.assets.parse import parse_brief, parse_card, parse_manifest
from hephaestus.assets.version import Range, Version

__all__ = [
    "Brief",
    "Card",
    "CheckSpec",
    "Manifest",
    "Range",
    "Version",
    "parse_brief",
    "parse_card",
    "parse_manifest",
]
