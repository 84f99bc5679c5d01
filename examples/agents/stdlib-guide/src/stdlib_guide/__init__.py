"""Answers questions about the Python standard library with words that stand in its documentation."""
