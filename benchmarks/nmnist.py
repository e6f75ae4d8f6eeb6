"""Measures the NIR paper's convolutional network on N-MNIST: accuracy in floats and bits, differing bits; prints JSON.

    python -m benchmarks.nmnist cnn_sinabs.nir nmnist_train1K.zip [--target NAME=RECORDINGS ...]

Programs of 8 bits are verified on each target on its first recordings: every spike, membrane and output.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import snncc
from snncc.backends.base import Setting
from snncc.deploy import prepared
from tests.frontends.nir.nmnist import nmnist

CALIBRATION = 30


def main() -> None:
    """Measure each style on the first samples, with the next ones for calibration."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("network", type=Path, help="cnn_sinabs.nir, from the NIR paper's repository")
    arguments.add_argument("archive", type=Path, help="nmnist_train1K.zip, from slayerPytorch's tests")
    arguments.add_argument("--samples", type=int, default=100)
    arguments.add_argument("--styles", nargs="+", default=["sinabs", "lava"])
    arguments.add_argument("--bits", nargs="+", type=int, default=[8, 4])
    arguments.add_argument("--target", nargs="+", default=["host=10", "mesh64=2", "loihi2=2"])
    options = arguments.parse_args()
    x, y = nmnist(options.archive, options.samples + CALIBRATION)
    test, labels = x[: options.samples], y[: options.samples]
    rows: dict[str, dict[str, object]] = {}
    for style in options.styles:
        model = snncc.import_model(options.network, nir_style=style)
        run = snncc.simulate_float(model, snncc.model_data(model, test))
        rows[style] = {"float": float(np.mean(run.classes == labels))}
        for bits in options.bits:
            program = snncc.compile(model, samples=x[options.samples :], weight_bits=bits)
            rows[style][f"{bits} bits"] = float(program.simulate(program.data(test, y=labels)).accuracy or 0)
        for target, count in (each.split("=") for each in options.target):
            program = prepared(snncc.compile(model, target, samples=x[options.samples :]), Setting(None))
            verdict = program.verify(program.data(test[: int(count)]))
            rows[style][target] = {"recordings": int(count), "values": verdict.values, "differing": verdict.differing}
        print(json.dumps({style: rows[style]}, indent=1), flush=True)


if __name__ == "__main__":
    main()
