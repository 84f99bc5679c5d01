"""Looking at a package folder without building it: everything that would make publishing fail, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread
import msgspec

from hephaestus.assets import Brief, Card, CheckSpec, Manifest, parse_brief, parse_card, parse_manifest
from hephaestus.canonical import digest_bytes
from hephaestus.errors import AssetError, ChecksRefused, ChildError, HephaestusError, ProtocolError, UsageError
from hephaestus.hub import Tree
from hephaestus.interview import Report, assess
from hephaestus.routing import CardEntry, compile_cards
from hephaestus.runtime.launch import LaunchSpec
from hephaestus.runtime.workspace import errand, workspace
from hephaestus.stormbreaker import CheckSet, compile_checks
from hephaestus.stormbreaker.schema import compile_schema
from hephaestus_runner.protocol import Limits, Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hephaestus.runtime import Runtime
    from hephaestus.stormbreaker import Origin

_T = TypeVar("_T")
_LIMITS = Limits(wall_ms=30_000, cpu_s=20, memory_bytes=1 << 30, disk_bytes=16 << 20, processes=8)


class Problem(msgspec.Struct, frozen=True):
    """One reason why a package cannot be published."""

    file: str
    line: int | None
    message: str
    hint: str | None = None


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a folder."""

    folder: str
    manifest: Manifest | None
    card: Card | None
    brief: Brief | None
    report: Report | None  # of the interview; None where brief or manifest could not be read
    checks: CheckSet | None
    tree: Tree
    problems: tuple[Problem, ...]

    @property
    def publishes(self) -> bool:
        """Whether nothing stands in the way of publishing it."""
        return not self.problems and self.report is not None and self.report.builds


async def examine(runtime: Runtime, folder: Path) -> Examination:
    """Look at a package folder.

    Args:
        runtime: Lends the children in which the package's own code is looked up.
        folder: The package.

    Raises:
        AssetError: If the folder itself cannot be taken: a symlink, a path that leaves it, too much of anything.
        IsolationUnavailable: If the package's code cannot be looked up at the runtime's isolation level.
    """
    tree = await anyio.to_thread.run_sync(Tree.read, folder)
    problems: list[Problem] = []
    manifest = _parsed(parse_manifest, tree, "agent.toml", problems)
    brief = _parsed(parse_brief, tree, "brief.toml", problems)
    card = _parsed(parse_card, tree, "card.toml", problems)
    checks: CheckSet | None = None
    report: Report | None = None
    if card is not None:
        problems += _compiles(card)
    if manifest is not None:
        problems += _not_yet(manifest)
        problems += _schemas(manifest, tree)
        problems += _sources(manifest, tree)
        problems += _unenforced(manifest, card)
        specs: list[tuple[Origin, CheckSpec]] = [("package", spec) for spec in manifest.checks]
        specs += [("card", spec) for spec in (card.checks if card else ())]
        try:
            checks = compile_checks(specs, files=tree.get)
        except ChecksRefused as error:
            problems.append(_problem("agent.toml", error))
        if brief is not None:
            problems += _agree(brief, manifest)
            kinds = {spec.id: spec.kind for spec in (*manifest.checks, *(card.checks if card else ()))}
            report = assess(brief, checks=kinds, files=tuple(tree.files))
        problems += await _entries(runtime, manifest, checks, tree)
    return Examination(
        folder=str(folder),
        manifest=manifest,
        card=card,
        brief=brief,
        report=report,
        checks=checks,
        tree=tree,
        problems=tuple(problems),
    )


def _parsed(parse: Callable[..., _T], tree: Tree, name: str, problems: list[Problem]) -> _T | None:
    data = tree.get(name)
    if data is None:
        problems.append(
            Problem(name, None, f"{name} is missing", "`hephaestus new NAME` writes a package with all files")
        )
        return None
    try:
        return parse(data, file=name)
    except AssetError as error:
        problems.append(Problem(name, error.line, error.message, error.hint))
        return None


def _problem(file: str, error: HephaestusError) -> Problem:
    return Problem(file, None, error.message, error.hint)


