"""Agents that you can run like software."""
