"""Tests of the passes: what a pass does to a graph, and that the graph computes the same after it."""
