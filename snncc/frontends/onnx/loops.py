"""Scan, Loop and If: the body of a loop over time becomes the nodes of one step, its carried values become states."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from snncc.arrays import Array
from snncc.diagnostics import Diagnostic, fault
from snncc.frontends.onnx.along import mixes_steps
from snncc.frontends.onnx.attributes import axis, integer, integers
from snncc.frontends.onnx.inline import Subgraph
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.tensors import printable
from snncc.frontends.onnx.timeline import Parts, Readout, Timeline

_COUNTED = frozenset({"Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze"})  # ops that pass the step number on
_LISTS = frozenset({"SequenceEmpty", "SequenceConstruct", "SequenceInsert", "ConcatFromSequence"})
_BODY = "the body of a loop over time must compute one step, from states and the values of that step"


@dataclass(frozen=True)
class Carried:
    """A state of a loop: its tensor in the body, that of its next value, and its first value."""

    state: str
    following: str
    initial: Array


@dataclass(eq=False)
class Looped(Timeline):
    """A timeline that takes loops apart. `now` holds tensors that count the steps, `lists` those that collect them."""

    carried: list[Carried] = field(default_factory=list[Carried])
    states: frozenset[str] = frozenset()  # inputs of the file that hold first states, and so count as zero
    now: dict[str, int] = field(default_factory=dict[str, int])
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def known(self, name: str) -> bool:
        return name in self.now or name in self.lists or super().known(name)

    def _dispatch(self, node: Node) -> tuple[Diagnostic, ...]:
        if node.op == "Scan":
            return self._scan(node)
        if node.op == "Loop":
            return self._loop(node)
        if node.op == "If":
            return self._if(node)
        if node.op in _LISTS or any(name in self.lists for name in node.inputs):
            return self._listed(node)
        if any(name in self.now for name in node.inputs):
            return self._counted(node)
        return super()._dispatch(node)

    def _body(self, node: Node, name: str) -> Subgraph:
        body = node.attributes.get(name)
        if not isinstance(body, Subgraph):
            raise fault("corrupt-model", node.name, f"{node.op} lacks its {name}", "export the model again")
        return body

    def _run(self, body: Subgraph) -> tuple[Diagnostic, ...]:
        self.tracer.constants.update(body.constants)
        self.taken.update(name for each in body.nodes for name in each.outputs)
        return tuple(found for each in body.nodes for found in self.visit(each))

    def _if(self, node: Node) -> tuple[Diagnostic, ...]:
        """The branch that is always taken."""
        condition = self.tracer.constants.get(node.inputs[0])
        if condition is None or condition.size != 1:
            hint = "only a condition that is known before the network runs can be decided"
            raise fault("control-flow", node.name, "If that depends on the data", hint)
        body = self._body(node, "then_branch" if condition.item() else "else_branch")
        faults = self._run(body)
        for inner, outer in zip(body.outputs, node.outputs, strict=False):
            if not faults and outer:
                self._same(inner, outer)
        return faults

    def _same(self, name: str, output: str) -> None:
        """`output` is another name of a tensor, whatever it is."""
        for known in (self.tracer.constants, self.sequences, self.readouts, self.now, self.lists):
            if name in known:
                known[output] = known[name]  # type: ignore[assignment]
                return
        tracer = self.tracer
        tracer.stream(output, tracer.alias[name], tracer.shapes[name], tracer.kinds[name])

    # --- Scan -------------------------------------------------------------------------------------------------------

    def _scan(self, node: Node) -> tuple[Diagnostic, ...]:
        body, scanned = self._body(node, "body"), integer(node, "num_scan_inputs", 0)
        count, outputs = len(node.inputs) - scanned, len(node.outputs)
        if not 0 < scanned <= len(node.inputs) or len(body.inputs) != len(node.inputs) or len(body.outputs) != outputs:
            raise fault("corrupt-model", node.name, "Scan does not fit its body", "export the model again")
        directions = (integers(node, "scan_input_directions") or ()) + (integers(node, "scan_output_directions") or ())
        if any(directions):
            hint = "a chip sees the steps in the order in which they come: scan forward"
            raise fault("backward-scan", node.name, "Scan runs backwards through time", hint)
        ins = integers(node, "scan_input_axes") or (0,) * scanned
        outs = integers(node, "scan_output_axes") or (0,) * (outputs - count)
        if len(ins) != scanned or len(outs) != outputs - count:
            raise fault("corrupt-model", node.name, "Scan has axes that do not fit", "export the model again")
        for name, inner, along in zip(node.inputs[count:], body.inputs[count:], ins, strict=True):
            self._slice_of(node, name, inner, along)
        firsts = [self._first_value(node, name) for name in node.inputs[:count]]
        states = body.inputs[:count]
        return self._carry(node, body, (states, firsts, body.outputs[:count]), (body.outputs[count:], outs))

    def _slice_of(self, node: Node, name: str, inner: str, along: int) -> None:
        """What one step sees of a scanned tensor."""
        shape = self.shape(name)
        where = axis(node, along, len(shape))
        parts = self.sequences.get(name)
        if name in self.tracer.constants:
            first = self.tracer.constants[name].take(0, where)
            if not np.array_equal(np.broadcast_to(np.expand_dims(first, where), shape), self.tracer.constants[name]):
                hint = "a neuron's parameters must be the same at every step"
                raise fault("changing-parameter", node.name, f"{printable(name)} differs from step to step", hint)
            self.tracer.constants[inner] = first
        elif parts is None or parts.axis != where:
            raise mixes_steps(node, f"scans {printable(name)} along an axis that is not time")
        else:
            self.reshape(parts.names[0], (*shape[:where], *shape[where + 1 :]), inner)

    def _first_value(self, node: Node, name: str) -> Array:
        if name in self.states:
            return np.zeros(self.tracer.shapes[name], np.float32)
        if (first := self.tracer.constants.get(name)) is not None:
            return first
        hint = "start the loop from constants, or from inputs of the model"
        raise fault("initial-state", node.name, f"the state {printable(name)} starts from a value of the data", hint)

    def _carry(
        self,
        node: Node,
        body: Subgraph,
        states: tuple[tuple[str, ...], list[Array], tuple[str, ...]],
        collected: tuple[tuple[str, ...], tuple[int, ...]],
    ) -> tuple[Diagnostic, ...]:
        """Make the carried values streams, run the body once, and hand out what it collects and ends with."""
        for state, first in zip(states[0], states[1], strict=True):
            if state not in self.lists:
                self.tracer.stream(state, state, first.shape, first.dtype.kind)
        if faults := self._run(body):
            self.tracer.broken.update(node.outputs)
            return faults
        for state, first, after, output in zip(*states, node.outputs, strict=False):
            if state in self.lists:
                self.lists[output] = self.lists[after]
            else:
                self._end_state(node, Carried(state, after, first), output)
        for name, along, output in zip(*collected, node.outputs[len(states[0]) :], strict=True):
            if output:
                self._collect(name, along, output)
        return ()

    def _end_state(self, node: Node, state: Carried, output: str) -> None:
        tracer = self.tracer
        if tracer.alias.get(state.following) == state.state:  # never changes: the constant that it is from the start
            raise fault("constant-state", node.name, f"the state {printable(state.state)} never changes", _BODY)
        if state.following not in tracer.alias:
            raise fault("constant-state", node.name, f"the state {printable(state.state)} gets a constant value", _BODY)
        if tracer.shapes[state.following] != state.initial.shape:
            shapes = f"{state.initial.shape} and {tracer.shapes[state.following]}"
            raise fault("bad-shape", node.name, f"the state {printable(state.state)} changes its shape: {shapes}")
        self.carried.append(state)
        if output:
            self.readouts[output] = Readout((state.following,), "last", tracer.shapes[state.following])

    def _collect(self, name: str, along: int, output: str) -> None:
        """The values of all steps, put together along an axis."""
        if name not in self.tracer.alias:
            self.tracer.constants[output] = self.tracer.constants[name]
            return
        shape = self.tracer.shapes[name]
        where = along % (len(shape) + 1)
        part = self.fresh(f"{output}[t]")
        self.reshape(name, (*shape[:where], 1, *shape[where:]), part)
        self.sequences[output] = Parts((part,), where, self.steps)

    # --- Loop -------------------------------------------------------------------------------------------------------

    def _loop(self, node: Node) -> tuple[Diagnostic, ...]:
        body, count = self._body(node, "body"), len(node.inputs) - 2
        if count < 0 or len(body.inputs) != count + 2 or len(body.outputs) != len(node.outputs) + 1:
            raise fault("corrupt-model", node.name, "Loop does not fit its body", "export the model again")
        trips, going = (self.tracer.constants.get(name) for name in node.inputs[:2])
        if trips is None or trips.size != 1 or (node.inputs[1] and (going is None or not going.all())):
            hint = "loop over the first axis of the input, or a fixed number of times"
            raise fault("control-flow", node.name, "Loop whose end depends on the data", hint)
        if int(trips.reshape(-1)[0]) != self.steps:
            self._other_length(node, int(trips.reshape(-1)[0]))
        self.now[body.inputs[0]] = 0
        self.tracer.constants[body.inputs[1]] = np.array(True)
        firsts: list[Array] = []
        for name, inner in zip(node.inputs[2:], body.inputs[2:], strict=True):
            if name in self.lists:
                self.lists[inner] = self.lists[name]
                firsts.append(np.zeros(0))
            else:
                firsts.append(self._first_value(node, name))
        after = body.outputs[1 : 1 + count]
        collected = body.outputs[1 + count :]
        faults = self._carry(node, body, (body.inputs[2:], firsts, after), (collected, (0,) * len(collected)))
        still = self.tracer.constants.get(body.outputs[0])
        if not faults and (still is None or not still.all()):
            raise fault("control-flow", node.name, "Loop whose end depends on the data", "give a number of iterations")
        return faults

    def _other_length(self, node: Node, trips: int) -> None:
        """A static input has no time axis: the number of iterations says how many steps there are."""
        if self.sequences or self.carried or trips < 1:
            raise mixes_steps(node, f"runs {trips:,} times, over {self.steps:,} time steps")
        self.steps = trips

    def _counted(self, node: Node) -> tuple[Diagnostic, ...]:
        """Nodes that read the number of the step: all that they may do is to pick this step from a sequence."""
        parts = self.sequences.get(node.inputs[0])
        if node.op in _COUNTED:
            self.now[node.outputs[0]] = self.now[node.inputs[0]]
        elif node.op in ("Add", "Sub") and (step := self._offset(node)) is not None:
            self.now[node.outputs[0]] = step
        elif node.op == "Gather" and parts is not None and self.now.get(node.inputs[1]) == 0:
            shape = self.shape(node.inputs[0])
            where = axis(node, integer(node, "axis", 0), len(shape))
            if where != parts.axis:
                raise mixes_steps(node)
            self.reshape(parts.names[0], (*shape[:where], *shape[where + 1 :]), node.outputs[0])
        elif node.op == "Slice" and parts is not None and [self.now.get(each) for each in node.inputs[1:3]] == [0, 1]:
            name, *_, last = node.inputs[:4]
            rank, along = len(self.shape(name)), self.tracer.constants.get(last, np.zeros(1, np.int64))
            if axis(node, int(along.reshape(-1)[0]), rank) != parts.axis:
                raise mixes_steps(node)
            self._same(parts.names[0], node.outputs[0])
        else:
            raise mixes_steps(node, "computes with the number of the step")
        return ()

    def _offset(self, node: Node) -> int | None:
        constants = [self.tracer.constants[name] for name in node.inputs if name in self.tracer.constants]
        counted = [self.now[name] for name in node.inputs if name in self.now]
        if len(constants) != 1 or len(counted) != 1 or constants[0].size != 1 or node.inputs[0] not in self.now:
            return None
        step = int(constants[0].item())
        return counted[0] + (step if node.op == "Add" else -step)

    def _listed(self, node: Node) -> tuple[Diagnostic, ...]:
        """A list that a loop appends to, and puts together in the end."""
        if node.op == "SequenceEmpty":
            self.lists[node.outputs[0]] = ()
        elif node.op == "SequenceInsert" and self.lists.get(node.inputs[0]) == () and len(node.inputs) == 2:
            self.lists[node.outputs[0]] = (node.inputs[1],)
        elif node.op == "ConcatFromSequence" and len(found := self.lists.get(node.inputs[0], ())) == 1:
            if not integer(node, "new_axis", 0):
                message = "ConcatFromSequence puts steps behind one another on an axis that they have already"
                raise fault("mixes-steps", node.name, message, "give time an axis of its own: stack the steps")
            self._collect(found[0], integer(node, "axis", 0), node.outputs[0])
        elif node.op == "Identity":
            self.lists[node.outputs[0]] = self.lists[node.inputs[0]]
        else:
            hint = "collect the outputs with one append in each step, and stack them"
            raise fault("unsupported-op", node.name, f"{node.op} on a list of tensors", hint)
        return ()
