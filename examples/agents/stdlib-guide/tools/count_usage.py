"""How often the names of the standard library are used in source code: makes ``src/stdlib_guide/usage.txt``.

    python tools/count_usage.py PASSAGES.jsonl FOLDER... > src/stdlib_guide/usage.txt

It parses every ``.py`` file below the folders (tests left out), follows imports and counts for each passage id the
files that use it. A method of a module's class counts where a file imports the module and calls something of that name;
a method of a built-in type counts where anything of that name is called. Levels are binary logarithms per ten thousand
files, so who is counted matters little: what is asked about is what is used.
"""

from __future__ import annotations

import ast
import json
import sys
import warnings
from collections import Counter, defaultdict
from pathlib import Path

BUILTIN_TYPES = {"str", "bytes", "list", "dict", "set", "frozenset", "tuple", "int", "float", "bytearray", "object"}


class Uses(ast.NodeVisitor):
    """The dotted names and attribute names that one file uses."""

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {}
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.modules: set[str] = set()

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.modules.add(alias.name)
            self.aliases[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            return
        self.modules.add(node.module)
        for alias in node.names:
            self.aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            self.modules.add(f"{node.module}.{alias.name}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.attributes.add(node.attr)
        steps: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            steps.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self.name(inner.id, steps[::-1])
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self.name(node.id, [])

    def name(self, head: str, steps: list[str]) -> None:
        full = [self.aliases.get(head, head), *steps]
        for end in range(1, len(full) + 1):
            self.names.add(".".join(full[:end]))


def main() -> None:
    warnings.simplefilter("ignore")
    ids = [json.loads(line)["id"] for line in Path(sys.argv[1]).read_text().splitlines()]
    known = set(ids)
    by_member: dict[str, list[tuple[str, str]]] = defaultdict(list)  # last step -> (module, id)
    for id_ in ids:
        head, _, last = id_.rpartition(".")
        owner, _, cls = head.rpartition(".")
        if cls and (cls[0].isupper() or owner == cls or head in BUILTIN_TYPES):
            by_member[last].append((owner, id_))
    counts: Counter[str] = Counter()
    files = 0
    for folder in sys.argv[2:]:
        for path in sorted(Path(folder).rglob("*.py")):
            if any(part in ("test", "tests", "testing") or part.startswith("test_") for part in path.parts):
                continue
            uses = Uses()
            try:
                uses.visit(ast.parse(path.read_bytes()))
            except (SyntaxError, ValueError, RecursionError, OSError):
                continue
            files += 1
            found = uses.names & known | {module for module in uses.modules if module in known}
            for attribute in uses.attributes:
                for module, id_ in by_member.get(attribute, ()):
                    if module in uses.modules or module in uses.names or not module:
                        found.add(id_)
            counts.update(found)
    levels: dict[int, list[str]] = defaultdict(list)
    for id_, count in counts.items():
        level = (count * 10_000 // max(files, 1)).bit_length()
        if level >= 2:
            levels[level].append(id_)
    about = "level = bits of the number of files in ten thousand that use the name; see tools/count_usage.py"
    rows = [" ".join([str(level), *sorted(levels[level])]) for level in sorted(levels, reverse=True)]
    sys.stdout.write("\n".join([f"# {files} files; {about}", *rows]) + "\n")


if __name__ == "__main__":
    main()
