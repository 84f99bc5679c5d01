"""Stormbreaker: deterministic checks, the gate of a run, the certificate of a pass, and how a run can end."""

from hephaestus.stormbreaker.certificate import (
    Certificate,
    Isolation,
    Override,
    RunFacts,
    certificate_bytes,
    parse_certificate,
    verify_certificate,
)
from hephaestus.stormbreaker.checks import Check, CheckSet, Origin, compile_checks
from hephaestus.stormbreaker.gate import Budget, Exhausted, Gate, Passed, Ruling, SentBack, State, Unclear
from hephaestus.stormbreaker.kind import Executor, Passages
from hephaestus.stormbreaker.outcome import (
    Interrupted,
    Outcome,
    Refused,
    Undecided,
    UnverifiedOutput,
    Verified,
)
from hephaestus.stormbreaker.registry import KINDS
from hephaestus.stormbreaker.result import Detail, Finding, Result, Verdict, verdict_body, verdict_texts
from hephaestus.stormbreaker.schema import schema_problems
from hephaestus.stormbreaker.sealing import seal_certificate, verified
from hephaestus.stormbreaker.stormbreaker import Stormbreaker

__all__ = [
    "KINDS",
    "Budget",
    "Certificate",
    "Check",
    "CheckSet",
    "Detail",
    "Executor",
    "Exhausted",
    "Finding",
    "Gate",
    "Interrupted",
    "Isolation",
    "Origin",
    "Outcome",
    "Override",
    "Passages",
    "Passed",
    "Refused",
    "Result",
    "Ruling",
    "RunFacts",
    "SentBack",
    "State",
    "Stormbreaker",
    "Unclear",
    "Undecided",
    "UnverifiedOutput",
    "Verdict",
    "Verified",
    "certificate_bytes",
    "compile_checks",
    "parse_certificate",
    "schema_problems",
    "seal_certificate",
    "verdict_body",
    "verdict_texts",
    "verified",
    "verify_certificate",
]
