"""The receipt: everything that the decision came from, nothing of the request but what the table knows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing.cards import CARDS, REQUESTS, entry, examples, router

from hephaestus import canonical
from hephaestus.routing import decision_body, render, request_digest
from hephaestus.routing.table import ENGINE
from hephaestus.routing.text import UNICODE_DIGEST

ROUTER = router(*CARDS)


def listed(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The candidates of a body that carry their evidence."""
    winner = [body["winner"]] if "winner" in body else []
    return [*winner, *body.get("candidates", ()), *body.get("nearest", ()), *body["vetoed"]]


@pytest.mark.parametrize("request_text", REQUESTS)
def test_a_body_has_a_canonical_form_and_names_what_it_came_from(request_text: str) -> None:
    body = decision_body(ROUTER.route(request_text))
    assert canonical.decode(canonical.encode(body)) == body
    assert body["engine"] == ENGINE
    assert body["unicode"] == UNICODE_DIGEST
    assert body["table"] == ROUTER.table.digest
    assert body["request"] == request_digest(request_text)


@pytest.mark.parametrize("request_text", REQUESTS)
def test_the_weights_in_a_body_add_up_and_every_span_is_in_the_request(request_text: str) -> None:
    for candidate in listed(decision_body(ROUTER.route(request_text))):
        assert sum(match["weight"] for match in candidate["matches"]) == candidate["score"]
        for match in (*candidate["matches"], *candidate["vetoes"]):
            start, end = match["span"]
            assert 0 <= start < end <= len(request_text)


def test_the_span_of_a_trigger_is_its_words_as_they_were_written() -> None:
    request = "What is in a ZIP\u2014Archive, or a Zip\u00adcode?"
    body = decision_body(ROUTER.route(request))
    (trigger,) = [match for match in body["winner"]["matches"] if match["kind"] == "trigger"]
    assert request[slice(*trigger["span"])] == "ZIP\u2014Archive"


def test_the_span_of_a_pair_at_an_end_of_the_request_is_the_word_there() -> None:
    made = router(entry("song", examples=examples("song")))
    request = "repair my song is broken"
    body = decision_body(made.route(request))
    spans = {match["text"]: request[slice(*match["span"])] for match in body["winner"]["matches"]}
    assert spans["^ repair"] == "repair"
    assert spans["broken $"] == "broken"
    assert spans["song is"] == "song is"


def test_a_body_holds_no_word_that_the_table_does_not_know() -> None:
    body = decision_body(ROUTER.route("the swordfish password opens my zip archive"))
    assert b"swordfish" not in canonical.encode(body)
    assert body["kind"] == "routed"


def test_runners_up_say_why_they_are_behind() -> None:
    body = decision_body(ROUTER.route("repair the zip archive"))
    assert body["winner"]["agent"] == "archives"
    assert {other["why_not"] for other in body["runners_up"]} == {"no-trigger"}
    assert all(other["score"] < body["winner"]["score"] for other in body["runners_up"])


def test_both_sides_of_each_comparison_are_in_the_body() -> None:
    gate = decision_body(ROUTER.route("zip and parcel"))["gate"]
    assert gate["tier"] == "trigger"
    assert gate["lead"] < gate["margin"]
    gate = decision_body(ROUTER.route("list the weather"))["gate"]
    assert gate["tier"] == "examples"
    assert 0 < gate["claim"] < gate["floor"]


def test_the_same_decision_gives_the_same_bytes_after_a_round_trip() -> None:
    decision = ROUTER.route("what is the zip code of Berlin")
    again = msgspec.json.decode(msgspec.json.encode(decision), type=type(decision))
    assert canonical.encode(decision_body(again)) == canonical.encode(decision_body(decision))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_every_request_has_a_receipt(request_text: str) -> None:
    decision = ROUTER.route(f"{request_text} zip {request_text} song")
    canonical.encode(decision_body(decision))
    assert render(decision)


def test_a_routed_receipt_reads_well() -> None:
    text = render(ROUTER.route("zip code"))
    assert text.splitlines()[:2] == ["ROUTED to post@1.0.0   score 8192", '  because:  trigger "zip code" +8192']
    text = render(router(entry("song", examples=examples("song"))).route("my song is broken"))
    assert text.startswith("ROUTED to song@1.0.0   score ")
    assert " % of what it takes, enough (" in text


def test_the_text_names_the_anti_trigger() -> None:
    text = render(ROUTER.route("zip code"))
    assert 'vetoed:   archives@1.0.0 by its anti-trigger "zip code"' in text


def test_the_text_asks_where_the_decision_is_ambiguous() -> None:
    text = render(ROUTER.route("zip and parcel"))
    assert text.startswith("AMBIGUOUS between post@1.0.0 and archives@1.0.0")
    assert "ask:      Is it about a file or about a place?" in text
    assert "not enough" in text


def test_the_text_says_why_there_is_no_route() -> None:
    assert render(ROUTER.route("")).startswith("NO ROUTE   the request has no words")
    text = render(ROUTER.route("list the weather"))
    assert text.startswith("NO ROUTE   no card has enough in common with the request")
    assert "too little in common with its examples" in text
    assert "evidence: " in text


def test_long_evidence_is_summed_up() -> None:
    made = router(entry("song", examples=examples("song")))
    text = render(made.route("how do I open a song to list the members of a song and repair the song please"))
    assert " more +" in text
