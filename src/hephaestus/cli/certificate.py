"""The verb ``certificate verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hephaestus.cli.parser import add_noun, add_verb
from hephaestus.cli.session import MAX_INPUT, read_standard_input

if TYPE_CHECKING:
    import argparse

    from hephaestus.cli.output import Output
    from hephaestus.cli.parser import Verbs


def add(verbs: Verbs) -> None:
    """Add the verbs of this module."""
    noun = add_noun(verbs, "certificate", summary="Check the sealed proof that an output passed.")
    verify = add_verb(
        noun,
        "verify",
        _verify,
        summary="Check a certificate's seal, and that it is the one of an artefact.",
        example="hephaestus certificate verify certificate.json",
    )
    verify.add_argument("file", metavar="FILE", help="as `hephaestus run --certificate FILE` wrote it, or -")
    verify.add_argument("--artefact", type=Path, metavar="FILE", help="the exact bytes that it must be about")
    verify.add_argument("--run", help="the run that it must be of")


def _verify(arguments: argparse.Namespace, out: Output) -> int:
    from hephaestus.runtime import default_home
    from hephaestus.runtime.keyring import trusted
    from hephaestus.stormbreaker import parse_certificate, verify_certificate

    certificate = parse_certificate(_read(arguments.file).strip())
    keys = trusted((arguments.home or default_home()) / "keys", "certificate")
    artefact = None if arguments.artefact is None else _read(str(arguments.artefact))
    verify_certificate(certificate, keys, artefact=artefact, run=arguments.run)
    out.result("certificate.verify", verified=True, certificate=certificate, artefact_compared=artefact is not None)
    checks = ", ".join(check for ids in certificate.origins.values() for check in ids)
    out.line("the certificate holds", style="bold green")
    out.line(f"  run        {certificate.run}")
    out.line(f"  artefact   {certificate.artefact}" + ("" if artefact is None else " (compared)"))
    out.line(f"  checks     {checks}")
    out.line(f"  isolation  {certificate.isolation.level}, uid {certificate.isolation.uid}")
    out.line(f"  sealed by  {certificate.key_id}")
    for override in certificate.overrides:
        out.line(f"  override   {override.what}: {override.reason}", style="yellow")
    return 0


def _read(name: str) -> bytes:
    from hephaestus.errors import UsageError

    if name == "-":
        data = read_standard_input()
    else:
        with Path(name).open("rb") as file:
            data = file.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise UsageError(f"{name} is longer than {MAX_INPUT} bytes")
    return data
