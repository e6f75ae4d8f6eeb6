"""Writes tests/data/onnx_cells: single neurons and tiny nets as both exporters write them, with recorded outputs."""

from __future__ import annotations

import argparse
import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
import snntorch as snn
import torch
from common import Export, StepNet, advance, export
from numpy.typing import NDArray
from spikingjelly.activation_based.neuron import IFNode, LIFNode, ParametricLIFNode, SimpleIFNode, SimpleLIFNode
from tiny_nets import NETS
from torch import Tensor, nn

STEPS = 24
SIZE = 5
TORCHSCRIPT = Export("torchscript", 17, STEPS, "count", optimize=True)
DYNAMO = Export("dynamo", 20, STEPS, "count", optimize=True)
EXPORTERS = {"ts": TORCHSCRIPT, "dyn": DYNAMO}
FOLDER = Path(__file__).parent.parent / "tests" / "data" / "onnx_cells"


class Cell(StepNet):
    """One layer of snnTorch neurons and nothing else; a spike that is also a state is returned twice."""

    def __init__(self, neuron: nn.Module, *states: str) -> None:
        super().__init__()
        self.neuron = neuron
        self.state_names = states
        self.next_names = tuple(f"{name}_next" for name in states)
        self.state_shapes = ((SIZE,),) * len(states)

    def stem(self, x: Tensor) -> Tensor:
        return x

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        answer = self.neuron(current, *states)
        return (answer[0].clone(), *answer) if self.state_names[0] == "spk" else answer


class SharedCell(Cell):
    """A recurrent cell as users export it: the spikes are the next state and the only output."""

    separate_output = False

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return self.neuron(current, *states)


class JellyCell(Cell):
    """One layer of SpikingJelly neurons, their membrane passed in and out."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__(neuron, "v")

    def body(self, current: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return advance(self.neuron, current, states[0])


@dataclass(frozen=True)
class Case:
    """One file: what is exported, how, and the shape of one input."""

    name: str
    make: Callable[[], StepNet]
    how: Export
    x_shape: tuple[int, ...] = (SIZE,)


def vector(low: float, high: float) -> Tensor:
    return torch.linspace(low, high, SIZE)


def out_of_range() -> Tensor:
    """Decays of which the first and last are clamped to 0 and 1."""
    return torch.tensor([-0.3, 0.25, 0.5, 0.9, 1.2])


def snntorch_cells() -> Iterator[tuple[str, Callable[[], StepNet]]]:
    for reset in ("subtract", "zero", "none"):
        yield f"snn_leaky_{reset}", lambda r=reset: Cell(snn.Leaky(0.9, reset_mechanism=r), "mem")
        yield f"snn_synaptic_{reset}", lambda r=reset: Cell(snn.Synaptic(0.7, 0.9, reset_mechanism=r), "syn", "mem")
        yield (
            f"snn_leaky_{reset}_vector",
            lambda r=reset: Cell(snn.Leaky(vector(0.3, 0.98), vector(0.5, 1.5), reset_mechanism=r), "mem"),
        )
        yield (
            f"snn_rleaky_{reset}",
            lambda r=reset: Cell(snn.RLeaky(0.8, linear_features=SIZE, reset_mechanism=r), "spk", "mem"),
        )
        yield (
            f"snn_rsynaptic_{reset}",
            lambda r=reset: Cell(snn.RSynaptic(0.5, 0.8, linear_features=SIZE, reset_mechanism=r), "spk", "syn", "mem"),
        )
    yield (
        "snn_synaptic_vector",
        lambda: Cell(snn.Synaptic(vector(0.2, 0.8), vector(0.5, 0.95), vector(0.5, 1.5)), "syn", "mem"),
    )
    yield "snn_leaky_learned", lambda: Cell(snn.Leaky(out_of_range(), learn_beta=True, learn_threshold=True), "mem")
    yield (
        "snn_synaptic_learned",
        lambda: Cell(snn.Synaptic(out_of_range(), vector(0.5, 0.9), learn_alpha=True, learn_beta=True), "syn", "mem"),
    )
    yield "snn_leaky_beta0", lambda: Cell(snn.Leaky(0.0), "mem")
    yield "snn_leaky_beta1", lambda: Cell(snn.Leaky(1.0), "mem")
    yield "snn_leaky_graded", lambda: Cell(snn.Leaky(0.9, graded_spikes_factor=0.5), "mem")
    yield "snn_rleaky_one_to_one", lambda: Cell(snn.RLeaky(0.8, V=vector(-0.5, 0.5), all_to_all=False), "spk", "mem")
    yield "snn_rleaky_shared", lambda: SharedCell(snn.RLeaky(0.8, linear_features=SIZE), "spk", "mem")


def jelly_cells() -> Iterator[tuple[str, Callable[[], StepNet]]]:
    resets = {"soft": None, "hard": 0.0, "hard01": 0.1, "hardm02": -0.2}
    for name, v_reset in resets.items():
        yield f"sj_if_{name}", lambda v=v_reset: JellyCell(IFNode(v_reset=v))
        for tail, decay in (("", True), ("_nodecay", False)):
            yield (
                f"sj_lif_{name}{tail}",
                lambda v=v_reset, d=decay: JellyCell(LIFNode(tau=2.0, decay_input=d, v_reset=v)),
            )
            yield (
                f"sj_plif_{name}{tail}",
                lambda v=v_reset, d=decay: JellyCell(ParametricLIFNode(init_tau=3.0, decay_input=d, v_reset=v)),
            )


def simple_jelly_cells() -> Iterator[tuple[str, Callable[[], StepNet]]]:
    """SpikingJelly's neurons in plain torch, the only ones that the TorchScript exporter takes."""
    yield "sj_simple_if_soft", lambda: JellyCell(SimpleIFNode(v_reset=None))
    for name, v_reset in (("hard", 0.0), ("hardm02", -0.2)):
        yield f"sj_simple_if_{name}", lambda v=v_reset: JellyCell(SimpleIFNode(v_reset=v))
        for tail, decay in (("", True), ("_nodecay", False)):
            yield (
                f"sj_simple_lif_{name}{tail}",
                lambda v=v_reset, d=decay: JellyCell(SimpleLIFNode(tau=2.0, decay_input=d, v_reset=v)),
            )


