"""Tests of the tinyODIN machine and of its traces."""
