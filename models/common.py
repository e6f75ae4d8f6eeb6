"""What all training scripts share: step nets, running and recording them, exporting and checking ONNX files, cards."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

State = tuple[Tensor, ...]


class StepNet(nn.Module):
    """A spiking net of which one call is one time step: (x, states...) -> (y, next states...).

    `stem` is the stateless part in front of the first neurons, which a static input passes only once in training.
    """

    state_names: tuple[str, ...]
    next_names: tuple[str, ...]
    state_shapes: tuple[tuple[int, ...], ...]
    static_input: bool = True
    separate_output: bool = True  # else the first next state is the output

    # Each network has its own `stem`, `body` and `neurons`.

    def stem(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def body(self, current: Tensor, *states: Tensor) -> State:
        raise NotImplementedError

    def neurons(self) -> dict[str, nn.Module]:
        """The spiking layers, in the order in which they act."""
        raise NotImplementedError

    def forward(self, x: Tensor, *states: Tensor) -> State:
        return self.body(self.stem(x), *states)

    def initial_states(self, batch: int) -> State:
        return tuple(torch.zeros(batch, *shape) for shape in self.state_shapes)


def advance(neuron: Any, current: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """One step of a SpikingJelly neuron from an explicit membrane: its spikes and the next membrane."""
    neuron.v = v
    spikes = neuron(current)
    return spikes, neuron.v


def unroll(net: StepNet, x: Tensor, steps: int) -> Tensor:
    """The outputs of all steps, (steps, batch, classes); x is (batch, *shape), with steps second if not static."""
    states = net.initial_states(len(x))
    current = net.stem(x) if net.static_input else x
    outputs: list[Tensor] = []
    for step in range(steps):
        y, *rest = net.body(current if net.static_input else net.stem(x[:, step]), *states)
        states = tuple(rest)
        outputs.append(y)
    return torch.stack(outputs)


def decode(outputs: Tensor, decoder: str, lengths: Tensor | None = None) -> Tensor:
    """One score per class from (steps, batch, classes), over each sample's own steps."""
    steps = len(outputs)
    ends = torch.full((outputs.shape[1],), steps) if lengths is None else lengths
    valid = (torch.arange(steps)[:, None] < ends[None, :])[:, :, None]
    if decoder == "max":
        return outputs.masked_fill(~valid, -torch.inf).amax(0)
    total = (outputs * valid).sum(0)
    return total / ends[:, None] if decoder == "mean" else total


