"""Which neurons can never fire, whatever the input and however long a sample, by the intervals of their states."""

from __future__ import annotations

import numpy as np

from snncc.analysis.intervals import enclose_adaptation, enclose_current, enclose_membrane, spread
from snncc.analysis.sums import accumulated
from snncc.arrays import Array
from snncc.integers import Network, Population
from snncc.semantics import decayed


def never_fires(network: Network, name: str) -> Array:
    """Of each neuron of a population, (size,) bool."""
    op = network[name]
    assert isinstance(op, Population)
    if op.fire is None:
        return np.ones(op.size, np.bool_)
    low, high = accumulated(network, name)
    inputs = low << op.input_shift, high << op.input_shift
    if op.current:
        current = enclose_current(op, low, high)
        inputs = current.low, current.high
    adaptation = enclose_adaptation(op) if op.adapt else None
    threshold = spread(op.fire.threshold, op) + (0 if op.fire.inclusive else 1)
    if op.adapt and adaptation:
        threshold = threshold + np.array(decayed(adaptation.low.reshape(op.shape), op.adapt.decay)).reshape(-1)
    return enclose_membrane(op, *inputs, adaptation).high < threshold