def cases() -> Iterator[Case]:
    for name, make in snntorch_cells():
        yield from (Case(f"{name}_{tail}", make, how) for tail, how in EXPORTERS.items())
    yield Case("snn_leaky_no_delay_ts", lambda: Cell(snn.Leaky(0.9, reset_delay=False), "mem"), TORCHSCRIPT)
    for name, make in jelly_cells():
        yield Case(f"{name}_dyn", make, DYNAMO)
    for name, make in simple_jelly_cells():
        yield from (Case(f"{name}_{tail}", make, how) for tail, how in EXPORTERS.items())
    for name, net in NETS.items():
        for tail, how in EXPORTERS.items():
            if tail in net.exporters:
                yield Case(f"net_{name}_{tail}", net, how, net.x_shape)
    recurrent = NETS["recurrent"]
    yield from (
        Case(f"net_recurrent_ts_opset{n}", recurrent, replace(TORCHSCRIPT, opset=n), recurrent.x_shape)
        for n in (13, 15, 23)
    )
    yield from (
        Case(f"net_recurrent_dyn_opset{n}", recurrent, replace(DYNAMO, opset=n), recurrent.x_shape)
        for n in (18, 21, 23, 26)
    )
    for tail, how in EXPORTERS.items():
        yield Case(f"net_recurrent_unnamed_{tail}", recurrent, replace(how, named=False), recurrent.x_shape)
        yield Case(f"net_conv1d_raw_{tail}", NETS["conv1d"], replace(how, optimize=False), NETS["conv1d"].x_shape)
    same = NETS["same_output"]
    yield Case("net_same_output_raw_dyn", same, replace(DYNAMO, optimize=False), same.x_shape)
    residual = NETS["residual"]
    yield Case("net_residual_batch_dyn", residual, replace(DYNAMO, dynamic_batch=True), residual.x_shape)
    yield Case("net_residual_raw_dyn", residual, replace(DYNAMO, optimize=False), residual.x_shape)


