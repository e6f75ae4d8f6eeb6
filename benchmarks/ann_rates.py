"""Measures what conversion to spike rates costs two networks of others, on MNIST's test images; prints JSON.

    python benchmarks/ann_rates.py --data DATA [--network small|pooled] [--target NAME ...] [--verify N]

DATA holds `onnx_atmega_mnist/mnist.simplified.onnx` and `onnx_mnist8/model.onnx` (github.com/kraiskil/onnx2c, folders
examples/atmega_mnist and test/mnist) and `mnist/t10k-*.gz`. Thresholds are balanced on the last 500 of the 10,000
images, accuracies are of the first 1000. Programs are verified on the first N, on each target.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

import snncc
from snncc.backends.base import Setting
from snncc.deploy import prepared
from snncc.frontends import read_ann
from snncc.layers import Output
from snncc.passes.rates.values import values

NETWORKS = {"small": "onnx_atmega_mnist/mnist.simplified.onnx", "pooled": "onnx_mnist8/model.onnx"}
STEPS = {"small": 64, "pooled": 128}


def images(folder: Path, name: str) -> tuple[Any, Any]:
    """Images as the network takes them, 14 x 14 means in [0, 1] or 28 x 28 in 0..255, and labels."""
    packed = [gzip.decompress((folder / f"mnist/t10k-{each}-ubyte.gz").read_bytes()) for each in _FILES]
    x = np.frombuffer(packed[0], np.uint8, offset=16).reshape(-1, 1, 28, 28).astype(np.float32)
    y = np.frombuffer(packed[1], np.uint8, offset=8).astype(np.int64)
    return (x if name == "pooled" else x.reshape(-1, 1, 14, 2, 14, 2).mean((3, 5)) / np.float32(255)), y


_FILES = ("images-idx3", "labels-idx1")


def measure(folder: Path, name: str, targets: list[str], verify: int, lava_python: str | None) -> dict[str, Any]:
    """Accuracies of one network, ordinary and spiking, and what differs on each target."""
    path, steps = folder / NETWORKS[name], STEPS[name]
    x, y = images(folder, name)
    calibration = snncc.Data(x[-500:], np.full(500, steps), y[-500:])
    ann = read_ann(path).graph
    (output,) = ann.of_kind(Output)
    row: dict[str, Any] = {"steps": steps, "ordinary": _right(values(ann, x[:1000], [output])[output], y)}
    model = snncc.import_model(path, conversion=snncc.Conversion("rate", calibration, steps))
    row["chosen"] = model.fidelity[1].stage
    data = snncc.Data(x[:1000], np.full(1000, steps), y[:1000])
    row["rates, float"] = snncc.simulate_float(model, data).accuracy
    for target in targets:
        program = prepared(snncc.compile(model, target, samples=calibration), Setting(lava_python))
        if target == "host":
            row["rates, 8 bits"] = program.simulate(data).accuracy
        verdict = program.verify(data.part(0, verify))
        row[target] = {"samples": verify, "values": verdict.values, "differing": verdict.differing}
    return row


def _right(scores: Any, y: Any) -> float:
    return float(np.mean(scores.argmax(axis=1) == y[: len(scores)]))


def main() -> None:
    """Measure the networks that were asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--network", choices=NETWORKS, action="append")
    arguments.add_argument("--target", action="append")
    arguments.add_argument("--verify", type=int, default=100)
    arguments.add_argument("--lava-python")
    options = arguments.parse_args()
    for name in options.network or NETWORKS:
        row = measure(options.data, name, options.target or ["host"], options.verify, options.lava_python)
        print(json.dumps({name: row}, indent=1), flush=True)


if __name__ == "__main__":
    main()
