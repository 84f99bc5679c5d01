"""The tables in the documentation that say what the code says, and how they get there.

A page holds ``<!-- table: NAME -->`` and ``<!-- end -->``; what stands between is made here from the types themselves:
their fields, defaults, limits, docstrings and the comments beside the fields. ``python docs/generate.py`` writes the
pages, ``python docs/generate.py --check`` only says which are out of date. A test holds them up to date.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import functools
import inspect
import io
import re
import sys
import tokenize
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

DOCS = Path(__file__).parent
PAGES = (*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md")
BLOCK = re.compile(r"(<!-- table: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def rows(*table: tuple[str, ...]) -> str:
    """A Markdown table; the first row is its head."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in table]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|" + "---|" * len(table[0]))
    return "\n".join(lines) + "\n"


@functools.cache
def comments(kind: type) -> dict[str, str]:
    """The comment beside each field of a class, by the field's name."""
    source = inspect.getsource(kind)
    at_line = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (tree,) = ast.parse(inspect.cleandoc(source) if source[0].isspace() else source).body
    assert isinstance(tree, ast.ClassDef)
    return {
        node.target.id: at_line[node.end_lineno or 0]
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.end_lineno in at_line
    }


def annotations(kind: type) -> dict[str, str]:
    """The annotation of each field of a class as it is written, by the field's name."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    return {
        node.target.id: ast.unparse(node.annotation)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def prose(thing: Any) -> str:
    """A docstring's first paragraph on one line, in Markdown."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.sub(r":\w+:`([^`]*)`", lambda found: f"`{found[1].split('.')[-1]}`", text).replace("``", "`")


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """What a field is when it is not given, for a reader."""
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value in ((), [], {}):
        return "empty"
    if isinstance(value, msgspec.Struct):
        return "the defaults below"
    if isinstance(value, tuple):
        return f"`{msgspec.json.encode(value).decode()}`"
    return "-" if value is None else f"`{msgspec.json.encode(value).decode()}`"


def described(kind: type[msgspec.Struct], *, defaults: bool = True) -> str:
    """A heading, what a Struct is, and a table of its fields as they are annotated."""
    written = annotations(kind)
    table = [("field", "type", "default", "meaning") if defaults else ("field", "type", "meaning")]
    for field in msgspec.structs.fields(kind):
        row = [f"`{field.name}`", f"`{written[field.name]}`", default_of(field), comments(kind).get(field.name, "")]
        table.append(tuple(row if defaults else (row[0], row[1], row[3])))
    return f"#### {kind.__name__}\n\n{prose(kind)}\n\n{rows(*table)}"


# --- the wire -----------------------------------------------------------------------------------------------------


def protocol_messages() -> str:
    """Every message: who sends it, what it is for."""
    from hephaestus_runner import protocol

    table = [("message", "direction", "meaning")]
    for kind in typing.get_args(protocol.Message):
        direction, _, meaning = prose(kind).removesuffix(".").partition(": ")
        table.append((f"[`{kind.__name__}`](#{kind.__name__.lower()})", direction, meaning))
    return rows(*table)


def protocol_fields() -> str:
    """Every field of every message, and of the Structs inside them."""
    from hephaestus_runner import protocol

    inner = (
        protocol.Policy, protocol.Limits, protocol.CheckNotice, protocol.Feedback, protocol.File, protocol.Usage
    )  # fmt: skip
    return "\n".join(described(kind) for kind in (*typing.get_args(protocol.Message), *inner))


def protocol_words() -> str:
    """The closed sets of words that cross the wire."""
    from hephaestus_runner import protocol

    return rows(
        ("name", "values"),
        ("`Level`", ", ".join(f"`{word}`" for word in protocol.LEVELS)),
        ("`Cause`", ", ".join(f"`{word}`" for word in typing.get_args(protocol.Cause))),
        ("version", f"`{protocol.VERSION}`"),
        ("frame cap", f"{protocol.MAX_FRAME} bytes"),
    )


# --- the files of a package ---------------------------------------------------------------------------------------


