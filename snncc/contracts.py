"""What must hold after each stage: `imported` and `legal` for layers, `quantised` for an integer network on a chip.

A contract is a list of rules, each named as the sentence that it checks; a rule yields every fault that it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

import networkx as nx
import numpy as np

from snncc.arrays import Array
from snncc.capabilities import WAYS_OUT, membrane_parameters, needs
from snncc.chip import LEARNT_DECAY_BITS, MOST_PRODUCT_BITS, Capability, Chip, StateArithmetic
from snncc.diagnostics import CompileError, Diagnostic
from snncc.graph import Edge, Graph
from snncc.integers import Decay, HardReset, Network, Population, Register, Source, Synapse, weight_range
from snncc.layers import Input, Layer, Linear, Neuron, Output, Rearrange, size
from snncc.linear import one_sign
from snncc.parameters import in_size, misfit, senseless
from snncc.wellformed import misjoined

Rule = Callable[[Graph[Layer]], Iterator[Diagnostic]]
Span = tuple[int, int]


class Summed(Protocol):
    """What is proved of a population's accumulator."""

    @property
    def acc(self) -> Span: ...


class Proved(Protocol):
    """What is proved of a network: `snncc.analysis.proof.Proof`."""

    @property
    def populations(self) -> Mapping[str, Summed]: ...


ChipRule = Callable[[Network, Chip], Iterator[Diagnostic]]


def imported(graph: Graph[Layer]) -> tuple[Diagnostic, ...]:
    """What is wrong with a graph as it came from a file."""
    return tuple(fault for rule in IMPORTED for fault in rule(graph))


def legal(graph: Graph[Layer]) -> tuple[Diagnostic, ...]:
    """What is wrong with a graph that should alternate linear maps and populations."""
    return tuple(fault for rule in LEGAL for fault in rule(graph))


def quantised(network: Network, chip: Chip, proof: Proved) -> tuple[Diagnostic, ...]:
    """What keeps an integer network from running on a chip."""
    on_chip = (fault for rule in QUANTISED for fault in rule(network, chip))
    return (*ops_are_joined(network), *on_chip, *sums_fit_the_accumulator(network, chip, proof))


# --- rules about layers


