"""The fields of every object that ``--json`` prints, besides ``schema``. Documentation and tests read this list.

A field that is added keeps the number of a schema; one that goes or changes its meaning raises it.
"""

from __future__ import annotations

from typing import Final

FIELDS: Final[dict[str, dict[str, str]]] = {
    "demo": {
        "builds": "each package: status, release, score per axis, and for a refused one its questions",
        "decisions": "each routed request, with its readable receipt",
        "runs": "each run: outcome, certificate, disposal",
        "outcome": "of the last run",
        "certificate": "of the last run, or null",
        "disposal": "of the last run",
        "isolation": "what confined the last run",
        "receipts": "the journal's file",
        "receipts_verified": "whether the whole journal verifies",
        "problems": "what does not, in words",
    },
    "new": {"name": "of the agent", "folder": "where it was written", "files": "what was written, relative to it"},
    "check": {
        "folder": "the package",
        "publishes": "whether nothing stands in the way of publishing it",
        "name": "of the agent, or null where the manifest cannot be read",
        "version": "of the agent, or null",
        "files": "how many files it holds",
        "problems": "each with file, line, message and hint",
        "interview": "the report on the brief, or null where it cannot be read",
    },
    "publish": {"release": "all about it", "ref": "name@version"},
    "interview": {
        "folder": "the package",
        "report": "score, axes, points, what blocks, contradictions, hints, the next questions",
        "question": "the one to answer next, or null",
    },
    "deploy": {
        "channel": "its name",
        "number": "of the generation",
        "parent": "the generation that a rollback leads to, or null",
        "agents": "what is in force, name@version each",
        "releases": "the digests of the same",
        "closure": "digest of releases and card table together",
        "card_table": "its digest",
        "at": "Unix seconds",
        "by": "who",
        "why": "what for",
    },
    "history": {"channel": "its name", "generations": "newest first; each as `deploy` prints it"},
    "list": {"releases": "each with `release`, `ref` and the `channels` that hold it"},
    "show": {
        "release": "all about it",
        "ref": "name@version",
        "manifest": "`agent.toml`",
        "card": "`card.toml`",
        "files": "path, mode, size and sha256 of each",
    },
    "route": {
        "kind": "routed, ambiguous or no_route",
        "agent": "the winner, or null",
        "release": "of the winner, or null",
        "decision": "the canonical body, as the journal holds it",
        "receipt": "the same for people",
        "entry": "its number in the journal",
        "channel": "whose agents",
    },
    "run": {
        "run": "its name in the journal",
        "decision": "the canonical body of the routing",
        "receipt": "the same for people",
        "outcome": "kind, cause, attempts, exit code, and by kind `value`, `findings`, `message` or `question`",
        "certificate": "of a verified run, else null",
        "disposal": "what was left, and how that was looked up",
        "receipts": "the journal's file",
        "unwritten": "files that were asked for and could not be written, each with `file` and `problem`; exit code 1",
    },
    "explain": {
        "run": "its name",
        "outcome": "kind of its ending, or unfinished; of a request that was only routed, the kind of the decision",
        "cause": "which part failed, or null",
        "summary": "what happened, in words",
        "advice": "what to change",
        "shown_by": "numbers of the journal entries that show it",
        "steps": "what happened, one after the other",
    },
    "receipts.list": {
        "runs": "every run, or the one that was named",
        "run": "the one that was named, or null",
        "entries": "its entries, or null",
    },
    "receipts.show": {
        "entry": "the entry with its body",
        "secrets": "what was encrypted beside it, or null where it was erased",
        "erased": "whether it was",
    },
    "receipts.verify": {
        "ok": "whether nothing is wrong",
        "verified": "the same",
        "journal": "its file",
        "entries": "how many there are",
        "head": "the newest signed one that fits, or null",
        "unsealed": "entries behind it: chained, but they could be cut off unseen",
        "erased": "entries whose secrets were destroyed on purpose",
        "problems": "each with `entry` (null: the file as a whole), `kind`, `run` and `what`",
    },
    "knowledge.search": {"release": "name@version", "query": "the words", "hits": "best first"},
    "certificate.verify": {
        "verified": "always true: a certificate that does not hold is an error",
        "certificate": "its fields",
        "artefact_compared": "whether the artefact was there to compare",
    },
    "doctor": {
        "ok": "whether runs can be isolated and the home is sound",
        "isolation": "the strongest level, its features, why others are not to be had, what to do",
        "home": "path, whether it is writable, what is wrong with it",
        "python": "its version",
        "platform": "as Python names it",
        "rich": "whether it is installed",
    },
    "version": {"version": "of this package", "protocol": "of the wire", "python": "its version"},
}
FIELDS["rollback"] = FIELDS["deploy"]
