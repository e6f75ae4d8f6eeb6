"""Every neuron gets a core, within all limits at once, whatever the network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.analysis.usage import usage_of
from snncc.chip import Chip
from snncc.integers import Network, Population
from snncc.mapping import frozen_cores
from snncc.passes.partition.sequential import sequential
from snncc.passes.route import route
from tests.chips import mesh_chip
from tests.networks import networks

LIMITS = ("neurons", "synapse_words", "axons_in")


@pytest.mark.parametrize(
    "limits", [{"neurons": 3}, {"synapse_words": 12}, {"axons_in": 9}, {"neurons": 7, "axons_in": 8}]
)
@given(network=networks(), shares=st.booleans())
def test_sequential_fills_one_core_after_another(network: Network, shares: bool, limits: dict[str, int]) -> None:
    chip = mesh_chip(**limits, shares=shares)
    cores = sequential(network, chip, frozenset(), {})
    assert list(cores) == list(network.of_kind(Population))
    joined = np.concatenate(list(cores.values()))
    assert joined[0] == 0
    assert set(np.diff(joined).tolist()) <= {0, 1}
    fill(network, chip, cores)


def fill(network: Network, chip: Chip, cores: dict[str, np.ndarray]) -> None:
    """No core is over a limit, unless it has one neuron only; and the next neuron would not have fitted."""
    usage = usage_of(network, chip, route(network, frozen_cores(cores)))
    for limit in LIMITS:
        over = getattr(usage, limit) > getattr(chip.core, limit).value
        assert (usage.neurons[over] == 1).all()
    flat = [(name, k) for name, each in cores.items() for k in range(len(each))]
    values = np.concatenate(list(cores.values()))
    for place in np.nonzero(np.diff(values))[0]:
        moved = {name: each.copy() for name, each in cores.items()}
        name, neuron = flat[place + 1]
        moved[name][neuron] = values[place]
        more = usage_of(network, chip, route(network, frozen_cores(moved)))
        assert any(getattr(more, limit)[values[place]] > getattr(chip.core, limit).value for limit in LIMITS)
