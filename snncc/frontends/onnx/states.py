"""Finds out which inputs of a step graph are states, and which output is the next value of each.

What decides, in this order: the user; names; what depends on what. Two guesses that would go wrong in silence are
never made: the data input is not a state, and a state that acts on the membrane is not the next value of a spike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from snncc.diagnostics import CompileError, Diagnostic, check, fault
from snncc.frontends.onnx.step import Pointwise, Step
from snncc.frontends.onnx.tensors import printable

_MAX_GUESSES = 16  # inputs that are tried as the data; a network has its data among the first
_AFFIXES = frozenset({"next", "new", "out", "output", "in", "input", "prev", "previous", "old", "last", "t", "t1"})
DATA_NAMES = frozenset({"x", "input", "inputs", "data", "inp", "features", "onnx::gemm_0", "input_1", "network_input"})


@dataclass(frozen=True)
class Pairing:
    """The data input, the states as (input, output) tensors, and the outputs that are not just a next state."""

    data: str
    states: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Ports:
    """The tensors that enter and leave a step, with what depends on what."""

    step: Step
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @cached_property
    def reached(self) -> Mapping[str, int]:
        """For each stream the inputs, as bits, that it depends on elementwise and other than by comparison."""
        masks = {name: 1 << i for i, name in enumerate(self.inputs)}
        for piece in self.step.pieces:
            masks[piece.output] = 0
            if isinstance(piece, Pointwise) and piece.output not in self.step.events:
                for source in piece.sources:
                    masks[piece.output] |= masks[source]
        return masks

    def stream(self, output: str) -> str:
        return self.step.alias.get(output, "")

    def same_shape(self, state: str, output: str) -> bool:
        return self.step.shapes[state] == self.step.shapes.get(output)

    def acts_on(self, state: str, output: str) -> bool:
        """Whether the output could be the state's own next value: it follows from it without a comparison."""
        bit = self.reached[state]
        return self.same_shape(state, output) and bool(self.reached[self.stream(output)] & bit)

    def may_feed_back(self, state: str, output: str) -> bool:
        """Whether the output could be a value that another layer reads a step later: a spike, or no one's state."""
        stream = self.stream(output)
        discrete = stream in self.step.events or not self.reached[stream]
        return self.same_shape(state, output) and discrete and stream != state

    def candidates(self, state: str, among: Sequence[str]) -> tuple[str, ...]:
        own = tuple(each for each in among if self.acts_on(state, each))
        return own or tuple(each for each in among if self.may_feed_back(state, each))


def pair(step: Step, inputs: Sequence[str], outputs: Sequence[str], given: Sequence[tuple[str, str]]) -> Pairing:
    """Pair all states; raises CompileError where that takes a guess, listing what could be meant."""
    listed, outputs = Counter(outputs), tuple(dict.fromkeys(outputs))
    changing = tuple(each for each in outputs if each in step.alias)
    ports = _Ports(step, tuple(inputs), changing)
    check(_given_pairs_make_sense(ports, outputs, given))
    pairs = dict(given)
    pairs.update(_by_name(ports, pairs))
    left = [each for each in inputs if each not in pairs]
    free = [each for each in changing if each not in pairs.values()]
    if not left:
        hint = "name one pair fewer with --state"
        raise fault("no-input", "model", "every input is paired as a state: nothing is left for the data", hint)
    data, found = _by_dependence(ports, left, free)
    pairs.update(found)
    states = tuple((name, pairs[name]) for name in inputs if name in pairs)
    following = set(pairs.values())
    return Pairing(data, states, tuple(each for each in outputs if each not in following or listed[each] > 1))


def _given_pairs_make_sense(
    ports: _Ports, outputs: Sequence[str], given: Sequence[tuple[str, str]]
) -> Iterator[Diagnostic]:
    for side, names, known in (
        ("input", [a for a, _ in given], ports.inputs),
        ("output", [b for _, b in given], outputs),
    ):
        for name in dict.fromkeys(names):
            if name not in known:
                listed = ", ".join(printable(each) for each in known)
                yield Diagnostic("unknown-state", f"--state {printable(name)}", f"is no {side} of the model: {listed}")
            elif names.count(name) > 1:
                yield Diagnostic("unknown-state", f"--state {printable(name)}", f"this {side} is in two pairs")
    for state, output in given:
        if state in ports.inputs and output in ports.outputs and not ports.same_shape(state, output):
            shapes = f"{ports.step.shapes[state]} and {ports.step.shapes[output]}"
            yield Diagnostic("unknown-state", f"--state {state}={output}", f"the shapes differ: {shapes}")


