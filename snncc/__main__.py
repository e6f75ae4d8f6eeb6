"""Runs the command line as `python -m snncc`."""

from snncc.cli import main

main()
