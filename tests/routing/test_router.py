"""What is routed, what is ambiguous and what has no route."""

from __future__ import annotations

import threading

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.routing.cards import ARCHIVES, CARDS, CHESS, MUSIC, NOVICE, POST, REQUESTS, entry, examples, router

from hephaestus.errors import InvalidRequest
from hephaestus.routing import Ambiguous, CardEntry, Decision, NoRoute, Routed, Router, decision_body, index
from hephaestus.routing.compile import TRIGGER_WORD

ROUTER = router(*CARDS)


def winner(decision: Decision) -> str | None:
    return decision.winner.agent if isinstance(decision, Routed) else None


def test_a_trigger_alone_routes() -> None:
    decision = ROUTER.route("Unzip?! no: ZIP, my dear")
    assert winner(decision) == "archives"
    assert decision.gate.tier == "trigger"


def test_a_trigger_matches_whole_words_only() -> None:
    assert isinstance(ROUTER.route("zipper"), NoRoute)


def test_the_longer_trigger_wins() -> None:
    made = router(entry("a", triggers=("zip",)), entry("b", triggers=("zip archive",)))
    assert winner(made.route("the zip archive")) == "b"
    assert winner(made.route("the zip")) == "a"


def test_words_inside_a_longer_trigger_of_the_same_card_count_once() -> None:
    made = router(entry("a", triggers=("zip", "archive", "zip archive")))
    decision = made.route("zip archive")
    assert isinstance(decision, Routed)
    assert [(match.text, match.weight) for match in decision.winner.matches] == [("zip archive", 2 * TRIGGER_WORD)]
    again = made.route("archive zip archive")
    assert isinstance(again, Routed)
    assert [match.text for match in again.winner.matches] == ["archive", "zip archive"]


def test_a_repeated_trigger_counts_once() -> None:
    made = router(entry("a", triggers=("zip",)))
    once, often = made.route("zip"), made.route("zip zip zip")
    assert isinstance(once, Routed)
    assert isinstance(often, Routed)
    assert once.winner.score == often.winner.score


def test_two_cards_that_claim_a_request_are_ambiguous_and_the_first_asks() -> None:
    decision = ROUTER.route("zip and parcel")
    assert isinstance(decision, Ambiguous)
    assert [candidate.agent for candidate in decision.candidates] == ["post", "archives"]
    assert decision.clarify == "Is it about a file or about a place?"
    assert decision.gate.lead < decision.gate.margin


def test_cards_without_a_question_of_their_own_are_named_in_one() -> None:
    decision = router(MUSIC, CHESS, ARCHIVES).route("play something at the chess club")
    assert isinstance(decision, Ambiguous)
    assert decision.clarify == "Which do you mean: do music (music), or do chess (chess)?"


def test_a_trigger_goes_before_any_examples() -> None:
    decision = router(ARCHIVES, entry("late", triggers=("broken",))).route("my zip-file archive is broken: repair it")
    assert winner(decision) is None  # both have a trigger
    decision = router(MUSIC, entry("late", triggers=("broken",))).route("my song is broken")
    assert isinstance(decision, Routed)
    assert decision.winner.agent == "late"
    assert [(other.agent, other.why_not) for other in decision.runners_up] == [("music", "no-trigger")]


def test_an_anti_trigger_vetoes_and_is_named() -> None:
    decision = ROUTER.route("what is the zip code of Berlin")
    assert winner(decision) == "post"
    assert [(c.agent, c.vetoes[0].text) for c in decision.vetoed] == [("archives", "zip code")]


def test_a_request_whose_only_claim_is_vetoed_has_no_route() -> None:
    decision = router(ARCHIVES, MUSIC).route("zip code")
    assert isinstance(decision, NoRoute)
    assert decision.reason == "vetoed"
    assert [candidate.agent for candidate in decision.vetoed] == ["archives"]
    by_examples = router(msgspec.structs.replace(NOVICE, card=msgspec.structs.replace(
        NOVICE.card, examples=examples("telescope"), anti_triggers=("broken",)
    ))).route("my telescope is broken")  # fmt: skip
    assert isinstance(by_examples, NoRoute)
    assert by_examples.reason == "vetoed"


