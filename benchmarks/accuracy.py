"""Measures what quantisation costs: accuracy in floats, at 8 and at 4 bits, on full test sets; prints JSON.

The digits models are trained five times, one fold held out each, beforehand:

    for k in 0 1 2 3 4; do python models/train_digits_dense.py --threads 1 --split $k --out SPLITS/$k; done

and likewise train_digits_resnet.py. The other two are the shipped ones; as vowels_rnn has few test samples, it can be
trained from more seeds than the shipped one's, train_vowels_rnn.py --threads 1 --seed $k --out SEEDS/$k, which gives a
row of its own. Programs run as C, bit-equal to the reference.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

import snncc

MODELS = Path(__file__).parents[1] / "models"
BITS = (8, 4)


def measure(folder: Path, name: str, data: Any, **arrays: Any) -> dict[str, float]:
    """Accuracies of one model on one data set, and the share of samples whose class changes against float."""
    model = snncc.import_model(folder / f"{name}.onnx")
    known = snncc.model_data(model, data) if not arrays else None
    if known is None:
        known = snncc.Data(data, np.full(len(data), model.steps), arrays["y"])
    reference = snncc.simulate_float(model, known)
    row = {"samples": float(len(known.x)), "float": float(reference.accuracy or 0)}
    for bits in BITS:
        program = snncc.compile(folder / f"{name}.onnx", samples=folder / f"{name}.samples.npz", weight_bits=bits)
        run = program.simulate(known)
        row[f"{bits} bits"] = float(run.accuracy or 0)
        row[f"changed at {bits} bits"] = float(np.mean(run.classes != reference.classes))
    return row


def fashion(folder: Path) -> tuple[Any, Any]:
    """The 10,000 test images, (samples, 1, 28, 28) in [0, 1], and their labels."""
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255)
    return x, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def main() -> None:
    """Measure every model that there is data for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--splits", type=Path, help="folder with the five trained splits, 0 to 4")
    arguments.add_argument("--fashion", type=Path, help="folder with the t10k files of Fashion-MNIST")
    arguments.add_argument("--seeds", type=Path, help="folder with vowels_rnn trained from several seeds, 0 to 4")
    options = arguments.parse_args()
    rows: dict[str, Any] = {"vowels_rnn": measure(MODELS, "vowels_rnn", MODELS / "vowels_rnn.npz")}
    if options.fashion:
        x, y = fashion(options.fashion)
        rows["fashion_conv"] = measure(MODELS, "fashion_conv", x, y=y)
    for name in ("digits_dense", "digits_resnet") if options.splits else ():
        rows[name] = mean(options.splits, name)
    if options.seeds:
        rows["vowels_rnn, five seeds"] = mean(options.seeds, "vowels_rnn")
    print(json.dumps(rows, indent=1))


def mean(folder: Path, name: str) -> dict[str, float]:
    """The mean over a model that was trained five times."""
    rows = [measure(folder / str(k), name, folder / str(k) / f"{name}.npz") for k in range(5)]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


if __name__ == "__main__":
    main()
