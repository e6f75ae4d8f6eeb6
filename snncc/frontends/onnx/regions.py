"""Cuts the elementwise part of a step into regions: one population each, before it is known what it computes.

A region is built around states that feed each other within a step. It is cut where a layer mixes neurons, and at
spikes; what only compares its values belongs to it. A comparison without any state is a region of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import networkx as nx
import numpy as np

from snncc.arrays import Array, Shape
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.onnx.region import Node, Region
from snncc.frontends.onnx.step import COMPARING, LOGICAL, Piece, Pointwise, Step, without_batch
from snncc.frontends.onnx.tensors import printable
from snncc.layers import size

_MAX_WRITTEN_OUT = 1 << 25  # values of constants that are repeated because a region changes its shape inside


@dataclass(frozen=True, eq=False)
class Cut:
    """A step in terms of regions: `owner` is the region (by position) of each stream that one makes.

    `delayed` maps a state that is no neuron's own, like a spike fed back, to the stream whose last value it is.
    `needed` are the streams that are read outside of the region that makes them. `refused` says of regions, in a
    survey, why they are no population; of these, only the name and the shape mean anything.
    """

    regions: tuple[Region, ...]
    owner: Mapping[str, int]
    delayed: Mapping[str, str]
    needed: frozenset[str]
    refused: Mapping[int, Diagnostic] = field(default_factory=dict[int, Diagnostic])


def cut(
    step: Step,
    following: Mapping[str, str],
    sinks: Sequence[str],
    initial: Mapping[str, Array],
    survey: bool = False,
) -> Cut:
    """Find all regions, unnamed; `following` maps each state to the stream of its next value, `sinks` are outputs.

    `initial` are values of states before the first step, where they are not zero. Raises CompileError for elementwise
    ops that belong to no neuron, which a `survey` lists instead.
    """
    live = _live(step, [*following.values(), *sinks])
    cutter = _Cutter(step, live, [_Draft(group) for group in _groups(live, following, step.events)])
    cutter.claim_cores(following)
    refused = cutter.absorb_the_rest()
    if refused and not survey:
        raise CompileError(each for _, each in refused)
    delayed = {state: stream for state, stream in following.items() if state not in cutter.owner}
    cutter.absorb_own_feedback(delayed)
    pieces = _pieces(live, cutter.drafts)
    states = {state for draft in cutter.drafts for state in draft.states}
    streams = [name for each in pieces for name in _streams(each) if name not in states]
    needed = _needed(step, [*sinks, *streams], cutter.owner, delayed)
    exports: list[list[str]] = [[] for _ in cutter.drafts]
    for name, index in cutter.owner.items():
        if name in needed:
            exports[index].append(name)
    why = dict(reversed(refused))
    regions = [
        _unread(pieces[index])
        if index in why
        else replace(
            _region(
                step, pieces[index], [(state, following[state]) for state in draft.states], exports[index], delayed
            ),
            initial={state: without_batch_axis(initial[state]) for state in draft.states if state in initial},
        )
        for index, draft in enumerate(cutter.drafts)
    ]
    for state in delayed.keys() & initial.keys():
        if state in needed or any(state in region.streams for region in regions):
            hint = "let neurons start with no spike on its way, so this state at zero"
            raise fault("initial-state", printable(state), "starts off zero, and is no neuron's own state", hint)
    return Cut(tuple(regions), cutter.owner, delayed, frozenset(needed), why)


def without_batch_axis(value: Array) -> Array:
    return value[0] if value.ndim and value.shape[0] == 1 else value


def _live(step: Step, sinks: Iterable[str]) -> tuple[Piece, ...]:
    """The pieces that an output or a next state depends on."""
    wanted = set(sinks)
    kept: list[Piece] = []
    for piece in reversed(step.pieces):
        if piece.output in wanted:
            wanted.update(piece.sources)
            kept.append(piece)
    return tuple(reversed(kept))


def _groups(live: Sequence[Piece], following: Mapping[str, str], events: Collection[str]) -> list[tuple[str, ...]]:
    """The states of each population: they act on their own next value, and on each other's.

    States whose next value is a spike, or stems from other populations alone, are in no group.
    """
    for state, stream in following.items():
        if state == stream:
            message = "this state never changes, so it always has its initial value, 0"
            raise fault("constant-state", printable(state), message, "remove it from the exported step")
    states = [state for state, stream in following.items() if stream not in events]
    anyhow = _reached(live, states, ())
    directly = _reached(live, states, events)
    position = {state: i for i, state in enumerate(states)}
    acting = cast("nx.DiGraph[str]", nx.DiGraph())
    acting.add_nodes_from(states)
    joined: list[tuple[str, str]] = []
    for target in states:
        acting.add_edges_from((source, target) for source in _bits(anyhow.get(following[target], 0), states))
        joined.extend((source, target) for source in _bits(directly.get(following[target], 0), states))
    components = [each for each in nx.strongly_connected_components(acting) if _is_cycle(acting, each)]
    together = cast("nx.Graph[str]", nx.Graph())
    for component in components:
        nx.add_path(together, sorted(component))
    together.add_edges_from((a, b) for a, b in joined if a in together and b in together)
    found = [tuple(sorted(group, key=position.__getitem__)) for group in nx.connected_components(together)]
    return sorted(found, key=lambda group: position[group[0]])


def _bits(mask: int, names: Sequence[str]) -> list[str]:
    return [name for i, name in enumerate(names) if mask >> i & 1] if mask else []


def _is_cycle(graph: nx.DiGraph[str], component: Collection[str]) -> bool:
    first = next(iter(component))
    return len(component) > 1 or graph.has_edge(first, first)


def _reached(live: Sequence[Piece], states: Sequence[str], stop: Collection[str]) -> dict[str, int]:
    """For each stream the states, as bits, that it depends on elementwise, not through the streams in `stop`."""
    masks = {state: 1 << i for i, state in enumerate(states)}
    for piece in live:
        mask = 0
        if isinstance(piece, Pointwise) and piece.output not in stop:
            for source in piece.sources:
                mask |= masks.get(source, 0)
        if mask:
            masks[piece.output] = mask
    return masks


@dataclass(frozen=True, eq=False)
class _Draft:
    """A region in the making: its states, and the names of the streams that its pieces write."""

    states: tuple[str, ...]
    names: set[str] = field(default_factory=set[str])


@dataclass(frozen=True)
class _Roots:
    """Where the values that a nonlinear piece reads come from, through sums and multiples (`linear`)."""

    linear: frozenset[str]
    membranes: frozenset[int]
    spikes: frozenset[int]
    free: frozenset[str]


@dataclass(eq=False)
class _Cutter:
    """Who owns which stream, as far as is known; private to `cut`."""

    step: Step
    live: tuple[Piece, ...]
    drafts: list[_Draft]
    owner: dict[str, int] = field(default_factory=dict[str, int])

    def claim(self, name: str, index: int) -> None:
        self.owner[name] = index
        self.drafts[index].names.add(name)

    def claim_cores(self, following: Mapping[str, str]) -> None:
        """What lies between the states of a group and their next values is the group's."""
        forward: dict[str, int] = {}
        backward: dict[str, int] = {}
        for index, draft in enumerate(self.drafts):
            for state in draft.states:
                self.owner[state] = index
                forward[state] = 1 << index
                backward[following[state]] = backward.get(following[state], 0) | 1 << index
        elementwise = [piece for piece in self.live if isinstance(piece, Pointwise)]
        for piece in elementwise:
            for source in piece.sources:
                forward[piece.output] = forward.get(piece.output, 0) | forward.get(source, 0)
        for piece in reversed(elementwise):
            for source in piece.sources:
                backward[source] = backward.get(source, 0) | backward.get(piece.output, 0)
        for piece in elementwise:
            if mask := forward[piece.output] & backward.get(piece.output, 0):
                self.claim(piece.output, mask.bit_length() - 1)

    def absorb_the_rest(self) -> list[tuple[int, Diagnostic]]:
        """Give each nonlinear piece outside the cores to the region whose values it reads, or to a new one.

        Says of which of them there is no population, and why.
        """
        faults: list[tuple[int, Diagnostic]] = []
        for piece in self.live:
            if not isinstance(piece, Pointwise) or piece.linear or piece.output in self.owner:
                continue
            roots = self._roots(piece)
            candidates = roots.membranes or (roots.spikes if not roots.free else frozenset())
            if len(roots.membranes) > 1:
                message = f"{piece.node.op} combines the membranes of two populations"
                hint = "let them exchange spikes only"
                fault_ = Diagnostic("populations-interact", piece.node.name, message, hint)
                faults.append((len(self.drafts), fault_))
            if len(candidates) != 1:
                candidates = frozenset([len(self.drafts)])
                self.drafts.append(_Draft(()))
            self.claim(piece.output, min(candidates))
            self.drafts[min(candidates)].names.update(roots.linear)
        for index, draft in enumerate(self.drafts):
            if not draft.states and draft.names.isdisjoint(self.step.events):
                faults.extend((index, each) for each in _not_a_neuron(self.live, draft))
        return faults

    def absorb_own_feedback(self, delayed: Mapping[str, str]) -> None:
        """A region takes in what is made of its own last spikes alone, like 1 - spike, which gates its membrane."""
        for index, pieces in enumerate(_pieces(self.live, self.drafts)):
            for name in _streams(pieces):
                maker = self.step.maker.get(name)
                if not isinstance(maker, Pointwise) or not maker.linear or name in self.owner:
                    continue
                roots = self._roots(maker)
                own = all(self.owner.get(delayed.get(each, "")) == index for each in roots.free)
                if own and not roots.membranes | roots.spikes:
                    self.drafts[index].names.update(roots.linear, [name])

    def _roots(self, piece: Pointwise) -> _Roots:
        linear: set[str] = set()
        membranes: set[int] = set()
        spikes: set[int] = set()
        free: set[str] = set()
        waiting = list(piece.sources)
        while waiting:
            name = waiting.pop()
            maker = self.step.maker.get(name)
            if name in self.owner:
                (spikes if name in self.step.events else membranes).add(self.owner[name])
            elif not isinstance(maker, Pointwise):
                free.add(name)
            elif name not in linear:
                linear.add(name)
                waiting.extend(maker.sources)
        return _Roots(frozenset(linear), frozenset(membranes), frozenset(spikes), frozenset(free))


