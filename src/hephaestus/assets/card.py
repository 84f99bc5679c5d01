"""The routing card: what ``card.toml`` says, as a Struct."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hephaestus.assets.manifest import CheckSpec

Phrase = Annotated[str, Meta(min_length=1, max_length=200)]
Example = Annotated[str, Meta(min_length=1, max_length=2000)]


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When an agent is the right one.

    A trigger is a phrase: it matches where its words stand next to each other in the normalised request. An
    anti-trigger that matches vetoes the card. Examples teach the integer score; counter-examples count against it.
    """

    schema: Literal[1]
    capabilities: tuple[Phrase, ...]  # verb + object, at least one
    triggers: tuple[Phrase, ...] = ()
    anti_triggers: tuple[Phrase, ...] = ()
    examples: tuple[Example, ...] = ()
    counter_examples: tuple[Example, ...] = ()
    input_types: tuple[Phrase, ...] = ("text",)
    output_types: tuple[Phrase, ...] = ("json",)
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    clarify: str | None = None  # what to ask when this card and another one both claim a request
    checks: tuple[CheckSpec, ...] = ()  # what an output for a request routed here must pass, besides the package's
