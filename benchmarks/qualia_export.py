"""Writes digits_dense as C with Qualia-CodeGen's plugin for SNNs; against_onnx_c.py runs it in another environment.

    python benchmarks/qualia_export.py MODEL.onnx --bits 8|16|32 --samples SAMPLES.npz -o model.c

32 bits are floats. The network is built anew from the file's weights with LIF neurons of SpikingJelly, which is what
the tool reads; they reset by the threshold in the same step, where the model's own reset a step later. Fixed point is
its own: powers of two a layer, here the largest that keep what the samples reach from saturating.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from qualia_codegen_core.graph.Quantization import Quantization
from qualia_codegen_core.graph.RoundMode import RoundMode
from qualia_codegen_plugin_snn import Converter
from qualia_codegen_plugin_snn.graph import TorchModelGraph
from spikingjelly.activation_based import functional, neuron
from torch import nn

DECAYS = {"lif1": 0.9, "lif2": 0.95}


class Net(nn.Module):
    """Two fully connected layers of LIF neurons; the attributes are what the tool asks for."""

    is_snn = True
    timesteps = 16
    input_shape = (16, 64)

    def __init__(self, model: Path) -> None:
        super().__init__()
        weights = {each.name: numpy_helper.to_array(each) for each in onnx.load(model).graph.initializer}
        for name, shape in (("fc1", (128, 64)), ("fc2", (10, 128))):
            layer = nn.Linear(*reversed(shape))
            matrix = next(each for key, each in weights.items() if key.endswith(f"{name}.weight"))
            bias = next(each for key, each in weights.items() if key.endswith(f"{name}.bias"))
            layer.load_state_dict({"weight": torch.tensor(matrix.reshape(shape)), "bias": torch.tensor(bias)})
            tau = 1 / (1 - DECAYS[name.replace("fc", "lif")])
            setattr(self, name, layer)
            lif = neuron.LIFNode(tau=tau, decay_input=False, v_threshold=1.0, v_reset=None)
            setattr(self, name.replace("fc", "lif"), lif)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lif2(self.fc2(self.lif1(self.fc1(x))))


def reached(net: Net, x: np.ndarray) -> dict[str, float]:
    """The greatest magnitude that each layer gives on the samples; of neurons, that of their membranes."""
    most: dict[str, float] = {}

    def note(name: str, value: torch.Tensor) -> None:
        most[name] = max(most.get(name, 0.0), float(value.abs().max()))

    for name in ("fc1", "fc2"):
        getattr(net, name).register_forward_hook(lambda _, __, out, name=name: note(name, out))
    with torch.no_grad():
        for _ in range(net.timesteps):
            net(torch.from_numpy(x.reshape(len(x), -1).astype(np.float32)))
            for name in DECAYS:
                note(name, getattr(net, name).v + 1)
    functional.reset_net(net)
    return most


def fraction(most: float, bits: int) -> int:
    """The bits behind the point with which `most` still fits."""
    return bits - 1 - math.ceil(math.log2(max(most, 1e-9) * (1 + 2.0 ** (1 - bits))))


def formats(graph: Any, most: dict[str, float], bits: int) -> None:
    for node in graph.nodes:
        name, rounding = node.layer.name, RoundMode.NEAREST
        if bits == 32:
            node.q = Quantization(number_type=float, width=32, long_width=32, output_round_mode=RoundMode.NONE)
            node.q.weights_round_mode, node.q.weights_scale_factor, node.q.output_scale_factor = RoundMode.NONE, 0, 0
            continue
        node.q = Quantization(number_type=int, width=bits, long_width=32)
        node.q.weights_round_mode = node.q.output_round_mode = rounding
        if name in DECAYS:
            node.q.weights_scale_factor, node.q.output_scale_factor = fraction(most[name], bits), 0
        elif name in most:
            weights = [np.abs(each).max() for each in node.layer.weights.values()]
            node.q.weights_scale_factor = fraction(float(max(weights)), bits)
            node.q.output_scale_factor = fraction(most[name], bits)
        else:
            node.q.output_scale_factor = min(bits - 2, 6 if bits == 8 else 14)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--bits", type=int, choices=(8, 16, 32), default=8)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    net = Net(given.model).eval()
    most = reached(net, np.load(given.samples)["x"])
    graph = TorchModelGraph(net).convert()
    if graph is None:
        sys.exit("Qualia-CodeGen does not convert the network")
    formats(graph, most, given.bits)
    with TemporaryDirectory() as folder:
        code = Converter(Path(folder), "cnn", timestep_mode="iterate").convert_model(graph)
    if not isinstance(code, str):
        sys.exit("Qualia-CodeGen writes no code")
    given.output.write_text(code)


if __name__ == "__main__":
    main()
