"""Plans the whole program: the arrays of the state, the delay lines, and what each population's step calls.

The plan is the integer network in C's terms; the templates only spell it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from snncc.analysis.proof import Proof
from snncc.backends.c.layout import Layout, layouts
from snncc.backends.c.names import identifiers
from snncc.backends.c.neurons import Field, Neurons, Setting, compile_population
from snncc.backends.c.plastic import Lesson, lesson, plastic_synapse
from snncc.backends.c.synapses import Compiled, Ends, acc_type, compile_synapse
from snncc.backends.c.tables import Table, table
from snncc.backends.c.widths import CType, narrowest_unsigned, wire
from snncc.integers import Network, Output, Population, Source, Synapse, source_of, synapses_of, value_range

_U32 = CType(32, signed=False)
Synthesis = Callable[[str, Synapse, int, Ends], Compiled]
_One = Callable[[Table], Table]


@dataclass(frozen=True)
class Sender:
    """A source or population as its readers see it: a ring of `depth` steps where somebody reads the past."""

    ident: str
    array: str
    type: CType
    graded: bool
    depth: int
    layout: Layout

    @property
    def size(self) -> int:
        return self.layout.size

    @property
    def ring(self) -> bool:
        return self.depth > 1

    def at(self, delay: int) -> str:
        """C for the array that was sent so many steps ago."""
        if not self.ring:
            return f"s->{self.array}"
        now = f"s->{self.ident}_now"
        slot = f"steps_back({now}, {delay}, {self.depth})" if delay else now
        return f"s->{self.array}[{slot}]"


@dataclass(frozen=True, eq=False)
class Link:
    """A synapse in its place: who sends, how long before, and its own delays per source if it has any."""

    name: str
    ident: str
    sender: Sender
    delay: int
    compiled: Compiled
    own_delays: Table | None
    lesson: Lesson | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """A population in its place."""

    name: str
    op: Population
    neurons: Neurons
    links: tuple[Link, ...]
    sender: Sender


class Plan:
    """Everything that the templates spell out, computed from the network and its proof.

    `synthesis` chooses the kernel and lays out the weights of each synapse; sums have at least `sum_bits`.
    """

    def __init__(
        self, network: Network, proof: Proof, synthesis: Synthesis = compile_synapse, sum_bits: int = 8
    ) -> None:
        self.network, self.proof, self.synthesis, self.sum_bits = network, proof, synthesis, sum_bits
        self.ident = identifiers(network.ops)
        self.layouts = layouts(network)
        self.senders = {name: self._sender(name) for name in self.layouts}
        self.steps = _shared(self._step(name) for name in network.order() if isinstance(network[name], Population))

    @cached_property
    def source_name(self) -> str:
        return next(iter(self.network.of_kind(Source)))

    @cached_property
    def outputs(self) -> Mapping[str, Output]:
        return self.network.of_kind(Output)

    @cached_property
    def last_start(self) -> int:
        return max((each.op.start for each in self.steps), default=0)

    @cached_property
    def tail(self) -> int:
        """The steps after a sample's last until everything has come out."""
        return max([self.last_start, *(each.latency for each in self.outputs.values())])

    @cached_property
    def lessons(self) -> tuple[Lesson, ...]:
        """The plastic groups, in the order in which they learn within a step."""
        return tuple(link.lesson for step in self.steps for link in step.links if link.lesson)

    @property
    def windows(self) -> bool:
        """Whether the program has to know where a sample ends."""
        return self.tail > 0

    @cached_property
    def copied(self) -> bool:
        """Whether a step keeps its input in the state, because a later one reads it."""
        return self.windows or self.senders[self.source_name].ring

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """All constant arrays; those that several share once."""
        found: list[Table] = []
        for step in self.steps:
            for link in step.links:
                found += link.compiled.tables.values()
                found += [link.own_delays] if link.own_delays else []
            found += step.neurons.tables
        return _distinct(found)

    @cached_property
    def event(self) -> CType:
        """The type of an event's index."""
        return max(
            (narrowest_unsigned(max(each.size - 1, 255)) for each in self.senders.values()), key=_bits, default=_U32
        )

    def target_of(self, output: str) -> Step:
        name = source_of(self.network, output)[0]
        return next(each for each in self.steps if each.name == name)

    def _sender(self, name: str) -> Sender:
        op = self.network[name]
        assert isinstance(op, (Source, Population))
        span, ident = value_range(op), self.ident[name]
        array = f"{ident}_x" if isinstance(op, Source) else f"{ident}_spikes"
        graded = span not in ((0, 1), (0, 0))
        return Sender(ident, array, wire(span), graded, 1 + self._longest(name), self.layouts[name])

    def _longest(self, name: str) -> int:
        """The greatest delay with which a sender is read."""
        longest = 0
        for edge in self.network.outgoing(name):
            if isinstance(self.network[edge.target], Synapse):
                delay, own = self._delay(edge.target)
                longest = max(longest, delay + (int(own.max(initial=0)) if own is not None else 0))
        return longest

    def _delay(self, synapse: str) -> tuple[int, np.ndarray | None]:
        """The delay of both edges of a synapse, and its delays per source; none if they are all zero."""
        op = self.network[synapse]
        assert isinstance(op, Synapse)
        after = max((edge.delay for edge in self.network.outgoing(synapse)), default=0)
        own = op.axon_delays if op.axon_delays is not None and op.axon_delays.any() else None
        return source_of(self.network, synapse)[1] + after, own

    def _step(self, name: str) -> Step:
        op, proof, ident = self.network[name], self.proof.populations[name], self.ident[name]
        assert isinstance(op, Population)
        feeding = synapses_of(self.network, name)
        exponent = min((self._synapse(each).exponent for each in feeding), default=0)
        acc = acc_type(proof.acc, exponent, self.sum_bits)
        sender = self.senders[name]
        setting = Setting(proof, self.layouts[name], acc, exponent, self._reads_before(name), sender.ring)
        neurons = compile_population(ident, op, setting)
        links = tuple(self._link(each, acc, exponent, self.layouts[name]) for each in feeding)
        return Step(name, op, neurons, links, sender)

    def _synapse(self, name: str) -> Synapse:
        op = self.network[name]
        assert isinstance(op, Synapse)
        return op

    def _reads_before(self, population: str) -> bool:
        readers = [self.network[edge.target] for edge in self.network.outgoing(population)]
        return any(isinstance(op, Output) and (op.value, op.when) == ("membrane", "before") for op in readers)

    def _link(self, name: str, acc: CType, exponent: int, target: Layout) -> Link:
        op, (delay, own) = self._synapse(name), self._delay(name)
        sender = self.senders[source_of(self.network, name)[0]]
        ends = Ends(sender.layout, target, acc, sender.type if sender.graded else None)
        ident, shift = self.ident[name], op.exponent - exponent
        if op.plasticity:
            compiled, fed = plastic_synapse(ident, op, ends), self.network.outgoing(name)[0].target
            population, types = self.network[fed], (self.event, self.senders[fed].type, sender.type)
            assert isinstance(population, Population)
            learns = lesson(ident, op, compiled, ends, shift, types, population.start)
            return Link(name, ident, sender, delay, compiled, None, learns)
        compiled = self.synthesis(ident, op, shift, ends)
        kept = None
        if own is not None:
            steps = sender.layout.arrange(own)
            kept = table(f"snn_{self.ident[name]}_delay", narrowest_unsigned(int(own.max())), steps, "[source]: steps")
        return Link(name, self.ident[name], sender, delay, compiled, kept)


