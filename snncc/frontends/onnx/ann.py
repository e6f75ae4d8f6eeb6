"""Reads an ordinary network (ANN) from an ONNX file, as a graph whose activations are `Relu` layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from snncc.diagnostics import Diagnostic, fault
from snncc.frontends.model import Model
from snncc.frontends.onnx.build import Interface, build
from snncc.frontends.onnx.endings import MONOTONE, left_out
from snncc.frontends.onnx.names import Names
from snncc.frontends.onnx.ports import input_shapes, widened_types
from snncc.frontends.onnx.read import activations_of, outputs_change
from snncc.frontends.onnx.rectifying import POOLS
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.regions import cut
from snncc.frontends.onnx.source import Source, load
from snncc.frontends.onnx.tensors import printable
from snncc.frontends.onnx.trace import trace


def read_ann(path: Path) -> Model:
    """Import the file; raises CompileError where it holds spiking neurons, or what no spike rate stands for."""
    source = load(path)
    where = printable(source.path.name)
    if activations_of(source) is None:
        message = "has neurons that fire, or states: it is a spiking network already"
        raise fault("already-spiking", where, message, "leave out --convert")
    source, left_out = without_last_activations(source)
    source = replace(source, nodes=pools_behind_relus(source))
    step = trace(source, input_shapes(source), rectified=True)
    outputs_change(source, step)
    found = cut(step, {}, [step.alias[name] for name in source.outputs], {})
    names = Names()
    data = source.inputs[0].name
    inputs = data, names.give([data], "input")
    outputs = tuple((name, names.give([name], "output"), None) for name in dict.fromkeys(source.outputs))
    graph = build(step, found, (), Interface(inputs, outputs), names, source.scopes)
    return Model(printable(path.stem), graph, warnings=(*widened_types(source), *left_out))


def without_last_activations(source: Source) -> tuple[Source, tuple[Diagnostic, ...]]:
    """The network up to what only rescales its scores, with a warning for each output that this concerns."""
    makers = {node.outputs[0]: node for node in source.nodes if node.outputs}
    read = {name for node in source.nodes for name in node.inputs}
    outputs: list[str] = []
    found: list[Diagnostic] = []
    for name in source.outputs:
        node = makers.get(name)
        if node is None or node.op not in MONOTONE or name in read or not node.inputs:
            outputs.append(name)
            continue
        outputs.append(node.inputs[0])
        found.append(left_out(node))
    gone = {name for name in source.outputs if name not in outputs}
    nodes = tuple(node for node in source.nodes if gone.isdisjoint(node.outputs))
    return replace(source, outputs=tuple(outputs), nodes=nodes), tuple(found)


def pools_behind_relus(source: Source) -> tuple[Node, ...]:
    """The nodes with each Relu that alone reads a max pool put before it, which gives the same."""
    readers = Counter(name for node in source.nodes for name in node.inputs)
    readers.update(source.outputs)
    relus = {node.inputs[0]: node for node in source.nodes if node.op == "Relu" and len(node.inputs) == 1}
    swapped = {
        node.outputs[0]: relus[node.outputs[0]]
        for node in source.nodes
        if node.op in POOLS and len(node.outputs) == 1 and node.outputs[0] in relus and readers[node.outputs[0]] == 1
    }

    def nodes() -> Iterator[Node]:
        for node in source.nodes:
            relu = swapped.get(node.outputs[0]) if node.op in POOLS and node.outputs else None
            if relu is not None:
                between = node.outputs[0]
                yield replace(relu, inputs=node.inputs[:1], outputs=(between,))
                yield replace(node, inputs=(between, *node.inputs[1:]), outputs=relu.outputs)
            elif not (node.op == "Relu" and node.inputs[:1] and swapped.get(node.inputs[0]) is node):
                yield node

    return tuple(nodes())
