"""Verbs of the journal: ``receipts list``, ``receipts show``, ``receipts verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hephaestus.cli.parser import add_noun, add_verb
from hephaestus.cli.session import opened
from hephaestus.cli.when import day_and_time

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs
    from hephaestus.receipts import Entry


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    noun = add_noun(verbs, "receipts", summary="Read and verify the journal of what was decided and done.")
    listed = add_verb(
        noun, "list", _list, summary="List runs, or the entries of one.", example="hephaestus receipts list"
    )
    listed.add_argument("run", metavar="RUN", nargs="?", help="list the entries of this run")
    show = add_verb(noun, "show", _show, summary="Show one entry in full.", example="hephaestus receipts show 1")
    show.add_argument("entry", metavar="NUMBER", type=int, help="of the entry")
    add_verb(
        noun,
        "verify",
        _verify,
        summary="Check every entry, the chain and the signed heads; nothing is changed.",
        example="hephaestus receipts verify",
    )


async def _list(arguments: argparse.Namespace, out: Output) -> int:
    if arguments.run is not None:
        return await _entries(arguments, out)
    async with opened(arguments) as runtime:
        runs = await runtime.journal.runs()
    out.result("receipts.list", runs=runs, run=None, entries=None)
    if not runs:
        out.line("the journal is empty")
        out.next("hephaestus", "demo")
        return 0
    rows = [
        (one.run, day_and_time(one.at / 1000), f"{one.first}-{one.last}", one.entries, "yes" if one.ended else "no")
        for one in runs
    ]
    out.table(("run", "at", "entries", "count", "ended"), rows)
    out.next("hephaestus", "receipts", "list", runs[-1].run)
    return 0


async def _entries(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.errors import NotFound
    from hephaestus.receipts.render import render_row

    async with opened(arguments) as runtime:
        entries = await runtime.journal.entries(run=arguments.run)
        runs = [one for one in await runtime.journal.runs() if one.run == arguments.run]
    if not entries:
        raise NotFound(f"the journal has no run {arguments.run!r}", hint="`hephaestus receipts list` names the runs")
    out.result("receipts.list", runs=runs, run=arguments.run, entries=[_told(entry) for entry in entries])
    for entry in entries:
        out.line(render_row(entry))
    out.next("hephaestus", "receipts", "show", str(entries[0].seq))
    return 0


async def _show(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.receipts.render import render_entry

    async with opened(arguments) as runtime:
        entry = await runtime.journal.entry(arguments.entry)
        secrets = await runtime.journal.secrets(entry)
    texts = None if secrets is None else {name: data.decode("utf-8", "replace") for name, data in secrets.items()}
    out.result("receipts.show", entry=_told(entry), secrets=texts, erased=secrets is None)
    out.text(render_entry(entry, secrets))
    if entry.run:
        out.next("hephaestus", "receipts", "list", entry.run)
    return 0


async def _verify(arguments: argparse.Namespace, out: Output) -> int:
    import anyio.to_thread

    from hephaestus.errors import NotFound
    from hephaestus.receipts.render import render_verification
    from hephaestus.receipts.verify import verify_journal
    from hephaestus.runtime import default_home
    from hephaestus.runtime.keyring import trusted

    # The journal is not opened for this: opening repairs and writes, and a damaged one could not be opened at all.
    home: Path = arguments.home or default_home()
    path = home / "journal.db"
    if not path.is_file():
        raise NotFound(f"there is no journal at {path}", hint="name its home with --home")

    def look() -> Any:
        keys = {**trusted(home / "keys", "head"), **trusted(home / "keys", "certificate")}
        return verify_journal(path, keys=keys)

    with out.working(f"verifying {path}"):
        found = await anyio.to_thread.run_sync(look)
    out.result(
        "receipts.verify",
        ok=found.ok,
        verified=found.ok,
        journal=str(path),
        entries=found.entries,
        head=found.head,
        unsealed=found.unsealed,
        erased=found.erased,
        problems=[{"entry": one.seq, "kind": one.kind, "run": one.run, "what": one.what} for one in found.problems],
    )
    out.text(render_verification(found), style="green" if found.ok else "red")
    return 0 if found.ok else 1


def _told(entry: Entry) -> dict[str, Any]:
    import msgspec

    return {**msgspec.to_builtins(entry), "body": entry.value}
