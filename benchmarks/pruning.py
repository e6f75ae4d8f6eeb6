"""Measures what pruning costs, beside bare magnitude without samples; prints JSON.

Accuracy is that of the 8-bit program on test files, run by the reference, which `verify_all.py` compares with C. With
--fashion FOLDER, fashion_conv is measured on all 10,000 test images.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import MODELS, decided, fashion

import snncc
from snncc import chip as chips
from snncc.frontends import Model
from snncc.integers import Synapse
from snncc.passes.inputs import Samples
from snncc.passes.legalise import legalise
from snncc.passes.prune import NEURONS, SYNAPSES, pruned, recorded, shares
from snncc.passes.quantise import Options, quantise
from snncc.program import Program

CASES = (("0", "0"), ("0.75", "0"), ("0", "0.25"), ("0.9", "0"), ("0.5", "0.5"))


def weights(program: Program) -> int:
    """The weights other than 0."""
    return sum(int(np.count_nonzero(each.map.weight)) for each in program.network.of_kind(Synapse).values())


def by_magnitude(model: Model, samples: snncc.Data, synapses: str, neurons: str, known: snncc.Data) -> float:
    """The accuracy where samples choose scales only."""
    chip, given = chips.load("host"), Samples(samples.x, samples.lengths)
    less = shares(synapses, SYNAPSES), shares(neurons, NEURONS)
    found = pruned(legalise(model.graph), chip, *less, None, model.steps)
    network = quantise(found.graph, chip, Options(8, {}, model.decoder, model.steps), given)
    return float(decided(recorded(network, found.kept), known).accuracy or 0)


def measure(name: str, known: snncc.Data | None) -> list[dict[str, Any]]:
    model = snncc.import_model(MODELS / f"{name}.onnx")
    known = known or snncc.model_data(model, MODELS / f"{name}.npz")
    samples = snncc.model_data(model, MODELS / f"{name}.samples.npz")
    rows: list[dict[str, Any]] = []
    for synapses, neurons in CASES:
        options: dict[str, Any] = {"samples": samples, "prune": synapses, "prune_neurons": neurons}
        program = snncc.compile(model, **options)
        assert isinstance(program, Program)
        row: dict[str, Any] = {"prune": synapses, "prune_neurons": neurons, "samples": len(known.x)}
        row["weights"], row["neurons"] = weights(program), sum(program.sizes.values())
        row["accuracy"] = decided(program.network, known).accuracy
        row["by magnitude"] = by_magnitude(model, samples, synapses, neurons, known)
        rows.append(row)
        print(name, row, file=sys.stderr, flush=True)
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--fashion", type=Path, help="folder with the t10k files of Fashion-MNIST")
    options = arguments.parse_args()
    images = None
    if options.fashion:
        x, y = fashion(options.fashion)
        images = snncc.Data(x, np.full(len(x), 4), y)
    names = "digits_dense", "fashion_conv"
    print(json.dumps({name: measure(name, images if name == "fashion_conv" else None) for name in names}, indent=1))


if __name__ == "__main__":
    main()
