"""snncc compiles trained spiking neural networks for neuromorphic hardware, with the same bits everywhere."""
