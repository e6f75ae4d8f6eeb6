"""Compares the float reference with the framework that a shipped model was trained in; prints JSON.

    python models/record.py NAME --out RECORDINGS/NAME.npz    (where that framework is installed, for each model)
    python benchmarks/float_fidelity.py --recordings RECORDINGS

With `--python` instead, this script has that interpreter record. Each firing population is fed the framework's own
spikes, over the whole shipped test file, and compared with what the framework's population answered. After each step
it is given the framework's decision, so a spike that falls the other way within the tolerance counts once, not again
in the steps that follow from it. Then the whole network runs freely, and the classes are compared. Both as imported
and as legalised. Exits with status 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import snncc
from snncc import layers
from snncc.arrays import Array
from snncc.data import Data
from snncc.frontends import Model
from snncc.graph import Edge, Graph
from snncc.layers import Input, Layer, Neuron, Output
from snncc.passes.legalise import legalise
from snncc.runner import Feed, Probe, Runnable, State, Stateful, Stateless, simulate
from snncc.semantics import decode, float_operator, float_rest, float_step, run_float

MODELS = Path(__file__).parents[1] / "models"
NAMES = ("digits_dense", "digits_resnet", "vowels_rnn", "fashion_conv")
Frames = Callable[[slice], Callable[[int], Array]]
TOLERANCE = 1e-5  # of the threshold; a membrane nearer to it may fall on the other side
SHARE = 1e-5  # of the neuron-steps may do so
AGREEMENT = 0.999  # of the samples are put in the same class


@dataclass(frozen=True)
class Answer:
    """What one population answered when it was fed the framework's spikes.

    `near` neuron-steps had a membrane within the tolerance; of the `differing` spikes, `outside` had not.
    """

    neuron_steps: int
    spikes: int
    near: int
    differing: int
    outside: int

    def good(self) -> bool:
        return not self.outside and self.differing <= SHARE * self.neuron_steps


def fed(graph: Graph[Layer], data: Data, recorded: Mapping[str, Array]) -> Mapping[str, Answer]:
    """Run every firing population on the framework's spikes: `recorded` (samples, steps, size) by population."""
    torn, steps = tear(graph, data, recorded), next(iter(recorded.values())).shape[1]
    trace = simulate(torn, torn.ops, np.full(len(data.x), steps), steps, ())
    return {
        name: answer(graph[name], spikes, trace.outputs[f"{name} spikes"], trace.outputs[f"{name} v"])
        for name, spikes in recorded.items()
    }


def answer(neuron: Layer, wanted: Array, found: Array, v: Array) -> Answer:
    assert isinstance(neuron, Neuron), neuron
    assert neuron.threshold is not None
    assert (neuron.adapt, neuron.max_spikes) == (None, 1), "not met in the shipped models"
    threshold = layers.spread(neuron.threshold, neuron.shape)
    apart, near = wanted != found, np.abs(v - threshold) < TOLERANCE * np.abs(threshold)
    counts = (np.count_nonzero(each) for each in (wanted, near, apart, apart & ~near))
    return Answer(wanted.size, *map(int, counts))


def tear(graph: Graph[Layer], data: Data, recorded: Mapping[str, Array]) -> Graph[Runnable]:
    """The graph with each firing population in two: NAME sends what was recorded, `NAME *` reads and answers."""
    ops: dict[str, Runnable] = {}
    for name, op in graph.ops.items():
        if isinstance(op, Input):
            ops[name] = Feed(frames(data, op), layers.size(op.shape))
        elif name in recorded:
            assert isinstance(op, Neuron), op
            ops[name] = Feed(replay(recorded[name]), layers.size(op.shape))
            ops[f"{name} *"] = led(op, recorded[name])
            ops[f"{name} spikes"], ops[f"{name} v"] = Probe("spikes", "before"), Probe("membrane", "before")
        elif not isinstance(op, (Neuron, Output)):
            ops[name] = Stateless(float_operator(op), layers.size(op.shape))
    edges = [
        replace(edge, target=f"{edge.target} *" if edge.target in recorded else edge.target)
        for edge in graph.edges
        if edge.source in ops and edge.target in ops
    ]
    return Graph(ops, edges + [Edge(f"{name} *", f"{name} {what}") for name in recorded for what in ("spikes", "v")])


def frames(data: Data, op: Input) -> Frames:
    static = data.x.shape[1:] == op.shape
    flat = data.x.reshape(len(data.x), -1, layers.size(op.shape)).astype(np.float64)
    return replay(np.broadcast_to(flat, (len(flat), data.steps, flat.shape[2])) if static else flat)


def replay(values: Array) -> Frames:
    return lambda rows: lambda now: values[rows, now]


def led(neuron: Neuron, recorded: Array) -> Stateful:
    """A population that tells its own spikes, and goes on from the recorded ones."""

    def rest(rows: slice) -> State:
        return {**float_rest(neuron, rows.stop - rows.start), "to come": recorded[rows]}

    def step(state: State, x: Array) -> tuple[State, Array, Array]:
        _, spikes, v = float_step(neuron, state, x)
        wanted = state["to come"][:, 0].reshape(v.shape)
        obeying = replace(neuron, threshold=np.where(wanted > 0, -np.inf, np.inf))
        after, _, _ = float_step(obeying, state, x)
        return {**after, "to come": state["to come"][:, 1:]}, spikes, v

    return Stateful(rest, step, layers.size(neuron.shape))


def measure(name: str, recording: Mapping[str, Array]) -> tuple[dict[str, Any], bool]:
    """The figures of one model, and whether the bars are met."""
    model = snncc.import_model(MODELS / f"{name}.onnx")
    data = snncc.model_data(model, MODELS / f"{name}.npz")
    figures: dict[str, Any] = {"samples": len(data.x), "steps": data.steps}
    good = True
    spikes = [each.reshape(*each.shape[:2], -1) for key, each in recording.items() if key.startswith("spikes/")]
    for stage, graph in (("imported", model.graph), ("legal", legalise(model.graph))):
        firing = [each for each, op in graph.of_kind(Neuron).items() if op.threshold is not None]
        answers = fed(graph, data, dict(zip(firing, spikes, strict=True)))
        agreement = same_class(model, graph, data, recording["y"])
        figures[stage] = {
            "populations": {each: vars(found) for each, found in answers.items()},
            "same class": agreement,
        }
        good = good and agreement >= AGREEMENT and all(found.good() for found in answers.values())
    return figures, good


def same_class(model: Model, graph: Graph[Layer], data: Data, y: Array) -> float:
    """The share of samples of which `run_float` decides the framework's class."""
    ((name, output),) = graph.of_kind(Output).items()
    decoder = output.decoder or model.decoder or layers.default_decoder(output)
    found = run_float(graph, data.x, data.steps, data.lengths).outputs[name]
    ours, theirs = (decode(values, decoder, data.lengths).argmax(axis=1) for values in (found, y))
    return float(np.mean(ours == theirs))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, help="models, all by default")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--recordings", type=Path, help="folder of NAME.npz, written by models/record.py")
    source.add_argument("--python", help="an interpreter that can run models/record.py")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    missed: list[str] = []
    with TemporaryDirectory() as scratch:
        for name in options.names:
            path = (options.recordings or Path(scratch)) / f"{name}.npz"
            if options.python:
                subprocess.run([options.python, MODELS / "record.py", name, "--out", path], check=True)
            with np.load(path) as recording:
                result[name], good = measure(name, {key: recording[key] for key in recording if "current" not in key})
            missed += [] if good else [name]
    print(json.dumps(result, indent=1))
    print(f"missed: {', '.join(missed)}" if missed else "all bars are met", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
