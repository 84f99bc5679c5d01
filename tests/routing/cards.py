"""Cards, requests and routers for the tests of routing. Run as a program it prints what it decides, for comparison."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from hephaestus import canonical
from hephaestus.assets import Card
from hephaestus.canonical import digest_bytes
from hephaestus.routing import CardEntry, CardTable, Router, compile_cards, decision_body


def entry(agent: str, **fields: Any) -> CardEntry:
    """The card of an agent with these fields, in release 1.0.0."""
    card = Card(schema=1, capabilities=fields.pop("capabilities", (f"do {agent}",)), **fields)
    return CardEntry(agent=agent, release=f"{agent}@1.0.0", digest=digest_bytes(agent.encode()), card=card)


def router(*entries: CardEntry, **options: int) -> Router:
    """A router over these cards."""
    return Router(CardTable.load(compile_cards(entries, **options)))


def examples(subject: str) -> tuple[str, ...]:
    """Twelve requests about a subject."""
    frames = (
        "how do I open a {}", "read one {} from disk", "write the {} to a folder", "what is inside this {}",
        "list the members of a {}", "my {} is broken", "repair the {} please", "add a file to the {}",
        "is there a password on the {}", "test the {} for errors", "extract the {} here", "compare two {} files",
    )  # fmt: skip
    return tuple(frame.format(subject) for frame in frames)


ARCHIVES = entry(
    "archives",
    triggers=("zip archive", "zip", "tar file", "解压"),
    anti_triggers=("zip code", "Reißverschluß"),
    examples=examples("zip archive"),
    counter_examples=("what is the zip code of Paris", "where is the tar pit"),
    clarify="Is it about a file or about a place?",
)
POST = entry("post", triggers=("zip code", "parcel"), examples=examples("parcel"), priority=5)
MUSIC = entry("music", triggers=("play",), anti_triggers=("play chess",), examples=examples("song"))
CHESS = entry("chess", triggers=("chess",), examples=("my opening", "mate in two", "the Sicilian defence"))
NOVICE = entry("novice", examples=("polish the brass telescope", "clean the brass telescope lens"))
CARDS = (ARCHIVES, POST, MUSIC, CHESS, NOVICE)

REQUESTS = (
    "how do I read one file out of a zip archive without extracting it?",
    "what is the zip code of Berlin",
    "send a parcel with a tar file",
    "zip and parcel",
    "play chess with me",
    "play a song",
    "my song is broken",
    "list the members of a song please",
    "polish the brass telescope",
    "what is the weather in Paris tomorrow?",
    "\uff3a\uff29\uff30\u00ad archive\u2019s ½",
    "请解压文件",
    "der Reissverschluss am zip",
    "\U0001f600 ☎",
    "",
)


def outcomes(entries: Iterable[CardEntry] = CARDS) -> str:
    """One digest over the table of some cards and every decision with it."""
    made = router(*entries)
    bodies = [canonical.encode(decision_body(made.route(request))) for request in REQUESTS]
    return digest_bytes(b"\n".join([made.table.digest.encode(), *bodies]))


if __name__ == "__main__":
    print(sys.version_info[:2], outcomes())
