"""Tests of the frontend for NIR files."""
