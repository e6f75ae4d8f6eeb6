"""A `.net` file as an integer network: the file's own integers, in Loihi's arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snncc import integers
from snncc.arrays import Array
from snncc.frontends.lava_dl.parts import UNITY, Part
from snncc.graph import Edge, Graph
from snncc.integers import IntOp, Network

_SHIFT = 6  # thresholds and biases are in units of 64, as weights are


def network_of(parts: tuple[Part, ...]) -> Network | None:
    """The network in the file's own integers; None if it takes graded input, or its weights are no such integers."""
    first = parts[0]
    if first.map is None:
        return None
    ops: dict[str, IntOp] = {"input": integers.Source((first.map.in_size,))}
    edges: list[Edge] = []
    last, delays = "input", np.zeros(first.map.in_size, np.int64)
    for part in parts:
        if part.map is None:
            continue
        found = _integers(part.map.weight)
        if found is None or (part.bias != np.rint(part.bias)).any():
            return None
        weight, exponent = found
        name = f"{part.name}.weight"
        one = bool((delays == delays[0]).all())
        axons = None if one else delays
        ops[name] = integers.Synapse(replace(part.map, weight=weight), exponent, axons)
        ops[part.name] = _population(part)
        edges += [Edge(last, name, int(delays[0]) if one else 0), Edge(name, part.name)]
        last, delays = part.name, part.delays
    value = "spikes" if parts[-1].neuron else "membrane"
    ops["output"] = integers.Output(value, "after", "count")
    return Graph(ops, [*edges, Edge(last, "output")])


def _integers(weight: Array) -> tuple[Array, int] | None:
    """Weights as int8 and a left shift, exactly."""
    for exponent in range(8):
        part = np.ldexp(weight, -exponent)
        if (part != np.rint(part)).any():
            return None
        if part.min() >= -128 and part.max() <= 127:
            return part.astype(np.int8), exponent
    return None


def _population(part: Part) -> integers.Population:
    membrane_register = integers.Register(-(1 << 23), (1 << 23) - 1)
    bias = part.bias.astype(np.int64) << _SHIFT
    own = part.neuron
    if own is None:
        forgets = integers.Decay(np.array(UNITY), 12, "zero")
        membrane = integers.Membrane(forgets, membrane_register, bias)
        return integers.Population(part.shape, membrane, None, input_shift=_SHIFT, scale=float(1 << _SHIFT))
    membrane = integers.Membrane(integers.Decay(np.array(own["vDecay"]), 12, "zero"), membrane_register, bias)
    current = None
    if own["iDecay"] < UNITY:
        register = replace(membrane_register, overflow="wrap")
        current = integers.Current(integers.Decay(np.array(own["iDecay"]), 12, "zero"), register)
    return integers.Population(
        part.shape,
        membrane,
        integers.Fire(np.array(own["vThMant"] << _SHIFT), inclusive=False),
        integers.HardReset(),
        current,
        refractory=own["refDelay"] - 1,
        input_shift=_SHIFT,
        scale=float(1 << _SHIFT),
    )
