"""Puts recognised populations and linear pieces together into the graph of layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from snncc.arrays import Array, Floats, Shape
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.frontends.onnx.names import Names, layer_names
from snncc.frontends.onnx.region import Fit, Region
from snncc.frontends.onnx.regions import Cut
from snncc.frontends.onnx.step import Layered, Pointwise, Step, without_batch
from snncc.frontends.onnx.tensors import printable
from snncc.graph import Edge, Graph
from snncc.layers import Affine, Conv2d, Decoder, Input, Layer, Neuron, Output, Rearrange, Scale, When, size


@dataclass(frozen=True)
class Term:
    """`gain` times what `source` sent `delay` steps ago: an op, or a state that stands for an earlier value."""

    source: str
    gain: float = 1.0
    delay: int = 0


Value = tuple[Term, ...]  # the sum of its terms; zero without any


@dataclass(frozen=True)
class Interface:
    """What enters and leaves: tensors, each with the name that its op gets, and an output's decoder if it has one."""

    data: tuple[str, str]
    outputs: tuple[tuple[str, str, Decoder | None], ...]


def build(
    step: Step, cut: Cut, fits: Sequence[Fit], interface: Interface, names: Names, scopes: Mapping[str, str]
) -> Graph[Layer]:
    """The graph; `names` are those given so far, to the regions among others."""
    builder = _Builder(step, cut, names, scopes, _readers(step, cut, [tensor for tensor, *_ in interface.outputs]))
    builder.add_input(*interface.data)
    for region, fit in zip(cut.regions, fits, strict=True):
        builder.add_population(region, fit)
    for piece in step.pieces:
        if piece.output in cut.needed and piece.output not in cut.owner:
            builder.add_piece(piece)
    for region, fit in zip(cut.regions, fits, strict=True):
        builder.connect_population(region, fit)
    for tensor, name, decoder in interface.outputs:
        builder.add_output(tensor, name, decoder)
    return builder.graph()


def _readers(step: Step, cut: Cut, outputs: Iterable[str]) -> Counter[str]:
    """How often each stream is read."""
    readers: Counter[str] = Counter(step.alias[name] for name in outputs)
    readers.update(cut.delayed.values())
    readers.update(name for region in cut.regions for name in region.streams)
    for piece in step.pieces:
        if piece.output in cut.needed and piece.output not in cut.owner:
            readers.update(piece.sources)
    return readers


