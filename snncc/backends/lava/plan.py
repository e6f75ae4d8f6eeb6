"""The integer network in Lava's terms: a process for each source, synapse and population; templates spell it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from snncc.analysis.proof import PopulationProof, Proof
from snncc.backends.lava.layout import Layout, convolution_of, layouts
from snncc.backends.lava.names import identifiers
from snncc.backends.lava.neurons import Kind, Neurons, neurons
from snncc.backends.lava.plastic import Rule, plastic
from snncc.backends.lava.stock import GRID, SHIFT, Lif, lif
from snncc.backends.lava.synapses import connection, message_bits
from snncc.chip import Chip
from snncc.integers import Network, Output, Population, Source, Synapse, source_of, synapses_of

Titled = TypeVar("Titled", Kind, Rule)


@dataclass(frozen=True, eq=False)
class Cells:
    """A population in Lava: a stock LIF, or neurons of our own and why.

    Where a chip takes no graded input, one that reads it is `shown` a static input as biases, or is `on_host`.
    """

    name: str
    ident: str
    op: Population
    layout: Layout
    stock: Lif | None
    own: Neurons | None
    why: tuple[str, ...]
    shown: bool = False
    on_host: bool = False


@dataclass(frozen=True)
class Lag:
    """The least and the greatest delay of a synapse as the model has it: without the start steps."""

    source: str
    target: str
    least: int
    most: int


@dataclass(frozen=True)
class Timing:
    """How samples follow one another: each takes `steps + gap` steps, and all start `last_start` steps apart at most.

    `pause` if the run has to stop after each sample so that what is on its way can be taken out of the delay lines.
    """

    gap: int
    pause: bool


class Plan:
    """Everything that the templates spell out."""

    def __init__(self, network: Network, proof: Proof, chip: Chip | None = None) -> None:
        self.network, self.proof = network, proof
        graded = chip is None or "graded-input" in chip.capabilities
        self.ungraded = frozenset[str]() if graded else readers_of_graded_values(network)
        self.ident = identifiers(network.ops)
        synapses = network.of_kind(Synapse)
        self.layouts = layouts(network, frozenset(name for name in synapses if convolution_of(network, name)))
        stock = {name: self._stock(name) for name in network.of_kind(Population)}
        own = self._loud_after_the_end(stock)
        self.cells = tuple(self._cells(name, stock[name], own) for name in self._ordered())
        shown = {each.name for each in self.cells if each.shown}
        self.connections = tuple(
            connection(network, name, self.ident[name], self.layouts)
            for name, op in synapses.items()
            if network.outgoing(name)[0].target not in shown and not op.plasticity
        )
        self.plastic = tuple(plastic(network, name, self.ident[name]) for name, op in synapses.items() if op.plasticity)

    @cached_property
    def source_name(self) -> str:
        return next(iter(self.network.of_kind(Source)))

    @property
    def source(self) -> Source:
        op = self.network[self.source_name]
        assert isinstance(op, Source)
        return op

    @cached_property
    def outputs(self) -> Mapping[str, Output]:
        return self.network.of_kind(Output)

    @cached_property
    def last_start(self) -> int:
        return max((each.op.start for each in self.cells), default=0)

    @cached_property
    def kinds(self) -> Mapping[Kind, str]:
        """The classes of neurons of our own, by name, numbered where several have the same title."""
        return _numbered(each.own.kind for each in self.cells if each.own)

    @cached_property
    def rules(self) -> Mapping[Rule, str]:
        """The classes of synapses that learn, as those of neurons."""
        return _numbered(each.rule for each in self.plastic)

    @cached_property
    def learning(self) -> tuple[Cells, ...]:
        """The populations whose threshold learns."""
        return tuple(each for each in self.cells if each.own and each.own.kind.learnt)

    @cached_property
    def timing(self) -> Timing:
        """Samples follow one another without a pause where nothing of one can reach the next."""
        stock = {each.name for each in self.cells if each.stock}
        pause = any(each.source in stock and each.most > 0 for each in self.lags)
        pause = pause or any(each.shown for each in self.cells)
        gap = max((each.most for each in self.lags if each.source not in stock), default=0)
        return Timing(max(gap, self.last_start) if pause else gap, pause)

    @cached_property
    def lags(self) -> tuple[Lag, ...]:
        """The delays of all synapses."""
        return tuple(lag(self.network, name) for name in self.network.of_kind(Synapse))

    def _ordered(self) -> list[str]:
        return [name for name in self.network.order() if isinstance(self.network[name], Population)]

    def _stock(self, name: str) -> Lif | tuple[str, ...]:
        op = self.network[name]
        assert isinstance(op, Population)
        found = lif(op, self.proof.populations[name])
        if name in self.ungraded and (why := no_biases(self.network, name, self.proof.populations[name])):
            found = (*found, *why) if isinstance(found, tuple) else why
        if self._reads_before(name) and op.fire and op.reset:
            reason = "an output reads its membrane before the reset"
            return (*found, reason) if isinstance(found, tuple) else (reason,)
        return found

    def _reads_before(self, population: str) -> bool:
        readers = [self.network[edge.target] for edge in self.network.outgoing(population)]
        return any(isinstance(op, Output) and (op.value, op.when) == ("membrane", "before") for op in readers)

    def _loud_after_the_end(self, stock: Mapping[str, Lif | tuple[str, ...]]) -> frozenset[str]:
        """Stock populations that must not be: before their start they would fire, into the steps that count.

        A stock population integrates its bias before its start step. What it sends then arrives in its target's window
        only through a synapse with a delay of the model's own; nothing takes it out there.
        """
        driven = any(
            not isinstance(found, tuple) and (found.bias_mant.any() or name in self.ungraded) and self._start(name) > 0
            for name, found in stock.items()
        )
        if not driven:
            return frozenset()
        return frozenset(each.source for each in self.lags if each.most > 0 and self._start(each.source) > 0)

    def _start(self, name: str) -> int:
        op = self.network[name]
        return op.start if isinstance(op, Population) else 0

    def _cells(self, name: str, found: Lif | tuple[str, ...], loud: frozenset[str]) -> Cells:
        op, layout = self.network[name], self.layouts[name]
        assert isinstance(op, Population)
        if not isinstance(found, tuple) and name in loud:
            found = ("it feeds back, and a bias drives it or its inputs before its start step",)
        if isinstance(found, tuple):
            own = neurons(op, self.proof.populations[name], layout, reads_before=self._reads_before(name))
            return Cells(name, self.ident[name], op, layout, None, own, found, on_host=name in self.ungraded)
        return Cells(name, self.ident[name], op, layout, found, None, (), shown=name in self.ungraded)


def _numbered(kinds: Iterable[Titled]) -> Mapping[Titled, str]:
    """Names for kinds: their titles, numbered where several have the same."""
    names: dict[Titled, str] = {}
    for kind in dict.fromkeys(kinds):
        alike = sum(each.title == kind.title for each in names)
        names[kind] = kind.title + (f"{alike + 1}" if alike else "")
    return names


def readers_of_graded_values(network: Network) -> frozenset[str]:
    """The populations that read a source of more than spikes."""
    return frozenset(
        network.outgoing(name)[0].target
        for name in network.of_kind(Synapse)
        if isinstance(network[source_of(network, name)[0]], Source)
        and message_bits(network, source_of(network, name)[0])
    )


def no_biases(network: Network, name: str, proof: PopulationProof) -> tuple[str, ...]:
    """Why a static input cannot be given to a population as biases: mantissas of 13 bits, shifted as its input is."""
    op = network[name]
    assert isinstance(op, Population)
    feeding = [network[each] for each in synapses_of(network, name)]
    sources = {source_of(network, each)[0] for each in synapses_of(network, name)}
    own = op.membrane.bias
    low, high = proof.acc[0] + int(own.min() >> SHIFT), proof.acc[1] + int(own.max() >> SHIFT)
    most = (1 << (GRID.bias_bits - 1)) - 1
    why = ["it reads neurons too"] if any(isinstance(network[each], Population) for each in sources) else []
    why += ["its current keeps what it gets"] if op.current else []
    why += (
        ["its input has delays"]
        if any(isinstance(each, Synapse) and each.axon_delays is not None for each in feeding)
        else []
    )
    why += ["its input learns"] if any(isinstance(each, Synapse) and each.plasticity for each in feeding) else []
    why += [f"its biases are no multiples of {1 << SHIFT}"] if (own % (1 << SHIFT)).any() else []
    if low < -most or high > most:
        why.append(f"its input reaches {low:,}..{high:,}, which does not fit as biases of {GRID.bias_bits} bits")
    return tuple(why)


def lag(network: Network, name: str) -> Lag:
    """The delays of one synapse."""
    op = network[name]
    assert isinstance(op, Synapse)
    source, delay = source_of(network, name)
    target = network.outgoing(name)[0].target
    own = np.zeros(1, np.int64) if op.axon_delays is None or not op.axon_delays.size else op.axon_delays
    before, after = (each.start if isinstance(each, Population) else 0 for each in (network[source], network[target]))
    delay += before - after
    return Lag(source, target, delay + int(own.min()), delay + int(own.max()))
