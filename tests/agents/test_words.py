"""From questions to concepts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("one", "other"),
    [("deleting", "delete"), ("deletes", "delete"), ("directories", "directory"), ("matches", "match"),
     ("stopped", "stop"), ("splitting", "split"), ("user's", "user"), ("files", "file"), ("copied", "copied")],
)  # fmt: skip
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    from stdlib_guide.words import stem

    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("process", "proces"), ("string", "str"), ("thing", "th"), ("bus", "bu")])
def test_different_words_do_not(one: str, other: str) -> None:
    from stdlib_guide.words import stem

    assert stem(one) != stem(other)


def test_a_concept_has_the_words_of_documentation_beside_those_of_the_question() -> None:
    from stdlib_guide.words import concepts

    (delete, folder) = concepts("How do I delete a folder?")
    assert (delete.said, folder.said) == ("delete", "folder")
    assert ("remove",) in [variant.words for variant in delete.variants]
    assert ("directory",) in [variant.words for variant in folder.variants]


def test_a_phrase_may_have_other_words_inside() -> None:
    from stdlib_guide.words import concepts

    said = [concept.said for concept in concepts("how long does this function take?")]
    assert "how long take" in said


def test_names_of_code_are_seen() -> None:
    from stdlib_guide.words import names_in

    assert names_in("is `rmtree` or os.path.join or get_close_matches or deepcopy() or namedTuple meant?") == [
        "rmtree", "os.path.join", "get_close_matches", "deepcopy", "namedTuple",
    ]  # fmt: skip


@given(st.text(max_size=200))
def test_any_text_has_concepts_and_names(text: str) -> None:
    from stdlib_guide.words import concepts, names_in

    assert all(concept.variants for concept in concepts(text))
    assert all(names_in(text))


def test_every_row_of_the_thesaurus_is_read() -> None:
    from stdlib_guide.words import thesaurus

    rules = thesaurus()
    assert len(rules) > 500
    assert all(rule.variants and all(rule.variants) for rule in rules)
