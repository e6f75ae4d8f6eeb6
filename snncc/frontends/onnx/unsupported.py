"""Says of ops that are not read at all why not, and what to use in their place."""

from __future__ import annotations

from snncc.diagnostics import CompileError, fault
from snncc.frontends.onnx.linear_ops import LINEAR
from snncc.frontends.onnx.region import Node
from snncc.frontends.onnx.source import Source, knows_opset

SUPPORTED = "use convolution, matrix product, batch norm, average or sum pooling, reshaping and elementwise ops"
_NORMALISE = "use batch norm, which is constant once trained: this divides by what it sees"
_SCORES = "leave it out of the export: the decoder takes the highest score"
_GATED = "use a spiking layer that feeds back to itself"
_INSTEAD = {
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization", "GroupNormalization"), _NORMALISE),
    **dict.fromkeys(("RMSNormalization", "LpNormalization", "MeanVarianceNormalization", "LRN"), _NORMALISE),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "ArgMax"), _SCORES),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _GATED),
}
_PRODUCT = "multiply streams by trained weights; spikes may gate spikes elementwise (Mul)"


def knows_its_ops(source: Source) -> None:
    """Raise CompileError if the opset is unknown, with the ops that are foreign in any opset."""
    if not knows_opset(source.opset):
        foreign = [node for node in source.nodes if is_foreign(node)]
        faults = [*source.faults, *(each for node in foreign for each in unsupported(node).diagnostics)]
        raise CompileError(faults or fault("unsupported-opset", "model", "has an unknown opset").diagnostics)


def is_foreign(node: Node) -> bool:
    """Whether an op is of a domain that is not ONNX's own, and not a function of the file."""
    return "::" in node.op


def unsupported(node: Node) -> CompileError:
    """Why a node of this op is refused."""
    if node.op == "If":
        message = "If: a time step without a loop around it is read without control flow"
        hint = "decide the condition before the export"
        return fault("control-flow", node.name, message, hint)
    if is_foreign(node):
        message = f"{node.op} is a custom op, and the file does not say what it computes"
        hint = "export it as a function of the model (FunctionProto), or in terms of standard ONNX ops"
        return fault("custom-op", node.name, message, hint)
    if node.op in LINEAR:
        return fault(
            "unsupported-op", node.name, f"{node.op} is not supported here: it multiplies two streams", _PRODUCT
        )
    return fault("unsupported-op", node.name, f"{node.op} is not supported here", _INSTEAD.get(node.op, SUPPORTED))
