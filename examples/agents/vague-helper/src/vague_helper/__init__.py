"""Helps, in some way."""
