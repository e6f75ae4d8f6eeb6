"""Tests of how networks are cut into parts."""
