"""Versions and ranges, held against the SemVer specification and the cargo book."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.assets.version import MAX_LENGTH, Range, Version

# https://semver.org/spec/v2.0.0.html, section 11, with more of our own between them; lowest first.
ORDERED = [
    "0.0.0-0", "0.0.0", "0.0.1", "0.1.0", "1.0.0-0", "1.0.0-1", "1.0.0-1.0", "1.0.0-2", "1.0.0-10", "1.0.0--",
    "1.0.0-1-", "1.0.0-A", "1.0.0-a", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.1.1", "1.0.0-alpha.beta",
    "1.0.0-alpha-", "1.0.0-alpha0", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1",
    "1.2.0", "1.10.0", "2.0.0", "2.1.0", "2.1.1", "10.0.0", "255.0.0", "256.0.0", "65536.0.0", "99999999999999.0.0",
]  # fmt: skip

identifiers = st.integers(0, 300).map(str) | st.from_regex(r"[0-9]{0,2}[A-Za-z-][0-9A-Za-z-]{0,3}", fullmatch=True)
numbers = st.integers(0, 3) | st.integers(0, 10**9)
versions = st.builds(
    lambda core, pre: ".".join(map(str, core)) + ("-" + ".".join(pre) if pre else ""),
    st.tuples(numbers, numbers, numbers),
    st.lists(identifiers, max_size=3),
)


def precedes(one: str, other: str) -> bool:
    """SemVer 2.0 section 11, written out a second time."""
    (core1, _, pre1), (core2, _, pre2) = one.partition("-"), other.partition("-")
    numbers1, numbers2 = [[int(n) for n in core.split(".")] for core in (core1, core2)]
    if numbers1 != numbers2:
        return numbers1 < numbers2
    if not pre1 or not pre2:
        return bool(pre1) and not pre2
    for part1, part2 in itertools.zip_longest(pre1.split("."), pre2.split(".")):
        if part1 == part2:
            continue
        if part1 is None or part2 is None:
            return part1 is None
        if part1.isdigit() and part2.isdigit():
            return int(part1) < int(part2)
        if part1.isdigit() or part2.isdigit():
            return part1.isdigit()
        return bool(part1 < part2)
    return False


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(ORDERED, 2)))
def test_versions_are_ordered_as_the_specification_says(one: str, other: str) -> None:
    low, high = Version.parse(one), Version.parse(other)
    assert low < high
    assert low <= high
    assert high > low
    assert high >= low
    assert not (high < low)
    assert not (high <= low)
    assert not (low > high)
    assert not (low >= high)
    assert low != high


@given(versions, versions)
def test_the_sort_key_orders_bytes_as_precedence_orders_versions(one: str, other: str) -> None:
    low, high = Version.parse(one), Version.parse(other)
    assert (low.sort_key() < high.sort_key()) == precedes(one, other)
    assert (low.sort_key() == high.sort_key()) == (low == high) == (one == other)


@given(versions)
def test_a_version_is_written_as_it_was_read(text: str) -> None:
    assert str(Version.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.02.3", "1.2.03", "1.2.3-", "1.2.3-01", "1.2.3-a..b",
        "1.2.3-a.", "1.2.3-ä", "-1.2.3", " 1.2.3", "1.2.3 ", "1.2.3\n", "1.2.3-\n", "1.2.x", "1,2,3", "\u0661.2.3",
        "1.2.3-" + "a" * MAX_LENGTH,
    ],
)  # fmt: skip
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a SemVer 2\.0 version"):
        Version.parse(text)


def test_build_metadata_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="build metadata is not part of an agent version"):
        Version.parse("1.2.3+linux")


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("^1.2.3", ["1.2.3", "1.9.0"], ["1.2.2", "2.0.0", "2.0.0-rc.1", "1.3.0-rc.1"]),
        ("1.2.3", ["1.2.3", "1.9.0"], ["1.2.2", "2.0.0"]),
        ("^1.2", ["1.2.0", "1.9.0"], ["1.1.9", "2.0.0"]),
        ("^1", ["1.0.0", "1.9.9"], ["0.9.9", "2.0.0"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "1.0.0", "0.2.2"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4", "0.0.2"]),
        ("^0.0", ["0.0.0", "0.0.9"], ["0.1.0"]),
        ("^0", ["0.0.0", "0.9.9"], ["1.0.0"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.2.2"]),
        ("~1.2", ["1.2.0", "1.2.9"], ["1.3.0"]),
        ("~1", ["1.0.0", "1.9.9"], ["2.0.0"]),
        ("=1.2.3", ["1.2.3"], ["1.2.4", "1.2.2"]),
        ("=1.2", ["1.2.0", "1.2.9"], ["1.3.0", "1.1.9"]),
        (">1.2", ["1.3.0", "2.0.0"], ["1.2.0", "1.2.9"]),
        (">1.2.3", ["1.2.4"], ["1.2.3"]),
        (">=1.2", ["1.2.0", "9.0.0"], ["1.1.9"]),
        ("<1.2", ["1.1.9", "0.0.0"], ["1.2.0"]),
        ("<=1.2", ["1.2.0", "1.2.9", "1.1.0"], ["1.3.0"]),
        ("<=1.2.3", ["1.2.3"], ["1.2.4"]),
        (">=1, <3", ["1.0.0", "2.9.9"], ["0.9.9", "3.0.0"]),
        (">= 1.2.3 , < 1.8.0", ["1.2.3", "1.7.9"], ["1.8.0"]),
        ("^1.2.3-rc.2", ["1.2.3-rc.2", "1.2.3-rc.10", "1.2.3", "1.9.0"], ["1.2.3-rc.1", "1.2.4-rc.1", "2.0.0-rc.1"]),
        ("=1.2.3-rc.1", ["1.2.3-rc.1"], ["1.2.3", "1.2.3-rc.2"]),
        (">=1.2.0-a, <1.2", [], ["1.2.0-b", "1.2.0", "1.1.0"]),
        ("<1.2.3, >=1.2.3-a", ["1.2.3-b"], ["1.2.3"]),
    ],
)
def test_a_range_holds_what_cargo_says_it_holds(text: str, inside: list[str], outside: list[str]) -> None:
    wanted = Range.parse(text)
    assert str(wanted) == text
    assert [v for v in inside if Version.parse(v) not in wanted] == []
    assert [v for v in outside if Version.parse(v) in wanted] == []


@pytest.mark.parametrize(
    "text", ["", "*", "1.*", "^", "1.2.3.4", "^1, ", "==1", "latest", "1 2", "^01", "1.2-rc.1", "^1.2.3+b", "1" * 200]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version range"):
        Range.parse(text)


@given(versions)
def test_every_version_is_in_the_ranges_made_from_it(text: str) -> None:
    version = Version.parse(text)
    for comparator in ("=", "^", "~", ">=", "<=", ""):
        assert version in Range.parse(comparator + text)
    for comparator in ("<", ">"):
        assert version not in Range.parse(comparator + text)


@given(versions, versions)
def test_a_caret_never_reaches_the_next_breaking_version(text: str, other: str) -> None:
    low, version = Version.parse(text), Version.parse(other)
    if version in Range.parse("^" + text):
        assert version >= low
        leading = next((place for place, n in enumerate((low.major, low.minor, low.patch)) if n), 2)
        parts = [(v.major, v.minor, v.patch)[: leading + 1] for v in (low, version)]
        assert parts[0] == parts[1]
