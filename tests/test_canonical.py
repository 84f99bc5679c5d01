"""Canonical bytes: the vectors of RFC 8785, what has no canonical form, and strict reading of JSON."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import json
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus import canonical
from hephaestus.canonical import MAX_DEPTH, MAX_INTEGER, NotCanonical, decode, encode, parse_json

scalars = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(scalars, inner, max_size=5),
    max_leaves=30,
)


# --- form ---


def test_keys_are_in_the_order_of_the_standard() -> None:
    # RFC 8785, section 3.2.3: sorted by UTF-16 code units, so the smiley (D83D) is before the ligature (FB33).
    members = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(encode(members))) == order


def test_text_is_escaped_as_in_the_standard() -> None:
    # RFC 8785, section 3.2.2: the string and literals of the example, without its floating-point numbers.
    example = {"string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/", "literals": [None, True, False]}
    assert encode(example) == (b'{"literals":[null,true,false],"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}')


def test_every_control_character_has_its_shortest_escape() -> None:
    short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
    for code in range(0x20):
        expected = short.get(chr(code), f"\\u{code:04x}")
        assert encode(chr(code)) == f'"{expected}"'.encode()
    assert encode("\x7f\u2028/<>") == '"\x7f\u2028/<>"'.encode()


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, b"0"), (-0, b"0"), (-1, b"-1"), (MAX_INTEGER, b"9007199254740991"), (-MAX_INTEGER, b"-9007199254740991")],
)
def test_integers_are_decimal(number: int, text: bytes) -> None:
    assert encode(number) == text
    assert decode(text) == number


@given(values)
def test_what_is_encoded_is_read_back(value: Any) -> None:
    data = encode(value)
    assert decode(data) == value
    assert encode(decode(data)) == data


@given(values)
def test_the_form_agrees_with_the_standard_library_where_that_has_the_same_rules(value: Any) -> None:
    # json sorts by code points, so only values whose keys are in the basic plane can be compared.
    def basic(item: Any) -> bool:
        if isinstance(item, dict):
            return all(max(key, default="") < "\ud800" and basic(member) for key, member in item.items())
        return all(map(basic, item)) if isinstance(item, list) else True

    if basic(value):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        assert encode(value) == text.encode()


@given(st.dictionaries(scalars, st.integers(0, 9), max_size=8), st.randoms())
def test_the_order_of_insertion_never_matters(members: dict[str, int], random: Any) -> None:
    items = list(members.items())
    random.shuffle(items)
    assert encode(dict(items)) == encode(members)


class _Colour(enum.Enum):
    RED = "red"


class _Point(msgspec.Struct, tag=True, rename="camel"):
    x_axis: int
    colour: _Colour = _Colour.RED


def test_structs_and_enumerations_are_what_they_are_on_the_wire() -> None:
    assert encode(_Point(1)) == b'{"colour":"red","type":"_Point","xAxis":1}'
    assert encode((1, [2], b"\0\1")) == b'[1,[2],"AAE="]'


def test_sets_are_sorted_whatever_the_hash_seed() -> None:
    code = "from hephaestus import canonical; print(canonical.encode({'a': set('hephaestus')}).decode())"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert seen == {b'{"a":["a","e","h","p","s","t","u"]}\n'}


# --- refusals ---


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        10**400,
        "\ud800",
        ["\udfff"],
        {"\ud83d": 1},
        {"a": "\ud83d"},
        {1: "a"},
        {None: "a"},
        {(1, 2): "a"},
        {1, "a"},
        object(),
        {"a": object()},
        print,
    ],
    ids=repr,
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        encode(value)


def test_text_and_integer_keys_never_meet() -> None:
    for members in ({1: "a", "1": "b"}, {"1": "a", 1: "b"}, {1: "a"}):
        with pytest.raises(NotCanonical, match=r"key must be text|no common order"):
            encode(members)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 5_000, 100_000])
def test_what_is_nested_too_deep_is_refused_and_not_a_crash(depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    with pytest.raises(NotCanonical, match="nested deeper"):
        encode(value)
    with pytest.raises(NotCanonical):
        decode(b"[" * (depth + 1) + b"]" * (depth + 1))


def test_the_greatest_depth_is_fine() -> None:
    data = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)  # the outermost has depth 0
    assert encode(decode(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1,"a":1}',
        b"1.0",
        b"1e3",
        b"-0",
        b"01",
        b"9007199254740992",
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000A"',
        b'"\\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        b"NaN",
        b"[1,]",
        b"nul",
        b"{}{}",
    ],
    ids=repr,
)
def test_other_spellings_are_not_canonical(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        decode(data)


@given(st.binary(max_size=60))
def test_reading_garbage_raises_nothing_else(data: bytes) -> None:
    try:
        value = decode(data)
    except NotCanonical:
        return
    assert encode(value) == data


# --- digests ---


def test_a_digest_is_of_tag_nul_and_canonical_bytes() -> None:
    expected = "sha256:" + hashlib.sha256(b'hephaestus/test/1\0{"a":1}').hexdigest()
    assert canonical.digest("hephaestus/test/1", {"a": 1}) == expected
    assert canonical.digest("hephaestus/test/2", {"a": 1}) != expected
    assert canonical.is_digest(expected)


def test_a_tag_that_could_be_read_two_ways_is_refused() -> None:
    for tag in ("a\0b", "\u00e9"):
        with pytest.raises(ValueError):
            canonical.tagged(tag, b"")


@given(st.text(max_size=80))
def test_only_digests_are_digests(text: str) -> None:
    assert canonical.is_digest(text) is False
    good = canonical.digest_bytes(text.encode("utf-8", "surrogatepass"))
    assert canonical.is_digest(good)
    for bad in (good.upper(), good[:-1], good + "0", good + "\n", good.replace("sha256", "sha512"), f" {good}"):
        assert not canonical.is_digest(bad)


# --- parse_json ---


@given(values)
def test_parse_json_reads_what_json_writes(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


def test_parse_json_takes_finite_floats() -> None:
    assert parse_json(b"[1.5, -2e3]") == [1.5, -2000.0]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b'{"a":1,"a":2}', "duplicate key 'a'"),
        (b'[{"x":{"a":1,"b":2,"a":3}}]', "duplicate key 'a'"),
        (b'{"a":1,"\\u0061":2}', "duplicate key 'a'"),
        (b"NaN", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"1e999", "out of range"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\udc00":1}', "lone surrogate"),
        ('"\ud800"', "lone surrogate"),
        (b"[" * 100 + b"]" * 100, "nested deeper"),
        (b"[" * 200_000, "nested deeper"),
        (b"1" * 5000, "."),
        (b"\xef\xbb\xbf{}", "."),
        (b"{'a':1}", "."),
        (b"", "."),
        (b'"a\nb"', "."),
    ],
)
def test_parse_json_refuses_with_the_reason(data: bytes | str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        parse_json(data)


def test_dates_have_one_form() -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert encode(moment) == b'"2026-01-02T03:04:05Z"'
