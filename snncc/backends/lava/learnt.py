"""What a network has learnt, as a Lava program takes it and gives it back: arrays under the program's own names."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from snncc.arrays import Array
from snncc.backends.lava.layout import Layout, convolution_of, layouts
from snncc.backends.lava.names import identifiers
from snncc.backends.lava.plastic import rule_of
from snncc.integers import Learnt, Network, Population, Synapse
from snncc.plasticity import trace_names

PREFIX, STEPS, NETWORK, TRACES = "learnt/", "steps", "network", "traces/"


def identity(network: Network) -> int:
    """A number that tells what a network has learnt from what others have."""
    return zlib.crc32(network.text().encode())


def arrays_of(network: Network, learnt: Learnt) -> Mapping[str, Array]:
    """`steps`, `weights/IDENT` (targets, sources) as they are stored, `adaptations/IDENT` as Lava orders neurons."""
    ident, ordered = identifiers(network.ops), _layouts(network)
    return {
        STEPS: np.array(learnt.steps),
        **{f"weights/{ident[name]}": value for name, value in learnt.weights.items()},
        **{f"adaptations/{ident[name]}": ordered[name].arrange(value) for name, value in learnt.adaptations.items()},
    }


def learnt_of(network: Network, arrays: Mapping[str, Array]) -> Learnt:
    """What such arrays, with `PREFIX` before their names, say; raises KeyError and ValueError for others."""
    ident, ordered = identifiers(network.ops), _layouts(network)
    weights, adaptations = dict[str, Array](), dict[str, Array]()
    for name, op in network.ops.items():
        if isinstance(op, Synapse) and op.plasticity:
            found = arrays[f"{PREFIX}weights/{ident[name]}"]
            weights[name] = found.reshape(op.map.out_size, op.map.in_size)
        if isinstance(op, Population) and op.adapt and op.adapt.learnt:
            found = arrays[f"{PREFIX}adaptations/{ident[name]}"].reshape(-1)
            adaptations[name] = found[ordered[name].place()].reshape(op.shape)
    return Learnt(int(arrays[f"{PREFIX}{STEPS}"]), weights, adaptations)


def traces_of(network: Network, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    """The traces of rules after each step, (samples, steps, size), by the names of `plasticity.trace_names`.

    Without any if they were not recorded; raises KeyError if only some were.
    """
    if not any(name.startswith(TRACES) for name in arrays):
        return {}
    ident, found = identifiers(network.ops), dict[str, Array]()
    for name, op in network.of_kind(Synapse).items():
        if op.plasticity:
            kept = [f"{TRACES}{ident[name]}/{each.name}" for each in rule_of(op.plasticity).traces]
            found |= {key: arrays[own] for key, own in zip(trace_names(name, op.plasticity), kept, strict=True)}
    return found


def _layouts(network: Network) -> Mapping[str, Layout]:
    synapses = network.of_kind(Synapse)
    return layouts(network, frozenset(name for name in synapses if convolution_of(network, name)))
