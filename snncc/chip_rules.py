"""What must hold of a network on a chip of many cores: `mapped`, every limit of every core at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncc.analysis.usage import Usage, usage_of
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network
from snncc.mapping import Mapping, cores_of


def mapped(network: Network, chip: Chip, mapping: Mapping) -> tuple[Diagnostic, ...]:
    """What keeps a mapped network from running on a chip's cores."""
    usage = usage_of(network, chip, mapping)
    return (*there_are_enough_cores(chip, usage), *cores_hold_what_lies_on_them(chip, mapping, usage))


def there_are_enough_cores(chip: Chip, usage: Usage) -> Iterator[Diagnostic]:
    assert chip.mesh is not None, "a chip without cores"
    needed, there = int(np.count_nonzero(usage.neurons)), cores_of(chip.mesh)
    if len(usage.neurons) > there:
        message = f"needs {needed:,} cores; {chip.name} has {there:,}"
        yield Diagnostic("too-many-cores", "the network", message, "choose a target with more or larger cores")


def cores_hold_what_lies_on_them(chip: Chip, mapping: Mapping, usage: Usage) -> Iterator[Diagnostic]:
    assert chip.core is not None, "a chip without cores"
    for key, what in _LIMITS.items():
        limit, used = getattr(chip.core, key), getattr(usage, key)
        if limit is None or (used <= limit.value).all():
            continue
        worst = int(used.argmax())
        over = int(np.count_nonzero(used > limit.value))
        message = f"needs {int(used[worst]):,} {what} on one core; a core of {chip.name} has {int(limit.value):,}"
        more = f", and {over - 1:,} other cores hold too many as well" if over > 1 else ""
        hint = "prune its synapses, or choose a target with larger cores"
        yield Diagnostic(f"too-many-{key.replace('_', '-')}", _main(mapping, worst), message + more, hint)


_LIMITS = {
    "neurons": "neurons",
    "synapse_words": "words of synapses",
    "axons_in": "axons in",
    "axons_out": "axons out",
    "routes": "cores that one neuron sends to",
}


def _main(mapping: Mapping, core: int) -> str:
    """The population that has the most neurons on a core."""
    return max(mapping.placement.cores, key=lambda name: np.count_nonzero(mapping.placement.cores[name] == core))
