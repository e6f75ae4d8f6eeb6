"""Runs a shipped model in its own framework and writes what each neuron layer received and answered."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import numpy as np
from common import Data, Export, StepNet, load_parameters, record

NAMES = ("digits_dense", "digits_resnet", "digits_odin", "vowels_rnn", "fashion_conv")
FOLDER = Path(__file__).parent


def load(name: str, path: Path) -> tuple[StepNet, Export]:
    """The torch net of a model, with the parameters of its ONNX file, and how it was exported."""
    script = import_module(f"train_{name}")
    net = script.Net()
    load_parameters(net, path)
    return net.eval(), script.HOW


def main() -> None:
    args = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    args.add_argument("name", choices=NAMES)
    args.add_argument("--model", type=Path, help="the ONNX file, the shipped one by default")
    args.add_argument("--input", type=Path, help="a data file, the shipped test data by default")
    args.add_argument("--limit", type=int, help="only the first samples")
    args.add_argument("--out", type=Path, required=True, help="file for y, current/LAYER and spikes/LAYER")
    options = args.parse_args()
    net, how = load(options.name, options.model or FOLDER / f"{options.name}.onnx")
    data = Data.load(options.input or FOLDER / f"{options.name}.npz").take(slice(options.limit))
    outputs, traces = record(net, data.x, how.steps)
    arrays = {"y": outputs}
    for layer, trace in traces.items():
        arrays |= {f"current/{layer}": trace.current, f"spikes/{layer}": trace.spikes}
    np.savez_compressed(options.out, **arrays)


if __name__ == "__main__":
    main()
