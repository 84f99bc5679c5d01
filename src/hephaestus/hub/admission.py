"""What may be published: the hub reads the package again from its tree and has the brief scored again.

Nothing that a caller says about a package counts here, neither its manifest nor a score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hephaestus import canonical
from hephaestus.assets import Brief, Card, Manifest, parse_brief, parse_card, parse_manifest
from hephaestus.errors import AssetError, BriefRefused, HubError
from hephaestus.hub.tree import Tree

if TYPE_CHECKING:
    from hephaestus.hub.values import ReleaseDraft
    from hephaestus.interview import Report

BUILT_FILE = "built.json"
"""Where a release says what built its derived parts; so the builder's version is under the release digest."""


class Package(msgspec.Struct, frozen=True):
    """A package as the hub read it; its tree is the one that is published."""

    manifest: Manifest
    card: Card
    brief: Brief
    tree: Tree
    built: dict[str, str]


class Admitted(msgspec.Struct, frozen=True):
    """A package that may be published."""

    package: Package
    score: int
    override: str | None


def examine(draft: ReleaseDraft) -> Package:
    """Read a draft's package from its tree.

    Raises:
        AssetError: If a file of the package is missing or does not say what it must.
        HubError: If the draft's manifest is not what its tree says.
    """
    tree = draft.tree
    manifest = parse_manifest(_required(tree, "agent.toml"))
    if manifest != draft.manifest:
        raise HubError(
            f"the draft's manifest is not the one in its tree ({manifest.agent.name} {manifest.agent.version})",
            hint="read the package again and build the draft from what is there now",
        )
    card = parse_card(_required(tree, "card.toml"))
    brief = parse_brief(_required(tree, "brief.toml"))
    check_paths(manifest, tree)
    if draft.built:
        tree = tree.with_files({BUILT_FILE: canonical.encode({"schema": 1, "built": draft.built})})
    return Package(manifest, card, brief, tree, draft.built)


def admit(package: Package, *, override: str | None) -> Admitted:
    """Have the brief scored.

    Args:
        package: What is to be published.
        override: Why a brief that the interview refuses is published all the same; kept only where it is needed.

    Raises:
        BriefRefused: If the interview refuses the brief and ``override`` gives no reason.
    """
    from hephaestus.interview import assess

    checks = {check.id: check.kind for check in (*package.manifest.checks, *package.card.checks)}
    report = assess(package.brief, checks=checks, files=package.tree.files.keys())
    if report.builds:
        return Admitted(package, report.score, None)
    reason = (override or "").strip()
    if not reason:
        raise _refused(package.manifest, report)
    return Admitted(package, report.score, reason)


def check_paths(manifest: Manifest, tree: Tree) -> None:
    """Refuse a manifest that names files which are not in the package.

    Raises:
        AssetError: Naming the key.
    """
    for key, path in (("contract.input", manifest.contract.input), ("contract.output", manifest.contract.output)):
        # Looked up in the tree, so `../../etc/passwd` is simply not there: no path of a manifest is ever opened.
        if path is not None and path not in tree.files:
            raise AssetError(f"`{key}` names `{path}`, which is not in the package", file="agent.toml", key=key)
    for index, source in enumerate(manifest.knowledge):
        folder = (source.path or "").rstrip("/") + "/"
        if source.path is not None and not any(path.startswith(folder) for path in tree.files):
            raise AssetError(
                f"`knowledge[{index}].path` names `{source.path}`, which is no folder with files in the package",
                file="agent.toml",
                key=f"knowledge[{index}].path",
            )


def _required(tree: Tree, path: str) -> bytes:
    if (data := tree.get(path)) is None:
        raise AssetError("the package lacks this file", file=path, hint="`hephaestus new` shows what a package needs")
    return data


def _refused(manifest: Manifest, report: Report) -> BriefRefused:
    agent = manifest.agent
    missing = [*report.blocking, *report.contradictions]
    reason = f": {'; '.join(missing)}" if missing else ""
    return BriefRefused(
        f"{agent.name} {agent.version} is specified too vaguely to be published (score {report.score}){reason}",
        report=report,
        hint="answer the questions of `hephaestus interview`, or give a reason to publish it all the same, which "
        "every certificate of this agent will repeat",
    )
