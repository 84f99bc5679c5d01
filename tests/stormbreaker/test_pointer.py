"""JSON Pointer: what is selected, in which order, and where it stops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.stormbreaker.pointer import MAX_SELECTED, MAX_STEPS, Pointer, TooMany, join

DOCUMENT = {"a": [{"n": 1}, {"m": 2}, {"n": 3}], "*": "star", "x/y": {"~": "tilde"}, "": "empty"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("pointer", "places"),
    [
        ("", [""]),
        ("/a/0/n", ["/a/0/n"]),
        ("/a/*/n", ["/a/0/n", "/a/2/n"]),
        ("/a/3", []),
        ("/a/01", []),
        ("/a/-", []),
        ("/a/+1", []),
        ("/a/\u0661", []),
        ("/*", ["/*"]),
        ("/x~1y/~0", ["/x~1y/~0"]),
        ("/", ["/"]),
        ("/nothing/at/all", []),
    ],
)
def test_a_pointer_selects_in_document_order(pointer: str, places: list[str]) -> None:
    assert [found.where for found in Pointer.parse(pointer).select(DOCUMENT)] == places


@pytest.mark.parametrize("text", ["a", "a/b", "/~", "/~2", "/" + "x" * 500, "/a" * (MAX_STEPS + 1)])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"pointer|Pointer"):
        Pointer.parse(text)


def test_selecting_without_end_is_an_error_and_no_short_answer() -> None:
    with pytest.raises(TooMany):
        Pointer.parse("/*").select([0] * (MAX_SELECTED + 1))
    with pytest.raises(TooMany):
        Pointer.parse("/*/*").select([[0] * 1000] * 1000)
    assert len(Pointer.parse("/*").select([0] * MAX_SELECTED)) == MAX_SELECTED


@given(document=json_values, data=st.data())
def test_every_place_that_can_be_walked_to_is_found_by_its_own_pointer(document: object, data: st.DataObject) -> None:
    where, here = "", document
    while isinstance(here, dict | list) and here and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(list(here) if isinstance(here, dict) else list(range(len(here)))))
        where, here = join(where, key), here[key]
    assert [(found.where, found.value) for found in Pointer.parse(where).select(document)] == [(where, here)]
