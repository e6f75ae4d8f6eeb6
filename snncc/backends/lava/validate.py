"""What an integer network may hold that no Lava program can be made of; limits of chips are checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from snncc.backends.lava.plan import lag
from snncc.backends.lava.synapses import MOST_DELAY, outside
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network, Output, Source, Synapse, source_of

_MOST_BITS = 31  # states, sums and messages are int32 where Lava stores and sends them


def validate(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    """Every reason why the network cannot be emitted."""
    for name in network.of_kind(Synapse):
        yield from _synapse(network, name)
    for name, output in network.of_kind(Output).items():
        start = getattr(network[source_of(network, name)[0]], "start", 0)
        if output.latency != start:
            message = f"appears {output.latency} steps after its input; its population starts {start} steps after it"
            yield Diagnostic("output-latency", name, message)
    for name, source in network.of_kind(Source).items():
        if source.bits > _MOST_BITS:
            yield Diagnostic("input-too-wide", name, f"inputs have {source.bits} bits; Lava's have {_MOST_BITS}")
    for what, bits in (("accumulator", chip.accumulator.bits), ("membrane", chip.membrane.bits)):
        if bits > _MOST_BITS + 1:
            yield Diagnostic("state-too-wide", chip.name, f"its {what} has {bits} bits; Lava's have {_MOST_BITS + 1}")


def _synapse(network: Network, name: str) -> Iterator[Diagnostic]:
    op, found = network[name], lag(network, name)
    assert isinstance(op, Synapse)
    own = 0 if op.axon_delays is None or not op.axon_delays.size else int(op.axon_delays.min())
    least = source_of(network, name)[1] + own
    most = least + found.most - found.least
    if least < 1 or most > MOST_DELAY:
        message = f"has a delay of {least if least < 1 else most} steps; Lava's connections take 1 to {MOST_DELAY}"
        yield Diagnostic("delay-out-of-range", name, message, "name a target whose file has such delays")
    if found.least < 0:
        message = f"reads {found.source} {-found.least} steps of the model before they are computed"
        yield Diagnostic("acausal", name, message)
    if not op.plasticity and outside(op.map.weight):
        yield Diagnostic(
            "weight-too-wide", name, "its weights need more than 8 bits, Lava's most", "use --weight-bits 8"
        )