def _not_a_neuron(live: Sequence[Piece], draft: _Draft) -> Iterator[Diagnostic]:
    for piece in live:
        if isinstance(piece, Pointwise) and piece.output in draft.names and not piece.linear:
            message = f"{piece.node.op} acts on values that are no neuron's membrane"
            hint = "only neurons may be nonlinear: train with spiking neurons instead of this activation"
            yield Diagnostic("not-a-neuron", piece.node.name, message, hint)


def _pieces(live: Sequence[Piece], drafts: Sequence[_Draft]) -> list[list[Pointwise]]:
    """The pieces of each draft, in order; a sum before a comparison may be part of several."""
    members: dict[str, list[int]] = {}
    for index, draft in enumerate(drafts):
        for name in draft.names:
            members.setdefault(name, []).append(index)
    result: list[list[Pointwise]] = [[] for _ in drafts]
    for piece in live:
        for index in members.get(piece.output, ()):
            assert isinstance(piece, Pointwise)
            result[index].append(piece)
    return result


def _streams(pieces: Sequence[Pointwise]) -> tuple[str, ...]:
    """What the pieces read and do not make: the streams, and the states."""
    made = {piece.output for piece in pieces}
    return tuple(dict.fromkeys(name for piece in pieces for name in piece.sources if name not in made))


