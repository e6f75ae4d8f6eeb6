"""When a sample is decided: counts of spikes so far, and no step to come can change which class has the most."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncc.arrays import Array, Ints
from snncc.diagnostics import Diagnostic
from snncc.integers import Network, Output, Population, learns

RULE = "early-exit"
_STEPS = 1 << 21  # of a sample, and its drains: artefacts have up to 1,000,000


def refusals(network: Network) -> Iterator[Diagnostic]:
    """Why samples of a network cannot end early: only sums of spikes have a known most that is still to come."""
    (name, output), *others = network.of_kind(Output).items()
    if others:
        message = f"is one of {1 + len(others)} outputs: where it is decided, {', '.join(each for each, _ in others)} "
        message += "would be cut short"
        yield Diagnostic(RULE, name, message, "export the model with one output, or leave out --early-exit")
    if output.value != "spikes":
        message = f"reads membranes (decoder: {output.decoder}), which one step can change by any amount"
        hint = "train with a read-out of spikes that are counted, or leave out --early-exit"
        yield Diagnostic(RULE, name, message, hint)
    elif output.decoder != "count":
        message = f"reads spikes, but its decoder is {output.decoder}; only counts are decided early"
        yield Diagnostic(RULE, name, message, "compile with --decoder count, or leave out --early-exit")
    if learns(network):
        message = "learns, also from what comes after a sample is decided"
        yield Diagnostic(RULE, name, message, "leave out --early-exit")


def read_out(network: Network) -> Population:
    """The population whose spikes the first output counts."""
    name = next(iter(network.of_kind(Output)))
    found = network[network.incoming(name)[0].source]
    assert isinstance(found, Population)
    return found


def rhythm(population: Population) -> tuple[int, int]:
    """At most so many spikes of a neuron, in so many steps: after one it is silent while it is refractory."""
    return population.fire.max_spikes if population.fire else 0, 1 + population.refractory


def counts_in_words(population: Population) -> bool:
    """Whether 32 bits hold what a neuron can count to, and still reach."""
    return _STEPS * rhythm(population)[0] < 1 << 32


def decided(counts: Array, left: Ints, population: Population) -> Array:
    """Which samples no `left` (samples,) steps to come can decide otherwise than `counts` (samples, classes) do.

    Of equal counts the first wins, as in `decode`: a class before the leader has to stay below it.
    """
    most, of = rhythm(population)
    leader = counts.argmax(axis=1)[:, None]
    reach = counts + (-(-left // of) * most)[:, None] + (np.arange(counts.shape[1]) < leader)
    np.put_along_axis(reach, leader, 0, axis=1)
    return reach.max(axis=1) <= np.take_along_axis(counts, leader, axis=1)[:, 0]
