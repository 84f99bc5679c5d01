"""The program that reads the documentation out of a Python installation: run as a script, never imported by the host.

It uses the standard library only, imports the modules of ``sys.stdlib_module_names`` in a process of its own and
writes one JSON object a line, ``{"id", "title", "source", "text"}``, to the file descriptor named by its argument. What
an object is called is where people find it: ``zipfile.ZipFile.open``, ``os.path.join``, ``str.split``.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import inspect
import json
import os
import pkgutil
import re
import sys
import types
from collections.abc import Mapping
from typing import Any

# Importing these opens windows or browsers, prints, or brings test data, private tools and generated tables.
SKIPPED = {
    "__main__", "antigravity", "distutils", "idlelib", "lib2to3", "pydoc_data", "test", "this", "tkinter", "turtle",
    "turtledemo",
}  # fmt: skip
SKIPPED_BELOW = {"encodings", "ensurepip", "msilib", "unittest.__main__", "xml.etree.cElementTree"}
# One module under two names: people write the first.
KNOWN_AS = {"posixpath": "os.path", "builtins": ""}
OTHER_PLATFORM = {"ntpath", "nturl2path", "nt", "posix"}
# Public by name only: what they hold is known under another module (os.path, re, dis).
INNER = {"genericpath", "opcode", "pyexpat", "sre_compile", "sre_constants", "sre_parse"}
MAX_TEXT = 4000
MEMBER_KINDS = (
    types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodDescriptorType,
    types.ClassMethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
    types.WrapperDescriptorType, classmethod, staticmethod, property,
)  # fmt: skip
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_LISTED = re.compile(r"^[ \t]*([A-Za-z_]\w*)(?:\(\))?[ \t]+--?[ \t]+(\S.*)$", re.MULTILINE)


def module_names() -> list[str]:
    """Every public module of the standard library, submodules included, sorted."""
    names = {"posixpath"}
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in SKIPPED | OTHER_PLATFORM | INNER:
            continue
        names.add(name)
        module = load(name)
        if module is not None and hasattr(module, "__path__") and name not in SKIPPED_BELOW:
            found = pkgutil.walk_packages(module.__path__, name + ".", onerror=lambda _: None)
            names.update(entry.name for entry in found if public_path(entry.name))
    return sorted(names - SKIPPED_BELOW)


def public_path(name: str) -> bool:
    """Whether no step of a dotted name is private or a test."""
    return not any(step.startswith("_") or step in ("test", "tests", "idle_test") for step in name.split("."))


def load(name: str) -> types.ModuleType | None:
    """The module, or None where this platform does not have it."""
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a module of another system may raise anything, SystemExit included
        return None


def exported(module: types.ModuleType) -> list[str]:
    """The public names of a module, sorted."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        # A package often offers more of its own submodules than it lists: asyncio.TaskGroup.
        inner = [name for name, value in vars(module).items() if _inside(_home(value), module.__name__)]
        return sorted(name for name in {*listed, *inner} if isinstance(name, str) and not name.startswith("_"))
    names = []
    for name, value in vars(module).items():
        if name.startswith("_") or isinstance(value, types.ModuleType):
            continue
        home = getattr(value, "__module__", None)
        if (
            home is None
            or module is builtins
            or home in (module.__name__, "_" + module.__name__, "builtins")
            or home.startswith("_")
        ):
            names.append(name)
    return sorted(names)


def _home(value: Any) -> str:
    home = getattr(value, "__module__", None)
    return home if isinstance(home, str) and not isinstance(value, types.ModuleType) else ""


def _inside(home: str, package: str) -> bool:
    return home.startswith(package + ".") and "._" not in home


def documented(value: Any) -> bool:
    """Whether a module member is something that people call or subclass."""
    if inspect.isroutine(value) or inspect.isclass(value):
        return True
    # typing.Optional and its like: an object with a docstring that its type does not lend it.
    own = getattr(value, "__doc__", None)
    return isinstance(own, str) and own != type(value).__doc__ and not isinstance(value, types.ModuleType)


