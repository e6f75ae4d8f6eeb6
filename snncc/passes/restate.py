"""Says an integer network in floats: a model that computes the same where no state is rounded or leaves its register.

A float has no register's ends: states do not saturate or wrap there. Weights, thresholds and biases are those of the
grid, in the units of the trained model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncc.arrays import Array, Floats
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Edge, Graph
from snncc.integers import Decay, HardReset, Network, Output, Population, SoftReset, Source, Synapse
from snncc.layers import Adapt, Affine, Conv2d, Current, Input, Layer, Neuron
from snncc.layers import HardReset as FloatHardReset
from snncc.layers import Output as FloatOutput
from snncc.layers import SoftReset as FloatSoftReset
from snncc.linear import Conv, LinearMap, to_sparse
from snncc.passes.retime import Link, links

_MOST_CELLS = 1 << 28  # of a map that is written out


def restated(network: Network) -> Graph[Layer]:
    """The model, in the time of the model: as it was before it was retimed for a chip.

    Raises CompileError (`cannot-restate`).
    """
    found = tuple(links(network))
    check(fault for link in found for fault in _unsayable(network, link))
    ops: dict[str, Layer] = {}
    edges: list[Edge] = []
    for name, op in network.ops.items():
        if isinstance(op, Source):
            ops[name] = Input(op.shape, events=op.highest == 1 and not op.signed and op.scale == 1.0)
        elif isinstance(op, Population):
            ops[name] = _neuron(op)
        elif isinstance(op, Output):
            (edge,) = network.incoming(name)
            read = network[edge.source]
            assert isinstance(read, Population)
            ops[name] = FloatOutput(read.shape, op.value, op.when, op.decoder)
            edges.append(Edge(edge.source, name))
    for link in found:
        for number, (delay, layer) in enumerate(_maps(network, link)):
            name = link.synapse if not number else _fresh(f"{link.synapse}.{number}", {*network.ops, *ops})
            ops[name] = layer
            edges += [Edge(link.source, name, link.edge + delay), Edge(name, link.target)]
    return Graph(ops, edges)


def _fresh(name: str, taken: set[str]) -> str:
    return name if name not in taken else _fresh(f"{name}'", taken)


def _unsayable(network: Network, link: Link) -> Iterator[Diagnostic]:
    op = network[link.synapse]
    assert isinstance(op, Synapse)
    if link.edge < 0:
        message = f"reads {link.source} {-link.edge:,} steps before that is computed"
        yield Diagnostic("cannot-restate", link.synapse, message, "compile the model again")
    cells = op.map.in_size * op.map.out_size
    if not isinstance(op.map, Conv) and cells > _MOST_CELLS:
        message = f"would be a matrix of {cells:,} weights; {_MOST_CELLS:,} are possible"
        yield Diagnostic("cannot-restate", link.synapse, message, "write a program, by the name of a folder")


def _maps(network: Network, link: Link) -> Iterator[tuple[int, Affine | Conv2d]]:
    """The layers that a synapse is: one for each delay that its source neurons have of their own."""
    op, source, target = (network[each] for each in (link.synapse, link.source, link.target))
    assert isinstance(op, Synapse)
    assert isinstance(target, Population)
    read = source.scale if isinstance(source, Source) else 1.0
    unit = float(1 << op.exponent + target.input_shift) / (target.scale * read)
    own = np.zeros(op.map.in_size, np.int64) if op.axon_delays is None else op.axon_delays
    each, linear = np.unique(own), op.map
    if isinstance(linear, Conv) and len(each) == 1:
        weight, window = linear.weight * unit, (linear.stride, linear.padding, linear.dilation, linear.groups)
        yield int(each[0]), Conv2d(weight, linear.in_shape, linear.out_shape, None, *window)
        return
    weight = _dense(linear) * unit
    for delay in each:
        yield int(delay), Affine(np.where(own == delay, weight, 0.0), target.shape)


def _dense(linear: LinearMap) -> Floats:
    listed = to_sparse(linear)
    sources = np.repeat(np.arange(listed.in_size), np.diff(listed.indptr))
    weight = np.zeros((listed.out_size, listed.in_size))
    weight[listed.targets, sources] = listed.weight
    return weight


def _neuron(op: Population) -> Neuron:
    current, adapt, fire = op.current, op.adapt, op.fire
    return Neuron(
        op.shape,
        _factor(op.membrane.decay),
        fire and fire.threshold / op.scale,
        inclusive=fire is not None and fire.inclusive,
        reset=_reset(op),
        bias=op.membrane.bias / op.scale,
        current=current and Current(_factor(current.decay), current.initial / op.scale),
        minimum=None if op.membrane.minimum is None else op.membrane.minimum / op.scale,
        adapt=adapt and Adapt(_factor(adapt.decay), adapt.jump / op.scale, adapt.initial / op.scale),
        max_spikes=fire.max_spikes if fire else 1,
        refractory=op.refractory,
        initial=op.membrane.initial / op.scale,
    )


def _reset(op: Population) -> FloatSoftReset | FloatHardReset | None:
    if isinstance(op.reset, SoftReset):
        return FloatSoftReset(op.reset.amount / op.scale, op.reset.delay, op.reset.adaptive)
    if isinstance(op.reset, HardReset):
        return FloatHardReset(op.reset.value / op.scale, op.reset.delay)
    return None


def _factor(decay: Decay) -> Array:
    """What is left of a state after a step."""
    return np.asarray(1.0 - decay.amount / (1 << decay.bits))
