"""A folder of text becomes passages that stand verbatim in its files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus.errors import KnowledgeError
from hephaestus.knowledge import encode_passages, folder_passages

GUIDE = b"""\
Before any heading.

# Install

Use the wheel.

```sh
# not a heading
pip install it
```

## On Windows #

Use the installer.

# Empty

# Use

Run it.
"""


def test_markdown_is_split_at_headings_and_titles_are_their_chain() -> None:
    found = folder_passages({"guide.md": GUIDE})
    assert [p.title for p in found] == ["guide.md", "Install", "Install / On Windows", "Use"]
    assert [p.id for p in found] == ["guide.md#0001", "guide.md#0002", "guide.md#0003", "guide.md#0004"]
    assert {p.source for p in found} == {"guide.md"}


def test_a_heading_in_a_code_block_is_code() -> None:
    install = folder_passages({"guide.md": GUIDE})[1]
    assert "# not a heading\npip install it" in install.text


def test_long_text_ends_a_passage_at_a_paragraph() -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 100 for n in range(12))
    found = folder_passages({"notes.txt": text.encode()})
    assert len(found) > 3
    assert all(p.text.startswith("Paragraph") and p.text in text for p in found)


def test_a_hash_in_plain_text_is_no_heading() -> None:
    (only,) = folder_passages({"a.txt": b"# one\ntwo"})
    assert (only.title, only.text) == ("a.txt", "# one\ntwo")


def test_line_ends_and_a_byte_order_mark_make_no_difference() -> None:
    assert folder_passages({"a.md": b"\xef\xbb\xbf# H\r\n\r\ntext\r\n"}) == folder_passages({"a.md": b"# H\n\ntext\n"})


def test_files_that_are_no_text_are_passed_over_but_not_all_of_them() -> None:
    assert [p.source for p in folder_passages({"x.png": b"\x89PNG", "y.md": b"words"})] == ["y.md"]
    with pytest.raises(KnowledgeError, match="no text in the knowledge folder: 2 files"):
        folder_passages({"x.png": b"\x89PNG", "empty.md": b"\n\n"})


def test_a_line_that_is_longer_than_a_passage_is_cut() -> None:
    found = folder_passages({"a.txt": b"x" * 120_000})
    assert [len(p.text) for p in found] == [50_000, 50_000, 20_000]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.md": b"ok\n\xff\xfe"}, "a.md:2: not UTF-8: byte 0xff"),
        ({"a.txt": b"ok\0"}, "a.txt: holds a NUL"),
        ({"d/" * 300 + "a.md": b"ok"}, "too long"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(files: dict[str, bytes], says: str) -> None:
    with pytest.raises(KnowledgeError, match=says):
        folder_passages(files)


@given(
    st.text(st.sampled_from("ab #`~\n\r\t\N{SNOWMAN}"), max_size=400),
    st.sampled_from(["a.md", "b/c.txt", "UPPER.MD"]),
)
def test_any_text_gives_passages_that_stand_in_it_and_can_be_encoded(text: str, path: str) -> None:
    try:
        found = folder_passages({path: text.encode()})
    except KnowledgeError as error:
        assert "no text" in error.message  # noqa: PT017 - a text of headings only has no passage
        return
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    assert all(p.text in plain for p in found)
    encode_passages(found)
