"""Tests of the conversion of ordinary networks."""
