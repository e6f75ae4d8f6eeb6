"""Tests of the emulated chip of many cores, and a naive chip to hold it against."""
