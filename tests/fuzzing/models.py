"""Damage to ONNX models that leaves valid protobuf: each function changes one thing in a model."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from .damage import INTEGERS, NAMES, REALS
from .ops import add_output, add_state, insert_op, join

_OPS = (
    *("Add", "Sub", "Mul", "Div", "Neg", "Abs", "Greater", "GreaterOrEqual", "Less", "Equal", "Where", "Clip", "Cast"),
    *("Relu", "Sign", "Floor", "Ceil", "Exp", "Sqrt", "Reciprocal", "Pow", "Max", "Min", "Not", "And", "Or", "Mod"),
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Expand", "Gather", "Slice", "Concat", "Split", "Pad"),
    *("Tile", "Range", "Shape", "Size", "ConstantOfShape", "ReduceSum", "ReduceMean", "Identity", "Dropout", "LpPool"),
    *("Conv", "Gemm", "MatMul", "AveragePool", "GlobalAveragePool", "BatchNormalization", "ConvTranspose", "Einsum"),
    *("Loop", "Scan", "If", "Softmax", "MaxPool", "LSTM", "TopK", "NonZero", "CumSum", "DepthToSpace", "Mystery"),
)
_UNARY = ("Neg", "Abs", "Relu", "Identity", "Sign", "Exp", "Floor", "Not", "Sigmoid", "Softmax", "Sqrt", "Flatten")


def vandalise(model: ModelProto, rng: random.Random) -> None:
    """One or a few changes."""
    for _ in range(rng.choice([1, 1, 1, 1, 1, 2, 3, 6])):
        rng.choice(_CHANGES)(model, rng)


def _node(model: ModelProto, rng: random.Random) -> onnx.NodeProto:
    return rng.choice(model.graph.node) if model.graph.node else model.graph.node.add(op_type="Identity")


def _tensor(model: ModelProto, rng: random.Random) -> TensorProto:
    """An initializer, or the value of a Constant."""
    tensors = [*model.graph.initializer]
    tensors += [each.t for node in model.graph.node for each in node.attribute if each.type == AttributeProto.TENSOR]
    return rng.choice(tensors) if tensors else model.graph.initializer.add(name="w", data_type=1, dims=[1])


def _any_tensor_name(model: ModelProto, rng: random.Random) -> str:
    names = [name for each in model.graph.node for name in (*each.input, *each.output)]
    names += [each.name for each in (*model.graph.input, *model.graph.initializer, *model.graph.output)]
    return rng.choice([*names, "", "nowhere"])


def _attribute(model: ModelProto, rng: random.Random) -> None:
    nodes = [each for each in model.graph.node if each.attribute]
    if not nodes or rng.random() < 0.2:
        name = rng.choice(["axis", "axes", "to", "perm", "pads", "group", "value", "alpha", "keepdims", "size"])
        kind = rng.choice([1, 2, 3, 4, 6, 7, 8])
        _node(model, rng).attribute.add(name=name, type=kind, i=rng.choice(INTEGERS), ints=[rng.choice(INTEGERS)])
        return
    node = rng.choice(nodes)
    chosen = rng.choice(node.attribute)
    what = rng.randrange(6)
    if what == 0:
        chosen.type = rng.randrange(14)
    elif what == 1:
        chosen.name = rng.choice([*NAMES, "axis", "axes", "strides"])
    elif what == 2:
        node.attribute.remove(chosen)
    elif chosen.ints and what < 5:
        place = rng.randrange(len(chosen.ints))
        near = [each for each in (chosen.ints[place] + 1, chosen.ints[place] - 1) if abs(each) < 1 << 62]
        chosen.ints[place] = rng.choice([*near, *INTEGERS])
    elif chosen.floats:
        chosen.floats[rng.randrange(len(chosen.floats))] = rng.choice(REALS[:8])
    else:
        chosen.i, chosen.f = rng.choice([chosen.i // 2 + 1, *INTEGERS[1:]]), float(np.float32(rng.choice(REALS[:7])))
        chosen.s = rng.choice([b"\xff?", b"SAME_UPPER", b"VALID", b"", b"x" * 999])


def _tensor_header(model: ModelProto, rng: random.Random) -> None:
    tensor = _tensor(model, rng)
    what = rng.randrange(5)
    if what == 0:
        tensor.data_type = rng.randrange(30)
    elif what == 1 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(INTEGERS)
    elif what == 2:
        tensor.dims[:] = rng.sample(list(tensor.dims), len(tensor.dims)) + rng.choice([[], [1], [1] * 40])
    elif what == 3:
        tensor.dims[:] = [rng.choice(INTEGERS) for _ in range(rng.randrange(5))]
    else:
        tensor.raw_data = rng.randbytes(len(tensor.raw_data))


def _values(model: ModelProto, rng: random.Random) -> None:
    """Other numbers in a tensor that stays well formed."""
    tensor = _tensor(model, rng)
    if tensor.data_location == TensorProto.EXTERNAL:
        return
    try:
        values = numpy_helper.to_array(tensor).copy()
    except (ValueError, TypeError, KeyError, AttributeError):  # it was damaged before
        return
    if not values.size or values.ndim > 8 or values.dtype.kind not in "fiu":
        return
    with np.errstate(all="ignore"):
        if values.dtype.kind != "f":
            values.flat[rng.randrange(values.size)] = np.array(rng.choice(INTEGERS)).astype(values.dtype)
        elif rng.random() < 0.5:
            values.flat[rng.randrange(values.size)] = rng.choice(REALS)
        else:
            values = (values * rng.choice([-1.0, 0.0, 1e-30, 0.5, 3.0, 1e30])).astype(values.dtype)
    changed = numpy_helper.from_array(values, tensor.name)
    tensor.CopyFrom(changed)


def _rewire(model: ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    names = node.input if rng.random() < 0.7 else node.output
    what = rng.random()
    if what < 0.2:
        names.append(_any_tensor_name(model, rng))
    elif what < 0.4:
        del names[-1:]
    elif names:
        names[rng.randrange(len(names))] = _any_tensor_name(model, rng)


def _cycle(model: ModelProto, rng: random.Random) -> None:
    first, second = _node(model, rng), _node(model, rng)
    if first.input and second.output:
        first.input[rng.randrange(len(first.input))] = rng.choice(second.output)


def _port(model: ModelProto, rng: random.Random) -> None:
    ports = [*model.graph.input, *model.graph.output]
    if not ports:
        return
    port = rng.choice(ports)
    tensor = port.type.tensor_type
    what = rng.randrange(5)
    if what == 0:
        port.name = rng.choice([*NAMES, _any_tensor_name(model, rng)])
    elif what == 1:
        tensor.elem_type = rng.randrange(24)
    elif what == 2 and tensor.shape.dim:
        rng.choice(tensor.shape.dim).dim_value = rng.choice(INTEGERS)
    elif what == 3 and tensor.shape.dim:
        rng.choice(tensor.shape.dim).dim_param = rng.choice(NAMES)
    elif what == 4:
        tensor.shape.dim.add(dim_value=rng.choice(INTEGERS))


def _ports(model: ModelProto, rng: random.Random) -> None:
    """A port less, or one twice."""
    ports = rng.choice([model.graph.input, model.graph.output, model.graph.initializer])
    if ports:
        chosen = rng.choice(ports)
        if rng.random() < 0.5:
            ports.remove(chosen)
        else:
            ports.add().CopyFrom(chosen)


def _drop(model: ModelProto, rng: random.Random) -> None:
    if model.graph.node:
        model.graph.node.remove(rng.choice(model.graph.node))


def _bypass(model: ModelProto, rng: random.Random) -> None:
    """A node is left out, and whoever read its output reads one of its inputs."""
    node = _node(model, rng)
    if not node.input or not node.output:
        return
    old, new = node.output[0], rng.choice(node.input)
    model.graph.node.remove(node)
    for each in model.graph.node:
        each.input[:] = [new if name == old else name for name in each.input]


def _duplicate(model: ModelProto, rng: random.Random) -> None:
    node = model.graph.node.add()
    node.CopyFrom(_node(model, rng))
    if rng.random() < 0.7:
        node.output[:] = [f"{name}_again" for name in node.output]


def _change_op(model: ModelProto, rng: random.Random) -> None:
    node = _node(model, rng)
    node.op_type = rng.choice(_OPS)
    if rng.random() < 0.3:
        del node.attribute[:]


def _insert(model: ModelProto, rng: random.Random) -> None:
    """An op between a tensor and one reader."""
    node = _node(model, rng)
    if not node.input:
        return
    place = rng.randrange(len(node.input))
    inserted = helper.make_node(rng.choice(_UNARY), [node.input[place]], [f"inserted_{rng.random()}"])
    node.input[place] = inserted.output[0]
    model.graph.node.insert(0, inserted)


def _rename(model: ModelProto, rng: random.Random) -> None:
    """A tensor gets a hostile name, everywhere; so may its node."""
    old, new = _any_tensor_name(model, rng), rng.choice(NAMES)
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
        if rng.random() < 0.1:
            node.name = rng.choice(NAMES)
    for each in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        each.name = new if each.name == old else each.name


def _external(model: ModelProto, rng: random.Random) -> None:
    """A tensor's values are said to lie in a file, mostly one that they must not come from."""
    tensor = _tensor(model, rng)
    size = len(tensor.raw_data)
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    places = ("weights", "link", "loop", "folder", "pipe", "../outside", "/etc/passwd", "/dev/zero", "")
    tensor.external_data.add(key="location", value=rng.choice([*places, *NAMES]))
    for key, value in (("offset", rng.choice([0, 1, *INTEGERS])), ("length", rng.choice([size, *INTEGERS]))):
        if rng.random() < 0.7:
            tensor.external_data.add(key=key, value=str(value))