def test_a_veto_of_a_card_that_claims_nothing_is_not_the_reason() -> None:
    decision = router(entry("a", anti_triggers=("rain",))).route("rain tomorrow")
    assert isinstance(decision, NoRoute)
    assert decision.reason == "weak"
    assert [candidate.agent for candidate in decision.vetoed] == ["a"]


def test_examples_route_without_a_trigger() -> None:
    decision = router(*(entry(name, examples=examples(name)) for name in ("song", "parcel", "map"))).route(
        "could you repair my broken song"
    )
    assert isinstance(decision, Routed)
    assert decision.winner.agent == "song"
    assert decision.gate.tier == "examples"
    assert decision.gate.claim >= decision.gate.floor > 0
    assert decision.gate.lead >= decision.gate.margin > 0


def test_examples_that_two_cards_share_are_ambiguous() -> None:
    made = router(entry("a", examples=examples("song")), entry("b", examples=examples("song")))
    decision = made.route("my song is broken")
    assert isinstance(decision, Ambiguous)
    assert [candidate.agent for candidate in decision.candidates] == ["a", "b"]
    assert decision.gate.lead == 0


@pytest.mark.parametrize(
    "request_text",
    [
        "what is the weather in Paris tomorrow?",
        "how do I get to the station",
        "please tell me what this is",
        "is there a god",
        "who won the world cup in 1998",
        "write me a poem about the sea",
    ],
)
def test_a_request_about_something_else_has_no_route(request_text: str) -> None:
    decision = ROUTER.route(request_text)
    assert isinstance(decision, NoRoute)
    assert decision.reason == "weak"
    assert all(candidate.why_not == "weak" for candidate in decision.nearest)
    assert decision.gate.claim < decision.gate.floor


@pytest.mark.parametrize("request_text", ["", "   ", "?!", "\u00ad\u200b", "\n"])
def test_a_request_without_words_has_no_route(request_text: str) -> None:
    decision = ROUTER.route(request_text)
    assert isinstance(decision, NoRoute)
    assert decision.reason == "empty"


def test_a_card_with_few_examples_is_proposed_and_not_routed_to() -> None:
    decision = ROUTER.route("polish the brass telescope")
    assert isinstance(decision, NoRoute)
    assert decision.reason == "few-examples"
    assert (decision.nearest[0].agent, decision.nearest[0].why_not) == ("novice", "few-examples")
    assert decision.gate.claim >= decision.gate.floor


def test_a_card_with_few_examples_stands_in_the_way_of_others() -> None:
    full = entry("full", examples=(*(f"polish the brass {n}" for n in "abcdefghijkl"),))
    assert winner(router(full).route("polish the brass telescope")) == "full"
    decision = router(full, entry("novice", examples=("polish the brass telescope",) * 9)).route(
        "polish the brass telescope"
    )
    assert isinstance(decision, Ambiguous)
    assert {candidate.agent for candidate in decision.candidates} == {"full", "novice"}


def test_a_card_that_claims_is_found_behind_any_number_that_do_not() -> None:
    # The best three by score have examples that are all alike, and so ask for more than the fourth.
    crowd = [entry(f"crowd-{n}", examples=("red telescope house garden",) * 14) for n in range(3)]
    small = entry(
        "small", examples=tuple(f"{a} telescope {b}" for a, b in zip("abcdefghijkl", "mnopqrstuvwx", strict=True))
    )
    assert isinstance(router(*crowd).route("telescope"), NoRoute)
    decision = router(*crowd, small).route("telescope")
    assert isinstance(decision, Ambiguous)
    assert [candidate.agent for candidate in decision.candidates][-1] == "small"
    assert decision.gate.claim >= decision.gate.floor
    assert decision.gate.lead < 0


def test_equal_scores_are_ordered_by_priority_and_then_by_name() -> None:
    names = {"b": 0, "a": 0, "d": 7, "c": -1}
    made = router(*(entry(name, triggers=("zip",), priority=priority) for name, priority in names.items()))
    decision = made.route("zip")
    assert isinstance(decision, Ambiguous)
    assert [candidate.agent for candidate in decision.candidates] == ["d", "a", "b"]


