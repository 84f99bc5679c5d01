"""Small agent packages that publish as they are, for the tests of everything that needs a release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hephaestus.assets import parse_manifest
from hephaestus.hub import ReleaseDraft, Tree

MANIFEST = """\
schema = 1

[agent]
name = "{name}"
version = "{version}"
summary = "{summary}"
licence = "Apache-2.0"

[run]
kind = "python"
entry = "{module}:run"
role = "{role}"

[contract]
output = "schema/output.json"

[[checks]]
id = "shape"
kind = "json-schema"
about = "the output has exactly the field text"
params = {{ schema = "schema/output.json" }}
"""

BRIEF = """\
schema = 1

[goal]
outcome = "repeat the request in upper case"
deliverable = { kind = "answer", format = "json", schema = "schema/output.json" }
acceptance = [{ id = "shape", text = "the output matches its schema exactly", check = "shape" }]
examples = [{ input = "hello", expected = { text = "HELLO" } }]

[constraint]
budget = { seconds = 10, attempts = 3 }
tools_allowed = []
network = "none"
must = [{ text = "the output must have exactly one field, text", check = "shape" }]
must_not = [{ text = "the output must never hold a field besides text", check = "shape" }]

[scope]
in = ["requests to repeat a text in upper case"]
out = ["requests to translate a text"]
edge_cases = [{ case = "an empty request", behaviour = "the output has an empty text" }]
stop_when = "the output was returned once"

[context]
inputs = [{ name = "request", type = "text", sample = "hello" }]
audience = "programs that test hephaestus"
environment = "Python 3.11 or newer without dependencies"
knowledge_sources = []
assumptions = []
"""

VAGUE_BRIEF = """\
schema = 1

[goal]
outcome = "help"
"""

CARD = """\
schema = 1
capabilities = ["repeat text with {name}"]
triggers = ["{name}"]
examples = ["please ask {name} to repeat hello"]
"""

SCHEMA = """\
{"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": false}
"""

CODE = """\
def run(task):
    return {"text": task.input["request"].upper()}
"""


def package_files(
    *,
    name: str = "echo",
    version: str = "1.0.0",
    summary: str = "Repeats the request in upper case.",
    role: str = "agent",
    code: str = CODE,
    brief: str = BRIEF,
    card: str | None = None,
    manifest_more: str = "",
    files: Mapping[str, str | bytes] | None = None,
) -> dict[str, bytes]:
    """The files of a package, by path.

    Args:
        name: Of the agent; its module has the same name with underscores.
        version: Of the package.
        summary: One line.
        role: ``agent`` or ``orchestrator``.
        code: The module; must define ``run(task)``.
        brief: ``brief.toml``.
        card: ``card.toml``; by default the agent's name is its only trigger.
        manifest_more: Appended to ``agent.toml``.
        files: More files, or others in place of those above.
    """
    module = name.replace("-", "_")
    manifest = MANIFEST.format(name=name, version=version, summary=summary, module=module, role=role)
    texts: dict[str, str | bytes] = {
        "agent.toml": manifest + manifest_more,
        "brief.toml": brief,
        "card.toml": CARD.format(name=name) if card is None else card,
        "schema/output.json": SCHEMA,
        f"src/{module}.py": code,
        **(files or {}),
    }
    return {path: text.encode() if isinstance(text, str) else text for path, text in texts.items()}


def write_package(folder: Path, **what: object) -> Path:
    """Write a package and return its folder. ``what`` as for :func:`package_files`."""
    for path, data in package_files(**what).items():  # type: ignore[arg-type]
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def draft_of(folder: Path, *, override: str | None = None, built: dict[str, str] | None = None) -> ReleaseDraft:
    """A draft of the package in ``folder``, as the forge makes one."""
    tree = Tree.read(folder)
    manifest = parse_manifest(tree.files["agent.toml"].data)
    return ReleaseDraft(manifest=manifest, tree=tree, built=built or {}, override=override)


def draft(*, override: str | None = None, built: dict[str, str] | None = None, **what: object) -> ReleaseDraft:
    """A draft of a package that was never written to a folder. ``what`` as for :func:`package_files`."""
    tree = Tree({}).with_files(package_files(**what))  # type: ignore[arg-type]
    manifest = parse_manifest(tree.files["agent.toml"].data)
    return ReleaseDraft(manifest=manifest, tree=tree, built=built or {}, override=override)