def _stem(name: str) -> tuple[str, ...]:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return tuple(each for each in words if each and each not in _AFFIXES)


def _by_name(ports: _Ports, taken: Mapping[str, str]) -> dict[str, str]:
    """Pairs whose names differ by `next`, `out` and the like only, if each name has one counterpart of its shape."""
    inputs, outputs = _stems(ports.inputs), _stems(ports.outputs)
    pairs: dict[str, str] = {}
    for stem, names in inputs.items():
        others = outputs.get(stem, [])
        if not stem or len(names) != 1 or len(others) != 1 or names[0].lower() in DATA_NAMES:
            continue
        state, output = names[0], others[0]
        if state not in taken and output not in taken.values() and ports.same_shape(state, output):
            pairs[state] = output
    return pairs


def _stems(names: Sequence[str]) -> dict[tuple[str, ...], list[str]]:
    result: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        result.setdefault(_stem(name), []).append(name)
    return result


def _by_dependence(ports: _Ports, left: list[str], free: list[str]) -> tuple[str, dict[str, str]]:
    """The data input among `left`, and the pairs of the others that alone are possible."""
    if len(left) == 1:
        return left[0], {}
    lonely = [name for name in left if not ports.candidates(name, free)]
    named = [name for name in left if name.lower() in DATA_NAMES]
    if len(lonely) > 1:
        raise _several_inputs(lonely)
    choices = lonely or (named if len(named) == 1 else left[:_MAX_GUESSES])
    solutions: dict[str, dict[str, str]] = {}
    for data in choices:
        found = _forced(ports, [name for name in left if name != data], free)
        if found is not None:
            solutions[data] = found
    if len(solutions) > 1 and left[0] == ports.inputs[0] and left[0] in solutions:
        return left[0], solutions[left[0]]  # as in every framework, the data comes first
    if len(solutions) != 1:
        raise _ambiguous(ports, left, free, choices)
    return next(iter(solutions.items()))


def _forced(ports: _Ports, states: Sequence[str], free: Sequence[str]) -> dict[str, str] | None:
    """The only way to give each state an output of its own; None if there is no way, or more than one."""
    unique = {ports.stream(output): output for output in free}  # of equal outputs, the last one is the state
    possible = {state: set(ports.candidates(state, tuple(unique.values()))) for state in states}
    pairs: dict[str, str] = {}
    while possible:
        sure = next((state for state, outputs in possible.items() if len(outputs) == 1), None)
        if sure is None:
            return None
        (output,) = possible.pop(sure)
        pairs[sure] = output
        for outputs in possible.values():
            outputs.discard(output)
    return pairs


def _several_inputs(names: Sequence[str]) -> CompileError:
    listed = ", ".join(printable(name) for name in names)
    message = "none of these inputs has an output that could be its next state, and only one can be the data"
    hint = "export each state's next value as an output, and pair them with --state NAME_IN=NAME_OUT"
    return fault("several-inputs", listed, message, hint)


def _ambiguous(ports: _Ports, left: Sequence[str], free: Sequence[str], data: Sequence[str]) -> CompileError:
    found: list[Diagnostic] = []
    for state in left:
        choices = [printable(each) for each in free if ports.acts_on(state, each) or ports.may_feed_back(state, each)]
        if data == [state] or not choices:
            continue
        unsure = "could be the data, or a state that goes" if state in data else "could go"
        message = f"this input {unsure} on as any of: {', '.join(choices)}"
        hint = f"say which is its next value: --state {printable(state)}={choices[0]}"
        found.append(Diagnostic("ambiguous-states", printable(state), message, hint))
    return CompileError(found or [Diagnostic("ambiguous-states", "model", "its states have no next values")])
