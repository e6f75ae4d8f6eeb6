"""The tables about a compiled network, as plain rows: what it consists of, what it takes, what is proved of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncc.analysis.proof import Proof, Span, Verdict
from snncc.arrays import Shape
from snncc.integers import HardReset, Network, Population, SoftReset, Source, Synapse, source_of
from snncc.linear import Conv, Dense, Lateral, synapse_count
from snncc.packing import own_width


@dataclass(frozen=True)
class PopulationRow:
    """One population: its neurons, the widths of its registers in bits, and the verdict on each.

    `state_bytes` are those of all its registers, each in the narrowest of 8, 16, 32 and 64 bits.
    """

    name: str
    shape: Shape
    neurons: int
    kind: str
    threshold: str
    accumulator_bits: int
    state_bits: tuple[int, ...]
    state_bytes: int
    verdict: str


@dataclass(frozen=True)
class SynapseRow:
    """One group of synapses: how many there are, how many weights are stored, in how many bits and bytes."""

    name: str
    source: str
    target: str
    form: str
    synapses: int
    weights: int
    weight_bits: int
    delay: int
    bytes: int


@dataclass(frozen=True)
class Report:
    """The tables, and totals."""

    source: Source
    populations: tuple[PopulationRow, ...]
    synapses: tuple[SynapseRow, ...]
    neurons: int
    synapse_count: int
    weight_bytes: int
    state_bytes: int


def report(network: Network, proof: Proof) -> Report:
    """The tables of a network and the proof about it, in the order in which a step is computed."""
    order = network.order()
    populations = tuple(
        _population_row(name, op, proof) for name in order if isinstance(op := network[name], Population)
    )
    synapses = tuple(_synapse_row(network, name, op) for name in order if isinstance(op := network[name], Synapse))
    source = next(iter(network.of_kind(Source).values()))
    return Report(
        source,
        populations,
        synapses,
        sum(row.neurons for row in populations),
        sum(row.synapses for row in synapses),
        sum(row.bytes for row in synapses),
        sum(row.state_bytes for row in populations),
    )


def _population_row(name: str, op: Population, proof: Proof) -> PopulationRow:
    own = proof.populations[name]
    verdicts = [each for each in (own.current, own.membrane, own.adapt) if each is not None]
    bits = tuple(width(each.reach) for each in verdicts)
    return PopulationRow(
        name,
        op.shape,
        op.size,
        _kind(op),
        "none" if op.fire is None else _range(op.fire.threshold),
        width(own.acc),
        bits,
        op.size * stored(bits),
        _worst(verdicts),
    )


def _kind(op: Population) -> str:
    """The neuron in the field's words: IF, LIF or stateless, a current, the reset."""
    full = 1 << op.membrane.decay.bits
    amount = op.membrane.decay.amount
    leak = "IF" if not amount.any() else "stateless" if bool((amount == full).all()) else "LIF"
    if op.fire is None:
        leak = {"IF": "integrator", "LIF": "leaky integrator", "stateless": "sum"}[leak]
    words = [f"CUBA {leak}" if op.current else leak]
    if op.adapt:
        words.append("adaptive")
    if op.refractory:
        words.append(f"refractory {op.refractory}")
    if isinstance(op.reset, SoftReset):
        words.append("soft reset")
    if isinstance(op.reset, HardReset):
        words.append("hard reset")
    return ", ".join(words)


def _range(values: np.ndarray) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"


def _worst(verdicts: list[Verdict]) -> str:
    steps = [each.steps for each in verdicts if each.steps is not None]
    if any(each.kind == "may overflow" for each in verdicts):
        return "may overflow"
    return f"safe for {min(steps):,} steps" if steps else "safe"


def _synapse_row(network: Network, name: str, op: Synapse) -> SynapseRow:
    source, delay = source_of(network, name)
    target = network.outgoing(name)[0].target
    weights, bits = int(op.map.weight.size), own_width(op)
    size = -(-weights * bits // 8) if op.plasticity else weights
    return SynapseRow(name, source, target, _form(op), synapse_count(op.map), weights, bits, delay, size)


def _form(op: Synapse) -> str:
    if isinstance(op.map, Dense):
        return f"dense {op.map.in_size}→{op.map.out_size}"
    if isinstance(op.map, Conv):
        kernel = "×".join(map(str, op.map.weight.shape[2:]))
        groups = f", {op.map.groups} groups" if op.map.groups > 1 else ""
        return f"conv {kernel}, {op.map.in_shape[0]}→{op.map.weight.shape[0]}{groups}"
    if isinstance(op.map, Lateral):
        return f"lateral {op.map.size}"
    density = op.map.weight.size / math.prod((op.map.in_size, op.map.out_size))
    return f"sparse {op.map.in_size}→{op.map.out_size}, {density:.1%}"


def stored(bits: Sequence[int]) -> int:
    """Bytes of registers of so many bits, each in the narrowest of 8, 16, 32 and 64."""
    return sum(1 << max(0, (each - 1).bit_length() - 3) for each in bits)


def width(span: Span) -> int:
    """Bits of the narrowest signed register that holds a span."""
    return max(span[1].bit_length(), (-span[0] - 1).bit_length() if span[0] < 0 else 0) + 1