@dataclass(eq=False)
class _Builder:
    """The graph in the making; private to `build`."""

    step: Step
    cut: Cut
    names: Names
    scopes: Mapping[str, str]
    readers: Mapping[str, int]
    ops: dict[str, Layer] = field(default_factory=dict[str, Layer])
    reads: dict[str, list[Term]] = field(default_factory=dict[str, list[Term]])
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    membranes: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    faults: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def add(self, name: str, op: Layer, reads: Iterable[Term]) -> Term:
        self.ops[name] = op
        self.reads[name] = list(reads)
        return Term(name)

    def add_input(self, tensor: str, name: str) -> None:
        self.values[tensor] = (self.add(name, Input(without_batch(self.step.shapes[tensor])), ()),)
        for state in self.cut.delayed:
            self.values[state] = (Term(state),)

    def add_population(self, region: Region, fit: Fit) -> None:
        term = self.add(region.name, fit.neuron, ())
        for stream, meaning in fit.meanings.items():
            scale, offset = fit.scales.get(stream, np.ones(())), fit.offsets.get(stream, np.zeros(()))
            if meaning == "spikes":
                self.values[stream] = self._scaled(scale, offset, (term,), region.shape, f"{region.name}_out")
            else:
                exact = bool(np.all(scale == 1) and np.all(offset == 0))
                self.membranes[stream] = (region.name, meaning if exact else f"{meaning.split()[0]} times a number")

    def connect_population(self, region: Region, fit: Fit) -> None:
        for stream, gain in fit.gains.items():
            stem = f"{region.name}_gain"
            terms = self._scaled(gain, np.zeros(()), self.value(stream, region.name), region.shape, stem)
            self.reads[region.name] += _times(terms, 1.0, fit.delays.get(stream, 0))

    def _scaled(self, scale: Array, shift: Array, terms: Iterable[Term], shape: Shape, name: str) -> Value:
        """Terms times one factor, or through a layer where neurons differ or a constant is added."""
        if np.ptp(scale) == 0 and not shift.any():
            return _times(terms, float(scale.flat[0]))
        return (self.add(self.names.give([name], "scale"), Scale(shape, scale, shift), terms),)

    def value(self, stream: str, reader: str) -> Value:
        """What a stream is in terms of ops; nothing but an output may read a membrane."""
        if stream not in self.values:
            owner, meaning = self.membranes.get(stream, ("a neuron", "state"))
            message = f"reads the {meaning.split()[0]} of {owner}, and only spikes travel between layers"
            hint = "feed the layer with spikes, or make the membrane an output of the model"
            self.faults.append(Diagnostic("membrane-travels", reader, message, hint))
            self.values[stream] = ()
        return self.values[stream]

    def add_piece(self, piece: Layered | Pointwise) -> None:
        if isinstance(piece, Pointwise):
            self.values[piece.output] = self._pointwise(piece)
            return
        name = self.names.give(layer_names(piece.node, self.scopes), piece.node.op.lower())
        terms = self.value(piece.source, piece.node.name)
        for position, layer in enumerate(piece.layers):
            last = position == len(piece.layers) - 1
            own = name if last else self.names.give([f"{name}_{type(layer).__name__.lower()}"], "layer")
            terms = (self.add(own, layer, terms),)
        self.values[piece.output] = terms

    def _pointwise(self, piece: Pointwise) -> Value:
        """A sum or a multiple of streams: edges alone, unless there is a constant or a factor per neuron."""
        node = piece.node
        if node.op in ("Mul", "Div"):
            return self._multiple(piece)
        signs = {"Sub": (1.0, -1.0), "Neg": (-1.0,), "Mean": (1.0 / len(node.inputs),) * len(node.inputs)}
        terms: list[Term] = []
        shift: Array | None = None
        for name, sign in zip(node.inputs, signs.get(node.op, (1.0,) * len(node.inputs)), strict=True):
            if name in piece.constants:
                part = piece.constants[name] * piece.constants[name].dtype.type(sign)
                shift = part if shift is None else shift + part
            else:
                terms += _times(self.value(name, node.name), sign)
        if shift is None or not shift.any():
            return tuple(terms)
        if self._takes_bias(piece, terms):
            self.ops[terms[0].source] = _with_bias(self.ops[terms[0].source], shift, piece.shape)
            return tuple(terms)
        name = self.names.give(layer_names(node, self.scopes), "shift")
        return (self.add(name, Scale(piece.shape, shift=shift), terms),)

    def _multiple(self, piece: Pointwise) -> Value:
        (source,) = piece.sources
        factor: Floats = np.ones(())
        for name in piece.node.inputs:
            if name in piece.constants:
                factor = np.asarray(piece.constants[name], np.float64)
        if piece.node.op == "Div":
            with np.errstate(divide="ignore", over="ignore"):
                factor = np.reciprocal(factor)
        terms = self.value(source, piece.node.name)
        if not np.isfinite(factor).all():
            message, hint = "divides by zero", "the training has diverged, or the file is damaged"
            self.faults.append(Diagnostic("not-finite", piece.node.name, message, hint))
            return terms
        if np.ptp(factor) == 0:
            return _times(terms, float(factor.flat[0]))
        name = self.names.give(layer_names(piece.node, self.scopes), "scale")
        return (self.add(name, Scale(piece.shape, factor), terms),)

    def _takes_bias(self, piece: Pointwise, terms: Sequence[Term]) -> bool:
        """Whether the constant may become the bias of the layer that made the only other term, read nowhere else."""
        if len(terms) != 1 or terms[0].gain != 1.0 or terms[0].delay or self.readers[piece.sources[0]] > 1:
            return False
        op = self.ops.get(terms[0].source)
        if isinstance(op, Affine):
            return op.bias is None and size(op.shape) == size(piece.shape)
        constants = piece.constants.values()
        flat = all(each.ndim == 0 or each.size == each.shape[0] == piece.shape[0] for each in constants)
        return isinstance(op, Conv2d) and op.bias is None and flat and op.shape[0] == piece.shape[0]

    def add_output(self, tensor: str, name: str, decoder: Decoder | None) -> None:
        stream, shape = self.step.alias[tensor], without_batch(self.step.shapes[tensor])
        if stream in self.membranes:
            owner, meaning = self.membranes[stream]
            if not meaning.startswith("membrane ") or meaning.endswith("number"):
                hint = "make the spikes or the membrane the output"
                self.faults.append(Diagnostic("unsupported-output", name, f"is the {meaning} of {owner}", hint))
            when: When = "before" if meaning == "membrane before" else "after"
            self.add(name, Output(shape, "membrane", when, decoder), [Term(owner)])
            return
        terms = self.value(stream, name)
        if len(terms) == 1 and terms[0] == Term(terms[0].source) and isinstance(self.ops.get(terms[0].source), Neuron):
            self.add(name, Output(shape, decoder=decoder), terms)
            return
        readout = self.names.give([f"{name}_readout"], "readout")
        silent = Neuron(shape, decay=np.zeros(()), threshold=None)
        self.add(name, Output(shape, "membrane", decoder=decoder), [self.add(readout, silent, terms)])

    def graph(self) -> Graph[Layer]:
        if self.faults:
            raise CompileError(self.faults)
        edges = [edge for name in tuple(self.ops) for edge in self._edges(name)]
        if self.faults:
            raise CompileError(self.faults)
        order = Graph(self.ops, edges).order()
        return Graph({name: self.ops[name] for name in order}, edges)

    def _edges(self, target: str) -> Iterator[Edge]:
        gains: dict[tuple[str, int], float] = {}
        for term in self.reads[target]:
            for each in self._earlier(term, target):
                key = each.source, each.delay
                gains[key] = gains.get(key, 0.0) + each.gain
        if not gains and not isinstance(self.ops[target], Input):
            message = "reads nothing but constants"
            self.faults.append(Diagnostic("no-input", target, message, "connect it to the input of the model"))
        joined: set[str] = set()
        for (source, delay), gain in gains.items():
            if source not in joined:
                joined.add(source)
                yield Edge(source, target, delay, gain)
            else:
                relay = self.names.give([f"{source}_delay{delay}"], "relay")
                self.ops[relay] = Rearrange(self.ops[source].shape)
                yield Edge(source, relay, delay)
                yield Edge(relay, target, 0, gain)

    def _earlier(self, term: Term, target: str) -> Iterator[Term]:
        """A term in terms of ops alone: a state is the value that its stream had one step before."""
        waiting = [term]
        for each in waiting:
            if each.source in self.ops:
                yield each
            elif len(waiting) > len(self.ops) + len(self.cut.delayed) + 1:
                raise fault("cyclic-graph", target, "reads a chain of states that never begins")
            else:
                stream = self.cut.delayed[each.source]
                terms = self.value(stream, printable(each.source))
                waiting += _times(terms, each.gain, each.delay + 1)


def _times(terms: Iterable[Term], gain: float, delay: int = 0) -> Value:
    return tuple(Term(each.source, each.gain * gain, each.delay + delay) for each in terms)


def _with_bias(op: Layer, shift: Array, shape: Shape) -> Layer:
    assert isinstance(op, (Affine, Conv2d))
    if isinstance(op, Affine):
        return replace(op, bias=np.broadcast_to(shift, shape).reshape(-1))
    return replace(op, bias=np.broadcast_to(shift.reshape(-1), op.shape[:1]))
