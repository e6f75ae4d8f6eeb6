"""The complexity metrics of NeuroBench for an integer network.

As NeuroBench's harness computes them (Yik et al., "The neurobench framework for benchmarking neuromorphic computing
algorithms and systems", Nature Communications 16, 2025; github.com/NeuroBench/neurobench, `metrics/workload/
synaptic_operations.py`, `metrics/workload/activation_sparsity.py`, `metrics/static/connection_sparsity.py`,
`metrics/static/footprint.py`): synaptic operations are averages per sample, over all its steps, and biases are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snncc.arrays import Array, Ints
from snncc.integers import HardReset, Network, Population, Register, SoftReset, Source, Synapse, value_range
from snncc.layers import size
from snncc.linear import synapse_count


@dataclass(frozen=True)
class NeuroBench:
    """An operation is effective where neither the value that was sent nor the weight is 0.

    It is an accumulate (AC) if the values of its layer are 0 and 1, or -1, and else a multiply-accumulate (MAC);
    `dense` counts all of them. `activation_sparsity` is the share of zeros among what neurons that can fire gave,
    `connection_sparsity` that among stored weights. `footprint` is the bytes of all parameters and states.
    """

    effective_acs: float
    effective_macs: float
    dense: float
    activation_sparsity: float
    connection_sparsity: float
    footprint: int


def neurobench(network: Network, fired: Ints, operations: Ints, samples: int, steps: int) -> NeuroBench:
    """The metrics of `samples` samples that took `steps` steps of the model in all.

    `fired` (values and neurons,) counts how often each sent something other than 0; `operations` the synapses other
    than 0 that it met, by source and population; both in the order of the network.
    """
    senders = [op for op in network.ops.values() if isinstance(op, (Source, Population))]
    acs = macs = active = possible = first = 0
    for op, met in zip(senders, operations.tolist(), strict=True):
        binary = max(map(abs, value_range(op))) <= 1
        acs, macs = acs + (met if binary else 0), macs + (0 if binary else met)
        last = first + size(op.shape)
        if isinstance(op, Population) and op.fire is not None:
            active, possible = active + int(fired[first:last].sum()), possible + op.size * steps
        first = last
    synapses = network.of_kind(Synapse).values()
    weights = sum(int(each.map.weight.size) for each in synapses)
    zeros = sum(int((each.map.weight == 0).sum()) for each in synapses)
    return NeuroBench(
        acs / samples,
        macs / samples,
        sum(synapse_count(each.map) for each in synapses) * steps / samples,
        1 - active / possible if possible else 0.0,
        zeros / weights if weights else 0.0,
        sum(map(_bytes, synapses)) + sum(map(_population_bytes, network.of_kind(Population).values())),
    )


def _bytes(synapse: Synapse) -> int:
    """Weights in whole bytes each."""
    weight = synapse.map.weight
    return int(weight.size) * _wide(int(weight.min(initial=0)), int(weight.max(initial=0)))


def _population_bytes(op: Population) -> int:
    """Parameters, once where all neurons share them, and the states of all neurons, in whole bytes each."""
    parameters = sum(int(value.size) * _wide(int(value.min()), int(value.max())) for value in _parameters(op))
    states = sum(op.size * _wide(each.lo, each.hi) for each in _registers(op))
    return parameters + states + (op.size * _wide(0, op.refractory) if op.refractory else 0)


def _wide(low: int, high: int) -> int:
    """Bytes of a signed integer."""
    bits = max(high.bit_length(), (~low).bit_length() if low < 0 else 0) + 1
    return -(-bits // 8)


def _parameters(op: Population) -> Iterator[Array]:
    yield op.membrane.decay.amount
    yield op.membrane.bias
    if op.fire:
        yield op.fire.threshold
    if isinstance(op.reset, SoftReset):
        yield op.reset.amount
    if isinstance(op.reset, HardReset):
        yield op.reset.value
    if op.current:
        yield op.current.decay.amount
    if op.adapt:
        yield from (op.adapt.decay.amount, op.adapt.jump)


def _registers(op: Population) -> Iterator[Register]:
    yield op.membrane.register
    if op.current:
        yield op.current.register
    if op.adapt:
        yield op.adapt.register
