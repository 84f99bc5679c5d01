"""The agent; what it should do is not specified, which is the point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hephaestus_runner.sdk import Task


def answer(task: Task) -> dict[str, Any]:
    """The entry point: gives the request back."""
    return {"text": f"I would love to help with: {task.input['request']}"}
