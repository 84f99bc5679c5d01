"""What a JSON Schema can cost at most per value, worked out before it is ever used.

A schema of a few hundred bytes can take for ever: thirty definitions that each refer twice to the next one ask for
2**30 evaluations of one number, and a definition whose items refer to it twice doubles with every level of the
artefact. The validator runs with the interpreter lock held, so no deadline of this process could end it. Here every
schema gets an upper bound, and one whose bound is too high is refused when its check is compiled.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hephaestus.canonical import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_COST = 20_000
"""Units of work per value of the artefact: subschemas evaluated, and entries of their lists and tables."""

MAX_LINKS = 100_000
"""Links between subschemas that are followed to find the bound."""

_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("not", "if", "then", "else")
_BY_NAME = ("dependentSchemas", "dependencies")
_MEMBERS = ("propertyNames", "unevaluatedProperties")
_ITEMS = ("items", "contains", "unevaluatedItems", "additionalItems")
_ENTRIES = ("enum", "required", "properties", "patternProperties", "dependentRequired", "dependentSchemas")

_Times = Counter[int]  # id of a subschema -> how often it is evaluated at one value


def cost_per_value(schema: Any) -> int:
    """The most work that one value of an artefact can cause, in units of :data:`MAX_COST`.

    Args:
        schema: A parsed schema.

    Raises:
        ValueError: If it refers to itself at the same value, to something outside or to nothing, or costs too much.
    """
    try:
        return _Cost(schema).bound()
    except RecursionError as error:
        raise ValueError("its references form a chain that is too long") from error
    except (TypeError, AttributeError) as error:
        raise ValueError("some keyword of it does not have the shape that it must have") from error


class _Cost:
    """The graph of one schema: which subschemas are evaluated together, and which one level below."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._tables: dict[int, dict[str, Any]] = {}
        self._anchors: dict[str, Any] = {}
        for table in tables(schema):
            if isinstance(name := table.get("$anchor"), str):
                self._anchors[name] = table
            if table is not schema and isinstance(table.get("$id"), str):
                raise ValueError("`$id` stands at its top only; below, it would change what `#` means")
        self._together: dict[int, _Times | None] = {}
        self._links = 0

    def bound(self) -> int:
        root = self._known(self._schema)
        if root is None:
            return 1
        below: dict[int, list[_Times]] = {}
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if node not in below:
                below[node] = self._below(node)
                waiting.extend(target for step in below[node] for target in step)
        # cost[node]: of evaluating it at some value, for that value's descendants of one depth; depth by depth.
        cost = {node: self._weight(node) for node in below}
        worst = cost[root]
        for _ in range(MAX_DEPTH):
            deeper = {node: max((_sum(step, cost) for step in steps), default=0) for node, steps in below.items()}
            worst = max(worst, deeper[root])
            if worst > MAX_COST or deeper == cost or not any(deeper.values()):
                break
            cost = {node: min(units, MAX_COST + 1) for node, units in deeper.items()}
        _limit(worst)
        return worst

    def _known(self, schema: Any) -> int | None:
        """The id of a subschema that is a table. The other two, true and false, cost nothing."""
        if not isinstance(schema, dict):
            return None
        self._tables[id(schema)] = schema
        return id(schema)

    def _weight(self, node: int) -> int:
        return sum(
            times * (1 + sum(len(self._tables[part].get(key, ())) for key in _ENTRIES))
            for part, times in self._evaluated(node).items()
        )

    def _evaluated(self, node: int) -> _Times:
        """Every subschema that is evaluated at the same value as this one, itself included."""
        if node in self._together:
            if (known := self._together[node]) is None:
                raise ValueError("a subschema refers back to itself at the same value, which has no end")
            return known
        self._together[node] = None  # under way
        schema = self._tables[node]
        # To know what was evaluated, the validator evaluates the parts of such a schema once more.
        factor = 2 if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1
        found: _Times = Counter({node: 1})
        for part in self._same_value(schema):
            for inner, times in self._evaluated(part).items():
                found[inner] += factor * times
                self._follow()
            _limit(found.total())
        self._together[node] = found
        return found

    def _same_value(self, schema: dict[str, Any]) -> Iterator[int]:
        parts = [schema[key] for key in _SINGLE if key in schema]
        parts += [part for key in _LISTS for part in schema.get(key, ())]
        parts += [part for key in _BY_NAME for part in schema.get(key, {}).values()]
        if "$dynamicRef" in schema or "$recursiveRef" in schema:
            raise ValueError("it holds a dynamic reference; only `$ref` is supported")
        if "$ref" in schema:
            parts.append(self._target(schema["$ref"]))
        for part in parts:
            if (node := self._known(part)) is not None:
                yield node

    def _below(self, node: int) -> list[_Times]:
        """For every member and item that a value may have: what it is evaluated with, and how often."""
        together = self._evaluated(node)
        tables = [(self._tables[part], times) for part, times in together.items()]
        names: set[str | None] = {name for table, _ in tables for name in table.get("properties", {})}
        places = max(len(table.get("prefixItems", ())) for table, _ in tables)
        steps = [self._step(tables, _member, name) for name in (*names, None)]
        steps += [self._step(tables, _item, place) for place in range(places + 1)]
        return [step for step in steps if step]

    def _step(self, tables: list[tuple[dict[str, Any], int]], parts: Any, where: Any) -> _Times:
        found: _Times = Counter()
        for table, times in tables:
            for part in parts(table, where):
                self._follow()
                if (node := self._known(part)) is not None:
                    found[node] += times
        return found

    def _follow(self) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise ValueError(f"it has more than {MAX_LINKS} links between its parts")

    def _target(self, ref: Any) -> Any:
        """What a reference inside the file means."""
        if not isinstance(ref, str) or not ref.startswith("#"):
            raise ValueError(f"`$ref` leads to a place in the same file and begins with `#`, not {str(ref)[:200]!r}")
        fragment = unquote(ref[1:])
        if fragment and not fragment.startswith("/"):
            if fragment not in self._anchors:
                raise ValueError(f"`$ref` {ref[:200]!r} leads nowhere")
            return self._anchors[fragment]
        here = self._schema
        for token in fragment.split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            try:
                here = here[int(key)] if isinstance(here, list) else here[key]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise ValueError(f"`$ref` {ref[:200]!r} leads nowhere") from error
        return here


