"""Says what of a refused file was recognised nonetheless, node by node, and why the rest was not.

The file is read once more with its faulty nodes passed over, so that the neurons around them show. Where no single
time step can be made of it, its nodes are listed as they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from snncc.describe import details, kind
from snncc.diagnostics import CompileError, Diagnostic
from snncc.frontends.model import Finding
from snncc.frontends.onnx import elementwise
from snncc.frontends.onnx.ann import pools_behind_relus, without_last_activations
from snncc.frontends.onnx.identify import identify
from snncc.frontends.onnx.inline import Subgraph
from snncc.frontends.onnx.linear_ops import LINEAR
from snncc.frontends.onnx.names import Names, layer_names
from snncc.frontends.onnx.ports import input_shapes
from snncc.frontends.onnx.read import activations_of, one_step, regions_of
from snncc.frontends.onnx.rearranging import REARRANGING, RESHAPING
from snncc.frontends.onnx.region import Node, Region
from snncc.frontends.onnx.regions import Cut
from snncc.frontends.onnx.sequence import LOOPS, OneStep
from snncc.frontends.onnx.source import Source, extract, parse
from snncc.frontends.onnx.states import Pairing
from snncc.frontends.onnx.step import Layered, Step, without_batch
from snncc.frontends.onnx.trace import trace
from snncc.frontends.onnx.unsupported import is_foreign, unsupported
from snncc.layers import Input

_BEHIND = "cannot be read behind what was not recognised"


def survey(path: Path, states: Sequence[tuple[str, str]], faults: Sequence[Diagnostic]) -> tuple[Finding, ...]:
    """What each node of a file was recognised as that was refused for `faults`; nothing if it holds no graph."""
    why = {each.where: each for each in reversed(faults)}
    try:
        source = replace(extract(parse(path), path), faults=(), survey=True)
    except CompileError:
        return ()
    try:
        one, source = _one_step(source, states)
        names = Names()
        found, interface = regions_of(source, one, names)
        return tuple(_Rows(one.step, found, names, source.scopes, why).all(*interface.data))
    except CompileError:
        return tuple(_as_it_stands(source, why))


def _one_step(source: Source, states: Sequence[tuple[str, str]]) -> tuple[OneStep, Source]:
    """One step of the file, and the file without what is left out of an ordinary network."""
    if activations_of(source) is None:
        return one_step(source, states), source
    shortened, _ = without_last_activations(source)
    source = replace(shortened, nodes=pools_behind_relus(shortened))
    step = trace(source, input_shapes(source), rectified=True)
    outputs = tuple(name for name in dict.fromkeys(source.outputs) if name in step.alias)
    return OneStep(step, Pairing(source.inputs[0].name, (), outputs)), source


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a step that was cut into regions; private to `survey`."""

    step: Step
    cut: Cut
    names: Names
    scopes: Mapping[str, str]
    why: Mapping[str, Diagnostic]
    named: dict[str, str] = field(default_factory=dict[str, str])  # streams that layers and inputs make

    def all(self, tensor: str, data: str) -> Iterator[Finding]:
        """The input, then layers and populations in the order in which they compute."""
        self.named[tensor] = data
        op = Input(without_batch(self.step.shapes[tensor]))
        yield Finding(data, kind(op), op.shape, (), details(op))
        layers = [each for each in self.step.pieces if isinstance(each, Layered) and each.output in self.cut.needed]
        for piece in layers:
            names, op = layer_names(piece.node, self.scopes), piece.node.op.lower()
            self.named[piece.output] = self.names.give(names, op) if piece.layers else piece.node.name
        regions: dict[str, list[int]] = {}
        for index, region in enumerate(self.cut.regions):
            regions.setdefault(self._first(region), []).append(index)
        for piece in self.step.pieces:
            yield from (self._population(index) for index in regions.get(piece.output, ()))
            if isinstance(piece, Layered) and piece in layers:
                yield self._layer(piece)

    def _first(self, region: Region) -> str:
        """The first result of a region's nodes that reads more than its own states."""
        for node in region.nodes:
            if not set(region.streams).isdisjoint(node.inputs):
                return node.outputs[0]
        return region.nodes[0].outputs[0]

    def _name(self, index: int) -> str:
        """What a region is called, or the node that keeps it from being a population."""
        fault = self.cut.refused.get(index)
        return self.cut.regions[index].name if fault is None else fault.where

    def _population(self, index: int) -> Finding:
        region = self.cut.regions[index]
        reads = tuple(dict.fromkeys(name for stream in region.streams for name in self._reads(stream)))
        if index in self.cut.refused:
            fault = self.cut.refused[index]
            return Finding(self._name(index), "", region.shape, reads, rule=fault.rule, why=fault.message)
        try:
            fit = identify(region)
        except CompileError as error:
            (fault, *_) = error.diagnostics
            return Finding(region.name, "", region.shape, reads, rule=fault.rule, why=fault.message)
        row = Finding(region.name, kind(fit.neuron), region.shape, reads, details(fit.neuron), fit.error)
        return self._blamed(row, region.name)

    def _layer(self, piece: Layered) -> Finding:
        name = self.named[piece.output]
        reads, shape = tuple(self._reads(piece.source)), without_batch(self.step.shapes[piece.output])
        if not piece.layers:
            fault = _blame(piece.node, self.why) or Diagnostic("not-reached", name, _BEHIND)
            return Finding(name, "", None, reads, rule=fault.rule, why=fault.message)
        kinds = " + ".join(kind(each) for each in piece.layers)
        told = "; ".join(filter(None, (details(each) for each in piece.layers)))
        return self._blamed(Finding(name, kinds, shape, reads, told), name, piece.node.name)

    def _blamed(self, row: Finding, *places: str) -> Finding:
        """The row with what is wrong with how the network uses it, if anything is."""
        fault = next((self.why[place] for place in places if place in self.why), None)
        return row if fault is None else replace(row, rule=fault.rule, why=fault.message)

    def _reads(self, stream: str) -> Iterator[str]:
        """The rows that a stream is made of, looking through sums and states of one step ago."""
        waiting, seen = [(stream, False)], set[str]()
        for name, late in waiting:
            if name in seen:
                continue
            seen.add(name)
            maker = self.step.maker.get(name)
            if name in self.named:
                yield f"{self.named[name]} (step t-1)" if late else self.named[name]
            elif name in self.cut.owner:
                own = self._name(self.cut.owner[name])
                yield f"{own} (step t-1)" if late else own
            elif name in self.cut.delayed:
                waiting.append((self.cut.delayed[name], True))
            elif maker is not None:
                waiting.extend((each, late) for each in maker.sources)


def _as_it_stands(source: Source, why: Mapping[str, Diagnostic]) -> Iterator[Finding]:
    """The file's nodes, with what kind of op each is; those of a loop behind it."""
    waiting = list(reversed(source.nodes))
    while waiting:
        node = waiting.pop()
        for value in node.attributes.values():
            if isinstance(value, Subgraph):
                waiting.extend(reversed(value.nodes))
        fault = _blame(node, why)
        if fault is not None:
            yield Finding(node.name, "", parameters=node.op, rule=fault.rule, why=fault.message)
        elif any(name not in source.constants for name in node.inputs if name):
            yield Finding(node.name, _sort(node.op), parameters=node.op)


def _blame(node: Node, why: Mapping[str, Diagnostic]) -> Diagnostic | None:
    """What is wrong with a node; of the ops that are not known, the faults name only the first of a file."""
    return why.get(node.name) or (unsupported(node).diagnostics[0] if is_foreign(node) else None)


def _sort(op: str) -> str:
    if op in LINEAR:
        return "linear"
    if op in LOOPS:
        return "loop"
    if op in RESHAPING or op in REARRANGING or op in ("Concat", "Shape", "Size"):
        return "rearranges"
    return "elementwise" if op in elementwise.OPS else "other"
