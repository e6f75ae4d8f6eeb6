"""Measures the NIR paper's convolutional network on N-MNIST: accuracy in floats, at 8 and at 4 bits; prints JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import snncc
from tests.frontends.nir.nmnist import nmnist

CALIBRATION = 30


def main() -> None:
    """Measure each style on the first samples, with the next ones for calibration."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("network", type=Path, help="cnn_sinabs.nir, from the NIR paper's repository")
    arguments.add_argument("archive", type=Path, help="nmnist_train1K.zip, from slayerPytorch's tests")
    arguments.add_argument("--samples", type=int, default=100)
    arguments.add_argument("--styles", nargs="+", default=["sinabs", "lava"])
    options = arguments.parse_args()
    x, y = nmnist(options.archive, options.samples + CALIBRATION)
    test, labels = x[: options.samples], y[: options.samples]
    rows: dict[str, dict[str, float]] = {}
    for style in options.styles:
        model = snncc.import_model(options.network, nir_style=style)
        run = snncc.simulate_float(model, snncc.model_data(model, test))
        rows[style] = {"float": float(np.mean(run.classes == labels))}
        for bits in (8, 4):
            program = snncc.compile(model, samples=x[options.samples :], weight_bits=bits)
            rows[style][f"{bits} bits"] = float(program.simulate(program.data(test, y=labels)).accuracy or 0)
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
