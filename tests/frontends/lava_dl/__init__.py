"""Tests of the import of lava-dl's files."""
