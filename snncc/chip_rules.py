"""What must hold of a network on a chip of many cores: `mapped`, every limit of every core at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncc.analysis.usage import Usage, usage_by_population, usage_of, words_of
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network
from snncc.mapping import Mapping, cores_of


@dataclass(frozen=True)
class Limit:
    """One limit of a core: its key in chip files and in `Usage`, and what is counted."""

    key: str
    what: str


LIMITS = (
    Limit("neurons", "neurons"),
    Limit("synapse_words", "words of synapses"),
    Limit("axons_in", "axons in"),
    Limit("axons_out", "axons out"),
    Limit("routes", "cores that a neuron sends to"),
)


def mapped(network: Network, chip: Chip, mapping: Mapping) -> tuple[Diagnostic, ...]:
    """What keeps a mapped network from running on a chip's cores."""
    usage = usage_of(network, chip, mapping)
    return (
        *there_are_enough_cores(network, chip, mapping, usage),
        *(fault for limit in LIMITS for fault in cores_hold_what_lies_on_them(network, chip, mapping, usage, limit)),
    )


def there_are_enough_cores(network: Network, chip: Chip, mapping: Mapping, usage: Usage) -> Iterator[Diagnostic]:
    assert chip.mesh is not None, "a chip without cores"
    needed, there = int(np.count_nonzero(usage.neurons)), cores_of(chip.mesh)
    if len(usage.neurons) <= there:
        return
    full = {
        limit: float(getattr(usage, limit.key).sum()) / (needed * max(1, allowed(chip, limit) or 1))
        for limit in LIMITS
        if limit.key != "routes" and allowed(chip, limit) is not None
    }
    scarce = max(full, key=lambda limit: full[limit])
    taken = {
        name: len(np.unique(cores)) for name, cores in mapping.placement.cores.items() if cores.max(initial=-1) >= 0
    }
    largest = max(taken, key=lambda name: taken[name])
    message = (
        f"needs {needed:,} cores of {allowed(chip, scarce):,} {scarce.what}, {taken[largest]:,} of them for {largest}"
    )
    hint = f"{_fewer(network, chip, mapping, usage, scarce)}choose a target with {needed:,} such cores"
    yield Diagnostic("too-many-cores", "the network", f"{message}; {chip.name} has {there:,}", hint)


def cores_hold_what_lies_on_them(
    network: Network, chip: Chip, mapping: Mapping, usage: Usage, limit: Limit
) -> Iterator[Diagnostic]:
    """The fullest core, with the population that takes most of it; and the total."""
    used, most = getattr(usage, limit.key), allowed(chip, limit)
    if most is None or (used <= most).all():
        return
    assert chip.mesh is not None, "a chip without cores"
    core = int(used.argmax())
    shares = usage_by_population(network, chip, mapping, limit.key, core)
    name = max(shares, key=lambda each: shares[each])
    others = int(np.count_nonzero(used > most)) - 1
    subject = _subject(mapping, name, core)
    message = f"{subject} {int(used[core]):,} {limit.what}; a core of {chip.name} has {most:,}"
    if limit.key != "routes":
        message += f" (in total {int(used.sum()):,} of {most * cores_of(chip.mesh):,})"
    if others:
        message += f"; {others:,} more {'core is' if others == 1 else 'cores are'} too full"
    hint = _relief(network, chip, mapping, limit, name, core, int(used[core]), most)
    yield Diagnostic(f"too-many-{limit.key.replace('_', '-')}", name, message, hint)


def allowed(chip: Chip, limit: Limit) -> int | None:
    """How many of these a core has; None if there is no such limit."""
    figure = getattr(chip.core, limit.key)
    return None if figure is None else int(figure.value)


def _subject(mapping: Mapping, name: str, core: int) -> str:
    """What lies on a core, one neuron or some of a population, and that it needs something."""
    neurons = np.nonzero(mapping.placement.cores[name] == core)[0]
    if len(neurons) == 1:
        return f"its neuron {int(neurons[0]):,} alone needs"
    return f"{len(neurons):,} neurons on a core need"


def _relief(
    network: Network, chip: Chip, mapping: Mapping, limit: Limit, name: str, core: int, needed: int, most: int
) -> str:
    """The smallest change that would make a core hold what it has to."""
    if limit.key == "neurons":
        return "choose a target with larger cores"
    excess, where = needed - most, "outputs"
    if limit.key == "synapse_words":
        bits = _narrower(network, chip, mapping, most, core=core)
        if bits is not None:
            return f"compile with --weight-bits {bits}"
        inputs = usage_by_population(network, chip, mapping, "axons_in", core)[name]
        excess, where = -(-excess * inputs // needed), "inputs"
    elif limit.key == "axons_in":
        where = "inputs"
    return f"prune {excess:,} of {name}'s {where} there, or choose a target with larger cores"


def _fewer(network: Network, chip: Chip, mapping: Mapping, usage: Usage, scarce: Limit) -> str:
    """The smallest change that would make a network need as few cores as there are."""
    assert chip.mesh is not None, "a chip without cores"
    there, most = cores_of(chip.mesh), allowed(chip, scarce) or 0
    needed, total = int(np.count_nonzero(usage.neurons)), int(getattr(usage, scarce.key).sum())
    if scarce.key == "neurons" and total > most * there:
        return f"remove {total - most * there:,} neurons, or "
    if scarce.key == "synapse_words":
        bits = _narrower(network, chip, mapping, total * there // needed)
        return "" if bits is None else f"compile with --weight-bits {bits}, or "
    return ""


def _narrower(network: Network, chip: Chip, mapping: Mapping, most: int, core: int | None = None) -> int | None:
    """The widest weights with which the words of one core, or of all, are at most `most`; None if none are."""
    for bits in range(chip.weight.bits - 1, 1, -1):
        words = np.sum([words_of(network, chip, mapping, name, bits) for name in mapping.blocks], axis=0)
        if np.sum(words if core is None else words[core]) <= most:
            return bits
    return None
