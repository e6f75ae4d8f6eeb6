"""Exports the zoo: `python -m tests.zoo.make [--out FOLDER] [--only TEXT]`, with torch and the frameworks installed."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import snntorch as snn
import torch
from torch import Tensor, nn

from . import cases
from .idioms import Idiom, with_body
from .nets import Net
from .wrap import to_functions, to_loop, to_scan

FOLDER = Path(__file__).parent / "files"
MOST_BYTES = 30 * 1024


class Step(nn.Module):
    """One time step: (x, states...) -> (y, next states...)."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        return self.net.step(x, *states)


class Whole(nn.Module):
    """A whole sequence, with the read-out that a file of its kind ends in."""

    def __init__(self, net: Net, readout: str, static: int) -> None:
        super().__init__()
        self.net, self.readout, self.static = net, readout, static

    def forward(self, x: Tensor) -> Tensor:
        if self.static:
            x = x.unsqueeze(0).repeat(self.static, *(1 for _ in x.shape))
        y = self.net.sequence(x)
        time = 1 if self.net.batch_first else 0
        if self.readout == "last":
            return y.select(time, -1)
        if self.readout == "max":
            return y.amax(time)
        return {"all": y, "sum": y.sum(time), "mean": y.mean(time)}[self.readout]


@dataclass(frozen=True)
class Case:
    """One file. `form`: step, unrolled, scan, loop, functions, modules, custom, script, whole; `exporter`: ts, dyn."""

    framework: str
    name: str
    make: Callable[[], Net]
    form: str
    exporter: str
    steps: int = 5
    readout: str = "all"
    static: bool = False
    options: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return f"{self.framework}_{self.name}_{self.form}_{self.exporter}.onnx"


def export(
    module: nn.Module, args: tuple[Tensor, ...], exporter: str, names: dict[str, Any], **more: Any
) -> onnx.ModelProto:
    module.eval()
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if exporter == "dyn":
            program = torch.onnx.export(
                module, args, dynamo=True, opset_version=20, external_data=False, verbose=False, **names, **more
            )
            program.save(buffer)
        else:
            torch.onnx.export(module, args, buffer, dynamo=False, opset_version=17, **names, **more)
    return onnx.load_from_string(buffer.getvalue())


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what exporters write about the machine that they ran on: stack traces, doc strings, source paths."""
    model.doc_string = ""
    del model.metadata_props[:]
    graphs, functions = [model.graph], list(model.functions)
    for each in functions:
        each.doc_string = ""
        del each.metadata_props[:], each.value_info[:]
    while graphs:
        graph = graphs.pop()
        graph.doc_string = ""
        del graph.metadata_props[:], graph.value_info[:]
        for part in (*graph.input, *graph.output, *graph.initializer):
            part.doc_string = ""
            del part.metadata_props[:]
        nodes = [*graph.node, *(node for each in functions for node in each.node)]
        functions = []
        for node in nodes:
            node.doc_string = ""
            del node.metadata_props[:]
            graphs += [each.g for each in node.attribute if each.type == onnx.AttributeProto.GRAPH]
    return model


def made(case: Case) -> onnx.ModelProto:
    torch.manual_seed(sum(map(ord, case.framework + case.name)))
    net = case.make()
    if case.form in ("unrolled", "script"):
        return _sequence(case, net)
    if isinstance(net, Idiom):
        return _idiom(case, net)
    args = (torch.zeros(1, *net.x_shape), *(torch.zeros(1, *shape) for shape in net.state_shapes))
    names = {
        "input_names": ["x", *(f"s{i}" for i in range(len(net.state_shapes)))],
        "output_names": ["y", *(f"s{i}_next" for i in range(len(net.state_shapes)))],
    }
    if case.form == "modules":  # the exporter itself makes a function of each
        return export(Step(net), args, case.exporter, names, export_modules_as_functions={snn.Leaky})
    step = export(Step(net), args, case.exporter, names)
    if case.form == "custom":
        return with_body(step)
    if case.form == "scan":
        return to_scan(step, case.steps or "T")
    if case.form == "loop":
        return to_loop(step, case.steps or "T")
    return to_functions(step, case.options) if case.form == "functions" else step


def _sequence(case: Case, net: Net) -> onnx.ModelProto:
    shape = (case.steps, 1, *net.x_shape)
    if case.static:
        shape = (1, *net.x_shape)
    elif net.batch_first:
        shape = (1, case.steps, *net.x_shape)
    elif "flat" in case.options:
        shape = (case.steps, *net.x_shape)
    names = {"input_names": ["x"], "output_names": ["y"]}
    if case.form == "script":
        return export(
            torch.jit.script(net),
            (torch.zeros(shape),),
            "ts",
            {**names, "dynamic_axes": {"x": {0: "T"}, "y": {0: "T"}}},
        )
    more: dict[str, Any] = {}
    if "dynamic" in case.options:
        more["dynamic_shapes"] = ({0: torch.export.Dim("T", min=2, max=1024)},)
    return export(
        Whole(net, case.readout, case.steps if case.static else 0), (torch.zeros(shape),), case.exporter, names, **more
    )


def _idiom(case: Case, net: Idiom) -> onnx.ModelProto:
    names = {"input_names": ["x"]}
    if case.exporter == "ts":
        opened: dict[str, Any] = {"dynamic_axes": {"x": {0: "T"}}} if net.open else {}
        given = torch.jit.script(net) if net.scripted else net
        return export(given, (net.example,), "ts", {**names, **opened})
    more: dict[str, Any] = {}
    if net.open:
        more["dynamic_shapes"] = ({0: torch.export.Dim("T", min=2, max=1024)},)
    return export(net, (net.example,), "dyn", names, **more)


def is_active(model: onnx.ModelProto) -> bool:
    """Whether the output changes at all over random inputs, so that a test of it says something."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {each.name: [n if isinstance(n, int) else 20 for n in each.shape] for each in session.get_inputs()}
    found = []
    states: dict[str, Any] = {name: np.zeros(shape, np.float32) for name, shape in list(feeds.items())[1:]}
    for _ in range(50):
        x = rng.normal(0.6, 1.1, next(iter(feeds.values()))).astype(np.float32)
        y, *following = session.run(None, {next(iter(feeds)): x, **states})
        states = dict(zip(states, following, strict=False))
        found.append(y)
    return bool(np.ptp(np.concatenate([each.ravel() for each in found])) > 0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=FOLDER)
    options.add_argument("--only", default="", help="files whose name has this in it, or one of these, by commas")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    failed: list[str] = []
    for case in all_cases():
        if not any(each in case.file for each in given.only.split(",")):
            continue
        try:
            model = without_traces(made(case))
            data = model.SerializeToString(deterministic=True)
            onnx.checker.check_model(model)
            if len(data) > MOST_BYTES:
                raise ValueError(f"{len(data)} bytes")
            if not is_active(model):
                raise ValueError("its output is always the same")
        except Exception as error:
            failed.append(f"{case.file}: {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")
            print("FAILED", failed[-1], flush=True)
            continue
        (given.out / case.file).write_bytes(data)
        print(f"{case.file}: {len(data)} bytes, {len(model.graph.node)} nodes", flush=True)
    if failed:
        raise SystemExit(f"{len(failed)} files could not be made")


def all_cases() -> Iterator[Case]:
    for entry in cases.CASES:
        yield Case(**entry)


if __name__ == "__main__":
    main()