def signature(value: Any, *, method: bool) -> str:
    """``(name, mode='r')`` without self, or an empty text where Python does not know it."""
    try:
        found = inspect.signature(value)
    except (ValueError, TypeError, AttributeError, NameError, SyntaxError):  # C signatures name what is not there
        return ""
    parameters = list(found.parameters.values())
    if method and parameters and parameters[0].name in ("self", "cls", "type", "mcls"):
        parameters = parameters[1:]
    parameters = [p if plain(p.default) else p.replace(default=_ELLIPSIS) for p in parameters]
    try:
        text = str(found.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    except ValueError:
        return ""
    return clean(text) if len(text) <= 300 else "(...)"


def plain(default: Any) -> bool:
    """Whether a default reads the same on every machine; os.environ and installation paths do not."""
    if isinstance(default, str):
        return not os.path.isabs(default) or default in ("/", "//")
    return not isinstance(default, Mapping) or not default


def clean(text: str) -> str:
    """Text that is the same in every process: no memory addresses, no NUL, only Unicode scalar values."""
    text = _ADDRESS.sub("", text).replace("\0", "\\0")
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def shorten(text: str) -> str:
    """At most MAX_TEXT characters, cut where a paragraph ends, or else a line."""
    if len(text) <= MAX_TEXT:
        return text
    head = text[:MAX_TEXT]
    for mark in ("\n\n", "\n", " "):
        at = head.rfind(mark)
        if at > MAX_TEXT // 2:
            return head[:at].rstrip()
    return head


def documentation(value: Any) -> str:
    """The docstring as pydoc shows it, or the comment above the definition."""
    try:
        text = inspect.getdoc(value) or ""
        if not text and (inspect.isfunction(value) or inspect.isclass(value)):
            text = re.sub(r"(?m)^#+ ?", "", inspect.getcomments(value) or "")
            text = re.sub(r"(?m)^\W*$", "", text)
    except (OSError, TypeError, SyntaxError, AttributeError):
        return ""
    return clean(text)


def class_documentation(cls: type) -> str:
    """The class's own docstring, with that of its ``__init__`` where that says more."""
    own = cls.__dict__.get("__doc__")
    text = clean(inspect.cleandoc(own)) if isinstance(own, str) else ""
    if text.startswith(f"{cls.__name__}(") and hasattr(cls, "__dataclass_fields__"):
        text = ""  # generated: the signature again
    init = cls.__dict__.get("__init__")
    if inspect.isfunction(init):
        more = documentation(init)
        if more and more not in text and more != object.__init__.__doc__:
            text = f"{text}\n\n{more}" if text else more
    return text or documentation(cls)


class _Ellipsis:
    def __repr__(self) -> str:
        return "..."


_ELLIPSIS = _Ellipsis()


class Reader:
    """Collects what is to be written: first every public name, then the best name of each object, then the texts."""

    def __init__(self) -> None:
        self.passages: dict[str, dict[str, str]] = {}
        self.names: dict[int, tuple[tuple[Any, ...], str]] = {}  # id(object) -> (rank, module) of its best home
        self.keep: list[Any] = []  # an id() means something only while its object lives

    def read(self) -> list[dict[str, str]]:
        """All passages, sorted by id."""
        modules = [(name, module) for name in module_names() if (module := load(name)) is not None]
        for name, module in modules:
            for member in exported(module):
                self.consider(name, module, member)
        for name, module in modules:
            self.module(name, module)
        return [self.passages[key] for key in sorted(self.passages)]

    def consider(self, name: str, module: types.ModuleType, member: str) -> None:
        """Note that a module exports an object, and whether this is the best name that it has."""
        value = getattr(module, member, None)
        if value is None or not documented(value):
            return
        home = getattr(value, "__module__", None) or ""
        shown = KNOWN_AS.get(name, name)
        # Fewest dots first (asyncio.gather, not asyncio.tasks.gather), then where it was defined.
        rank = (
            shown.count(".") + bool(shown),
            home.lstrip("_") != name,
            not hasattr(module, "__all__"),
            len(shown),
            shown,
        )
        known = self.names.get(id(value))
        if known is None or rank < known[0]:
            self.names[id(value)] = (rank, name)
            self.keep.append(value)

    def module(self, name: str, module: types.ModuleType) -> None:
        """Write a module and what has its best name there."""
        shown = KNOWN_AS.get(name, name)
        doc = clean(inspect.getdoc(module) or "")
        if shown:
            self.add(shown, f"module {shown}", doc, shown)
        for member in exported(module):
            value = getattr(module, member, None)
            full = f"{shown}.{member}" if shown else member
            if value is None and member not in vars(module):
                continue
            if isinstance(value, (str, float)):
                self.constant(full, value, module, member)
            if not documented(value) or self.names[id(value)][1] != name:
                continue
            if inspect.isclass(value):
                self.cls(full, value, shown or "builtins")
            else:
                method = isinstance(value, types.MethodType)
                self.add(full, full + signature(value, method=method), documentation(value), shown or "builtins")
        self.listed(shown, module, doc)

    def listed(self, shown: str, module: types.ModuleType, doc: str) -> None:
        """Data that only the module's docstring describes: ``argv -- command line arguments``."""
        if not shown:
            return
        for found in _LISTED.finditer(doc):
            full = f"{shown}.{found[1]}"
            if full not in self.passages and hasattr(module, found[1]) and not found[1].startswith("_"):
                self.add(full, full, clean(found[0]), shown)

    def constant(self, full: str, value: str | float, module: types.ModuleType, member: str) -> None:
        """Write a text or number of a module that is the same on every machine."""
        text = repr(value)
        if member.startswith("_") or len(text) > 120 or os.sep + "lib" in text or "/usr" in text or sys.prefix in text:
            return
        if module.__name__ in ("sys", "sysconfig", "platform"):
            return  # they describe this machine
        self.add(full, full, clean(f"{member} = {text}\n{comment_above(module, member)}"), full.rpartition(".")[0])

    def cls(self, full: str, cls: type, module: str) -> None:
        """Write a class and its members."""
        doc = class_documentation(cls)
        head = full + (signature(cls, method=False) if not issubclass(cls, BaseException) else "")
        self.add(full, f"class {head}", doc, module)
        for name, value, owner in self.members(cls):
            if inspect.isclass(value):
                continue
            bound = getattr(owner, name, value)
            static = isinstance(value, (staticmethod, classmethod, types.ClassMethodDescriptorType))
            shown = "" if isinstance(value, (property, types.GetSetDescriptorType, types.MemberDescriptorType)) else (
                signature(bound, method=not static)
            )  # fmt: skip
            text = documentation(value if isinstance(value, property) else bound)
            self.add(f"{full}.{name}", f"{full}.{name}{shown}", text, module)

    def members(self, cls: type) -> list[tuple[str, Any, type]]:
        """Public members that people find at this class: its own, and those of bases that have no public name."""
        found: dict[str, tuple[str, Any, type]] = {}
        for owner in cls.__mro__:
            if owner is object or (owner is not cls and self.has_home(owner)):
                continue
            for name, value in vars(owner).items():
                if not name.startswith("_") and name not in found and isinstance(value, MEMBER_KINDS):
                    found[name] = (name, value, owner)
        return [found[name] for name in sorted(found)]

    def has_home(self, cls: type) -> bool:
        """Whether people know a class by its own name; `_socket.socket`, shown as socket.SocketType, is not so."""
        home = self.names.get(id(cls))
        return home is not None and (
            not cls.__module__.startswith("_") or getattr(load(home[1]), cls.__name__, None) is cls
        )

    def add(self, name: str, title: str, doc: str, module: str) -> None:
        """Write one passage."""
        version = ".".join(map(str, sys.version_info[:3]))
        text = shorten(f"{title}\n\n{doc}" if doc else title)
        self.passages[name] = {
            "id": name,
            "title": title,
            "source": f"Python {version}, module {module}",
            "text": text,
        }


def comment_above(module: types.ModuleType, name: str) -> str:
    """The comment lines right above ``name = ...`` in a module's source."""
    try:
        lines = inspect.getsource(module).splitlines()
        tree = ast.parse("\n".join(lines))
    except (OSError, TypeError, SyntaxError):
        return ""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            at = node.lineno - 1
            start = at
            while start and lines[start - 1].startswith("#"):
                start -= 1
            return "\n".join(line.lstrip("# ") for line in lines[start:at])
    return ""


def main() -> None:
    """Write all passages to the descriptor named by the only argument."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8", newline="\n") as out:
        # Modules print while they are imported; that is not part of the answer.
        with contextlib.redirect_stdout(sys.stderr):
            passages = Reader().read()
        for passage in passages:
            out.write(json.dumps(passage, ensure_ascii=True, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
