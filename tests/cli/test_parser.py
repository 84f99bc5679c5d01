"""What the command line does with words that it does or does not know."""

from __future__ import annotations

import argparse

import pytest
from tests.cli.conftest import Type

from hephaestus.cli.app import NOUNS, parser
from hephaestus.cli.objects import FIELDS
from hephaestus.cli.parser import Parser


def leaves(of: argparse.ArgumentParser, *words: str) -> list[tuple[str, ...]]:
    found = []
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                found += leaves(inner, *words, name) or [(*words, name)]
    return found


VERBS = leaves(parser())


def test_the_verbs_of_the_contract_are_there() -> None:
    wanted = (
        "new check interview publish deploy rollback history list show route run explain doctor version "
        "demo receipts+list receipts+show receipts+verify knowledge+search certificate+verify"
    )
    assert {tuple(words.split("+")) for words in wanted.split()} <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_says_what_it_does_with_an_example_that_parses(typed: Type, verb: tuple[str, ...]) -> None:
    shown = typed(*verb, "--help")
    assert shown.code == 0
    assert "--json" in shown.out
    assert "--home" in shown.out
    example = shown.out.rpartition("example:\n  hephaestus ")[2].strip()
    import shlex

    words = shlex.split(example)
    assert tuple(words[: len(verb)]) == verb
    assert parser().parse_args(words).handler is not None


def test_help_names_the_exit_codes_and_where_to_start(typed: Type) -> None:
    shown = typed("--help")
    assert shown.code == 0
    for word in ("3 refused", "6 isolation missing", "hephaestus demo"):
        assert word in shown.out


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["rout", "x"], "verb 'rout' is not known", "did you mean `route`?"),
        (["receipts", "lst"], "verb 'lst' is not known", "did you mean `list`?"),
        (["xyzzy"], "verb 'xyzzy' is not known", "one of "),
        (["check", "x", "--level", "isolate"], "--level 'isolate' is not known", "did you mean `isolated`?"),
        ([], "hephaestus: the following arguments are required: VERB", "`hephaestus --help`"),
        (["receipts"], "receipts: the following arguments are required: VERB", "`hephaestus receipts --help`"),
        (["new"], "hephaestus new: the following arguments are required: NAME", "`hephaestus new --help`"),
        (["list", "--jsn"], "unrecognized arguments: --jsn", "--help"),
        (["list", "--js"], "unrecognized arguments: --js", "--help"),  # no abbreviations: they break with new options
        (["receipts", "show", "one"], "invalid int value: 'one'", "--help"),
        (["run", "x", "--model", "http://127.0.0.1:1"], "--model and --model-name go together", "for example"),
        (["knowledge", "search", "x", "y", "--limit", "0"], "--limit is 1 to 100, not 0", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("json", [False, True])
def test_wrong_words_end_with_code_2_and_a_hint(
    typed: Type, words: list[str], message: str, hint: str | None, json: bool
) -> None:
    done = typed(*words, *(["--json"] if json else []))
    assert done.code == 2
    if json:
        assert done.error["kind"] == "UsageError"
        assert message in done.error["message"]
        assert hint is None or hint in done.error["hint"]
        assert done.err == ""
    else:
        assert done.out == ""
        assert message in done.err
        assert hint is None or f"hint: {hint}" in done.err or hint in done.err


def test_common_options_stand_before_or_behind_the_verb(typed: Type, tmp_path: object) -> None:
    before = typed("--json", "--home", tmp_path, "version")
    behind = typed("version", "--json", "--home", tmp_path)
    assert before.object == behind.object


def test_json_behind_the_double_dash_is_an_argument(typed: Type) -> None:
    done = typed("route", "--", "--json")
    assert done.out == ""  # no channel here, and the error is for people
    assert "error: " in done.err


def test_modules_add_their_verbs_themselves() -> None:
    assert len(NOUNS) == len(set(NOUNS))
    assert isinstance(parser(), Parser)


def test_every_verb_has_its_object_documented() -> None:
    assert {".".join(verb) for verb in VERBS} == set(FIELDS)
    assert all(meaning for fields in FIELDS.values() for meaning in fields.values())
