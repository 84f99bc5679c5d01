"""Answers from memory, and looks things up when it is caught."""
