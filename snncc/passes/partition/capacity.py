"""How large a share of a core a neuron takes: of neurons at first, and of whatever turns out to be scarce."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snncc.analysis.usage import Usage
from snncc.arrays import Array, Floats
from snncc.chip import Chip
from snncc.integers import Network, Population, Synapse, synapses_of
from snncc.linear import Dense, nonzero_count
from snncc.packing import form_of, kernel_words

_STEEPEST = 4.0  # by how much a share grows at a time
_OVER = 1.02  # and by how much more than was missing


def first_shares(network: Network, chip: Chip, host: frozenset[str]) -> dict[str, float]:
    """The share of a core that one neuron takes at least, by population: as a neuron, or by its synapses' bits."""
    assert chip.core is not None, "a chip without cores"
    shares: dict[str, float] = {}
    for name, population in network.of_kind(Population).items():
        if name not in host:
            words = sum(_bits(network, chip, synapse) for synapse in synapses_of(network, name)) / max(
                1, population.size
            )
            share = max(1.0 / max(1.0, chip.core.neurons.value), words / max(1.0, chip.core.synapse_words.value))
            shares[name] = min(1.0, share)
    return shares


def _bits(network: Network, chip: Chip, synapse: str) -> float:
    """The words of a group's weights alone, in the form that takes less."""
    op = network[synapse]
    assert isinstance(op, Synapse)
    form = form_of(op, chip)
    if form.shared:
        return 0.0
    width = float(form.width + form.index_bits)
    if isinstance(op.map, Dense) and op.map.weight.size:
        width = min(width, form.width * op.map.weight.size / max(1, np.count_nonzero(op.map.weight)))
    return nonzero_count(op.map) * width / form.word_bits


def kernels(network: Network, chip: Chip, name: str) -> float:
    """The share of a core's words that the weights take which a population's neurons have in common."""
    assert chip.core is not None, "a chip without cores"
    total = 0
    for synapse in synapses_of(network, name):
        op = network[synapse]
        assert isinstance(op, Synapse)
        form = form_of(op, chip)
        total += kernel_words(form, len(op.map.weight)) if form.shared else 0
    return total / max(1.0, chip.core.synapse_words.value)


def overload(usage: Usage, chip: Chip) -> Floats:
    """By core, how many times its scarcest limit is needed."""
    core = chip.core
    assert core is not None, "a chip without cores"
    pairs = [(usage.neurons, core.neurons), (usage.synapse_words, core.synapse_words)]
    pairs += [(usage.axons_in, core.axons_in), (usage.axons_out, core.axons_out)]
    if core.routes is not None:
        pairs.append((usage.routes, core.routes))
    return np.max([used / max(1.0, limit.value) for used, limit in pairs], axis=0)


def raised(shares: Mapping[str, float], cores: Mapping[str, Array], over: Floats) -> dict[str, float]:
    """Greater shares for the populations that lie on cores which are too full, by the mean over their neurons."""
    result: dict[str, float] = {}
    for name, share in shares.items():
        excess = np.maximum(over[cores[name]], 1.0)
        factor = float(excess.mean())
        more = min(_STEEPEST, factor * _OVER) if factor > 1.0 else 1.0
        result[name] = min(1.0, share * more)
    return result