def _member(schema: dict[str, Any], name: str | None) -> Iterator[Any]:
    """What a member of this name is evaluated with; None is a member that no `properties` names."""
    named = schema.get("properties", {})
    if name in named:
        yield named[name]
    elif "additionalProperties" in schema:
        yield schema["additionalProperties"]
    yield from schema.get("patternProperties", {}).values()
    for key in _MEMBERS:
        if key in schema:
            yield schema[key]


def _item(schema: dict[str, Any], place: int) -> Iterator[Any]:
    """What the item at this place is evaluated with; the last place stands for all that follow."""
    first = schema.get("prefixItems", ())
    if place < len(first):
        yield first[place]
    for key in _ITEMS:
        if key in schema:
            yield schema[key]


def values(document: Any) -> Iterator[Any]:
    """Every value of a parsed JSON document, the document itself included."""
    waiting = [document]
    while waiting:
        here = waiting.pop()
        yield here
        if isinstance(here, dict):
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)


def tables(document: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parsed JSON document."""
    return (value for value in values(document) if isinstance(value, dict))


def _sum(step: _Times, cost: dict[int, int]) -> int:
    return sum(times * cost[node] for node, times in step.items())


def _limit(cost: int) -> None:
    if cost > MAX_COST:
        raise ValueError(
            f"one value of an artefact could cost more than {MAX_COST} evaluations; its parts repeat each other"
        )
