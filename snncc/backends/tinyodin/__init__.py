"""tinyODIN, an open-source event-driven chip of 256 neurons: the machine that reproduces it cycle by cycle."""