def _bits(kind: CType) -> int:
    return kind.bits


def ring_fields(sender: Sender) -> list[tuple[str, CType, tuple[int, ...]]]:
    """The arrays that a sender needs: its values, and the slot of the current step."""
    if not sender.ring:
        return [(sender.array, sender.type, (sender.size,))]
    return [(sender.array, sender.type, (sender.depth, sender.size)), (f"{sender.ident}_now", _U32, ())]


def state_fields(step: Step) -> list[tuple[str, CType, tuple[int, ...]]]:
    """The arrays of a population: its states, then what it sends."""
    states: tuple[Field, ...] = step.neurons.fields
    own = [(each.name, each.type, (each.length,)) for each in states if not each.learnt]
    return own + ring_fields(step.sender)


def _shared(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The same steps, each of whose tables is the first one that has its type and its values.

    Plastic groups keep their own: their tables are where their weights begin.
    """
    first: dict[tuple[object, bytes], Table] = {}

    def one(each: Table) -> Table:
        return first.setdefault((each.type, each.values.tobytes()), each)

    return tuple(_step(step, one) for step in steps)


def _distinct(tables: Sequence[Table]) -> tuple[Table, ...]:
    """Each table once, in the order in which they are met first."""
    return tuple({each.name: each for each in tables}.values())


def _step(step: Step, one: _One) -> Step:
    links = tuple(_link(each, one) for each in step.links)
    return replace(step, links=links, neurons=_neurons(step.neurons, one))


def _link(link: Link, one: _One) -> Link:
    if link.lesson:
        return link
    tables = {role: one(each) for role, each in link.compiled.tables.items()}
    own = link.own_delays and one(link.own_delays)
    return replace(link, compiled=replace(link.compiled, tables=tables), own_delays=own)


def _neurons(neurons: Neurons, one: _One) -> Neurons:
    found = {each.name: one(each) for each in neurons.tables}
    values = tuple((name, found[value].name if value in found else value) for name, value in neurons.values)
    fields = tuple(
        replace(each, initial_table=one(each.initial_table)) if each.initial_table else each for each in neurons.fields
    )
    return replace(neurons, tables=tuple(found.values()), values=values, fields=fields)
