"""Tests of snncc's own ONNX dialect."""