@dataclass
class Data:
    """Samples x with class labels y; lengths where the samples differ in steps."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    lengths: NDArray[np.int64] | None = None

    def take(self, index: Any) -> Data:
        return Data(self.x[index], self.y[index], None if self.lengths is None else self.lengths[index])

    def save(self, path: Path) -> None:
        arrays = {"x": self.x, "y": self.y} | ({} if self.lengths is None else {"lengths": self.lengths})
        np.savez_compressed(path, **arrays)

    @staticmethod
    def load(path: Path) -> Data:
        with np.load(path) as file:
            return Data(file["x"], file["y"], file.get("lengths"))


@dataclass
class Trace:
    """What the neurons of one layer received and answered, both (samples, steps, *shape)."""

    current: NDArray[np.float32]
    spikes: NDArray[np.float32]


@dataclass
class Recorder:
    """Collects, by forward hooks, the input current and the output of every neuron layer at every step."""

    net: StepNet
    currents: dict[str, list[Tensor]] = field(default_factory=dict)
    spikes: dict[str, list[Tensor]] = field(default_factory=dict)
    _feedback: dict[str, Tensor] = field(default_factory=dict)
    _handles: list[Any] = field(default_factory=list)

    def __enter__(self) -> Recorder:
        for name, module in self.net.neurons().items():
            self.currents[name], self.spikes[name] = [], []
            self._handles.append(module.register_forward_hook(self._hook(name)))
            if isinstance(recurrent := getattr(module, "recurrent", None), nn.Module):
                self._handles.append(recurrent.register_forward_hook(self._feedback_hook(name)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str) -> Any:
        def hook(_: nn.Module, inputs: State, output: Any) -> None:
            feedback = self._feedback.pop(name, None)
            self.currents[name].append(inputs[0] if feedback is None else inputs[0] + feedback)
            self.spikes[name].append(output[0] if isinstance(output, tuple) else output)

        return hook

    def _feedback_hook(self, name: str) -> Any:
        def hook(_: nn.Module, __: State, output: Tensor) -> None:
            self._feedback[name] = output

        return hook

    def traces(self) -> dict[str, Trace]:
        def stacked(parts: list[Tensor]) -> NDArray[np.float32]:
            return torch.stack(parts, 1).numpy()

        return {name: Trace(stacked(self.currents[name]), stacked(self.spikes[name])) for name in self.currents}


@torch.no_grad()
def record(net: StepNet, x: NDArray[np.float32], steps: int) -> tuple[NDArray[np.float32], dict[str, Trace]]:
    """Run the torch net over x: its outputs (samples, steps, classes) and the trace of each neuron layer."""
    net.eval()
    with Recorder(net) as recorder:
        outputs = unroll(net, torch.from_numpy(x), steps)
    return outputs.transpose(0, 1).numpy(), recorder.traces()


@torch.no_grad()
def accuracy(net: StepNet, data: Data, steps: int, decoder: str, batch: int = 250) -> float:
    net.eval()
    right = 0
    for start in range(0, len(data.y), batch):
        part = data.take(slice(start, start + batch))
        lengths = None if part.lengths is None else torch.from_numpy(part.lengths)
        scores = decode(unroll(net, torch.from_numpy(part.x), steps), decoder, lengths)
        right += int((scores.argmax(1).numpy() == part.y).sum())
    return right / len(data.y)


def firing_rates(net: StepNet, data: Data, steps: int) -> dict[str, float]:
    """Spikes per neuron and step of each firing layer, over the valid steps."""
    _, traces = record(net, data.x, steps)
    valid = np.arange(steps)[None, :] < (np.full(len(data.y), steps) if data.lengths is None else data.lengths)[:, None]
    return {name: round(float(trace.spikes[valid].mean()), 4) for name, trace in traces.items()}


def make_repeatable(options: argparse.Namespace) -> None:
    """Fix what the result depends on; the number of threads is part of it, as it orders floating-point sums."""
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(options.threads)


def batches(data: Data, size: int) -> list[Data]:
    """The data in a new random order, cut into full batches."""
    order = torch.randperm(len(data.y)).numpy()
    return [data.take(order[i : i + size]) for i in range(0, len(order) - size + 1, size)]


def parser(doc: str, epochs: int) -> argparse.ArgumentParser:
    args = argparse.ArgumentParser(description=doc.partition("\n")[0])
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--threads", type=int, default=2)
    args.add_argument("--epochs", type=int, default=epochs)
    args.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the model and its data")
    return args


@dataclass(frozen=True)
class Export:
    """How a net is written to ONNX."""

    exporter: str  # "torchscript" or "dynamo"
    opset: int
    steps: int
    decoder: str
    dynamic_batch: bool = False
    optimize: bool = False  # dynamo's optimiser folds batch norm away
    named: bool = True


def export(net: StepNet, x_shape: tuple[int, ...], path: Path, how: Export) -> None:
    """Write one time step as ONNX, with its steps and decoder, and without a trace of where it was written."""
    net.eval()
    batch = 2 if how.dynamic_batch else 1  # a traced batch of 1 would be specialised
    args = (torch.zeros(batch, *x_shape), *net.initial_states(batch))
    outputs = ["y", *net.next_names] if net.separate_output else [*net.next_names]
    names = {"input_names": ["x", *net.state_names], "output_names": outputs} if how.named else {}
    with torch.no_grad():
        net(*args)  # neurons keep their last state: let go of the training graph
        if how.exporter == "dynamo":
            axis = {0: torch.export.Dim("batch")}
            shapes = (axis, tuple([axis] * len(net.state_names))) if how.dynamic_batch else None
            torch.onnx.export(
                net, args, path, dynamo=True, opset_version=how.opset, external_data=False, optimize=how.optimize,
                dynamic_shapes=shapes, verbose=False, **names,
            )  # fmt: skip
        else:
            torch.onnx.export(
                net, args, path, dynamo=False, opset_version=how.opset, do_constant_folding=how.optimize, **names
            )  # fmt: skip
    model = without_traces(onnx.load(path))
    onnx.helper.set_model_props(model, {"snncc.steps": str(how.steps), "snncc.decoder": how.decoder})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what exporters write about the machine that they ran on: stack traces, doc strings, source paths."""
    graph = model.graph
    model.doc_string = graph.doc_string = ""
    del model.metadata_props[:], graph.metadata_props[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    return model


def load_parameters(net: StepNet, path: Path) -> None:
    """Fill a net with the initializers of its ONNX file, found by name."""
    model = onnx.load(path)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    aliases = [node for node in model.graph.node if node.op_type == "Identity" and node.input[0] in arrays]
    arrays |= {node.output[0]: arrays[node.input[0]] for node in aliases}
    state = net.state_dict()
    needed = {name for name, _ in net.named_parameters()} | {name for name in state if ".running_" in name}
    if missing := sorted(needed - arrays.keys()):
        raise KeyError(f"{path} has no initializer for {', '.join(missing)}")
    known = {name: torch.from_numpy(arrays[name].copy()) for name in state if name in arrays}
    net.load_state_dict(known, strict=False)


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@torch.no_grad()
def check_export(net: StepNet, path: Path, x: NDArray[np.float32], steps: int) -> dict[str, float]:
    """Run ONNX Runtime and torch side by side, each on its own states, and compare outputs and states at every step."""
    net.eval()
    runtime = session(path)
    names = ["y", *net.next_names]
    worst, differing = 0.0, 0
    for sample in torch.from_numpy(x):
        states = net.initial_states(1)
        mirror = [state.numpy() for state in states]
        for step in range(steps):
            now = (sample if net.static_input else sample[step])[None]
            expected = net(now, *states)
            got = runtime.run(names, {"x": now.numpy()} | dict(zip(net.state_names, mirror, strict=True)))
            diffs = [np.abs(a.numpy() - b) for a, b in zip(expected, got, strict=True)]
            worst = max(worst, *(float(diff.max()) for diff in diffs))
            differing += int((diffs[0] > 1e-3).sum())
            states, mirror = expected[1:], got[1:]
    return {"samples": len(x), "steps": steps, "max_abs_diff": worst, "differing_outputs": differing}


@dataclass(frozen=True)
class Origin:
    """Where the data comes from, and under which licence."""

    dataset: str
    source: str
    licence: str


@dataclass(frozen=True)
class Parts:
    """The whole test set, what of it is shipped, and the calibration samples, which are training data."""

    test: Data
    kept: Data
    samples: Data
    origin: Origin


def finish(name: str, net: StepNet, how: Export, parts: Parts, args: argparse.Namespace) -> None:
    """Write NAME.onnx, NAME.npz, NAME.samples.npz and the card NAME.json."""
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{name}.onnx"
    shape = parts.kept.x.shape[1:] if net.static_input else parts.kept.x.shape[2:]
    export(net, shape, path, how)
    parts.kept.save(args.out / f"{name}.npz")
    parts.samples.save(args.out / f"{name}.samples.npz")
    load_parameters(net, path)
    framework = type(next(iter(net.neurons().values()))).__module__.partition(".")[0]
    card = {
        "name": name,
        "licence": "Apache-2.0",
        "framework": framework,
        "versions": {package: version(package) for package in (framework, "torch", "onnx", "onnxscript")},
        "exporter": how.exporter,
        "opset": how.opset,
        "steps": how.steps,
        "decoder": how.decoder,
        "data": vars(parts.origin),
        "training": {key: value for key, value in vars(args).items() if not isinstance(value, Path)},
        "states": dict(zip(net.state_names, net.next_names, strict=True)),
        "parameters": sum(p.numel() for p in net.parameters()),
        "accuracy": {
            "file": round(accuracy(net, parts.kept, how.steps, how.decoder), 4),
            "full_test": round(accuracy(net, parts.test, how.steps, how.decoder), 4),
            "file_samples": len(parts.kept.y),
            "full_test_samples": len(parts.test.y),
        },
        "firing_rates": firing_rates(net, parts.kept, how.steps),
        "onnxruntime_check": check_export(net, path, parts.kept.x[:20], how.steps),
    }
    (args.out / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card, indent=2))
