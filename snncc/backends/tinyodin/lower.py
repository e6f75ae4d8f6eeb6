"""From a legal network to an event-driven one for a chip: numbers chosen on samples, and what is left of it on the way.

Without samples every number is the nearest one, the channels send as they come, and nothing is known of accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncc.analysis.metrics import Fidelity
from snncc.arrays import Array, Ints
from snncc.backends.base import Lowered
from snncc.backends.tinyodin.choose import Choice, best, calibration, leaking, respond
from snncc.backends.tinyodin.fits import misfits
from snncc.backends.tinyodin.ideal import Ideal, ideal
from snncc.backends.tinyodin.rounding import Widths, plain, widths
from snncc.backends.tinyodin.stages import by_events, by_steps
from snncc.chip import Chip
from snncc.data import Data
from snncc.diagnostics import Diagnostic, check
from snncc.events.ops import EventNetwork, EventOp, EventPopulation, EventSource
from snncc.graph import Edge, Graph
from snncc.integers import Output, Synapse
from snncc.layers import Decoder, Input, Layer, Neuron, default_decoder, size
from snncc.layers import Output as LayerOutput
from snncc.linear import Dense
from snncc.passes.precision import FEWEST, OPTION, RULE, stored_width
from snncc.passes.precision import faults as width_faults
from snncc.passes.quantise import Options
from snncc.semantics import decode, run_float

_SAMPLES = 256  # at most: more hardly move the choice
_FEWEST = 16
_EVENTS = 100_000  # of the input that the samples may have together, for time


def lower(graph: Graph[Layer], chip: Chip, options: Options, samples: Data | None) -> Lowered:
    """`graph` is legal. Raises CompileError with everything that keeps it from the chip."""
    assert chip.crossbar
    limits = chip.crossbar
    faults = (*misfits(graph, chip, samples and samples.x), *_option_faults(graph, chip, options))
    warnings = check(faults)
    given, most = ideal(graph), widths(chip, limits, stored_width(options.weight_bits))
    if samples is None:
        # A membrane is taken to be at half its threshold on average.
        numbers = leaking(plain(given, most), given.threshold / 2 * (1 - given.decay), most)
        choice = Choice(numbers, np.arange(given.channels))
        return Lowered(network(graph, given, choice, most, options), (), warnings)
    judge = _judge(graph, given, most, options, samples)
    choice = judge.choice()
    return Lowered(network(graph, given, choice, most, options), tuple(judge.fidelity(choice)), warnings)


def _option_faults(graph: Graph[Layer], chip: Chip, options: Options) -> Iterator[Diagnostic]:
    yield from width_faults(graph, chip, options.weight_bits, options.own_bits)
    if options.own_bits:
        message = f"{chip.name} has one crossbar, and one width for all its weights"
        yield Diagnostic(RULE, OPTION, message, "leave out the widths that have names")
    if options.weight_bits == "ternary":
        message = f"{chip.name} has the whole range of its bits in each weight"
        yield Diagnostic(RULE, OPTION, message, f"ask for {FEWEST} bits in place of ternary weights")


@dataclass(frozen=True, eq=False)
class _Judge:
    """Runs a network on samples at every stage between the trained model and the chip.

    `x` (samples, steps, channels) is 0 or 1; `lengths` and `labels` (samples,).
    """

    graph: Graph[Layer]
    given: Ideal
    limits: Widths
    options: Options
    x: Ints
    lengths: Ints
    labels: Ints | None

    @property
    def output(self) -> tuple[str, LayerOutput]:
        """The first output, which classifies."""
        return next(iter(self.graph.of_kind(LayerOutput).items()))

    def choice(self) -> Choice:
        seen = calibration(self.given, self.x, self.lengths)
        return best(self.given, self.limits, seen, self.classes)

    def classes(self, spikes: Array) -> Ints:
        """From the spikes of all neurons, (samples, steps, neurons)."""
        name, _ = self.output
        return self.decoded(spikes[:, :, self.given.parts[self.graph.incoming(name)[0].source]])

    def decoded(self, values: Array) -> Ints:
        _, output = self.output
        return decode(values, _decoder(output, self.options), self.lengths).argmax(axis=1)

    def fidelity(self, choice: Choice) -> Iterator[Fidelity]:
        """Stage by stage, each with one approximation more."""
        given, x, lengths, limits = self.given, self.x, self.lengths, self.limits
        seen, numbers = calibration(given, x, lengths), plain(given, limits)
        natural = Choice(leaking(numbers, seen.lost, limits), np.arange(given.channels))
        shape = next(iter(self.graph.of_kind(Input).values())).shape
        trace = run_float(self.graph, x.reshape(*x.shape[:2], *shape), lengths=lengths)
        trained = self.decoded(trace.outputs[self.output[0]])
        yield self._fidelity("float", trained, trained)
        spikes = by_steps(given, numbers, x, lengths)[0]
        yield self._fidelity(f"{self.options.weight_bits} bits", self.classes(spikes), trained)
        spikes = by_events(given, numbers, natural.order, x, lengths, limits)
        yield self._fidelity("event by event", self.classes(spikes), trained)
        if (given.decay < 1).any():
            spikes = respond(given, natural, limits, x, lengths).spikes
            yield self._fidelity("linear leak", self.classes(spikes), trained)
        spikes = respond(given, choice, limits, x, lengths).spikes
        yield self._fidelity("chosen on samples", self.classes(spikes), trained)

    def _fidelity(self, stage: str, classes: Ints, trained: Ints) -> Fidelity:
        accuracy = None if self.labels is None else float(np.mean(classes == self.labels))
        return Fidelity(stage, accuracy, float(np.mean(classes != trained)))


def _judge(graph: Graph[Layer], given: Ideal, limits: Widths, options: Options, samples: Data) -> _Judge:
    """With no more samples than are needed, evenly spread over all: files are often sorted by class."""
    ((_, layer),) = graph.of_kind(Input).items()
    static = samples.x.shape[1:] == layer.shape
    x = samples.x.reshape(len(samples.x), -1, size(layer.shape))
    events = float(x.sum()) * (samples.steps if static else 1) / len(x)
    most = min(len(x), _SAMPLES, max(_FEWEST, int(_EVENTS / max(1.0, events))))
    index = np.arange(most) * len(x) // most
    x, lengths = x[index], samples.lengths[index]
    steps = int(lengths.max())
    x = np.broadcast_to(x, (most, steps, x.shape[2])) if static else x[:, :steps]
    x = np.where((np.arange(steps) < lengths[:, None])[:, :, None], x, 0).astype(np.int64)
    return _Judge(graph, given, limits, options, x, lengths, None if samples.y is None else samples.y[index])


def _decoder(output: LayerOutput, options: Options) -> Decoder:
    return options.decoder or output.decoder or default_decoder(output)


def network(graph: Graph[Layer], given: Ideal, choice: Choice, limits: Widths, options: Options) -> EventNetwork:
    """The event-driven network, under the names of the legal one."""
    numbers = choice.numbers
    ((name, layer),) = graph.of_kind(Input).items()
    ops: dict[str, EventOp] = {name: EventSource(layer.shape, always=given.always, order=choice.order)}
    edges: list[Edge] = []
    rows = {**given.parts, name: slice(given.neurons, len(numbers.weights))}
    for target, part in given.parts.items():
        for source in (name, *given.parts):
            weight = numbers.weights[rows[source], part].T
            linears = [
                edge.source for edge in graph.incoming(target) if graph.incoming(edge.source)[0].source == source
            ]
            if linears or weight.any():
                synapse = linears[0] if linears else _unused(f"{source}.{target}", graph)
                ops[synapse] = Synapse(Dense(weight.astype(np.int8)))
                edges += [Edge(source, synapse), Edge(synapse, target)]
        neuron = graph[target]
        assert isinstance(neuron, Neuron)
        state = numbers.threshold[part], numbers.leak[part], numbers.initial[part]
        ops[target] = EventPopulation(neuron.shape, *state, limits.register)
    for output, op in graph.of_kind(LayerOutput).items():
        ops[output] = Output("spikes", "after", _decoder(op, options))
        edges.append(Edge(graph.incoming(output)[0].source, output))
    return EventNetwork(ops, edges)


def _unused(name: str, graph: Graph[Layer]) -> str:
    """A name for the biases of a population that nothing else joins to the input."""
    return name if name not in graph.ops else _unused(f"{name}.bias", graph)
