"""The ONNX frontend: step graphs of spiking networks become a graph of layers."""
