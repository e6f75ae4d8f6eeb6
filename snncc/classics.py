"""Networks that learn without labels, as the literature has them, ready to be compiled: `snncc new`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from snncc import rules
from snncc.diagnostics import Diagnostic, check, fault
from snncc.frontends import Model
from snncc.graph import Edge, Graph
from snncc.layers import Affine, HardReset, Input, Layer, Neuron, Output

_LEAK = math.exp(-1 / 100)  # of excitatory neurons, a step of 1 ms: Diehl and Cook (2015), section 2.1
_INHIBITORY_LEAK = math.exp(-1 / 10)
_REFRACTORY = 5  # steps
_INITIAL = 0.3  # weights begin evenly spread from 0 to this, of at most 1
_MOST = 1 << 26  # synapses of a group
_MOST_NEURONS = 1 << 13  # a file of ONNX holds less than 2 GiB, inhibition from each neuron to each other among it
# Thresholds that a spike takes from others; found with benchmarks/learning_tune.py. The `DiehlAndCook2015` of
# BindsNET 0.3.4 has 17.5 mV of the 13 mV from rest to threshold: 1.35.
_DIRECT = 2.7
_BY_POPULATION = 3.5


@dataclass(frozen=True)
class Shape:
    """How large a network is, how many bits its weights have, and what its random weights begin with.

    A neuron's threshold is `threshold` for 784 inputs, and goes with their number; `inhibition` is what a spike takes
    from the others' membranes, in thresholds, None for what is usual. `steps` is for how long a sample is shown.
    """

    inputs: int
    neurons: int
    bits: int = 8
    seed: int = 0
    steps: int = 100
    threshold: float = 40.0
    inhibition: float | None = None


def make(kind: str, shape: Shape) -> Model:
    """The network of a kind; raises CompileError: `unknown-network`, `bad-option`."""
    if kind not in KINDS:
        raise fault("unknown-network", kind, "there is no such network", f"known: {', '.join(KINDS)}")
    check(_faults(shape))
    ops, edges = KINDS[kind](shape)
    text = re.sub(r"(?m)^bits = 8$", f"bits = {shape.bits}", rules.text_of(kind), count=1)
    return Model(kind, Graph(ops, edges), shape.steps, "count", learn={"synapses": text})


def _faults(shape: Shape) -> list[Diagnostic]:
    wanted = {"inputs": (1, 1 << 20), "neurons": (1, _MOST_NEURONS), "bits": (1, 8), "steps": (1, 1 << 16)}
    wrong = [(key, getattr(shape, key), *ends) for key, ends in wanted.items()]
    found = [
        Diagnostic("bad-option", f"--{key}", f"{value:,} is not within {low:,} to {high:,}")
        for key, value, low, high in wrong
        if not low <= value <= high
    ]
    found += rules.seed_faults(shape.seed)
    if not found and shape.inputs * shape.neurons > _MOST:
        message = f"{shape.inputs:,} x {shape.neurons:,} synapses were asked for; {_MOST:,} can learn"
        found.append(Diagnostic("bad-option", "--neurons", message))
    return found


def _excitatory(shape: Shape) -> dict[str, Layer]:
    threshold = shape.threshold * shape.inputs / 784
    weight = np.random.default_rng(shape.seed).random((shape.neurons, shape.inputs)) * _INITIAL
    size = (shape.neurons,)
    neuron = Neuron(
        size,
        decay=np.array(_LEAK),
        threshold=np.array(threshold),
        inclusive=True,
        reset=HardReset(),
        minimum=np.array(-threshold),
        refractory=_REFRACTORY,
    )
    return {
        "input": Input((shape.inputs,), events=True),
        "synapses": Affine(weight, size),
        "excitatory": neuron,
        "output": Output(size, "spikes", "after", "count"),
    }


def _from_others(shape: Shape, usual: float) -> Affine:
    """What each neuron takes from all others."""
    amount = (usual if shape.inhibition is None else shape.inhibition) * shape.threshold * shape.inputs / 784
    return Affine(-amount * (1 - np.eye(shape.neurons)), (shape.neurons,))


_FORWARD = (Edge("input", "synapses"), Edge("synapses", "excitatory"), Edge("excitatory", "output"))


def _direct(shape: Shape) -> tuple[dict[str, Layer], tuple[Edge, ...]]:
    """Direct lateral inhibition (SpikeDyn, FSpiNN): a spike inhibits the other excitatory neurons a step later."""
    edges = *_FORWARD, Edge("excitatory", "lateral", 1), Edge("lateral", "excitatory")
    return {**_excitatory(shape), "lateral": _from_others(shape, _DIRECT)}, edges


def _by_population(shape: Shape) -> tuple[dict[str, Layer], tuple[Edge, ...]]:
    """An inhibitory neuron for each excitatory one, which inhibits all others (Diehl and Cook, section 2.2).

    A spike takes a step to reach it, and another to the others, as in their program, and as on chips of many cores.
    """
    size = (shape.neurons,)
    inhibitory = Neuron(
        size,
        decay=np.array(_INHIBITORY_LEAK),
        threshold=np.array(1.0),
        inclusive=True,
        reset=HardReset(),
        refractory=2,
    )
    ops = {
        **_excitatory(shape),
        "onward": Affine(np.eye(shape.neurons), size),
        "inhibitory": inhibitory,
        "lateral": _from_others(shape, _BY_POPULATION),
    }
    edges = (
        *_FORWARD,
        Edge("excitatory", "onward", 1),
        Edge("onward", "inhibitory"),
        Edge("inhibitory", "lateral", 1),
        Edge("lateral", "excitatory"),
    )
    return ops, edges


KINDS: Mapping[str, Callable[[Shape], tuple[dict[str, Layer], tuple[Edge, ...]]]] = {
    "spikedyn": _direct,
    "fspinn": _direct,
    "diehl-cook": _by_population,
}
