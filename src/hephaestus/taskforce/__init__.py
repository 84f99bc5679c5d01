"""Task forces: assembled for one decision, run through the gate, and thrown away."""

from hephaestus.taskforce.conduct import Progress
from hephaestus.taskforce.disposal import Disposal
from hephaestus.taskforce.explain import Explanation, explain
from hephaestus.taskforce.force import TaskForce
from hephaestus.taskforce.lock import LockedAgent, RunLock

__all__ = ["Disposal", "Explanation", "LockedAgent", "Progress", "RunLock", "TaskForce", "explain"]
