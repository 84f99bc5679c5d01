"""How entries read: a line for a list, a page for one entry, what a verification says. For people; nothing parses it.

A decision has a text of its own (``hephaestus.routing.render``); this is the general one. Text from agents and models
may hold anything, so what a terminal would obey instead of showing is escaped here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hephaestus import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hephaestus.receipts.envelope import Entry
    from hephaestus.receipts.verify import Verification

LONGEST: Final = 4000
"""Characters of one text that are shown."""

# C0 and C1 controls but the line feed, invisible characters, and those that turn the direction of what follows.
_UNSHOWN: Final = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)


def render_row(entry: Entry) -> str:
    """One entry as one line: seq, time, kind, run, the beginning of its digest."""
    return f"{entry.seq:>6}  {_time(entry.at)}  {entry.kind:<11}  {entry.run or '-':<32}  {entry.digest[7:19]}"


def render_entry(entry: Entry, secrets: dict[str, bytes] | None) -> str:
    """One entry as a page.

    Args:
        entry: The entry.
        secrets: From :meth:`hephaestus.receipts.Journal.secrets`; None if they were erased.
    """
    of = f" of run {entry.run}" if entry.run else ""
    lines = [
        f"entry {entry.seq}: {entry.kind}{of}",
        f"  digest: {entry.digest}",
        f"  link: {entry.link}",
        f"  written: {_time(entry.at)} by process {entry.pid} (not part of the digest)",
        "  body:",
        *_lines(entry.value, 2),
    ]
    if entry.secrets:
        lines.append("  secrets:")
        if secrets is None:
            lines.append(f"    erased on purpose: {', '.join(entry.secrets)}")
        else:
            lines += _lines({name: _text(data) for name, data in secrets.items()}, 2)
    return "\n".join(lines) + "\n"


def render_verification(verification: Verification) -> str:
    """What verifying a journal found, problems first."""
    lines = [f"problem: {shown(str(problem))}" for problem in verification.problems]
    count = f"{verification.entries} {'entry' if verification.entries == 1 else 'entries'}"
    lines.append(f"{count}: {'every one stands as it was written' if verification.ok else 'not as it was written'}")
    if verification.head is not None:
        lines.append(f"signed up to entry {verification.head.seq} by key {verification.head.key_id}")
    if verification.unsealed:
        lines.append(f"{verification.unsealed} behind the last signed head: cutting those off could not be seen")
    if verification.erased:
        lines.append(f"the secrets of {verification.erased} were erased on purpose")
    return "\n".join(lines) + "\n"


def shown(text: str) -> str:
    """Text with everything escaped that a terminal would obey, bounded in length."""
    over = len(text) - LONGEST
    if over > 0:
        text = text[:LONGEST] + f"… ({over} more characters)"
    return _UNSHOWN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _lines(value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _labelled(f"{indent}{shown(key).replace('_', ' ')}:", item, depth)
    elif isinstance(value, list):
        for item in value:
            yield from _labelled(f"{indent}-", item, depth)
    if value in ({}, []):
        yield f"{indent}nothing"


def _labelled(label: str, item: Any, depth: int) -> Iterator[str]:
    if isinstance(item, dict | list) and item:
        yield label
        yield from _lines(item, depth + 1)
        return
    first, *rest = _plain(item).split("\n")
    if not rest:
        yield f"{label} {first}".rstrip()
        return
    yield label
    for line in (first, *rest):
        yield f"{'  ' * (depth + 1)}{line}".rstrip()


def _plain(item: Any) -> str:
    match item:
        case None | [] | {}:
            return "nothing"
        case bool():
            return "yes" if item else "no"
        case str():
            return shown(item)
    return str(item)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return f"{len(data)} bytes that are no text, {canonical.digest_bytes(data)}"


def _time(at: int) -> str:
    # The column is not hashed, so it may say anything.
    try:
        return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"at {at} ms"
