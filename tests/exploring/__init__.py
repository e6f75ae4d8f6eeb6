"""Tests of the search for a program that fits a budget."""
