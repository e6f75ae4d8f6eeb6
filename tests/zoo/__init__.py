"""The exporter zoo: small networks of five frameworks, exported to ONNX in every shape of file."""
