"""Event-driven networks: neurons on a crossbar that act on one event after another; their ops and what they compute."""
