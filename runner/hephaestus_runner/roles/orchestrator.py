"""The role of an orchestrator: the package's own entry point, or the built-in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hephaestus_runner.adapters import python
from hephaestus_runner.roles import agent
from hephaestus_runner.sdk import Task

if TYPE_CHECKING:
    from hephaestus_runner.channel import Channel
    from hephaestus_runner.config import Config, Places
    from hephaestus_runner.protocol import Start


def run(channel: Channel, start: Start, config: Config, place: Places) -> bytes:
    """Direct one task; the output itself was submitted, so the result is what the entry point returns, often null.

    Raises:
        WorkFailed: If the direction failed.
    """
    if config.entry:
        return agent.run(channel, start, config, place)
    from hephaestus_runner.orchestrator import direct

    python.call("the built-in orchestrator", direct, Task(channel, start, place))
    return b"null"
