"""What the emulated chip cannot run, whatever its limits: these are checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from snncc.capabilities import WAYS_OUT, needs
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network, Source, Synapse, source_of, value_range
from snncc.integers import Population as Population_
from snncc.passes.host import host_populations

_MOST_BITS = 31  # of a value that a packet carries


def validate(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    """Every reason why the network cannot be emitted."""
    if chip.fabric is None:
        hint = "choose a target with many cores: `snncc targets` lists the backend of each"
        yield Diagnostic("no-cores", chip.name, "has no cores that this backend could emulate", hint)
    for name, op in network.ops.items():
        if isinstance(op, (Source, Population_)):
            most = max(map(abs, value_range(op)))
            if most.bit_length() > _MOST_BITS:
                message = f"sends values up to {most:,}; a packet carries {_MOST_BITS} bits and a sign"
                yield Diagnostic("value-too-wide", name, message, "feed fewer levels, or fewer spikes a step")
    if chip.fabric is not None:
        yield from _unteachable(network, chip)


def _unteachable(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    """What keeps the chip's learning units from groups that learn."""
    learning, host = chip.learning, host_populations(network, chip)
    if learning is None:
        yield from _unknown_learning(network, chip)
        return
    bits: dict[str, int] = {}
    for name, op in network.of_kind(Synapse).items():
        if op.plasticity is None:
            continue
        _, delay = source_of(network, name)
        target = network.outgoing(name)[0].target
        bits[target] = bits.get(target, 0) + op.plasticity.target_bits
        if delay != 1:
            message = (
                f"gets its values {delay:,} steps after they are sent; {chip.name} learns from those of the step before"
            )
            hint = (
                f"let a group learn whose source is directly before {target}, or choose a target that delivers at once"
            )
            yield Diagnostic("late-learning", name, message, hint)
        if target in host:
            message = f"feeds {target}, which the host computes; only cores of {chip.name} learn"
            yield Diagnostic("cannot-learn", name, message, WAYS_OUT["learning"])
    for name, op in network.of_kind(Population_).items():
        if name in host and op.adapt and op.adapt.learnt:
            message = f"learns its threshold, and is computed by the host; only cores of {chip.name} learn"
            yield Diagnostic("cannot-learn", name, message, WAYS_OUT["learning"])
    for name, needed in bits.items():
        most = int(learning.trace_bits.value)
        if needed > most:
            message = f"its neurons have traces of {needed:,} bits; a neuron of {chip.name} has room for {most:,}"
            yield Diagnostic(
                "too-many-trace-bits", name, message, "let its rules have fewer traces of targets, or fewer bits"
            )


def _unknown_learning(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    """Refuses what would learn on a chip whose file does not say what its learning units are."""
    for name, op in network.ops.items():
        if "learning" in needs(op):
            what = "its weights learn" if isinstance(op, Synapse) else "its threshold learns"
            message = f"{what}, and {chip.name} says nothing of learning on its cores: it has no table `learning`"
            yield Diagnostic("cannot-learn", name, message, WAYS_OUT["learning"])
