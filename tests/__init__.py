"""Tests of snncc, one file a module, and the suites that every backend passes."""
