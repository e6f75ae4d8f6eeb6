"""Tests of the backend for microcontrollers."""