def _needed(step: Step, sinks: Sequence[str], owner: Mapping[str, int], delayed: Mapping[str, str]) -> set[str]:
    """Every stream that the outside of the regions reads: layers, outputs, and other regions."""
    waiting = list(sinks)
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in delayed:
            waiting.append(delayed[name])
        elif name not in owner and name in step.maker:
            waiting.extend(step.maker[name].sources)
    return needed


def _region(
    step: Step,
    pieces: Sequence[Pointwise],
    states: Sequence[tuple[str, str]],
    exports: Sequence[str],
    delayed: Mapping[str, str],
) -> Region:
    shape = without_batch(step.shapes[states[0][0]]) if states else pieces[0].shape
    own = {state for state, _ in states}
    streams = tuple(name for name in _streams(pieces) if name not in own)
    for name in streams:
        maker = step.maker.get(name)
        if isinstance(maker, Pointwise) and maker.node.op in COMPARING | LOGICAL:
            message = "spikes of different populations meet as truth values"
            raise fault("populations-interact", maker.node.name, message, "cast spikes to float before combining them")
    constants: dict[str, Array] = {}
    nodes: list[Node] = []
    for piece in pieces:
        renamed: dict[str, str] = {}
        for name, value in piece.constants.items():
            fitting = _reshaped(value, piece.shape, shape)
            renamed[name] = name if _same(constants.get(name, fitting), fitting) else f"{name}#{len(nodes)}"
            constants[renamed[name]] = fitting
        inputs = tuple(renamed.get(name, name) for name in piece.node.inputs)
        nodes.append(replace(piece.node, inputs=inputs))
    written = sum(each.size for each in constants.values())
    if written > _MAX_WRITTEN_OUT:
        raise fault("too-large", nodes[0].name, f"its neurons have {written:,} parameters; 33,554,432 can be held")
    made = {piece.output for piece in pieces}
    feedback = {name: delayed[name] for name in streams if delayed.get(name) in made}
    return Region("", shape, tuple(nodes), streams, tuple(states), tuple(exports), constants, feedback=feedback)


def _unread(pieces: Sequence[Pointwise]) -> Region:
    """What stands for a region that is no population, with its nodes for the sake of its name."""
    return Region("", pieces[0].shape, tuple(piece.node for piece in pieces), _streams(pieces), (), (), {})


def _same(a: Array, b: Array) -> bool:
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b))


def _reshaped(value: Array, own: Shape, wanted: Shape) -> Array:
    """A constant of a node of shape `own`, for a region of the same size but another shape."""
    if value.ndim == 0 or own == wanted:
        return value
    assert size(own) == size(wanted)
    return np.broadcast_to(value, own).reshape(wanted)
