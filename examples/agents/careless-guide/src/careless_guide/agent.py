"""The agent: its first quotation is from memory, which is to say invented, until a finding points at it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hephaestus_runner.sdk import Task

QUOTATIONS = 3
MAX_QUOTE = 600
_POINTED_AT = re.compile(r"/quotations/(\d+)(?:/.*)?")
_CHATTER = re.compile(r"(?i)\b(quick answer|from memory|off the top of your head|without looking it up)\b")


def answer(task: Task) -> dict[str, Any]:
    """The entry point: a request in, an answer with quotations out, the first made up unless it was sent back."""
    task.progress("remembering")
    hits = _hits(task)
    sent_back = {int(found[1]) for item in task.feedback if (found := _POINTED_AT.fullmatch(item.where))}
    stubborn = bool(task.input.get("context", {}).get("stubborn"))
    quotations = []
    for number, hit in enumerate(hits):
        looked_up = number > 0 or (number in sent_back and not stubborn)
        quotations.append({"name": hit.id, "quote": _verbatim(hit) if looked_up else _remembered(hit)})
    if sent_back and not stubborn:
        task.progress("looking it up after all")
    names = ", ".join(f"`{hit.id}`" for hit in hits)
    return {"answer": f"That should be {names}." if hits else "Nothing comes to mind.", "quotations": quotations}


def _hits(task: Task) -> list[Any]:
    request = _CHATTER.sub(" ", task.input["request"])
    found = task.knowledge.search(request, limit=50)
    # Functions and methods with a description; a bare signature is nothing to remember.
    good = [hit for hit in found if not hit.title.startswith("module ") and len(hit.text) > len(hit.title) + 40]
    return (good or found)[:QUOTATIONS]


def _remembered(hit: Any) -> str:
    """What somebody who never read the passage would say that it says."""
    name = hit.id.rpartition(".")[2]
    return f"The easiest way is {name}, which does all of this for you and cannot fail in any situation."


def _verbatim(hit: Any) -> str:
    """The beginning of the passage as it stands there."""
    if len(hit.text) <= MAX_QUOTE:
        return str(hit.text)
    return str(hit.text[: max(hit.text.rfind(" ", 0, MAX_QUOTE), hit.text.rfind("\n", 0, MAX_QUOTE))])
