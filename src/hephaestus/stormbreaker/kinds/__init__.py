"""The kinds of check, one module each. ``registry`` knows them by name."""
