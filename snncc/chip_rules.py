"""What must hold of a network on a chip of many cores: `mapped`, every limit of every core at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from snncc.analysis.usage import Usage, usage_by_population, usage_of, words_of
from snncc.arrays import Array
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network, Synapse, synapses_of
from snncc.linear import Conv, nonzero_count
from snncc.mapping import Mapping, cores_of
from snncc.packing import form_of

Fits = Callable[[int], bool]


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


def never(bits: int) -> bool:  # noqa: ARG001  has the form of Fits
    """Nothing is known about networks with weights of other widths."""
    return False


def mapped(network: Network, chip: Chip, mapping: Mapping, fits: Fits = never) -> tuple[Diagnostic, ...]:
    """What keeps a mapped network from running on a chip's cores.

    `fits` says whether the network would fit if its weights had so many bits: that is tried before it is advised.
    """
    usage = usage_of(network, chip, mapping)
    return (
        *there_are_enough_cores(network, chip, mapping, usage, fits),
        *(fault for limit in LIMITS for fault in cores_hold_what_lies_on_them(network, chip, mapping, usage, limit)),
    )


def hopeless(network: Network, chip: Chip, mapping: Mapping) -> bool:
    """Whether no cut can make a network fit that does not fit cores filled in order, as `mapping` has it.

    There are more neurons than the chip holds, or bits of weights, or a neuron that alone is too much for a core.
    """
    assert chip.mesh is not None, "a chip without cores"
    usage, there = usage_of(network, chip, mapping), cores_of(chip.mesh)
    if _too_much_alone(usage, chip).any():
        return True
    stored = sum(_least_words(network, chip, name) for name in mapping.blocks)
    return _exceeds(usage.neurons.sum(), chip, LIMITS[0], there) or _exceeds(stored, chip, LIMITS[1], there)


def _too_much_alone(usage: Usage, chip: Chip) -> Array:
    """By core, whether it holds a single neuron, and that is too much for it."""
    over = [getattr(usage, limit.key) > (allowed(chip, limit) or 0) for limit in LIMITS[:3]]
    return (usage.neurons == 1) & np.any(over, axis=0)


def _exceeds(total: int, chip: Chip, limit: Limit, cores: int) -> bool:
    most = allowed(chip, limit)
    return most is not None and total > most * cores


def _least_words(network: Network, chip: Chip, name: str) -> int:
    """Words that a group's weights take however it is cut: their bits, or nothing where they are shared."""
    synapse = network[name]
    assert isinstance(synapse, Synapse)
    form = form_of(synapse, chip)
    return 0 if form.shared else nonzero_count(synapse.map) * form.width // form.word_bits


def there_are_enough_cores(
    network: Network, chip: Chip, mapping: Mapping, usage: Usage, fits: Fits
) -> Iterator[Diagnostic]:
    """The cores that are needed, what they are full of, and everything of which there is more than on all cores."""
    assert chip.mesh is not None, "a chip without cores"
    needed, there = int(np.count_nonzero(usage.neurons)), cores_of(chip.mesh)
    alone = int(np.count_nonzero(_too_much_alone(usage, chip)))  # these say nothing about how many cores are needed
    if len(usage.neurons) <= there or (
        needed - alone <= there and not _exceeds(int(usage.neurons.sum()), chip, LIMITS[0], there)
    ):
        return
    totals = {limit: int(getattr(usage, limit.key).sum()) for limit in LIMITS if limit.key != "routes"}
    scarce = max(totals, key=lambda limit: _fullness(usage, chip, limit))
    taken = {
        name: len(np.unique(cores)) for name, cores in mapping.placement.cores.items() if cores.max(initial=-1) >= 0
    }
    largest = max(taken, key=lambda name: taken[name])
    message = (
        f"needs {needed:,} cores of {allowed(chip, scarce):,} {scarce.what}, {taken[largest]:,} of them for {largest}; "
        f"{chip.name} has {there:,}"
    )
    beyond = [
        f"{total:,} {limit.what} of {(allowed(chip, limit) or 0) * there:,}"
        for limit, total in totals.items()
        if _exceeds(total, chip, limit, there)
    ]
    message += f" (in total {', '.join(beyond)})" if beyond else ""
    hint = f"{_fewer(network, chip, mapping, usage, fits)}choose a target with {needed:,} such cores"
    yield Diagnostic("too-many-cores", "the network", message, hint)


def _fullness(usage: Usage, chip: Chip, limit: Limit) -> float:
    """How full of something the cores are on average; no core counts as more than full."""
    most = allowed(chip, limit)
    return 0.0 if most is None else float(np.minimum(getattr(usage, limit.key) / max(1, most), 1.0).sum())


