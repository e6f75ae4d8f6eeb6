"""Cuts populations into parts, each of which fits a core."""
