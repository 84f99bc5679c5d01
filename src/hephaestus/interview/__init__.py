"""Scores a specification, asks for what is missing, and refuses to let a vague one be built."""

from hephaestus.interview.interview import Interview
from hephaestus.interview.questions import Question
from hephaestus.interview.score import Point, Report, assess

__all__ = ["Interview", "Point", "Question", "Report", "assess"]