def cores_hold_what_lies_on_them(
    network: Network, chip: Chip, mapping: Mapping, usage: Usage, limit: Limit
) -> Iterator[Diagnostic]:
    """By population, the core that it makes fullest beyond a limit, and how many more there are."""
    used, most = getattr(usage, limit.key), allowed(chip, limit)
    if most is None:
        return
    full: dict[str, list[int]] = {}
    for each in np.nonzero(used > most)[0]:
        full.setdefault(_owner(network, chip, mapping, limit, int(each)), []).append(int(each))
    for name, cores in full.items():
        core = max(cores, key=lambda each: int(used[each]))
        neurons = np.nonzero(mapping.placement.cores[name] == core)[0]
        alone = len(neurons) == 1 and int(usage.neurons[core]) == 1
        subject = f"its neuron {int(neurons[0]):,} alone needs" if alone else f"{len(neurons):,} neurons on a core need"
        message = f"{subject} {int(used[core]):,} {limit.what}; a core of {chip.name} has {most:,}"
        if len(cores) > 1:
            others = f"{len(cores) - 1:,} more {'of its neurons' if alone else 'of its cores'}"
            message += f"; {others} {'needs' if len(cores) == 2 else 'need'} too many"
        hint = _relief(network, chip, mapping, limit, name, core, int(used[core]), most)
        yield Diagnostic(f"too-many-{limit.key.replace('_', '-')}", name, message, hint)


def _owner(network: Network, chip: Chip, mapping: Mapping, limit: Limit, core: int) -> str:
    """The population that takes most of a limit on a core."""
    there = [name for name, cores in mapping.placement.cores.items() if (cores == core).any()]
    if len(there) == 1:
        return there[0]
    shares = usage_by_population(network, chip, mapping, limit.key, core)
    return max(shares, key=lambda name: shares[name])


def allowed(chip: Chip, limit: Limit) -> int | None:
    """How many of these a core has; None if there is no such limit."""
    figure = getattr(chip.core, limit.key)
    return None if figure is None else int(figure.value)


def _relief(
    network: Network, chip: Chip, mapping: Mapping, limit: Limit, name: str, core: int, needed: int, most: int
) -> str:
    """The smallest change that would make a core hold what it has to."""
    larger, excess = "choose a target with larger cores", needed - most
    if limit.key == "neurons":
        return larger
    if limit.key in ("axons_out", "routes"):
        return f"prune outputs of {name} until it sends to {excess:,} fewer cores from there, or {larger}"
    if limit.key == "synapse_words":
        bits = _narrower(network, chip, mapping, most, core=core)
        if bits is not None:
            return f"compile with --weight-bits {bits}, or {larger}"
        if any(network.of_kind(Synapse)[each].plasticity for each in synapses_of(network, name)):
            return f"let its rule have fewer bits, or {larger}"
    maps = [network.of_kind(Synapse)[each].map for each in synapses_of(network, name)]
    channels = sum(each.in_shape[0] // each.groups for each in maps if isinstance(each, Conv))
    if channels:
        fewer = -(-excess * channels // needed)
        return f"remove {fewer:,} of the {channels:,} channels that {name} reads, or {larger}"
    inputs = usage_by_population(network, chip, mapping, "axons_in", core)[name]
    return f"prune {-(-excess * inputs // needed):,} of {name}'s inputs there, or {larger}"


def _fewer(network: Network, chip: Chip, mapping: Mapping, usage: Usage, fits: Fits) -> str:
    """The smallest change that would make a network need as few cores as there are, and an `or`; else nothing."""
    assert chip.mesh is not None, "a chip without cores"
    there, (neurons, words, *_) = cores_of(chip.mesh), LIMITS
    total = int(usage.neurons.sum())
    if _exceeds(total, chip, neurons, there):
        return f"remove {total - (allowed(chip, neurons) or 0) * there:,} neurons, or "
    widest = _narrower(network, chip, mapping, (allowed(chip, words) or 0) * there)
    bits = next((each for each in range(widest or 0, 1, -1) if fits(each)), None)
    return "" if bits is None else f"compile with --weight-bits {bits}, or "


def _narrower(network: Network, chip: Chip, mapping: Mapping, most: int, core: int | None = None) -> int | None:
    """The widest weights with which the words of one core, or of all, are at most `most`; None if none are."""
    for bits in range(chip.weight.bits - 1, 1, -1):
        words = np.sum([words_of(network, chip, mapping, name, bits) for name in mapping.blocks], axis=0)
        if np.sum(words if core is None else words[core]) <= most:
            return bits
    return None
