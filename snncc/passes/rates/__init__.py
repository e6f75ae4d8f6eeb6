"""Turns an ordinary network (ANN) into a spiking one whose rates stand for its values."""
