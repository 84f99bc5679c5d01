"""The role of an orchestrator: the package's own entry point, or the built-in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hephaestus_runner.roles import agent
from hephaestus_runner.sdk import RequestFailed, Task
from hephaestus_runner.work import WorkFailed

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

    try:
        direct(Task(channel, start, place))
    except RequestFailed as error:
        raise WorkFailed(error.cause, error.message) from error
    except (KeyError, TypeError) as error:
        raise WorkFailed(
            "orchestration", f"the plan is not one that the built-in orchestrator knows: {error!r}"
        ) from error
    return b"null"
