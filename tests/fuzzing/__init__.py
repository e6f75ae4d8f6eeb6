"""Damages real files, and runs the command line on them under limits of memory and time."""