def structs_in(annotation: Any) -> Iterator[tuple[type[msgspec.Struct], bool]]:
    """Structs in an annotation, and whether they stand in a list."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation, False
    for inner in typing.get_args(annotation):
        for kind, _ in structs_in(inner):
            yield kind, typing.get_origin(annotation) is tuple


def plainly(annotation: Any) -> str:
    """A type in the words of someone who writes TOML."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return plainly(inner[0]) + limits_of(inner[1:])
    if origin is typing.Literal:
        return " or ".join(f"`{msgspec.json.encode(value).decode()}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(plainly(part) for part in inner if part is not type(None))
    if origin is tuple:
        return f"list of {plainly(inner[0])}"
    if origin is dict:
        return f"table of {plainly(inner[1])}"
    names = {str: "text", int: "integer", bool: "true or false", Any: "any value"}
    return names.get(annotation) or "table"


def limits_of(metas: tuple[Any, ...]) -> str:
    said: list[str] = []
    for meta in metas:
        if meta.ge is not None and meta.le is not None:
            said.append(f"{meta.ge} to {meta.le}")
        elif meta.ge is not None:
            said.append(f"at least {meta.ge}")
        if meta.min_length is not None and meta.max_length is None:
            said.append("not empty")
        if meta.max_length is not None:
            said.append(
                f"{meta.min_length} to {meta.max_length} characters"
                if meta.min_length
                else f"up to {meta.max_length} characters"
            )
        if meta.pattern is not None:
            said.append(f"`{meta.pattern}`")
    return f" ({', '.join(said)})" if said else ""


def toml_file(kind: type[msgspec.Struct], path: str = "", *, many: bool = False, seen: tuple[type, ...] = ()) -> str:
    """One table per TOML table of a file, depth first."""
    brackets = f"`[[{path}]]`" if many else f"`[{path}]`"
    about = re.sub(r"^(One )?`\[+[\w.]+\]+`( entry)?[:;.]? ?", "", prose(kind))
    about = about[:1].upper() + about[1:]
    hints = typing.get_type_hints(kind, include_extras=True)
    table = [("key", "value", "default", "meaning")]
    below: list[str] = []
    for field in msgspec.structs.fields(kind):
        inner = [] if field.name == "params" else list(structs_in(hints[field.name]))
        for struct, in_list in inner:
            name = f"{path}.{field.encode_name}" if path else field.encode_name
            if struct not in seen:
                below.append(toml_file(struct, name, many=in_list, seen=(*seen, kind)))
        note = comments(kind).get(field.name, "")
        value = plainly(hints[field.name])
        if inner:
            value = "list of tables, see below" if inner[0][1] else "table, see below"
        table.append((f"`{field.encode_name}`", value, default_of(field), note))
    head = f"#### {brackets}\n\n" if path else ""
    if about:
        head += f"{about}\n\n"
    return head + rows(*table) + "".join("\n" + part for part in below)


def agent_toml() -> str:
    from hephaestus.assets.manifest import Manifest

    return toml_file(Manifest)


def brief_toml() -> str:
    from hephaestus.assets.brief import Brief

    return toml_file(Brief)


def card_toml() -> str:
    from hephaestus.assets.card import Card

    return toml_file(Card)


# --- the interview ------------------------------------------------------------------------------------------------


def interview_fields() -> str:
    """What is scored, and how much of the total and of its axis each field is."""
    from hephaestus.interview import table

    parts = [("axis", "share", "field", "share of the axis", "blocking")]
    for field in table.FIELDS:
        blocking = "yes" if field.blocking else ""
        parts.append((field.axis, f"{table.AXES[field.axis]} %", f"`{field.name}`", f"{field.weight} %", blocking))
    return rows(*parts)


def interview_penalties() -> str:
    """What each status of a field costs."""
    from hephaestus.interview import table

    return rows(("status", "penalty"), *((f"`{name}`", f"{cost} %") for name, cost in table.PENALTIES.items()))


# --- the sdk ------------------------------------------------------------------------------------------------------


def members(kind: type, name: str) -> list[tuple[str, str]]:
    """The public methods and properties of a class, with how they are called."""
    found: list[tuple[str, str]] = []
    for attribute, value in vars(kind).items():
        if attribute.startswith("_"):
            continue
        if inspect.isfunction(value):
            signature = inspect.signature(value)
            kept = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
            shown = str(signature.replace(parameters=kept)).replace("'", "").replace(" -> None", "")
            found.append((f"`{name}.{attribute}{shown}`", prose(value)))
        else:
            found.append((f"`{name}.{attribute}`", prose(value)))
    return found


def task_members() -> str:
    """What package code may use."""
    from hephaestus_runner import sdk

    attributes = re.search(r"Attributes:\n((?: {4}.+\n?)+)", inspect.getdoc(sdk.Task) or "")
    assert attributes
    table = [("name", "meaning")]
    for line in attributes[1].splitlines():
        name, _, about = line.strip().partition(": ")
        table.append((f"`task.{name}`", about))
    table += members(sdk.Task, "task")
    table += members(sdk.Knowledge, "task.knowledge")
    table += members(sdk.Model, "task.model")
    return rows(*table)


def sdk_errors() -> str:
    """What may be raised to package code."""
    from hephaestus_runner import sdk

    kinds = (sdk.ModelFailed, sdk.ToolFailed, sdk.AgentFailed, sdk.RequestFailed, sdk.NotGranted)
    return rows(("exception", "when"), *((f"`{kind.__name__}`", prose(kind)) for kind in kinds))


# --- routing ------------------------------------------------------------------------------------------------------


def decision_fields() -> str:
    """The three decisions and what is in them."""
    from hephaestus.routing import decision

    kinds = (
        decision.Routed, decision.Ambiguous, decision.NoRoute, decision.Candidate, decision.Match, decision.Gate
    )  # fmt: skip
    return "\n".join(described(kind, defaults=False) for kind in kinds)


def routing_numbers() -> str:
    """The lines that the router draws, from the code that compiles card tables."""
    from hephaestus.routing import compile as compiler
    from hephaestus.routing import text

    lines = compiler.THRESHOLDS
    return rows(
        ("name", "value", "meaning"),
        ("trigger word", str(compiler.TRIGGER_WORD), "points of a trigger, per word in it"),
        ("`trigger_lead`", str(lines.trigger_lead), comments(type(lines))["trigger_lead"]),
        ("`floor`", str(lines.floor), comments(type(lines))["floor"]),
        ("`lead`", str(lines.lead), comments(type(lines))["lead"]),
        ("`min_examples`", str(lines.min_examples), comments(type(lines))["min_examples"]),
        (
            "longest request",
            str(text.MAX_REQUEST),
            "characters; a longer one is refused, as are NUL and lone surrogates",
        ),
    )


# --- the gate -----------------------------------------------------------------------------------------------------


def check_kinds() -> str:
    """Every kind of check and its parameters."""
    from hephaestus.stormbreaker.registry import KINDS

    parts: list[str] = []
    for name, kind in sorted(KINDS.items()):
        about = " ".join((inspect.getdoc(inspect.getmodule(kind.params)) or "").split("\n\n")[0].split())
        about = about.replace("``", "`").removeprefix(f"`{name}`: ")
        hints = typing.get_type_hints(kind.params, include_extras=True)
        table = [("parameter", "value", "default", "meaning")]
        for field in msgspec.structs.fields(kind.params):
            note = comments(kind.params).get(field.name, "")
            table.append((f"`{field.encode_name}`", plainly(hints[field.name]), default_of(field), note))
        parts.append(f"#### {name}\n\n{about[:1].upper() + about[1:]}\n\n{rows(*table)}")
    return "\n".join(parts)


def certificate_fields() -> str:
    """What is in a certificate."""
    from hephaestus.stormbreaker import Certificate, Isolation

    return "\n".join(described(kind, defaults=False) for kind in (Certificate, Isolation))


def endings() -> str:
    """How a run can end, with the exit code of each."""
    from hephaestus.stormbreaker import outcome

    table = [("type", "`kind`", "exit code", "meaning")]
    for kind in typing.get_args(outcome.Outcome):
        # Constants that are properties, so that they are no fields; no instance is needed to read them.
        word, code = kind.kind.fget(None), kind.exit_code.fget(None)
        table.append((f"`{kind.__name__}`", f"`{word}`", str(code), prose(kind)))
    return rows(*table)


def causes() -> str:
    """Every cause, and what to do about it."""
    from hephaestus.taskforce.explain import _ADVICE
    from hephaestus_runner import protocol

    return rows(("cause", "what to do"), *((f"`{c}`", _ADVICE[c]) for c in typing.get_args(protocol.Cause)))


# --- the journal --------------------------------------------------------------------------------------------------

ENTRIES = {
    "decision": "what the router answered; the routing receipt",
    "lock": "the run lock: everything that the result depends on, by digest, before the first process starts",
    "start": "a child was confined; what the host attests about it",
    "exchange": "a request of a child crossed the boundary and was answered, or failed with a cause",
    "event": "something that a child reported, printed or failed with",
    "attempt": "a submission, before it is judged",
    "verdict": "what every check said about it, and what the gate ruled",
    "certificate": "the sealed proof of a pass",
    "disposal": "that nothing of the task force is left, and how that was verified",
    "ending": "how the run ended, with the cause and the entries that show it",
}


def journal_kinds() -> str:
    """Every kind of entry."""
    from hephaestus.receipts import KINDS

    return rows(("kind", "says"), *((f"`{kind}`", ENTRIES[kind]) for kind in KINDS))


def journal_entry() -> str:
    """What one entry is."""
    from hephaestus.receipts import Entry

    return described(Entry, defaults=False)


# --- the command line ---------------------------------------------------------------------------------------------


def verbs(parser: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb of a parser with its own parser, depth first; nouns are passed through."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        for name, inner in action.choices.items():
            below = list(verbs(inner, f"{path}{name} "))
            yield from below or [(path + name, inner)]


def spelled(action: argparse.Action) -> str:
    """How an argument is typed."""
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return {"+": f"`{metavar} ...`", "?": f"`[{metavar}]`"}.get(str(action.nargs), f"`{metavar}`")
    if action.nargs == 0:
        return f"`{action.option_strings[-1]}`"
    value = "|".join(map(str, action.choices)) if action.choices else metavar
    return f"`{action.option_strings[-1]} {value}`"


def cli_verbs() -> str:
    """Every verb: what it does, what it takes, an example."""
    from hephaestus.cli.app import parser

    parts: list[str] = []
    for name, verb in verbs(parser()):
        part = f"#### {name}\n\n{verb.description}\n\n"
        taken = [action for action in verb._actions if action.dest not in ("help", "json", "home")]
        if taken:
            part += rows(("argument", "meaning"), *((spelled(action), action.help or "") for action in taken)) + "\n"
        example = re.search(r"example:\n((?:  .+\n?)+)", verb.epilog or "")
        if example:
            part += "```console\n" + "".join(f"$ {line.strip()}\n" for line in example[1].splitlines()) + "```\n"
        parts.append(part.rstrip("\n") + "\n")
    return "\n".join(parts)


def cli_objects() -> str:
    """The fields of each object of --json."""
    from hephaestus.cli.objects import FIELDS

    table = [("schema", "field", "what it holds")]
    for name, fields in FIELDS.items():
        if name == "rollback":
            continue  # as deploy
        table += [(f"`hephaestus.{name}/1`", f"`{field}`", meaning) for field, meaning in fields.items()]
    return rows(*table)


# --- errors -------------------------------------------------------------------------------------------------------


def exceptions() -> str:
    """The tree of exceptions with the exit code of each."""
    from hephaestus import errors

    table = [("exception", "exit code", "meaning")]

    def walk(kind: type[errors.HephaestusError], depth: int) -> None:
        table.append(("&nbsp;" * 4 * depth + f"`{kind.__name__}`", str(kind.exit_code), prose(kind)))
        for child in vars(errors).values():
            if isinstance(child, type) and kind in child.__bases__:
                walk(child, depth + 1)

    walk(errors.HephaestusError, 0)
    return rows(*table)


TABLES: dict[str, Callable[[], str]] = {
    "causes": causes,
    "certificate-fields": certificate_fields,
    "check-kinds": check_kinds,
    "cli-objects": cli_objects,
    "cli-verbs": cli_verbs,
    "endings": endings,
    "journal-entry": journal_entry,
    "journal-kinds": journal_kinds,
    "decision-fields": decision_fields,
    "routing-numbers": routing_numbers,
    "sdk-errors": sdk_errors,
    "task-members": task_members,
    "agent-toml": agent_toml,
    "brief-toml": brief_toml,
    "card-toml": card_toml,
    "exceptions": exceptions,
    "interview-fields": interview_fields,
    "interview-penalties": interview_penalties,
    "protocol-fields": protocol_fields,
    "protocol-messages": protocol_messages,
    "protocol-words": protocol_words,
}


def filled(text: str) -> str:
    """A page with every table made anew.

    Raises:
        KeyError: If the page names a table that nobody makes.
    """
    return BLOCK.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[4]}", text)


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` print what would change and return 1 if anything would."""
    stale = 0
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        new = filled(old)
        if new == old:
            continue
        stale += 1
        if "--check" in arguments:
            diff = difflib.unified_diff(old.splitlines(), new.splitlines(), str(page), "as the code says", lineterm="")
            sys.stdout.write("\n".join(diff) + "\n")
        else:
            page.write_text(new, encoding="utf-8")
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
