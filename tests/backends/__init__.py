"""Tests of the backends, each against the reference semantics."""
