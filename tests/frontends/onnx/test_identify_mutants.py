"""Damaged neurons are refused, or fitted by a neuron that does the same: nothing crashes, and nothing is misread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from snncc.arrays import Array
from snncc.diagnostics import CompileError
from snncc.frontends.onnx.identify import identify
from snncc.frontends.onnx.region import Fit, Region
from snncc.frontends.onnx.verify import run_region
from snncc.semantics import float_rest, float_step
from tests.frontends.onnx.cells import CELLS
from tests.frontends.onnx.odd_cells import ODD_CELLS

REGIONS = [cell.region for cell in {**CELLS, **ODD_CELLS}.values()]
NUMBERS = ["Add", "Sub", "Mul", "Div", "Max", "Min"]
DECISIONS = ["Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal"]
UNARY = ["Neg", "Abs", "Floor", "Ceil", "Sign", "Relu", "Identity", "Exp", "Sqrt", "Round", "Sigmoid"]
VALUES = [0.0, -1.0, 1.0, 2.0, 0.5, -0.5, 1e30, 1e-30, np.inf]


def like(op: str) -> list[str]:
    """Ops that could stand in another's place."""
    return next((ops for ops in (NUMBERS, DECISIONS, UNARY) if op in ops), [op])


def damaged(region: Region, rng: np.random.Generator) -> Region:
    nodes, constants = list(region.nodes), dict(region.constants)
    at = int(rng.integers(len(nodes)))
    node = nodes[at]
    kind = rng.integers(4)
    if kind == 0:
        nodes[at] = replace(node, op=str(rng.choice(like(node.op))))
    elif kind == 1:
        nodes[at] = replace(node, inputs=node.inputs[::-1] if node.op in NUMBERS + DECISIONS else node.inputs)
    elif kind == 2 and constants:
        name = str(rng.choice(list(constants)))
        constants[name] = np.full_like(constants[name], rng.choice(VALUES))
    elif node.op in NUMBERS + DECISIONS:
        numbers = [each.outputs[0] for each in nodes[:at] if each.op in NUMBERS]
        choice = str(rng.choice([*region.streams, *(state for state, _ in region.states), *constants, *numbers]))
        nodes[at] = replace(node, inputs=(choice, node.inputs[1]))
    return replace(region, nodes=tuple(nodes), constants=constants)


def run(region: Region, xs: Sequence[dict[str, Array]], shape: tuple[int, ...]) -> list[dict[str, Array]]:
    """The region from rest, in float64: all tensors of every step."""
    names = (*region.streams, *(state for state, _ in region.states))
    point = {name: np.broadcast_to(region.initial.get(name, np.zeros(())), shape) for name in names}
    steps: list[dict[str, Array]] = []
    for x in xs:
        point = {**point, **x}
        steps.append({**run_region(region, point, np.float64), **point})
        following = [*region.states, *region.feedback.items()]
        point = {**point, **{name: np.broadcast_to(steps[-1][tensor], shape) for name, tensor in following}}
    return steps


def misread(region: Region, fit: Fit, rng: np.random.Generator) -> str | None:
    """Where the neuron, run by what the fit says and nothing else, leaves the region."""
    shape = (8, *region.shape)
    streams = [name for name in region.streams if name not in region.feedback]
    scales = rng.choice([0.1, 1.0, 10.0], shape)
    xs = [{name: (rng.standard_normal(shape) + 0.5) * scales for name in streams} for _ in range(40)]
    steps = run(region, xs, shape)
    state, alive = dict(float_rest(fit.neuron, 8)), np.ones(shape, np.bool_)
    for now, tensors in enumerate(steps):
        x = np.zeros(shape)
        for name, gain in fit.gains.items():
            then = now - fit.delays[name]
            x = x + gain * (steps[then][name] if then >= 0 else 0.0)
        after, s, v = float_step(fit.neuron, state, x)
        state = dict(after)
        known = {"spikes": s, "membrane before": v, "membrane after": state["v"], "current": state.get("i", s)}
        size = np.abs(v) + np.abs(x) + 1.0
        if fit.neuron.threshold is not None:
            theta = fit.neuron.threshold + (0.0 if fit.neuron.adapt is None else state["a"] - fit.neuron.adapt.jump * s)
            count = np.rint(v / theta) if fit.neuron.max_spikes > 1 else 1.0
            alive &= ~(np.abs(v - theta * count) <= 1e-7 * size)
        for name, meaning in fit.meanings.items():
            wanted = fit.scales.get(name, 1.0) * known[meaning] + fit.offsets.get(name, 0.0)
            if np.any(alive & ~(np.abs(tensors[name] - wanted) <= 1e-7 * (size + np.abs(wanted)))):
                return f"{name} at step {now}"
    return None


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_refused_or_read_rightly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fitted = 0
    for _ in range(16):
        region = damaged(REGIONS[rng.integers(len(REGIONS))], rng)
        try:
            fit = identify(region)
        except CompileError:
            continue
        fitted += 1
        with np.errstate(all="ignore"):
            assert misread(region, fit, rng) is None, region
    assert fitted


def test_a_wrong_fit_would_be_seen() -> None:
    region: Region = CELLS["norse-lsnn"].region
    fit = identify(region)
    assert misread(region, fit, np.random.default_rng(0)) is None
    assert misread(region, replace(fit, delays={"x": 0}), np.random.default_rng(0))
    assert misread(region, replace(fit, gains={"x": np.asarray(0.11)}), np.random.default_rng(0))
