"""How entries read: whole, plain, and harmless to a terminal."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus import canonical
from hephaestus.canonical import Digest
from hephaestus.receipts import (
    Commitment,
    Entry,
    Problem,
    Verification,
    render_entry,
    render_row,
    render_verification,
)
from hephaestus.receipts.render import LONGEST, shown

DIGEST = Digest("sha256:" + "ab" * 32)


def entry(body: dict[str, Any], *, run: str = "r1", at: int = 1_767_323_045_000, **secrets: bytes) -> Entry:
    return Entry(
        seq=12,
        schema=1,
        kind="verdict",
        run=run,
        body=canonical.encode(body),
        secrets={name: Commitment("hmac-sha256:" + "0" * 64) for name in secrets},
        digest=DIGEST,
        link=DIGEST,
        at=at,
        pid=77,
    )


def test_an_entry_reads_as_a_page() -> None:
    body = {
        "attempt_number": 2,
        "passed": False,
        "cause": None,
        "findings": [{"check": "quotes", "where": ["a", "b"]}, {}],
        "text": "two\nlines",
        "tags": [],
    }
    assert render_entry(entry(body, prompt=b""), {"prompt": b"why?"}) == (
        "entry 12: verdict of run r1\n"
        f"  digest: {DIGEST}\n"
        f"  link: {DIGEST}\n"
        "  written: 2026-01-02 03:04:05Z by process 77 (not part of the digest)\n"
        "  body:\n"
        "    attempt number: 2\n"
        "    cause: nothing\n"
        "    findings:\n"
        "      -\n"
        "        check: quotes\n"
        "        where:\n"
        "          - a\n"
        "          - b\n"
        "      - nothing\n"
        "    passed: no\n"
        "    tags: nothing\n"
        "    text:\n"
        "      two\n"
        "      lines\n"
        "  secrets:\n"
        "    prompt: why?\n"
    )


def test_an_empty_body_and_no_run_are_said() -> None:
    text = render_entry(entry({}, run=""), {})
    assert text.startswith("entry 12: verdict\n")
    assert text.endswith("  body:\n    nothing\n")


def test_erased_secrets_are_named_as_erased() -> None:
    assert "  secrets:\n    erased on purpose: answer, prompt\n" in render_entry(
        entry({}, answer=b"", prompt=b""), None
    )


def test_secrets_that_are_no_text_are_described() -> None:
    data = b"\xff\xfe"
    text = render_entry(entry({}, answer=b""), {"answer": data})
    assert f"answer: 2 bytes that are no text, {canonical.digest_bytes(data)}" in text


def test_a_row_is_one_line_that_names_seq_time_kind_run_and_digest() -> None:
    row = render_row(entry({}))
    assert row.split() == ["12", "2026-01-02", "03:04:05Z", "verdict", "r1", "ab" * 6]
    assert render_row(entry({}, run="")).split()[4] == "-"


@pytest.mark.parametrize("at", [-(2**62), 2**62, 2**53])
def test_a_clock_that_says_anything_is_shown_and_not_obeyed(at: int) -> None:
    assert f"at {at} ms" in render_row(entry({}, at=at))


@given(st.text())
def test_nothing_that_a_terminal_obeys_gets_through(text: str) -> None:
    data = text.encode("utf-8", "replace")
    page = render_entry(entry({"text": data.decode()}, ask=b""), {"ask": data})
    assert all(character == "\n" or unicodedata.category(character) != "Cc" for character in page)
    assert not set(page) & set("\u202e\u2066\u200b\ufeff\u061c\U000e0041")


def test_hostile_keys_are_escaped_too() -> None:
    page = render_entry(entry({"\x1b[2J": {"\u202eevil": 1}}), {})
    assert "\\u001b[2J:" in page
    assert "\\u202eevil: 1" in page


def test_long_text_is_cut_with_a_word_about_it() -> None:
    assert shown("x" * (LONGEST + 5)) == "x" * LONGEST + "… (5 more characters)"


def test_a_verification_names_its_problems_first() -> None:
    found = Verification(
        entries=1,
        head=None,
        unsealed=1,
        erased=0,
        problems=(Problem(1, "its link is wrong", "event", ""), Problem(None, "the file is damaged"), Problem(9, "x")),
    )
    assert not found.ok
    assert render_verification(found) == (
        "problem: entry 1 (event of run none): its link is wrong\n"
        "problem: the file is damaged\n"
        "problem: entry 9: x\n"
        "1 entry: not as it was written\n"
        "1 behind the last signed head: cutting those off could not be seen\n"
    )
