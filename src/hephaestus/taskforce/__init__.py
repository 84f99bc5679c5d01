"""Task forces: assembled for one decision, run through the gate, and thrown away."""

from hephaestus.taskforce.disposal import Disposal
from hephaestus.taskforce.explain import Explanation, explain
from hephaestus.taskforce.force import TaskForce
from hephaestus.taskforce.lock import LockedAgent, RunLock
from hephaestus.taskforce.progress import Progress

__all__ = ["Disposal", "Explanation", "LockedAgent", "Progress", "RunLock", "TaskForce", "explain"]
