"""tinyODIN, an open-source event-driven chip: the machine that reproduces it cycle by cycle, and a compiler for it."""