def _header(model: ModelProto, rng: random.Random) -> None:
    what = rng.randrange(5)
    if what == 0:
        model.opset_import.add(domain=rng.choice(["", "ai.onnx", "my"]), version=rng.choice(INTEGERS))
    elif what == 1:
        del model.opset_import[:]
        model.opset_import.add(version=rng.randrange(1, 40))
    elif what == 2:
        key = rng.choice(["snncc.steps", "snncc.decoder", "other"])
        model.metadata_props.add(key=key, value=rng.choice([*NAMES, "0", "16", "1e3", "-1", "9" * 30, "count", "last"]))
    elif what == 3:
        scope = rng.choice([*map(repr, (list(NAMES[:3]), list(NAMES[5:12]))), "[" * 3000, "(1", "{}"])
        _node(model, rng).metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scope)
    else:
        model.graph.name = rng.choice(NAMES)


def _function(model: ModelProto, rng: random.Random) -> None:
    """Some op of the model becomes a call of a function, which may call itself."""
    node = _node(model, rng)
    inner = helper.make_node(node.op_type, ["a"], ["b"])
    inner.domain = rng.choice(["", "my"])
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("my", node.op_type or "F", ["a"], ["b"], [inner], opsets))
    node.domain = "my"
    model.opset_import.add(domain="my", version=1)


def _subgraph(model: ModelProto, rng: random.Random) -> None:
    graph = AttributeProto(name=rng.choice(["body", "then_branch", "value"]), type=AttributeProto.GRAPH)
    graph.g.CopyFrom(model.graph)
    _node(model, rng).attribute.append(graph)


_CHANGES: tuple[Callable[[ModelProto, random.Random], None], ...] = (
    *(_attribute, _attribute, _tensor_header, _values, _values, _rewire, _rewire, _cycle, _port, _ports, _drop),
    *(_bypass, _duplicate, _change_op, _insert, _rename, _external, _header, _function, _subgraph),
    *(insert_op, insert_op, insert_op, insert_op, join, join, add_output, add_state),
)
