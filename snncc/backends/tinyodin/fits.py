"""What keeps a legal network from an event-driven chip: every reason at once, with the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from snncc.arrays import Array
from snncc.capabilities import WAYS_OUT
from snncc.chip import Capability, Chip
from snncc.diagnostics import Diagnostic
from snncc.graph import Graph
from snncc.layers import HardReset, Input, Layer, Linear, Neuron, Output, SoftReset, size, spread
from snncc.linear import to_sparse

Rule = Callable[[Graph[Layer], Chip], Iterator[Diagnostic]]


def misfits(graph: Graph[Layer], chip: Chip, samples: Array | None) -> tuple[Diagnostic, ...]:
    """Errors for what the chip cannot do, and a warning for what is taken for granted without samples."""
    faults = [fault for rule in RULES for fault in rule(graph, chip)]
    return (*faults, *the_input_is_spikes(graph, chip, samples))


def bias_channels(graph: Graph[Layer]) -> int:
    """How many channels must fire in every step to carry the biases.

    None carries more than the largest of a neuron's other weights: biases leave the scale of the weights alone.
    """
    most = 0.0
    for name, op in graph.of_kind(Neuron).items():
        bias = np.abs(spread(op.bias, op.shape))
        largest = np.zeros_like(bias)
        for edge in graph.incoming(name):
            linear = graph[edge.source]
            assert isinstance(linear, Linear)
            listed = to_sparse(linear.map)
            np.maximum.at(largest, listed.targets, np.abs(listed.weight))
        alone = largest == 0  # its biases are all that sets its scale
        most = max(most, float((bias[~alone] / largest[~alone]).max(initial=0)), float(bias[alone].any()))
    return int(np.ceil(most))


def neurons_and_channels_share_the_rows(graph: Graph[Layer], chip: Chip) -> Iterator[Diagnostic]:
    ((name, source),) = graph.of_kind(Input).items()
    assert chip.crossbar
    channels, most = size(source.shape), int(chip.crossbar.rows.value)
    neurons = sum(size(op.shape) for op in graph.of_kind(Neuron).values())
    biased = any(op.bias.any() for op in graph.of_kind(Neuron).values())
    biases = 0 if not biased else bias_channels(graph) if channels + neurons <= most else 1
    needed = channels + biases + neurons
    if needed > most:
        parts = [f"{channels:,} for input channels", f"{neurons:,} for neurons"]
        parts += [f"{biases:,} for biases"] if biases else []
        message = f"needs {needed:,} rows, {', '.join(parts)}; {chip.name} has {most:,}"
        yield Diagnostic("too-many-rows", name, message, "train with fewer inputs or neurons, or choose another target")


def neurons_need_only_what_the_chip_can_do(graph: Graph[Layer], chip: Chip) -> Iterator[Diagnostic]:
    for name, op in graph.of_kind(Neuron).items():
        for capability, what in _needs(op):
            if capability not in chip.capabilities:
                hint = WAYS_OUT.get(capability, _HINTS.get(capability, "choose another target"))
                yield Diagnostic("missing-capability", name, f"{what}: {chip.name} lacks {capability}", hint)


_HINTS: dict[Capability, str] = {
    "soft-reset": "train with a reset to zero, or choose another target",
    "current": "train without a synaptic current, or choose another target",
}


def _needs(op: Neuron) -> Iterator[tuple[Capability, str]]:
    yield from _dynamics_needed(op)
    if op.bias.any():
        yield "bias", f"has a bias of {_range(op.bias)}"
    if op.initial.any():
        yield "initial-state", f"starts at {_range(op.initial)}"
    if op.threshold is not None:
        yield "inclusive-threshold" if op.inclusive else "strict-threshold", "fires by comparison"
    if any((each != each.flat[0]).any() for each in (op.decay, op.threshold, op.initial) if each is not None):
        yield "per-neuron-parameters", "has neurons that differ"


def _dynamics_needed(op: Neuron) -> Iterator[tuple[Capability, str]]:
    if op.current:
        yield "current", f"has a synaptic current that keeps {_range(op.current.decay)} of itself"
    if isinstance(op.reset, SoftReset):
        yield "soft-reset", f"resets by subtracting {_range(op.reset.amount)}"
    if op.reset and op.reset.delay:
        yield "reset-delay", f"resets {op.reset.delay} step later"
    if op.adapt:
        yield "adapt", f"raises its threshold by {_range(op.adapt.jump)} with each spike"
    if op.minimum is not None:
        yield "minimum", f"keeps its membrane at {_range(op.minimum)} or more"
    if op.max_spikes > 1:
        yield "multi-spike", f"sends up to {op.max_spikes:,} spikes a step"
    if op.refractory:
        yield "refractory", f"rests {op.refractory:,} step{'s' * (op.refractory > 1)} after a spike"


def populations_fire_and_reset_to_zero(graph: Graph[Layer], chip: Chip) -> Iterator[Diagnostic]:
    for name, op in graph.of_kind(Neuron).items():
        if op.threshold is None:
            message = f"never fires: of {chip.name} one sees spikes only, no membranes"
            yield Diagnostic("no-threshold", name, message, "train with neurons that fire as the output")
            continue
        if op.reset is None:
            message = f"keeps its membrane when it fires; {chip.name} resets it to 0"
            yield Diagnostic("other-reset", name, message, "train with a reset to zero")
        if isinstance(op.reset, HardReset) and op.reset.value.any():
            message = f"resets to {_range(op.reset.value)}; {chip.name} resets to 0"
            yield Diagnostic("other-reset", name, message, "train with a reset to zero")
        if (op.threshold <= 0).any() and op.max_spikes == 1:
            message = f"has a threshold of {_range(op.threshold)}, where it would fire at any event"
            yield Diagnostic("threshold-range", name, message, f"thresholds on {chip.name} are above 0")
        elif (spread(op.initial, op.shape) >= spread(op.threshold, op.shape)).any():
            message = f"starts at {_range(op.initial)}, at or above its threshold of {_range(op.threshold)}"
            yield Diagnostic("threshold-range", name, message, "start below the threshold")
        if ((op.decay < 0) | (op.decay > 1)).any():
            message = f"a step keeps {_range(op.decay)} of its membrane; a leak can keep 0..1 of it"
            yield Diagnostic("decay-range", name, message)


def spikes_arrive_at_once(graph: Graph[Layer], chip: Chip) -> Iterator[Diagnostic]:
    low, high = chip.delay.steps
    for name in graph.of_kind(Linear):
        (edge,) = graph.incoming(name)
        delay = edge.delay + graph.outgoing(name)[0].delay
        if not low <= delay <= high:
            message = f"reads {edge.source} {delay:,} step{'s' * (delay > 1)} later; {chip.name} has no delays"
            yield Diagnostic("delay-out-of-range", name, message, "train without recurrent or delayed connections")


def outputs_are_spikes(graph: Graph[Layer], chip: Chip) -> Iterator[Diagnostic]:
    for name, op in graph.of_kind(Output).items():
        (edge,) = graph.incoming(name)
        source = graph[edge.source]
        if op.value == "membrane" and isinstance(source, Neuron) and source.threshold is not None:
            message = f"is the membrane of {edge.source}; only spikes leave {chip.name}"
            yield Diagnostic("membrane-output", name, message, "make the spikes the output")


def the_input_is_spikes(graph: Graph[Layer], chip: Chip, samples: Array | None) -> Iterator[Diagnostic]:
    ((name, layer),) = graph.of_kind(Input).items()
    hint = "train with an input that is encoded as spikes, or choose another target"
    if samples is None and not layer.events:
        message = f"there are no samples, so its values are taken to be 0 or 1: {chip.name} takes spikes only"
        hint = "give --samples, a file of inputs from the training data"
        yield Diagnostic("assumed-spikes", name, message, hint, "warning")
    elif samples is not None and not ((samples == 0) | (samples == 1)).all():
        values = np.unique(samples)
        message = (
            f"its samples hold {values.size:,} values from {values[0]:g} to {values[-1]:g}; {chip.name} takes 0 and 1"
        )
        yield Diagnostic("graded-input", name, message, hint)


def _range(values: Array) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g}..{high:g}"


RULES: tuple[Rule, ...] = (
    neurons_and_channels_share_the_rows,
    neurons_need_only_what_the_chip_can_do,
    populations_fire_and_reset_to_zero,
    spikes_arrive_at_once,
    outputs_are_spikes,
)
