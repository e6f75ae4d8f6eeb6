"""Measures what quantisation costs on full test sets, beside rounding each weight to the nearest; prints JSON.

The digits models are trained five times, one fold held out each, beforehand:

    for k in 0 1 2 3 4; do python models/train_digits_dense.py --threads 1 --split $k --out SPLITS/$k; done

and likewise train_digits_resnet.py. The others are the shipped ones; as vowels_rnn has few test samples, it can be
trained from more seeds than the shipped one's, train_vowels_rnn.py --threads 1 --seed $k --out SEEDS/$k, which gives a
row of its own. Programs are run by the reference, which `verify_all.py` compares with C.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

import snncc
from snncc import chip as chips
from snncc.analysis.metrics import Run, summarise
from snncc.data import to_integers
from snncc.frontends import Model
from snncc.integers import Network, Output, Source
from snncc.layers import Input
from snncc.passes.assemble import assembled
from snncc.passes.candidates import Setting
from snncc.passes.inputs import Samples, source_for
from snncc.passes.legalise import legalise
from snncc.passes.populations import plain, with_feedback
from snncc.passes.precision import parsed
from snncc.program import Program
from snncc.semantics import run as run_reference

MODELS = Path(__file__).parents[1] / "models"
WIDTHS = ("8", "4", "2", "ternary")


def measure(folder: Path, name: str, data: Any, **arrays: Any) -> dict[str, float]:
    """Accuracies of one model on one data set, and the share of samples whose class changes against float."""
    model = snncc.import_model(folder / f"{name}.onnx")
    known = snncc.model_data(model, data) if not arrays else None
    if known is None:
        known = snncc.Data(data, np.full(len(data), model.steps), arrays["y"])
    reference = snncc.simulate_float(model, known)
    row = {"samples": float(len(known.x)), "float": float(reference.accuracy or 0)}
    samples = snncc.model_data(model, folder / f"{name}.samples.npz")
    for width in WIDTHS:
        program = snncc.compile(model, samples=samples, weight_bits=width)
        assert isinstance(program, Program)
        run = decided(program.network, known)
        row[width] = float(run.accuracy or 0)
        row[f"{width}, changed"] = float(np.mean(run.classes != reference.classes))
        row[f"{width}, nearest"] = float(decided(nearest(model, samples, width), known).accuracy or 0)
    return row


def decided(network: Network, known: snncc.Data) -> Run:
    """The classes of samples, by the reference."""
    source = next(iter(network.of_kind(Source).values()))
    parts = [known.part(first, first + 500) for first in range(0, len(known.x), 500)]
    traces = [run_reference(network, to_integers(source, each.x), each.steps, each.lengths) for each in parts]
    decoders = {name: op.decoder for name, op in network.of_kind(Output).items()}
    return summarise(traces, known.lengths, known.y, decoders, 0.0)


def nearest(model: Model, samples: snncc.Data, width: str) -> Network:
    """Each weight rounded to the nearest step, of which the largest one of its population is a whole number."""
    chip, legal = chips.load("host"), legalise(model.graph)
    ((_, layer),) = legal.of_kind(Input).items()
    bits, _ = parsed(width, 8)
    setting = with_feedback(Setting(legal, source_for(layer, chip, Samples(samples.x)), chip, bits, model.steps))
    return assembled(legal, setting.source, plain(setting), model.decoder)


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
    shipped = "vowels_rnn", "digits_odin", "digits_stock"
    rows: dict[str, Any] = {name: measure(MODELS, name, MODELS / f"{name}.npz") for name in shipped}
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
