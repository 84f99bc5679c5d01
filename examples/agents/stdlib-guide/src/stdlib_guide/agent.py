"""The agent: find passages, quote them, and say in a few words what to use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stdlib_guide.phrasing import held_to
from stdlib_guide.ranking import Found, rank

if TYPE_CHECKING:
    from hephaestus_runner.sdk import Task

QUOTATIONS = 5
MIN_WORDS = 8  # what the check asks of a quotation that is no whole line or sentence
MAX_QUOTE = 600
MAX_ANSWER = 2000
MODEL_PASSAGE = 1200  # characters of each passage that a model reads
_SENTENCE = re.compile(r"(?<=[.!?])(?=\s)|(?=\n\s*\n)|$")
_NOTHING = "The documentation of the Python standard library says nothing about this."


def answer(task: Task) -> dict[str, Any]:
    """The entry point: a request in, an answer with verbatim quotations out."""
    request = _request(task)
    task.progress("searching the documentation of the standard library")
    found = rank(request, task.knowledge, limit=QUOTATIONS)
    quotations = [{"name": entry.hit.id, "quote": quote(entry.hit)} for entry in found]
    if not found:
        # No quotation, no claim: the checks refuse this, and that is the right end for such a request.
        return {"answer": _NOTHING, "quotations": []}
    return {"answer": _phrased(task, request, found) or _extracted(found), "quotations": quotations}


def _request(task: Task) -> str:
    request = task.input.get("request") if isinstance(task.input, dict) else task.input
    return request if isinstance(request, str) else ""


def quote(hit: Any) -> str:
    """The first sentence of a passage as it stands there, with more around it where that would be too short."""
    body_at = len(hit.title) if hit.text.startswith(hit.title) else 0
    while body_at < len(hit.text) and hit.text[body_at].isspace():
        body_at += 1
    if body_at == len(hit.text):
        return str(hit.text)
    body = hit.text[body_at:]
    for found in _SENTENCE.finditer(body):
        part = body[: found.end()].strip()
        if len(re.findall(r"\w+", part)) >= MIN_WORDS:
            return _bounded(part)
    # A short text: all of it, signature included, is a whole passage and may be quoted as such.
    return _bounded(hit.text.strip())


def _bounded(text: str) -> str:
    if len(text) <= MAX_QUOTE:
        return text
    return text[: text.rfind(" ", MAX_QUOTE // 2, MAX_QUOTE)]


def _extracted(found: list[Found]) -> str:
    """An answer in the documentation's own words: the best passage, and where else to look."""
    best, *others = (entry.hit for entry in found)
    text = f"Use `{best.id}`: {_said(best)}"
    if others:
        text += "\n\nAlso worth a look:\n" + "\n".join(f"- `{hit.id}`: {_said(hit)}" for hit in others)
    return text[:MAX_ANSWER]


def _said(hit: Any) -> str:
    """What a passage says of itself, on one line, without backticks, which mark names in an answer."""
    text = hit.text.removeprefix(hit.title)
    text = text.strip() or "signature " + hit.title
    first = text[: next(_SENTENCE.finditer(text)).end()]
    return " ".join(first.replace("`", "'").split())[:300]


def _phrased(task: Task, request: str, found: list[Found]) -> str:
    """The answer in a model's words; an empty text if there is no model, or if its words were sent back."""
    if task.model is None or task.attempt > 1:
        # A model that was sent back is not argued with: the documentation's own words do not hedge.
        return ""
    task.progress("asking the model to put it into words")
    passages = "\n\n".join(f"### {entry.hit.id}\n{entry.hit.text[:MODEL_PASSAGE]}" for entry in found)
    rules = (
        "You answer a question about the Python standard library from the passages below and from nothing else. "
        "Name what to use by exactly the names in the headings, each in backticks, and put nothing else in backticks. "
        "At most 120 words, plain text, no code blocks. Do not hedge and do not speak of passages."
    )
    text = task.model.complete(
        [
            {"role": "system", "content": rules},
            {"role": "user", "content": f"Question: {request[:4000]}\n\nPassages:\n\n{passages}"},
        ],
        max_tokens=400,
    )
    quoted = [entry.hit.id for entry in found]
    return held_to(text, quoted, known=lambda name: task.knowledge.get(name) is not None, limit=MAX_ANSWER)
