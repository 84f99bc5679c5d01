"""A model's words, held to what is quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

QUOTED = ("zipfile.ZipFile.open", "zipfile.ZipFile.read", "tarfile.TarFile.open", "time.sleep")
KNOWN = {"zipfile", "os", "time", "str", *QUOTED}
TAIL = "\n\nIn the documentation: `zipfile.ZipFile.open`, `zipfile.ZipFile.read`, `tarfile.TarFile.open`, `time.sleep`."


def held(text: str, *, limit: int = 2000) -> str:
    from stdlib_guide.phrasing import held_to

    return held_to(text, QUOTED, known=KNOWN.__contains__, limit=limit)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Use `time.sleep`.", "Use `time.sleep`."),
        ("Use `time.sleep(5)`, or `sleep()`.", "Use `time.sleep`, or `time.sleep`."),
        ("Call `ZipFile.open` on it.", "Call `zipfile.ZipFile.open` on it."),
        ("Call `open` on it.", "Call open on it." + TAIL),  # the end of two names
        ("The `zipfile.ZipFile` of `zipfile`.", "The zipfile.ZipFile of zipfile." + TAIL),
        ("A `str`, `'r'` or `z.open(x)`.", "A str, 'r' or z.open(x)." + TAIL),
        ("Wait.\nUse `os.system`! Go on.", "Wait. Go on." + TAIL),
        ("Use `time.sleep_ms`.\nWait.", "Wait." + TAIL),  # no such name
        ("Use `ZipFile.extract`. Wait.", "Wait." + TAIL),  # there is, but it is not quoted
        ("Wait:\n\n```py\n`time.sleep`\n```", "Wait:" + TAIL),
        ("Wait `for it", "Wait for it" + TAIL),
        ("``Wait`` ` `", "Wait" + TAIL),
    ],
)
def test_marks_are_put_right_and_what_is_not_quoted_is_left_out(said: str, answer: str) -> None:
    assert held(said) == answer


def test_whole_sentences_are_kept_up_to_the_limit() -> None:
    assert held("One. Two. Three.", limit=len("One. Two." + TAIL)) == "One. Two." + TAIL
    assert held("Use `time.sleep`. Two.", limit=17) == "Use `time.sleep`."
    assert held("One.", limit=5) == ""


@given(
    st.lists(
        st.sampled_from(["`", "``", "```", "\n", ". ", " ", "time.sleep", "os.system", "open", "x", "(", ")", "."])
        | st.text(max_size=3)
    ).map("".join),
    st.integers(0, 300),
)
def test_whatever_a_model_says_only_quoted_names_are_marked(said: str, limit: int) -> None:
    from stdlib_guide.checks import names_are_quoted

    answer = held(said, limit=limit)
    assert len(answer) <= limit
    quotations = [{"name": name, "quote": "x"} for name in QUOTED]
    if answer:
        assert names_are_quoted({"answer": answer, "quotations": quotations}, {})["findings"] == []
