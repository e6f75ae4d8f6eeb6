"""Quantises a legal network: from floats to the integer network, with scales chosen on samples where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from snncc.chip import Chip
from snncc.diagnostics import check
from snncc.graph import Graph
from snncc.integers import Network
from snncc.layers import Decoder, Input, Layer
from snncc.passes.assemble import assembled, without_shared_weights
from snncc.passes.candidates import Setting, faults
from snncc.passes.inputs import Samples, assumptions, input_faults, source_for
from snncc.passes.populations import plain, searched, with_feedback
from snncc.passes.precision import Width, by_group
from snncc.passes.precision import faults as width_faults
from snncc.passes.registers import Registers
from snncc.passes.registers import faults as register_faults

__all__ = ["Options", "Samples", "assumptions", "quantise"]


@dataclass(frozen=True)
class Options:
    """How to quantise: the width of weights; the decoder and the number of steps, None where the model decides.

    `own_bits` are the widths of weights that differ, by the name of the synapse group or of the population it feeds.
    `learnt` are those of groups that learn: their grids are not searched on samples, which show only how they begin.
    `grown` says of populations how many times as high as its own a learnt threshold may come to be.
    `registers` are the widest that states and decays may have, where that is less than the chip's.
    """

    weight_bits: Width = 8
    own_bits: Mapping[str, Width] = field(default_factory=dict[str, Width])
    learnt: Mapping[str, Width] = field(default_factory=dict[str, Width])
    grown: Mapping[str, float] = field(default_factory=dict[str, float])
    decoder: Decoder | None = None
    steps: int | None = None
    registers: Registers = field(default_factory=Registers)


def quantise(graph: Graph[Layer], chip: Chip, options: Options, samples: Samples | None = None) -> Network:
    """The integer network of a legal graph, under the same names; delays are on the edges into synapses.

    Each population's scale is searched on the samples. Without samples it is set by the largest weight, and a
    direct-coded input is taken to lie in -1..1 (`assumptions` warns of it).

    Raises CompileError: `weight-bits`, `bad-samples`, `graded-input`, `signed-input`, `decay-range`, `scale-range`,
    `too-many-synapses`, `state-bits`, `decay-bits`.
    """
    ((name, layer),) = graph.of_kind(Input).items()
    widths = options.weight_bits, options.own_bits
    check((*width_faults(graph, chip, *widths), *input_faults(name, layer, chip, samples, options.steps)))
    check(register_faults(graph, chip, options.registers))
    setting = Setting(graph, source_for(layer, chip, samples), chip, options.weight_bits, options.steps)
    setting = replace(setting, own={**by_group(graph, options.own_bits), **options.learnt})
    setting = replace(setting, learnt=frozenset(options.learnt), registers=options.registers, grown=options.grown)
    setting = with_feedback(setting)
    chosen = plain(setting) if samples is None else searched(setting, samples)
    check(fault for name, each in chosen.items() for fault in faults(name, graph, each, setting))
    return without_shared_weights(assembled(graph, setting.source, chosen, options.decoder), chip)