def drive(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Inputs that make neurons fire; the first values hit a threshold of 1 exactly, to tell > from >=."""
    x = np.random.default_rng(seed).normal(0.6, 1.1, (STEPS, *shape)).astype(np.float32)
    x.reshape(STEPS, -1)[0, :4] = [1.0, 2.0, 3.0, 0.5]
    return x


def record(path: Path, net: StepNet, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Run the file step by step from zero: x, the first output y, and every next state, without the batch axis."""
    runtime = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = [value.name for value in runtime.get_inputs()]
    states = [state.numpy() for state in net.initial_states(1)]
    rows: list[list[NDArray[np.float32]]] = []
    for now in x:
        outputs = runtime.run(None, dict(zip(inputs, [now[None], *states], strict=True)))
        states = outputs[-len(states) :]
        rows.append([outputs[0][0], *(state[0] for state in states)])
    y, *history = (np.stack(column) for column in zip(*rows, strict=True))
    return {"x": x, "y": y} | {f"next/{name}": h for name, h in zip(net.state_names, history, strict=True)}


@torch.no_grad()
def torch_outputs(net: StepNet, x: NDArray[np.float32]) -> NDArray[np.float32]:
    states = net.initial_states(1)
    rows: list[NDArray[np.float32]] = []
    for now in torch.from_numpy(x):
        answer = net(now[None], *states)
        states = answer[-len(states) :]
        rows.append(answer[0][0].numpy())
    return np.stack(rows)


def write(case: Case, folder: Path, seed: int) -> None:
    """Export one case, record it, and make sure that torch agrees and that something fires."""
    torch.manual_seed(seed)
    net = case.make()
    path = folder / f"{case.name}.onnx"
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export(net, case.x_shape, path, case.how)
    arrays = record(path, net, drive(case.x_shape, seed))
    worst = float(np.abs(arrays["y"] - torch_outputs(net, arrays["x"])).max())
    if worst > 1e-4 or not arrays["y"].any():
        raise RuntimeError(f"{case.name}: differs from torch by {worst}, activity {arrays['y'].mean()}")
    np.savez_compressed(folder / f"{case.name}.npz", **arrays)
    print(f"{case.name}: {path.stat().st_size} bytes, mean output {arrays['y'].mean():.3f}, difference {worst:.1e}")


def derived(folder: Path) -> None:
    """Files that no exporter writes by itself: weights outside, an opset ahead of ONNX Runtime, LpPool as a sum."""
    model = onnx.load(folder / "net_recurrent_ts.onnx")
    data = (folder / "net_recurrent_ts.npz").read_bytes()
    newest = onnx.version_converter.convert_version(onnx.load(folder / "net_recurrent_dyn_opset26.onnx"), 28)
    onnx.save(newest, folder / "net_recurrent_opset28.onnx")
    (folder / "net_recurrent_opset28.npz").write_bytes(data)
    outside = {"save_as_external_data": True, "location": "net_external.weights", "size_threshold": 64}
    onnx.save(model, folder / "net_external.onnx", **outside)
    (folder / "net_external.npz").write_bytes(data)
    pooled = onnx.load(folder / "net_sum_pool_ts.onnx")
    swap_average_by_sum(pooled)
    onnx.save(pooled, folder / "net_lp_pool.onnx")
    (folder / "net_lp_pool.npz").write_bytes((folder / "net_sum_pool_ts.npz").read_bytes())


def swap_average_by_sum(model: onnx.ModelProto) -> None:
    """Replace AveragePool and the multiplication by its area with LpPool of p = 1, which is the same for spikes."""
    nodes = model.graph.node
    pool = next(node for node in nodes if node.op_type == "AveragePool")
    times = next(node for node in nodes if pool.output[0] in node.input)
    kept = [attribute for attribute in pool.attribute if attribute.name in ("kernel_shape", "strides")]
    summed = onnx.helper.make_node("LpPool", [pool.input[0]], [times.output[0]], name="sum_pool", p=1)
    summed.attribute.extend(kept)
    nodes.insert(list(nodes).index(times), summed)
    nodes.remove(pool)
    nodes.remove(times)
    onnx.checker.check_model(model, full_check=True)


def main() -> None:
    args = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--out", type=Path, default=FOLDER)
    options = args.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for case in cases():
        write(case, options.out, options.seed)
    derived(options.out)


if __name__ == "__main__":
    main()
