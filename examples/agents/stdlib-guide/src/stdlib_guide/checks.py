"""What the gate asks of an answer beyond its shape and quotations. Pure functions over plain data."""

from __future__ import annotations

import re
from typing import Any

_NAMED = re.compile(r"`([^`]*)`")


def names_are_quoted(artefact: Any, params: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - every check has both
    """Every name in backticks in the answer is the name of one of its quotations, and there is at least one."""
    quoted = {quotation["name"] for quotation in artefact["quotations"]}
    named = _NAMED.findall(artefact["answer"])
    findings = [
        {"expected": f"a name that is quoted: {', '.join(sorted(quoted))}", "found": name, "where": "/answer"}
        for name in dict.fromkeys(named)
        if name not in quoted
    ]
    if not named:
        findings.append({"expected": "at least one name in backticks", "found": "none", "where": "/answer"})
    return {"inspected": len(named) + len(quoted), "findings": findings}
