"""Check kind quotes-in-knowledge: every quotation stands verbatim in the passage that it names."""

import json

import pytest
from tests.stormbreaker.support import Texts, compiled, look, spec

from hephaestus.errors import ChecksRefused
from hephaestus.stormbreaker.kind import Compiled, Observation
from hephaestus.stormbreaker.kinds.quotes import MAX_QUOTE

OPEN = "Access a member of the archive as a binary file-like object."
PASSAGES = Texts(
    {
        "zipfile.ZipFile.open": f"ZipFile.open(name)\n{OPEN} The name can be that of a file or a ZipInfo object.",
        "tarfile.open": "Return a TarFile object for the pathname name.",
        "long": "word " * 10_000,
        "ruled": "Heading\n...\nText of it.",
    }
)


def check(**params: object) -> Compiled:
    return compiled(spec("quotes", "quotes-in-knowledge", **params)).compiled["quotes"]


def seen(artefact: object, **params: object) -> Observation:
    return look(check(**params), json.dumps(artefact).encode(), PASSAGES)


def quoting(*pairs: tuple[object, object]) -> dict[str, object]:
    return {"quotations": [{"name": name, "quote": quote} for name, quote in pairs]}


def test_verbatim_quotations_pass_and_each_is_counted() -> None:
    found = seen(quoting(("zipfile.ZipFile.open", OPEN), ("tarfile.open", PASSAGES["tarfile.open"])))
    assert (found.inspected, found.problems) == (2, 0)


def test_a_quotation_from_another_passage_fails() -> None:
    found = seen(quoting(("tarfile.open", OPEN)))
    assert [(d.where, d.found) for d in found.details] == [("/quotations/0/quote", OPEN)]
    assert "tarfile.open" in found.details[0].expected


def test_an_unknown_name_fails() -> None:
    found = seen(quoting(("zipfile.invented", OPEN)))
    assert [(d.where, d.found) for d in found.details] == [("/quotations/0/name", "zipfile.invented")]


def test_a_short_quotation_must_be_a_whole_line_or_sentence() -> None:
    assert seen(quoting(("zipfile.ZipFile.open", "Access a member of the archive"))).problems == 1
    assert seen(quoting(("zipfile.ZipFile.open", "ZipFile.open(name)"))).problems == 0
    assert seen(quoting(("tarfile.open", PASSAGES["tarfile.open"]))).problems == 0
    assert seen(quoting(("zipfile.ZipFile.open", "Access a member of the archive")), min_words=6).problems == 0


@pytest.mark.parametrize("quote", ["", " ", "…", "--"])
def test_a_quotation_without_words_fails(quote: str) -> None:
    assert seen(quoting(("zipfile.ZipFile.open", quote)), min_words=1).problems == 1


def test_a_line_without_words_is_no_quotation() -> None:
    assert seen(quoting(("ruled", "..."))).problems == 1
    assert seen(quoting(("ruled", "Heading"))).problems == 0


@pytest.mark.parametrize(
    "artefact", [{}, {"quotations": []}, {"quotations": "none"}, {"quotations": {}}, [], "text", 5]
)
def test_an_artefact_without_quotations_fails(artefact: object) -> None:
    assert seen(artefact).problems == 1


def test_more_or_fewer_than_demanded_fail() -> None:
    one = quoting(("zipfile.ZipFile.open", OPEN))
    assert seen(one, min=2).problems == 1
    assert seen({"quotations": one["quotations"] * 3}, max=2).problems == 1  # type: ignore[operator]


@pytest.mark.parametrize(
    ("quotation", "where"),
    [
        (5, "/quotations/0"),
        (None, "/quotations/0"),
        (["zipfile.ZipFile.open", OPEN], "/quotations/0"),
        ({"name": "zipfile.ZipFile.open"}, "/quotations/0/quote"),
        ({"quote": OPEN}, "/quotations/0/name"),
        ({"name": 5, "quote": OPEN}, "/quotations/0/name"),
        ({"name": "zipfile.ZipFile.open", "quote": [OPEN]}, "/quotations/0/quote"),
    ],
)
def test_a_quotation_of_another_shape_fails_at_its_place(quotation: object, where: str) -> None:
    assert [d.where for d in seen({"quotations": [quotation]}).details] == [where]


def test_a_huge_quotation_fails_unseen() -> None:
    found = seen(quoting(("long", "word " * MAX_QUOTE)))
    assert "at most" in found.details[0].expected


def test_keys_and_place_can_be_named() -> None:
    artefact = {"answer": {"sources": [{"id": "zipfile.ZipFile.open", "text": OPEN}]}}
    assert seen(artefact, quotes="/answer/sources", id="id", text="text").problems == 0


def test_a_passage_is_fetched_once() -> None:
    asked: list[str] = []

    class Counting(Texts):
        def text(self, name: str, /) -> str | None:
            asked.append(name)
            return super().text(name)

    pair = ("zipfile.ZipFile.open", OPEN)
    look(check(), json.dumps(quoting(pair, pair, pair)).encode(), Counting(PASSAGES))
    assert asked == ["zipfile.ZipFile.open"]


def test_without_a_snapshot_it_cannot_work() -> None:
    with pytest.raises(RuntimeError, match="snapshot"):
        look(check(), b"{}", None)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"min": 0}, "min"),
        ({"min": 5, "max": 4}, "over `max`"),
        ({"quotes": "/a/*"}, r"no `\*`"),
        ({"quotes": "a"}, "Pointer"),
        ({"id": "x", "text": "x"}, "two different keys"),
        ({"min_words": 0}, "min_words"),
        ({"minimum": 5}, "minimum"),
    ],
)
def test_what_is_no_check_is_refused(params: dict[str, object], reason: str) -> None:
    with pytest.raises(ChecksRefused, match=reason):
        check(**params)
