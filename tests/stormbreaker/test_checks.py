"""Check sets: origins add up, nothing unknown or empty compiles, and the digest says exactly what is demanded."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stormbreaker.support import compiled, spec

from hephaestus.assets import CheckSpec
from hephaestus.errors import ChecksRefused
from hephaestus.stormbreaker import KINDS, CheckSet, Origin, compile_checks
from hephaestus.stormbreaker.checks import MAX_CHECKS

SCHEMA = {"s.json": b'{"type": "object"}'}
MIXED: list[tuple[Origin, CheckSpec]] = [
    ("package", spec("shape", "json-schema", schema="s.json")),
    ("card", spec("quotes", "quotes-in-knowledge", min=2)),
    ("caller", spec("polite", "regex", must_not="(?i)damn", hidden=True)),
    ("package", spec("code", "python", entry="checks:look")),
]


def mixed() -> CheckSet:
    return compile_checks(MIXED, files=SCHEMA.get)


def test_the_kinds_are_these() -> None:
    assert sorted(KINDS) == ["json-schema", "python", "quotes-in-knowledge", "regex"]


def test_origins_add_up() -> None:
    assert mixed().origins() == {"card": ("quotes",), "package": ("code", "shape"), "caller": ("polite",)}


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_sources_never_matters(chance: random.Random) -> None:
    shuffled = list(MIXED)
    chance.shuffle(shuffled)
    other = compile_checks(shuffled, files=SCHEMA.get)
    assert (other.digest, other.checks, other.notices()) == (mixed().digest, mixed().checks, mixed().notices())


@pytest.mark.parametrize(
    "change",
    [
        lambda items: items[:-1],
        lambda items: [*items[:-1], ("card", items[-1][1])],
        lambda items: [*items[:-1], ("package", spec("code", "python", entry="checks:other"))],
        lambda items: [*items[:-1], ("package", spec("renamed", "python", entry="checks:look"))],
        lambda items: [*items, ("caller", spec("more", "regex", must="x"))],
    ],
)
def test_the_digest_changes_with_what_is_demanded(change: Any) -> None:
    assert compile_checks(change(MIXED), files=SCHEMA.get).digest != mixed().digest


def test_the_digest_covers_the_text_of_the_schema() -> None:
    other = compile_checks(MIXED, files={"s.json": b'{"type": "array"}'}.get)
    assert other.digest != mixed().digest


def test_a_written_default_is_the_same_demand() -> None:
    assert compiled(spec("a", "regex", must="x")).digest == compiled(spec("a", "regex", must="x", min=0)).digest


def test_no_checks_at_all_are_refused() -> None:
    with pytest.raises(ChecksRefused, match="at least one check"):
        compile_checks([], files=SCHEMA.get)


@pytest.mark.parametrize("other", ["package", "caller"])
def test_the_same_id_twice_is_refused(other: Origin) -> None:
    with pytest.raises(ChecksRefused, match=r"`shape`.*package"):
        compile_checks([*MIXED, (other, spec("shape", "regex", must="x"))], files=SCHEMA.get)


def test_an_unknown_kind_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(ChecksRefused, match=r"`a`.*`json-shema`") as refused:
        compiled(spec("a", "json-shema", schema="s.json"))
    assert refused.value.hint == "did you mean `json-schema`?"
    with pytest.raises(ChecksRefused) as refused:
        compiled(spec("a", "llm-judge"))
    assert refused.value.hint is None


def test_the_id_of_the_built_in_check_is_taken() -> None:
    with pytest.raises(ChecksRefused, match="built-in"):
        compiled(spec("artefact", "regex", must="x"))


@pytest.mark.parametrize(
    "bad",
    [
        spec("Not A Name", "regex", must="x"),
        CheckSpec(id="a", kind="regex", about="", params={"must": "x"}),
        CheckSpec(id="a", kind="regex", about="x", params={"must": object()}),
        CheckSpec(id="a", kind="regex", about="x", params=5),  # type: ignore[arg-type]
        CheckSpec(id=5, kind="regex", about="x"),  # type: ignore[arg-type]
        CheckSpec(id="a", kind="regex", about="x", params={"must": "\ud800"}),
    ],
)
def test_a_spec_made_in_python_is_validated_like_one_from_a_file(bad: CheckSpec) -> None:
    with pytest.raises(ChecksRefused):
        compiled(bad)


def test_an_origin_that_nobody_has_is_refused() -> None:
    with pytest.raises(ChecksRefused, match="origin"):
        compile_checks([("agent", spec("a", "regex", must="x"))], files=SCHEMA.get)  # type: ignore[list-item]


def test_a_set_has_an_upper_size() -> None:
    with pytest.raises(ChecksRefused, match=str(MAX_CHECKS)):
        compiled(*(spec(f"c{n}", "regex", must="x") for n in range(MAX_CHECKS + 1)))


def test_a_parameter_that_is_not_known_names_those_that_are() -> None:
    with pytest.raises(ChecksRefused, match="`a`") as refused:
        compiled(spec("a", "regex", patern="x"))
    assert "must_not" in (refused.value.hint or "")


def test_every_check_is_announced_and_a_hidden_one_without_its_parameters() -> None:
    notices = {notice.id: notice for notice in mixed().notices()}
    assert set(notices) == {"shape", "quotes", "polite", "code"}
    assert notices["quotes"].params["min"] == 2
    assert notices["polite"].params == {}
    assert b"damn" not in msgspec.json.encode(mixed().notices())


def test_the_digest_of_a_set_is_pinned() -> None:
    # Certificates hold it: a change here makes every older certificate one of unknown checks.
    only = compiled(spec("polite", "regex", must_not="damn"))
    assert only.digest == "sha256:97316829711704dcf2328b1914dfc45ab8ac1de4cf1101368a8d0c83d26b3f98"
