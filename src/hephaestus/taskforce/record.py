"""What a run writes into the journal, entry by entry.

Bodies hold digests, counts and names; whatever an agent or a caller said goes into the entry's secrets, which are
encrypted with the run's own key and can be erased without breaking the chain.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from hephaestus import canonical
from hephaestus.receipts import Draft, Entry, Journal
from hephaestus.routing import Decision, decision_body
from hephaestus.stormbreaker import Interrupted, Refused, Undecided, verdict_body, verdict_texts
from hephaestus_runner.protocol import Failure, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hephaestus.canonical import Digest
    from hephaestus.runtime.attest import Attestation
    from hephaestus.stormbreaker import Certificate, Outcome, Verdict
    from hephaestus.taskforce.disposal import Disposal
    from hephaestus.taskforce.lock import RunLock
    from hephaestus_runner.protocol import Cause, Log

MAX_EVENTS = 500
"""Events of one child that are kept; what comes after is counted only."""

MAX_EVENT_BYTES = 64 << 10
"""Bytes of one event that are kept."""

MAX_RUN_BYTES = 256 << 20
"""Bytes of requests and answers that one run may put into the journal."""

EVENT_KINDS = frozenset({"progress", "step", "usage"})
"""What children report. Bodies are for ever and in the clear, so a kind that a child made up is not written there."""


class Record:
    """Writes the entries of one run. Every method returns when its entry is durable, but for :meth:`event`."""

    def __init__(self, journal: Journal, run: str) -> None:
        self._journal = journal
        self.run = run
        self._events: dict[str, int] = {}
        self._bytes = 0
        # Digests of requests are salted, or a short one could be guessed; the salt is erased with the run's key.
        self._salt = secrets.token_bytes(32)
        self._ordinals: dict[str, int] = {}

    async def decision(self, decision: Decision) -> Entry:
        """The decision, and the request as a secret."""
        return await self._append("decision", decision_body(decision), {"request": decision.request.encode()})

    async def lock(self, lock: RunLock) -> Entry:
        """The run lock."""
        body = msgspec.to_builtins(lock)
        return await self._append("lock", {**body, "digest": lock.digest}, {"salt": self._salt})

    async def start(self, instance: str, *, release: str, attested: Attestation) -> Entry:
        """A child was confined; what the host attests about it."""
        body = {"instance": instance, "release": release, "isolation": msgspec.to_builtins(attested)}
        return await self._append("start", body)

    @property
    def full(self) -> bool:
        """Whether the run has written as much as a run may."""
        return self._bytes > MAX_RUN_BYTES

    async def exchange(self, instance: str, what: str, *, request: bytes, answer: Result | Failure) -> Entry:
        """A request of a child crossed the boundary and was answered."""
        ordinal = self._ordinals[instance] = self._ordinals.get(instance, 0) + 1
        body: dict[str, Any] = {
            "instance": instance,
            "ordinal": ordinal,
            "request": canonical.digest_bytes(canonical.tagged("hephaestus/exchange/1", self._salt + request)),
            "what": what,
            "cause": answer.cause if isinstance(answer, Failure) else None,
        }
        kept = {"request": request}
        if isinstance(answer, Failure):
            kept["answer"] = answer.message.encode("utf-8", "replace")
            kept["trace"] = answer.trace.encode("utf-8", "replace")
        else:
            assert isinstance(answer.value, bytes), "files are fetched where they arrive"
            kept["answer"] = answer.value
        return await self._append("exchange", body, kept)

    def event(self, instance: str, kind: str, data: bytes) -> bool:
        """Something a child reported; durable with the next entry. Whether it was kept."""
        seen = self._events[instance] = self._events.get(instance, 0) + 1
        if seen > MAX_EVENTS or self.full:
            if seen == MAX_EVENTS + 1:
                self._note("event", {"instance": instance, "kind": "dropped"}, {})
            return False
        known = kind in EVENT_KINDS
        kept = {"data": data[:MAX_EVENT_BYTES]}
        if not known:
            kept["kind"] = kind[:1000].encode("utf-8", "replace")
        self._note("event", {"instance": instance, "kind": kind if known else "other"}, kept)
        return True

    def printed(self, instance: str, logs: Sequence[Log]) -> None:
        """What a child printed, as far as it was captured; durable with the next entry."""
        for log in logs:
            if not self.full:
                kept = {"text": log.text.encode("utf-8", "replace")}
                self._note("event", {"instance": instance, "kind": "printed", "stream": log.stream}, kept)

    async def failure(self, instance: str, cause: Cause, message: str, *, trace: str = "") -> int:
        """What ended a child that was not answering a call. The number of the entry."""
        kept = {"message": message.encode("utf-8", "replace"), "trace": trace.encode("utf-8", "replace")}
        entry = await self._append("event", {"instance": instance, "kind": "failure", "cause": cause}, kept)
        return entry.seq

    async def attempt(self, number: int, artefact: bytes) -> Entry:
        """A submission, before it is judged."""
        body = {"attempt": number, "artefact": canonical.digest_bytes(artefact), "size": len(artefact)}
        return await self._append("attempt", body, {"artefact": artefact})

    async def verdict(self, number: int, verdict: Verdict, ruling: str) -> Entry:
        """What the checks said, and what the gate made of it."""
        body = {"attempt": number, "ruling": ruling, **verdict_body(verdict)}
        return await self._append("verdict", body, {"findings": verdict_texts(verdict)})

    async def certificate(self, certificate: Certificate) -> Entry:
        """The sealed proof."""
        return await self._append("certificate", {"certificate": msgspec.to_builtins(certificate)})

    async def disposal(self, disposal: Disposal) -> Entry:
        """What was left: nothing, or what."""
        return await self._append("disposal", msgspec.to_builtins(disposal))

    async def ending(
        self, outcome: Outcome, *, attempts: int, entries: tuple[int, ...], artefact: Digest | None
    ) -> Entry:
        """How the run ended. Returns when the entry is durable; the head is signed by the caller."""
        body = {
            "kind": outcome.kind,
            "cause": getattr(outcome, "cause", None),
            "attempts": attempts,
            "entries": list(entries),
            "artefact": artefact,
        }
        said = _said(outcome)
        return await self._append("ending", body, {"message": said.encode("utf-8", "replace")} if said else {})

    async def _append(self, kind: Any, body: dict[str, Any], kept: dict[str, bytes] | None = None) -> Entry:
        self._bytes += sum(map(len, (kept or {}).values()))
        (entry,) = await self._journal.append(Draft(kind=kind, run=self.run, body=body, secrets=kept or {}))
        return entry

    def _note(self, kind: Any, body: dict[str, Any], kept: dict[str, bytes]) -> None:
        self._bytes += sum(map(len, kept.values()))
        self._journal.note(Draft(kind=kind, run=self.run, body=body, secrets=kept))


def _said(outcome: Outcome) -> str:
    match outcome:
        case Undecided(message=message):
            return message
        case Interrupted(question=question):
            return question
        case Refused(findings=findings):
            return "; ".join(f"{f.check}: {f.message}" for f in findings if f.message)
        case _:
            return ""