def _not_yet(manifest: Manifest) -> Iterator[Problem]:
    """What the format has room for and this version cannot keep: said at once, and not found out in a run."""
    if manifest.python.dependencies:
        yield Problem("agent.toml", None, "[python] dependencies: this version runs packages without dependencies only")
    if manifest.permissions.hosts:
        yield Problem("agent.toml", None, "[permissions] hosts: this version gives packages no network")
    if manifest.permissions.tools:
        yield Problem("agent.toml", None, "[permissions] tools: this version offers no host tool but models")
    unknown = [name for name in manifest.permissions.models if name != "default"]
    if unknown:
        yield Problem(
            "agent.toml", None, f"[permissions] models: unknown {', '.join(unknown)}; this version has `default`"
        )


def _schemas(manifest: Manifest, tree: Tree) -> Iterator[Problem]:
    for path in filter(None, (manifest.contract.input, manifest.contract.output)):
        data = tree.get(path)
        if data is None:
            yield Problem("agent.toml", None, f"[contract] names {path}, which is not in the package")
            continue
        try:
            compile_schema(data, name=path)
        except ValueError as error:
            yield Problem(path, None, str(error)[:400])


def _compiles(card: Card) -> Iterator[Problem]:
    """A phrase that the router cannot match is found out here, and not when the card is deployed with others."""
    entry = CardEntry(agent="this", release="this@0.0.0", digest=digest_bytes(b""), card=card)
    try:
        compile_cards([entry])
    except UsageError as error:
        yield _problem("card.toml", error)


def _unenforced(manifest: Manifest, card: Card | None) -> Iterator[Problem]:
    """A contract that no check enforces would be a promise that nobody keeps."""
    output = manifest.contract.output
    checks = (*manifest.checks, *(card.checks if card else ()))
    if not any(check.kind == "json-schema" and check.params.get("schema") == output for check in checks):
        hint = f'add [[checks]] with kind = "json-schema" and params = {{ schema = "{output}" }}'
        yield Problem("agent.toml", None, f"[contract] output: no check holds the output to {output}", hint)


def _agree(brief: Brief, manifest: Manifest) -> Iterator[Problem]:
    """The host counts what the manifest says; a specification with another number would be one that nobody keeps."""
    budget, limit = brief.constraint.budget, manifest.permissions.limits.attempts
    if budget is not None and budget.attempts not in (None, limit):
        yield Problem(
            "brief.toml",
            None,
            f"[constraint] budget.attempts is {budget.attempts}, but a run of this package has {limit}",
            f"write attempts = {budget.attempts} into [permissions.limits] of agent.toml, or {limit} here",
        )


def _sources(manifest: Manifest, tree: Tree) -> Iterator[Problem]:
    for source in manifest.knowledge:
        if source.path is not None and not any(name.startswith(source.path.rstrip("/") + "/") for name in tree.files):
            yield Problem("agent.toml", None, f"[[knowledge]] names the folder {source.path}, which holds no file")


def _stage(tree: Tree, folder: Path) -> None:
    """Put a copy of what was read where a child can look: the folder itself may change meanwhile.

    The child may have a user id of its own, so the modes are set and not left to the umask.
    """
    folder.mkdir()
    made = {folder}
    for path, file in tree.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        made.update(parent for parent in target.parents if parent.is_relative_to(folder))
        target.write_bytes(file.data)
        target.chmod(file.mode)
    for one in made:
        one.chmod(0o755)


async def _entries(runtime: Runtime, manifest: Manifest, checks: CheckSet | None, tree: Tree) -> list[Problem]:
    """Look the entry points up in a confined child: importing a package's code is running it."""
    wanted = [manifest.run.entry]
    if checks is not None:
        wanted += [check.params["entry"] for check in checks.checks if check.kind == "python"]
    wanted = list(dict.fromkeys(wanted))
    async with workspace(runtime.runs) as place:
        package = place.folder / "package"
        await anyio.to_thread.run_sync(_stage, tree, package)
        spec = LaunchSpec(role="inspect", policy=Policy(level=runtime.config.level, limits=_LIMITS), package=package)
        try:
            answer = await errand(place, spec, msgspec.json.encode({"entries": wanted}))
            found = msgspec.json.decode(answer, type=dict[str, str | None])
        except TimeoutError:
            return [Problem("agent.toml", None, f"importing the package took longer than {_LIMITS.wall_ms} ms")]
        except (ChildError, ProtocolError, msgspec.DecodeError) as error:
            return [Problem("agent.toml", None, f"the package could not be imported: {error}")]
    missing = "the child did not look it up"
    return [
        Problem("agent.toml", None, f"entry point {entry}: {reason}", "name it as module:object, below src/")
        for entry in wanted
        if (reason := found.get(entry, missing)) is not None
    ]
