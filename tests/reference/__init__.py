"""A second, independent definition of the integer network, to hold the first one against."""
