"""snncc's own ONNX dialect: a function op for each kind of layer and neuron, which ONNX Runtime runs as it is."""
