"""What an op of an integer network asks of a chip; whether the chip has it is a comparison of sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from snncc.arrays import Array
from snncc.chip import Capability
from snncc.integers import Fire, HardReset, IntOp, Population, SoftReset, Source, Synapse
from snncc.linear import Conv, Lateral

WAYS_OUT: Mapping[Capability, str] = {
    "graded-input": "encode the input as spikes",
    "soft-reset": "compile with --allow-hard-reset, train with resets to 0, or choose another target",
    "bias": "train without biases, or choose another target",
    "multi-spike": "train with one spike a step, or choose another target",
    "learning": "compile without --learn, or choose a target that learns, as host and mesh64 do",
    "per-neuron-parameters": "train one threshold and one decay a layer, or choose another target",
}


def needs(op: IntOp) -> frozenset[Capability]:
    """What a chip must be able to do to hold this op."""
    if isinstance(op, Population):
        return frozenset(_population_needs(op))
    needed: set[Capability] = set()
    if isinstance(op, Source) and (op.bits > 1 or op.signed):
        needed.add("graded-input")
    if isinstance(op, Synapse):
        if isinstance(op.map, Conv):
            needed.add("convolution")
        if isinstance(op.map, Lateral):
            needed.add("lateral")
        if op.axon_delays is not None and op.axon_delays.any():
            needed.add("axon-delays")
        if op.plasticity:
            needed.add("learning")
    return frozenset(needed)


def _population_needs(population: Population) -> Iterator[Capability]:
    if population.current:
        yield "current"
    if population.adapt:
        yield "learning" if population.adapt.learnt else "adapt"
    if population.refractory:
        yield "refractory"
    if population.start and not _rests(population):
        yield "start"
    yield from _fire_needs(population.fire)
    yield from _reset_needs(population.reset)
    yield from _membrane_needs(population)


def _rests(population: Population) -> bool:
    """Whether a population that gets no input stays as it is, and silent, so that it may as well start early."""
    membrane, fire = population.membrane, population.fire
    states = [membrane, *(each for each in (population.current, population.adapt) if each)]
    quiet = fire is None or bool((fire.threshold >= (1 if fire.inclusive else 0)).all())
    still = membrane.minimum is None or bool((membrane.minimum <= 0).all())
    return quiet and still and not membrane.bias.any() and not any(state.initial.any() for state in states)


def _fire_needs(fire: Fire | None) -> Iterator[Capability]:
    if fire:
        yield "inclusive-threshold" if fire.inclusive else "strict-threshold"
        if fire.max_spikes > 1:
            yield "multi-spike"


def _reset_needs(reset: SoftReset | HardReset | None) -> Iterator[Capability]:
    if reset:
        yield "hard-reset" if isinstance(reset, HardReset) else "soft-reset"
        if reset.delay:
            yield "reset-delay"


def _membrane_needs(population: Population) -> Iterator[Capability]:
    membrane = population.membrane
    states = [membrane, *(each for each in (population.current, population.adapt) if each)]
    if membrane.minimum is not None:
        yield "minimum"
    if membrane.bias.any():
        yield "bias"
    if any(state.initial.any() for state in states):
        yield "initial-state"
    shared = [value for label, value in membrane_parameters(population) if label != "bias"]
    if any((value != value.flat[0]).any() for value in (*shared, *(state.decay.amount for state in states))):
        yield "per-neuron-parameters"


def membrane_parameters(population: Population) -> Iterator[tuple[str, Array]]:
    """What is added to a membrane or compared with it, with what to call it."""
    yield "bias", population.membrane.bias
    if population.membrane.minimum is not None:
        yield "minimum", population.membrane.minimum
    if population.fire:
        yield "threshold", population.fire.threshold
    if population.reset:
        reset = population.reset
        yield "reset", reset.amount if isinstance(reset, SoftReset) else reset.value
    if population.adapt:
        yield "adaptation jump", population.adapt.jump
