"""Lets a network answer with classes, by the names that its neurons were given: a population adds up their spikes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from snncc.arrays import Array, Ints
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Edge, Graph
from snncc.integers import Decay, IntOp, Membrane, Network, Output, Population, Synapse, source_of
from snncc.linear import Dense

OPTION = "--classes"
_MOST_CLASSES = 4096


def answering(network: Network, names: Sequence[int], chip: Chip) -> Network:
    """The network with one more output, the first: the class of each sample, as `training.classified` has it.

    `names` has the class of each neuron that the first output reads, -1 for none. The mean over the neurons of a class
    is a sum of their spikes by a weight that goes with one over their number, as nearly as the chip's bits allow.
    Raises CompileError (`bad-option`).
    """
    first = next(iter(network.of_kind(Output)))
    read, _ = source_of(network, first)
    check(_faults(network, read, names))
    own = np.asarray(names, np.int64)
    counts = np.bincount(own[own >= 0])
    share = _shares(counts, (1 << chip.weight.bits - 1) - 1)
    weight = np.where(own == np.arange(len(counts))[:, None], share[:, None], 0).astype(np.int16)
    state = chip.membrane
    still = Membrane(Decay(np.zeros((), np.int64), state.decay_bits[0], state.rounding), state.register)
    fed, sums, output = (_fresh(name, network) for name in ("to classes", "classes", "class"))
    ops: dict[str, IntOp] = {output: Output("membrane", "after", "last"), **network.ops}
    shift = chip.accumulator.input_shift[0]
    ops |= {fed: Synapse(Dense(weight)), sums: Population((len(counts),), still, None, input_shift=shift)}
    return Graph(ops, [*network.edges, Edge(read, fed), Edge(fed, sums), Edge(sums, output)])


def _shares(counts: Array, top: int) -> Ints:
    """Whole numbers up to `top` that go with 1 / counts: those of the least relative error, the smallest of these."""
    there = counts[counts > 0]
    wanted = np.arange(1, top * int(there.min()) + 1)[:, None] / there
    whole = np.maximum(1, np.rint(wanted))
    best = int(np.argmin(np.round(np.abs(whole / wanted - 1).max(axis=1), 12)))
    found = np.zeros(len(counts), np.int64)
    found[counts > 0] = whole[best]
    return found


def _fresh(name: str, network: Network) -> str:
    return name if name not in network.ops else _fresh(f"{name}'", network)


def _faults(network: Network, read: str, names: Sequence[int]) -> Iterator[Diagnostic]:
    op = network[read]
    assert isinstance(op, Population)
    if not names:
        hint = "let the run come to its first test: --test-every"
        yield Diagnostic("bad-option", OPTION, "the run has not named its neurons yet", hint)
    elif op.fire is None or len(names) != op.size:
        message = f"the run named {len(names):,} neurons; {read} has {op.size:,} that may fire"
        yield Diagnostic("bad-option", OPTION, message, "let the population that learns be the first output")
    elif max(names) < 0:
        yield Diagnostic("bad-option", OPTION, "none of the neurons got a name: all were silent", "learn more samples")
    elif max(names) >= _MOST_CLASSES:
        message = f"the highest class is {max(names):,}; {_MOST_CLASSES - 1:,} is possible"
        yield Diagnostic("bad-option", OPTION, message, "number the classes from 0 on")
