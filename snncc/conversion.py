"""From the file of an ordinary network and samples to a spiking model: what `--convert rate` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from snncc.data import DataLike, as_data
from snncc.diagnostics import Diagnostic, check
from snncc.frontends import Model, read_ann
from snncc.layers import Input
from snncc.passes.rates.convert import MOST_STEPS, convert


@dataclass(frozen=True, eq=False)
class Conversion:
    """How an ordinary network becomes a spiking one; the only `method` is "rate".

    `samples` balance the thresholds. The network takes `steps`, or as many as a `target_accuracy` (0 to 1) needs, of at
    most `steps` or 256.
    """

    method: str
    samples: DataLike | None = None
    steps: int | None = None
    target_accuracy: float | None = None


def converted(path: Path, how: Conversion) -> Model:
    """Import an ordinary network, and give it spiking neurons.

    Raises CompileError: `bad-option`, `samples-needed`, `steps-needed`, what the frontend finds, what is wrong with the
    samples, and `no-activations`, `target-accuracy`.
    """
    check(_option_faults(how))
    assert how.samples is not None
    model = read_ann(path)
    shape = next(iter(model.graph.of_kind(Input).values())).shape
    data = as_data(how.samples, shape, usual=how.steps or MOST_STEPS)
    result = convert(model.graph, data, how.steps, how.target_accuracy)
    return replace(model, graph=result.graph, steps=result.steps, fidelity=result.fidelity)


def _option_faults(how: Conversion) -> Iterator[Diagnostic]:
    if how.method != "rate":
        yield Diagnostic("bad-option", "--convert", f"{how.method!r} is no way to convert a network; there is 'rate'")
    if how.samples is None:
        hint = "give inputs from the training data: --samples FILE.npz"
        yield Diagnostic("samples-needed", "--convert", "thresholds are balanced on samples, and there are none", hint)
    if how.steps is None and how.target_accuracy is None:
        hint = "give --steps N; or --target-accuracy, from 0 to 1, and as few steps are taken as that needs"
        yield Diagnostic("steps-needed", "--convert", "the number of steps that rates are taken over is open", hint)
    if how.target_accuracy is not None and not 0 < how.target_accuracy <= 1:
        message = f"is {how.target_accuracy:g}; an accuracy lies between 0 and 1"
        yield Diagnostic("bad-option", "--target-accuracy", message)
