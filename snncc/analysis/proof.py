"""Proves what an integer network's sums and states can reach, by interval arithmetic over its real weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from snncc.analysis.intervals import ENDLESS, Enclosure, enclose_adaptation, enclose_current, enclose_membrane
from snncc.analysis.sums import accumulated, synapse_sums
from snncc.arrays import Array, Ints
from snncc.diagnostics import Diagnostic
from snncc.graph import Edge, Graph
from snncc.integers import IntOp, Network, Output, Population, Register, Synapse, synapses_of
from snncc.linear import operator, with_weight
from snncc.semantics import run

Span = tuple[int, int]
Kind = Literal["safe", "safe for steps", "may overflow"]
State = Literal["membrane", "current", "adaptation"]


@dataclass(frozen=True)
class Verdict:
    """Whether a state register can ever be left, by v before or after the step's reset.

    `reach` encloses every value that the register can hold when it is read (after `fit`), for samples of any length.
    `safe`: no input ever drives a value out. `safe for steps`: none does within the program's declared number of
    steps. For that kind and for `may overflow`, `steps` is how many steps of a sample are safe, and `witness`
    describes the first neuron that may be driven out, and by which input: it passes `limit`, an end of the register.
    `meant`: the register is there to end what is learnt, and saturates.
    """

    kind: Kind
    reach: Span
    steps: int | None = None
    witness: str = ""
    limit: int = 0
    meant: bool = False


@dataclass(frozen=True)
class PopulationProof:
    """`acc` encloses the step's sum of synaptic input over all neurons, before the input shift.

    Partial sums, in whatever order synapses are added up, lie within it too.
    """

    acc: Span
    membrane: Verdict
    current: Verdict | None = None
    adapt: Verdict | None = None

    @property
    def verdicts(self) -> Mapping[State, Verdict]:
        """The verdicts that there are, by state."""
        named: dict[State, Verdict | None] = {
            "current": self.current,
            "membrane": self.membrane,
            "adaptation": self.adapt,
        }
        return {state: verdict for state, verdict in named.items() if verdict is not None}


@dataclass(frozen=True)
class Proof:
    """By population, and by synapse the enclosure of its own sum before the exponent."""

    populations: Mapping[str, PopulationProof]
    synapses: Mapping[str, Span]


def prove(network: Network, steps: int | None = None) -> Proof:
    """The proof about a network whose samples have at most `steps` steps, any number if None."""
    synapses = {name: _hull(*synapse_sums(network, name)) for name in network.of_kind(Synapse)}
    populations = {name: _prove_population(network, name, steps) for name in network.of_kind(Population)}
    return Proof(MappingProxyType(populations), MappingProxyType(synapses))


def _prove_population(network: Network, name: str, steps: int | None) -> PopulationProof:
    op = network[name]
    assert isinstance(op, Population)
    low, high = accumulated(network, name)
    current = adapt = adaptation = None
    inputs = low << op.input_shift, high << op.input_shift
    if op.current:
        enclosure = enclose_current(op, low, high)
        current = _verdict(network, name, enclosure, op.current.register, steps)
        inputs = enclosure.low, enclosure.high
    if op.adapt:
        adaptation = enclose_adaptation(op)
        own = None if op.adapt.learnt else steps
        adapt = _verdict(network, name, adaptation, op.adapt.register, own, by_spikes=True)
        adapt = replace(adapt, meant=op.adapt.learnt and op.adapt.register.overflow == "saturate")
    membrane = _verdict(network, name, enclose_membrane(op, *inputs, adaptation), op.membrane.register, steps)
    return PopulationProof(_hull(low, high), membrane, current, adapt)


def _hull(low: Ints, high: Ints) -> Span:
    return int(low.min(initial=0)), int(high.max(initial=0))


def _verdict(
    network: Network, name: str, found: Enclosure, register: Register, steps: int | None, *, by_spikes: bool = False
) -> Verdict:
    reach = int(found.low.min()), int(found.high.max())
    below, above = int(found.steps_below.min()), int(found.steps_above.min())
    safe = min(below, above)
    if safe >= ENDLESS:
        return Verdict("safe", reach)
    neuron = int((found.steps_above if above <= below else found.steps_below).argmin())
    side = "above" if above <= below else "below"
    limit = register.hi if side == "above" else register.lo
    cause = "if it fires at every step" if by_spikes else _cause(network, name, neuron, positive=side == "above")
    witness = f"neuron {neuron} may pass {limit:,} {cause}"
    kind: Kind = "safe for steps" if steps is not None and steps <= safe else "may overflow"
    return Verdict(kind, reach, safe, witness, limit)


def _cause(network: Network, name: str, neuron: int, *, positive: bool) -> str:
    """The input of one sign that drives a neuron's state to one side."""
    sign = 1 if positive else -1
    count = 0
    for synapse_name in synapses_of(network, name):
        synapse = network[synapse_name]
        assert isinstance(synapse, Synapse)
        chosen = with_weight(synapse.map, (np.sign(synapse.map.weight) == sign).astype(np.float32))
        count += int(operator(chosen, np.float32)(np.ones((1, chosen.in_size), np.float32))[0, neuron])
    word = "positive" if positive else "negative"
    if count == 0:
        return "by its bias, its resets or negative input"
    inputs = f"its one input of {word} weight is" if count == 1 else f"all its {count:,} inputs of {word} weight are"
    return f"while {inputs} active and no other"


