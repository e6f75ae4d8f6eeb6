"""Which populations the machine that feeds a chip computes: those that read values which the chip cannot take."""

from __future__ import annotations

from collections.abc import Iterator

from snncc.capabilities import needs
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic, check
from snncc.integers import Network, Population, Source, Synapse, source_of


def host_populations(network: Network, chip: Chip) -> frozenset[str]:
    """The populations that the host computes; the chip gets their spikes in place of the input.

    Raises CompileError (`graded-input`) where such a population also reads neurons that are on the chip.
    """
    graded = {name for name, op in network.of_kind(Source).items() if needs(op)} if _spikes_only(chip) else set[str]()
    links = [(source_of(network, name)[0], network.outgoing(name)[0].target) for name in network.of_kind(Synapse)]
    readers = frozenset(target for source, target in links if source in graded)
    check(_feedback(network, chip, readers, links))
    return readers


def on_the_host(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    """Warns of every population that is not computed on the chip."""
    for name in sorted(host_populations(network, chip)):
        count = network.of_kind(Population)[name].size
        message = f"reads graded values; {chip.name} takes spikes, so its {count:,} neurons are computed on the host"
        yield Diagnostic("on-the-host", name, message, "train with an input that is encoded as spikes", "warning")


def _spikes_only(chip: Chip) -> bool:
    return chip.fabric is not None and "graded-input" not in chip.capabilities


def _feedback(
    network: Network, chip: Chip, readers: frozenset[str], links: list[tuple[str, str]]
) -> Iterator[Diagnostic]:
    for name in network.of_kind(Population):
        inner = sorted({source for source, target in links if target == name} - readers - set(network.of_kind(Source)))
        if name in readers and inner:
            message = (
                f"reads graded values, which {chip.name} does not take, so the host would compute it; "
                f"but it also reads {', '.join(inner)}, on the chip"
            )
            hint = "train with an input that is encoded as spikes, or choose a target with graded input"
            yield Diagnostic("graded-input", name, message, hint)