def test_no_cards_route_nothing() -> None:
    decision = router().route("zip")
    assert isinstance(decision, NoRoute)
    assert decision.nearest == ()


def test_the_weights_of_the_matches_add_up_to_the_score() -> None:
    for request in REQUESTS:
        decision = ROUTER.route(request)
        listed = {
            Routed: lambda d: (d.winner,),
            Ambiguous: lambda d: d.candidates,
            NoRoute: lambda d: d.nearest,
        }[type(decision)](decision)
        for candidate in (*listed, *decision.vetoed):
            assert sum(match.weight for match in candidate.matches) == candidate.score


def test_many_requests_are_routed_as_one_by_one() -> None:
    assert ROUTER.route_many(REQUESTS) == [ROUTER.route(request) for request in REQUESTS]


def test_an_invalid_request_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        ROUTER.route("zip\0")
    with pytest.raises(InvalidRequest):
        ROUTER.route_many(["zip", "\udfff"])


def test_lanes_and_postings_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [
        entry(f"a{n}", examples=(*examples("song"), f"thing {n}"), counter_examples=("my song",)) for n in range(12)
    ]
    with_lanes = router(*cards)
    monkeypatch.setattr(index, "MAX_LANES", 0)
    with_postings = router(*cards)
    for request in ("repair my song 7 please", "thing 3", "my song my thing", "nothing at all"):
        assert with_lanes.route(request) == with_postings.route(request)


phrases = st.lists(st.sampled_from(["zip", "code", "play", "song", "the"]), min_size=1, max_size=3).map(" ".join)
cards = st.lists(
    st.builds(
        entry,
        st.sampled_from(["a", "b", "c", "d", "e"]),
        triggers=st.lists(phrases, max_size=2).map(tuple),
        anti_triggers=st.lists(phrases, max_size=1).map(tuple),
        examples=st.lists(phrases, max_size=14).map(tuple),
        priority=st.integers(-1, 1),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda made: made.agent,
)
requests = st.lists(st.sampled_from(["zip", "code", "play", "song", "the", "rain"]), max_size=6).map(" ".join)


@settings(max_examples=400)
@given(cards, phrases, requests, st.data())
def test_an_anti_trigger_only_takes_away(
    some: list[CardEntry], phrase: str, request_text: str, data: st.DataObject
) -> None:
    chosen = data.draw(st.sampled_from(some))
    card = msgspec.structs.replace(chosen.card, anti_triggers=(*chosen.card.anti_triggers, phrase))
    stricter = [msgspec.structs.replace(made, card=card) if made is chosen else made for made in some]
    before, after = router(*some).route(request_text), router(*stricter).route(request_text)
    if isinstance(before, NoRoute):
        assert isinstance(after, NoRoute)
    if winner(after) == chosen.agent:
        assert winner(before) == chosen.agent
    if f" {phrase} " not in f" {request_text} ":
        assert standing(after) == standing(before)


def standing(decision: Decision) -> object:
    body = decision_body(decision)
    return {key: value for key, value in body.items() if key != "table"}


@given(cards, requests)
def test_a_decision_does_not_depend_on_the_order_of_cards(some: list[CardEntry], request_text: str) -> None:
    assert router(*some).route(request_text) == router(*reversed(some)).route(request_text)


def test_threads_share_a_router_and_get_the_same_decisions() -> None:
    expected = ROUTER.route_many(REQUESTS)
    ready = threading.Barrier(4)
    found: list[list[Decision]] = []

    def work() -> None:
        ready.wait()
        found.extend(ROUTER.route_many(REQUESTS) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 80


def test_the_longest_request_is_decided() -> None:
    for text in ("zip " * 16_384, "zip archive\n" * 5461, "解压" * 32_768, "\ufdfa" * 65_536):
        assert ROUTER.route(text).kind in {"routed", "no_route"}


def test_a_router_makes_decisions_on_its_own_table() -> None:
    assert ROUTER.route("zip").table == ROUTER.table.digest
    assert isinstance(ROUTER, Router)


def test_the_example_cards_of_this_module_cover_their_subjects() -> None:
    assert [winner(ROUTER.route(text)) for text in ("a parcel", "play it", "chess")] == ["post", "music", "chess"]
    assert winner(router(POST).route("zip code")) == "post"