def margins(network: Network, x: Array, steps: int | None = None, lengths: Array | None = None) -> Mapping[str, Span]:
    """The least and the greatest membrane of each population, before and after its resets, on integer inputs `x`."""
    populations = network.of_kind(Population)
    probes = {f"{name}/seen": Output("membrane", "before", "max", op.start) for name, op in populations.items()}
    ops: dict[str, IntOp] = {**network.ops, **probes}
    edges = (*network.edges, *(Edge(name, f"{name}/seen") for name in populations))
    trace = run(Graph(ops, edges), x, steps, lengths, record=tuple(populations))
    found: dict[str, Span] = {}
    for name in populations:
        before, after = trace.outputs[f"{name}/seen"], trace.membranes[name]
        own = np.full(len(x), after.shape[1]) if lengths is None else lengths
        live = np.arange(after.shape[1]) < own[:, None]
        values = np.stack([before[live], after[live]])
        found[name] = int(values.min()), int(values.max())
    return found


def doubtful(proof: Proof) -> bool:
    """Whether some register may overflow, so that it is worth knowing what it held on samples."""
    verdicts = (each for own in proof.populations.values() for each in own.verdicts.values())
    return any(each.kind == "may overflow" and not each.meant for each in verdicts)


def diagnostics(proof: Proof, require: bool, seen: Mapping[str, Span] | None = None) -> Iterator[Diagnostic]:
    """A warning, or an error if `require`, for each register that may overflow; `seen` comes from `margins`."""
    for name, population in proof.populations.items():
        for state, verdict in population.verdicts.items():
            if verdict.kind == "may overflow" and not verdict.meant:
                yield _overflow(name, state, verdict, require, (seen or {}).get(name))


def _overflow(name: str, state: State, verdict: Verdict, require: bool, seen: Span | None) -> Diagnostic:
    safe = {None: "no step of any input is", 0: "no step of any input is", 1: "one step of any input is"}
    steps = safe.get(verdict.steps, f"{verdict.steps:,} steps of any input are")
    message = f"its {state} may overflow: {steps} proved safe; then {verdict.witness}"
    if seen is not None and state == "membrane":
        share = (seen[1] if verdict.limit > 0 else seen[0]) / (verdict.limit or 1)
        message += f"; on the samples it held {seen[0]:,}..{seen[1]:,}, {max(0.0, share):.0%} of that"
    limit = "one step" if verdict.steps == 1 else f"{verdict.steps:,} steps"
    hint = f"declare at most {limit} with --steps" if verdict.steps else ""
    return Diagnostic("may-overflow", name, message, hint, "error" if require else "warning")
