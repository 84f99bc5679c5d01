"""The script that reads the documentation, piece by piece; as a whole it runs in its own process."""

from __future__ import annotations

import json
import types

from hephaestus.knowledge import stdlib_script as script


def module(name: str, **contents: object) -> types.ModuleType:
    found = types.ModuleType(name)
    for key, value in contents.items():
        setattr(found, key, value)
    return found


def test_addresses_and_what_is_no_text_are_taken_out() -> None:
    assert script.clean("<f at 0x7f00aa>  \nx\0\ud800 ") == "<f>\nx\\0\\ud800"


def test_long_text_ends_with_a_paragraph_a_line_or_a_word() -> None:
    for joint in ("\n\n", "\n", " "):
        text = joint.join(["word" * 50] * 100)
        short = script.shorten(text)
        assert script.MAX_TEXT // 2 < len(short) <= script.MAX_TEXT
        assert text.startswith(short)
        assert short.endswith("word")
    assert len(script.shorten("x" * 10_000)) == script.MAX_TEXT
    assert script.shorten("short") == "short"


def test_defaults_that_differ_between_machines_are_not_shown() -> None:
    def f(self: object, a: str = "/usr/lib", b: dict[str, str] = {"HOME": "/"}, c: str = "r", d: object = None) -> None:  # noqa: B006
        ...

    assert (
        script.signature(f, method=True)
        == "(a: 'str' = ..., b: 'dict[str, str]' = ..., c: 'str' = 'r', d: 'object' = None)"
    )
    assert script.signature(print, method=False).startswith("(*args")
    assert script.signature(dict, method=False) == ""
    assert script.signature(3, method=False) == ""


def test_a_module_without_a_list_exports_what_is_its_own() -> None:
    def own() -> None: ...

    own.__module__ = "m"
    found = module("m", own=own, _private=own, other=json.dumps, sub=types, number=3)
    assert script.exported(found) == ["number", "own"]


def test_a_package_also_offers_what_its_submodules_define() -> None:
    class Inner: ...

    Inner.__module__ = "p.sub"

    class Hidden: ...

    Hidden.__module__ = "p._sub"
    found = module("p", __all__=["listed", "_not"], Inner=Inner, Hidden=Hidden)
    assert script.exported(found) == ["Inner", "listed"]


def test_a_comment_stands_in_for_a_missing_docstring() -> None:
    # Says what it does.
    def f() -> None: ...

    assert script.documentation(f) == "Says what it does."
    assert script.documentation(3).startswith("int(")


def test_a_class_tells_of_its_constructor_too() -> None:
    class Both:
        """The class."""

        def __init__(self) -> None:
            """The constructor."""

    class Plain:
        def __init__(self) -> None:
            """Only this."""

    assert script.class_documentation(Both) == "The class.\n\nThe constructor."
    assert script.class_documentation(Plain) == "Only this."


def test_members_of_bases_without_a_public_name_are_shown_with_the_class() -> None:
    class _Base:
        def inherited(self) -> None:
            """From below."""

        @property
        def held(self) -> int:
            """A property."""
            return 1

    class Public(_Base):
        class Nested:
            """Not a member that is told."""

        def own(self, a: int = 1) -> None:
            """Its own."""

        @classmethod
        def made(cls) -> None:
            """A class method."""

        @staticmethod
        def free(x: int) -> None:
            """A static method."""

    reader = script.Reader()
    reader.cls("m.Public", Public, "m")
    assert sorted(reader.passages) == [
        "m.Public",
        "m.Public.free",
        "m.Public.held",
        "m.Public.inherited",
        "m.Public.made",
        "m.Public.own",
    ]
    assert reader.passages["m.Public.own"]["text"] == "m.Public.own(a: 'int' = 1)\n\nIts own."
    assert reader.passages["m.Public.held"]["title"] == "m.Public.held"
    assert reader.passages["m.Public.free"]["title"] == "m.Public.free(x: 'int')"


def test_a_module_is_told_with_its_constants_and_listed_names() -> None:
    def f() -> None:
        """Does it."""

    f.__module__ = "m"
    found = module("m", f=f, WORDS="ab", HERE="/usr/share", _x="y", data=[1], RATIO=1.5)
    found.__doc__ = "About m.\n\ndata -- a list of things\nnobody -- not there"
    reader = script.Reader()
    for name in script.exported(found):
        reader.consider("m", found, name)
    reader.module("m", found)
    assert sorted(reader.passages) == ["m", "m.RATIO", "m.WORDS", "m.data", "m.f"]
    assert reader.passages["m.data"]["text"] == "m.data\n\ndata -- a list of things"
    assert reader.passages["m.WORDS"]["text"] == "m.WORDS\n\nWORDS = 'ab'"


def test_the_shortest_name_of_an_object_is_its_home() -> None:
    def f() -> None: ...

    f.__module__ = "a.b"
    reader = script.Reader()
    reader.consider("a.b", module("a.b", f=f), "f")
    reader.consider("a", module("a", f=f), "f")
    reader.consider("z.y.x", module("z.y.x", f=f), "f")
    assert reader.names[id(f)][1] == "a"


def test_private_steps_make_a_module_private() -> None:
    assert script.public_path("a.b")
    assert not script.public_path("a._b")
    assert not script.public_path("a.tests.b")
    assert script.load("no_such_module_here") is None


def test_names_of_modules_are_public_and_sorted() -> None:
    names = script.module_names()
    assert names == sorted(names)
    assert {"zipfile", "posixpath", "xml.etree.ElementTree"} <= set(names)
    assert not {"this", "antigravity", "ntpath", "genericpath", "idlelib", "test"} & set(names)


def test_a_comment_above_a_constant_is_part_of_it() -> None:
    import string

    assert "whitespace" in script.comment_above(string, "whitespace") or script.comment_above(string, "digits") == ""
    assert script.comment_above(string, "nothing_of_this_name") == ""
    assert script.comment_above(module("built"), "x") == ""
