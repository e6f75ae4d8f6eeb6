"""Builds step graphs of a wished-for size for the benchmarks, without a training framework."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def mlp(path: Path, sizes: list[int], seed: int = 0) -> int:
    """Write an ONNX step graph of dense layers and leaky integrate-and-fire neurons; returns its number of weights.

    The neuron is beta * v + x, fires above 1 and subtracts the threshold: plain arithmetic, as an exporter writes it.
    """
    random = np.random.default_rng(seed)
    nodes, constants, inputs, outputs = [], [], [_tensor("x", sizes[0])], []
    for name, value in (("beta", 0.9), ("one", 1.0)):
        constants.append(numpy_helper.from_array(np.array(value, np.float32), name))
    signal, count = "x", 0
    for index, (size_in, size_out) in enumerate(pairwise(sizes), 1):
        weight = (random.standard_normal((size_out, size_in)) * 2 / np.sqrt(size_in)).astype(np.float32)
        constants.append(numpy_helper.from_array(weight, f"fc{index}.weight"))
        count += weight.size
        v, spike = f"v{index}", f"s{index}"
        nodes += [
            helper.make_node("Gemm", [signal, f"fc{index}.weight"], [f"i{index}"], f"/fc{index}/Gemm", transB=1),
            helper.make_node("Mul", [v, "beta"], [f"leak{index}"], f"/lif{index}/Mul"),
            helper.make_node("Add", [f"leak{index}", f"i{index}"], [f"u{index}"], f"/lif{index}/Add"),
            helper.make_node("Greater", [f"u{index}", "one"], [f"b{index}"], f"/lif{index}/Greater"),
            helper.make_node("Cast", [f"b{index}"], [spike], f"/lif{index}/Cast", to=TensorProto.FLOAT),
            helper.make_node("Sub", [f"u{index}", spike], [f"{v}_next"], f"/lif{index}/Sub"),
        ]
        inputs.append(_tensor(v, size_out))
        outputs.append(_tensor(f"{v}_next", size_out))
        signal = spike
    outputs.insert(0, _tensor(signal, sizes[-1]))
    graph = helper.make_graph(nodes, "mlp", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return count


def _tensor(name: str, size: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