def there_is_one_input(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    names = tuple(graph.of_kind(Input))
    if not names:
        yield Diagnostic("no-input", "the model", "has no input", "export it with the data of a step as its input")
    for name in names[1:]:
        message = f"is a second input beside {names[0]}; a network has one"
        yield Diagnostic("several-inputs", name, message, "concatenate the inputs into one tensor before exporting")


def there_is_an_output(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    if not graph.of_kind(Output):
        hint = "export it with its last spikes or membranes as an output"
        yield Diagnostic("no-output", "the model", "has no output", hint)


def only_outputs_end_and_only_inputs_begin(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    """A population may go without input: its bias can drive it."""
    for name, op in graph.ops.items():
        incoming, outgoing = graph.incoming(name), graph.outgoing(name)
        if isinstance(op, Input) and incoming:
            yield Diagnostic("input-reads", name, f"is an input, yet reads {_sources(incoming)}")
        if isinstance(op, Output) and outgoing:
            yield Diagnostic("output-feeds", name, f"is an output, yet feeds {outgoing[0].target}")
        if not isinstance(op, (Input, Neuron)) and not incoming:
            yield Diagnostic("reads-nothing", name, "reads nothing", "remove it, or connect it to the network")


def layers_agree_with_themselves(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    for name, op in graph.ops.items():
        wrong = misfit(op)
        if wrong:
            yield Diagnostic("shape-mismatch", name, wrong)


def layers_fit_what_they_read(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    for edge in graph.edges:
        given, op = size(graph[edge.source].shape), graph[edge.target]
        needed = in_size(op)
        if needed is not None and needed != given:
            message = f"reads {needed:,} values; {edge.source} gives {given:,}"
            yield Diagnostic("shape-mismatch", edge.target, message)
        if isinstance(op, Rearrange) and op.index is not None and op.index.max(initial=-1) >= given:
            message = f"takes value {int(op.index.max()):,} of {edge.source}, which gives {given:,}"
            yield Diagnostic("shape-mismatch", edge.target, message)
        if not np.isfinite(edge.gain):
            message = f"multiplies what {edge.source} gives by {edge.gain}"
            yield Diagnostic("not-finite", edge.target, message, "the training has diverged, or the file is damaged")


def parameters_make_sense(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    for name, op in graph.ops.items():
        for rule, message, hint in senseless(op):
            yield Diagnostic(rule, name, message, hint)


def no_cycle_closes_within_a_step(graph: Graph[Layer] | Network) -> Iterator[Diagnostic]:
    try:
        graph.order()
    except CompileError as error:
        yield from error.diagnostics


def every_cycle_has_a_population(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    linear = graph.digraph().subgraph([name for name, op in graph.ops.items() if not isinstance(op, Neuron)])
    for members in nx.strongly_connected_components(linear):
        inner = [edge for edge in graph.edges if edge.source in members and edge.target in members]
        if inner and any(edge.delay for edge in inner):  # one without any delay is a fault already
            names = [name for name in graph.ops if name in members]
            message = f"feeds itself over time without a neuron between: {' -> '.join(names)}"
            hint = "only neurons keep a state: make this filter a neuron that never fires, or a synaptic current"
            yield Diagnostic("linear-recurrence", names[0], message, hint)


def outputs_read_no_input(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    for name in graph.of_kind(Output):
        for edge in graph.incoming(name):
            if isinstance(graph[edge.source], Input):
                message = f"hands on the input {edge.source} as it is"
                yield Diagnostic("output-reads-input", name, message, "remove this output: nothing computes it")


def membranes_are_read_one_at_a_time(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    """Edges carry spikes; a membrane can be read, but not added, scaled or delayed."""
    for name, op in graph.of_kind(Output).items():
        incoming = graph.incoming(name)
        neurons = [edge.source for edge in incoming if isinstance(graph[edge.source], Neuron)]
        if op.value == "membrane" and neurons and incoming != (Edge(neurons[0], name),):
            message = f"adds, scales or delays the membrane of {', '.join(neurons)}"
            yield Diagnostic("membrane-in-a-sum", name, message, "make the membrane itself the output")


def there_are_only_maps_and_populations(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    for name, op in graph.ops.items():
        if not isinstance(op, (Input, Linear, Neuron, Output)):
            yield Diagnostic("not-legal", name, f"is still {type(op).__name__}")


def maps_join_one_source_to_one_population(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    for name in graph.of_kind(Linear):
        incoming, outgoing = graph.incoming(name), graph.outgoing(name)
        if len(incoming) != 1 or not isinstance(graph[incoming[0].source], (Input, Neuron)) or incoming[0].gain != 1.0:
            yield Diagnostic("not-legal", name, f"must read one population as it is; reads {_sources(incoming)}")
        fed = [edge.target for edge in outgoing]
        if len(fed) != 1 or not isinstance(graph[fed[0]], Neuron) or outgoing[0] != Edge(name, fed[0]):
            message = f"must feed one population at once; feeds {', '.join(fed) or 'nothing'}"
            yield Diagnostic("not-legal", name, message)


def populations_read_maps(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    for name in graph.of_kind(Neuron):
        for edge in graph.incoming(name):
            if not isinstance(graph[edge.source], Linear):
                yield Diagnostic("not-legal", name, f"reads {edge.source} without a linear map between")


def outputs_read_one_population(graph: Graph[Layer]) -> Iterator[Diagnostic]:
    for name in graph.of_kind(Output):
        incoming = graph.incoming(name)
        if len(incoming) != 1 or not isinstance(graph[incoming[0].source], Neuron):
            yield Diagnostic("not-legal", name, f"must read one population; reads {_sources(incoming)}")
        elif incoming[0] != Edge(incoming[0].source, name):
            yield Diagnostic("not-legal", name, "must read its population at once and as it is")


def _sources(edges: Collection[Edge]) -> str:
    return ", ".join(edge.source for edge in edges) or "nothing"


BOTH: tuple[Rule, ...] = (
    there_is_one_input,
    there_is_an_output,
    only_outputs_end_and_only_inputs_begin,
    layers_agree_with_themselves,
    layers_fit_what_they_read,
    parameters_make_sense,
    no_cycle_closes_within_a_step,
)
IMPORTED: tuple[Rule, ...] = (
    *BOTH,
    every_cycle_has_a_population,
    outputs_read_no_input,
    membranes_are_read_one_at_a_time,
)
LEGAL: tuple[Rule, ...] = (
    *BOTH,
    there_are_only_maps_and_populations,
    maps_join_one_source_to_one_population,
    populations_read_maps,
    outputs_read_one_population,
)


# --- rules about integer networks


def ops_are_joined(network: Network) -> Iterator[Diagnostic]:
    for name, message in misjoined(network):
        yield Diagnostic("malformed-network", name, message)


def inputs_fit_the_chip(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    for name, source in network.of_kind(Source).items():
        if source.bits > chip.input.bits:
            message = f"its values have {source.bits} bits; {chip.name} takes {chip.input.bits}"
            yield Diagnostic("input-too-wide", name, message, "feed spikes, or fewer levels")
        if source.signed and not chip.input.signed:
            message = f"has negative values; {chip.name} takes none"
            yield Diagnostic("signed-input", name, message, "shift the input so that it is never negative")


def weights_fit_the_chip(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    for name, synapse in network.of_kind(Synapse).items():
        needed = _width(_span(synapse.map.weight))
        if chip.weight.sign_modes and one_sign(synapse.map.weight):
            needed = max(map(abs, _span(synapse.map.weight))).bit_length()
        if synapse.plasticity:  # weights that are never negative need no sign
            low, high = weight_range(synapse)
            needed = max(needed - (low == 0), high.bit_length() if low == 0 else _width((low, high)))
        elif "learning" in chip.capabilities and weight_range(synapse)[0] == 0:
            needed -= needed == chip.weight.bits + 1  # where such weights can be learnt they can be
        if needed > chip.weight.bits:
            message = f"its weights need {_bits(needed)}; {chip.name} holds {chip.weight.bits}"
            yield Diagnostic("weight-too-wide", name, message, f"compile with --weight-bits {chip.weight.bits}")
        low, high = chip.weight.exponent
        if not low <= synapse.exponent <= high:
            message = f"its sums are shifted left by {synapse.exponent}; {chip.name} shifts by {low} to {high}"
            yield Diagnostic("exponent-out-of-range", name, message, "scale the weights of its population closer")


def delays_fit_the_chip(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    low, high = chip.delay.steps
    for name, synapse in network.of_kind(Synapse).items():
        own = np.zeros(1, np.int64) if synapse.axon_delays is None else synapse.axon_delays
        for edge in network.incoming(name):
            least, most = edge.delay + int(own.min()), edge.delay + int(own.max())
            if least < low or most > high:
                wrong = least if least < low else most
                message = f"has a delay of {_steps(wrong)}; {chip.name} has delays of {low} to {high}"
                yield Diagnostic("delay-out-of-range", name, message, "choose a target with other delays")


def states_fit_the_chip(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    for name, population in network.of_kind(Population).items():
        for state, decay, register, initial, arithmetic in _states(population, chip):
            rare = state == "adaptation" and population.adapt is not None and population.adapt.learnt
            if rare:  # it decays once a sample
                span = arithmetic.decay_bits[0], LEARNT_DECAY_BITS
                arithmetic = replace(arithmetic, decay_bits=span, product_bits=MOST_PRODUCT_BITS)  # noqa: PLW2901
            for message in _misfits(decay, register, arithmetic):
                hint = "compile with fewer --weight-bits, or choose a target with wider states"
                yield Diagnostic("state-out-of-range", name, f"its {state} {message} on {chip.name}", hint)
            yield from _outside(name, f"{state} starts at", initial, register)
        membrane, reset = population.membrane, population.reset
        if membrane.minimum is not None:
            yield from _outside(name, "minimum is", membrane.minimum, membrane.register)
        if isinstance(reset, HardReset):
            yield from _outside(name, "reset value is", reset.value, membrane.register)


def _outside(name: str, what: str, values: Array, register: Register) -> Iterator[Diagnostic]:
    low, high = _span(values)
    if low < register.lo or high > register.hi:
        message = f"its {what} {_worst(values):,}, outside its register {register.lo:,}..{register.hi:,}"
        yield Diagnostic("value-out-of-range", name, message, "choose a target with wider states")


def _states(population: Population, chip: Chip) -> Iterator[tuple[str, Decay, Register, Array, StateArithmetic]]:
    membrane, current, adapt = population.membrane, population.current, population.adapt
    yield "membrane", membrane.decay, membrane.register, membrane.initial, chip.membrane
    if current:
        yield "current", current.decay, current.register, current.initial, chip.current
    if adapt:
        yield "adaptation", adapt.decay, adapt.register, adapt.initial, chip.membrane


def _misfits(decay: Decay, register: Register, arithmetic: StateArithmetic) -> Iterator[str]:
    ends = register.lo, register.hi - (arithmetic.ends == "shifted")
    bits, (low, high) = _width(ends), arithmetic.decay_bits
    if bits > arithmetic.bits:
        yield f"needs {_bits(bits)}; there are {arithmetic.bits}"
    if not low <= decay.bits <= high:
        yield f"decays in {1 << decay.bits:,}ths; there are {1 << low:,}ths to {1 << high:,}ths"
    if bits + decay.bits > arithmetic.product_bits:
        yield f"times its decay needs {_bits(bits + decay.bits)}; there are {arithmetic.product_bits}"
    least, most = _span(decay.amount)
    if least < 0 or most > 1 << decay.bits:
        yield f"decays by {least if least < 0 else most:,} of {1 << decay.bits:,}"
    if decay.rounding != arithmetic.rounding:
        yield f"rounds to {decay.rounding}; there is {arithmetic.rounding}"
    if register.overflow != arithmetic.overflow:
        yield f"overflows by {register.overflow}; there is {arithmetic.overflow}"


def parameters_fit_the_chip(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    """A threshold may lie beyond a register that was narrowed to what is reached: then it is never reached."""
    bits = chip.membrane.bits
    for name, population in network.of_kind(Population).items():
        for label, value in membrane_parameters(population):
            if _width(_span(value)) > bits:
                message = f"its {label} {_worst(value):,} needs {_bits(_width(_span(value)))}; {chip.name} holds {bits}"
                hint = "compile with fewer --weight-bits, or choose a target with wider states"
                yield Diagnostic("parameter-out-of-range", name, message, hint)


def sums_fit_the_accumulator(network: Network, chip: Chip, proof: Proved) -> Iterator[Diagnostic]:
    low, high = chip.accumulator.input_shift
    for name, population in network.of_kind(Population).items():
        shift = population.input_shift
        least, most = proof.populations[name].acc
        needed = _width((least << shift, most << shift))
        if needed > chip.accumulator.bits:
            message = f"its sums need {_bits(needed)}; the accumulator of {chip.name} has {chip.accumulator.bits}"
            yield Diagnostic("sum-too-wide", name, message, "compile with fewer --weight-bits, or prune its inputs")
        if not low <= shift <= high:
            message = f"its sums are shifted left by {shift}; {chip.name} shifts by {low} to {high}"
            yield Diagnostic("shift-out-of-range", name, message, "compile with other --weight-bits")


def populations_need_only_what_the_chip_can_do(network: Network, chip: Chip) -> Iterator[Diagnostic]:
    for name, op in network.ops.items():
        missing = needs(op) - set(chip.capabilities)
        if isinstance(op, Source) and chip.fabric:
            missing = frozenset[Capability]()  # what the cores cannot take, the host computes
        for capability in sorted(missing):
            message = f"needs {capability}, which {chip.name} lacks"
            yield Diagnostic("missing-capability", name, message, WAYS_OUT.get(capability, "choose another target"))


def _span(values: Array) -> Span:
    return int(values.min(initial=0)), int(values.max(initial=0))


def _worst(values: Array) -> int:
    return max(_span(values), key=abs)


def _width(span: Span) -> int:
    """Bits of the narrowest signed integer that holds both ends."""
    return max(span[1].bit_length(), (~span[0]).bit_length() if span[0] < 0 else 0) + 1


def _bits(count: int) -> str:
    return f"{count} bit" if count == 1 else f"{count} bits"


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


QUANTISED: tuple[ChipRule, ...] = (
    inputs_fit_the_chip,
    weights_fit_the_chip,
    delays_fit_the_chip,
    states_fit_the_chip,
    parameters_fit_the_chip,
    populations_need_only_what_the_chip_can_do,
)
