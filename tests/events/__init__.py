"""Tests of event-driven networks."""
