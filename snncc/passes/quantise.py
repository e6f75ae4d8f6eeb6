"""Quantises a legal network: from floats to the integer network, with scales chosen on samples where there are some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snncc.chip import Chip
from snncc.diagnostics import Diagnostic, check
from snncc.graph import Graph
from snncc.integers import Network
from snncc.layers import Decoder, Input, Layer
from snncc.passes.assemble import assembled, without_shared_weights
from snncc.passes.candidates import Setting, faults
from snncc.passes.inputs import Samples, assumptions, input_faults, source_for
from snncc.passes.populations import plain, searched, with_feedback

__all__ = ["Options", "Samples", "assumptions", "quantise"]


@dataclass(frozen=True)
class Options:
    """How to quantise: the width of weights; the decoder and the number of steps, None where the model decides."""

    weight_bits: int = 8
    decoder: Decoder | None = None
    steps: int | None = None


def quantise(graph: Graph[Layer], chip: Chip, options: Options, samples: Samples | None = None) -> Network:
    """The integer network of a legal graph, under the same names; delays are on the edges into synapses.

    Each population's scale is searched on the samples. Without samples it is set by the largest weight, and a
    direct-coded input is taken to lie in -1..1 (`assumptions` warns of it).

    Raises CompileError: `weight-bits`, `bad-samples`, `graded-input`, `signed-input`, `decay-range`, `scale-range`,
    `too-many-synapses`.
    """
    ((name, layer),) = graph.of_kind(Input).items()
    check((*_option_faults(chip, options), *input_faults(name, layer, chip, samples, options.steps)))
    setting = Setting(graph, source_for(layer, chip, samples), chip, options.weight_bits, options.steps)
    setting = with_feedback(setting)
    chosen = plain(setting) if samples is None else searched(setting, samples)
    check(fault for name, each in chosen.items() for fault in faults(name, graph, each, chip))
    return without_shared_weights(assembled(graph, setting.source, chosen, options.decoder), chip)


def _option_faults(chip: Chip, options: Options) -> Iterator[Diagnostic]:
    if not 2 <= options.weight_bits <= chip.weight.bits:
        yield Diagnostic(
            "weight-bits",
            "--weight-bits",
            f"{options.weight_bits} bits were asked for; {chip.name} takes 2 to {chip.weight.bits}",
        )
