"""From a folder to a release: check, interview, gather knowledge, publish, deploy."""

from hephaestus.forge.examine import Examination, Problem
from hephaestus.forge.forge import Forge
from hephaestus.forge.new import new_package

__all__ = ["Examination", "Forge", "Problem", "new_package"]
