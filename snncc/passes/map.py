"""Puts a network onto a chip of many cores: cut, placed and routed."""

from __future__ import annotations

from collections.abc import Mapping as Dict

import numpy as np

from snncc.analysis.usage import usage_of
from snncc.arrays import Array
from snncc.chip import Chip
from snncc.chip_rules import mapped
from snncc.diagnostics import check
from snncc.integers import Network
from snncc.mapping import Mapping, Method, frozen_cores
from snncc.passes.host import host_populations
from snncc.passes.partition.sequential import sequential
from snncc.passes.route import route

_ROUNDS = 8  # of filling cores anew because neurons turned out to send to more of them than was known


def map_network(
    network: Network, chip: Chip, traffic: Dict[str, Array] | None = None, method: Method = "auto", seed: int = 0
) -> Mapping:
    """Where every neuron of a retimed network lies, and what travels between cores.

    `traffic` is how often each input value and neuron sends, by source and population; uniform if not given.

    Raises CompileError: every limit of the chip that is broken.
    """
    host = host_populations(network, chip)
    mapping = _baseline(network, chip, host)
    check(mapped(network, chip, mapping))
    return mapping


def _baseline(network: Network, chip: Chip, host: frozenset[str]) -> Mapping:
    """Cores filled in order; over again while axons out, which later populations decide, break a limit."""
    assert chip.core is not None, "a chip without cores"
    mapping = route(network, frozen_cores(sequential(network, chip, host, {})))
    for _ in range(_ROUNDS):
        if (usage_of(network, chip, mapping).axons_out <= chip.core.axons_out.value).all():
            break
        known: dict[str, Array] = {name: np.diff(axons.start) for name, axons in mapping.axons.items()}
        mapping = route(network, frozen_cores(sequential(network, chip, host, known)))
    return mapping
