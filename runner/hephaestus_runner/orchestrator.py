"""The built-in orchestrator: call the chosen agent, submit what it answers, carry findings back, until accepted.

It runs in a process of its own with no more rights than an agent. It decides nothing about quality or budgets: the host
counts attempts and ends the run; a submission that the host does not answer with findings or acceptance never returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hephaestus_runner.protocol import Accepted

if TYPE_CHECKING:
    from hephaestus_runner.sdk import Task


def direct(task: Task) -> None:
    """Carry out a plan of one agent.

    Args:
        task: Its input is ``{"request", "context", "plan": {"agent": name, "deadline_ms": int}}``.
    """
    plan = task.input["plan"]
    work = {"request": task.input["request"], "context": task.input["context"]}
    attempt = 1
    feedback: list[dict[str, str]] = []
    while True:
        value = task.call(
            plan["agent"], {**work, "attempt": attempt, "feedback": feedback}, deadline_ms=plan["deadline_ms"]
        )
        answer = task.submit(value)
        if isinstance(answer, Accepted):
            return
        # Replaced on each attempt, never accumulated: the agent sees what is wrong now.
        attempt, feedback = answer.attempt + 1, [msgspec.to_builtins(finding) for finding in answer.findings]
