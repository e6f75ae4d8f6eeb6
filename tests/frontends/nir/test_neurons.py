"""Every node with a state, step by step against its equation as `styles.Style` words it, and the exact solution."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.frontends.nir import read_nir
from snncc.frontends.nir.styles import EXACT, PRESETS, Style
from snncc.layers import Neuron, Output
from snncc.semantics import run_float
from tests.frontends.nir.files import DT, chain, node, write

SIZE = 3
KINDS = {
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "w_in", "v_threshold", "v_reset"),
}
RANGES = {
    "tau": (2e-3, 2e-2),
    "tau_mem": (2e-3, 2e-2),
    "tau_syn": (2e-3, 2e-2),
    "r": (0.5, 3.0),
    "w_in": (0.5, 3.0),
    "v_leak": (-0.2, 0.3),
    "v_threshold": (0.6, 1.5),
    "v_reset": (-0.3, 0.2),
}


def by_hand(kind: str, p: dict[str, Array], style: Style, x: Array) -> tuple[Array, Array]:
    """Spikes and membranes (steps, neurons) of the node's equation, one neuron and step after the other."""
    spikes, membranes = np.zeros_like(x), np.zeros_like(x)
    for n in range(x.shape[1]):
        own = {key: float(value[n]) for key, value in p.items()}
        v = {"zero": 0.0, "leak": own.get("v_leak", 0.0), "reset": own.get("v_reset", 0.0)}[style.start]
        i = fired = 0.0
        for t in range(len(x)):
            i, v = _step(kind, own, style, float(x[t, n]), i, v, fired)
            fired = _fired(own, style, v) if "v_threshold" in own else 0.0
            if fired and not style.reset_delay:
                v = _jump(own, style, v, fired)
            spikes[t, n], membranes[t, n] = fired, v
    return spikes, membranes


def _step(kind: str, own: dict[str, float], style: Style, x: float, i: float, v: float, fired: float) -> Any:
    if kind in ("I", "IF"):
        kept, came = v, own["r"] * x * (DT if style.integrate == "euler" else 1)
    else:
        tau = own.get("tau", own.get("tau_mem", 0.0))
        if "tau_syn" in own:
            i = i * _left(style, own["tau_syn"]) + _gain(style.current_gain, own["tau_syn"], own["w_in"]) * x
        else:
            i = x
        kept = v * _left(style, tau)
        came = _gain(style.gain, tau, own["r"]) * i + (1 - _left(style, tau)) * own["v_leak"]
    if fired and style.reset_delay:
        kept = _jump(own, style, kept, fired)
    v = kept + came
    if kind == "IF" and style.floor == "threshold":
        v = max(v, -own["v_threshold"])
    return i, v


def _left(style: Style, tau: float) -> float:
    return 1 - DT / tau if style.decay == "euler" else math.exp(-DT / tau)


def _gain(gain: str, tau: float, r: float) -> float:
    return {"euler": r * DT / tau, "exponential": r * (1 - math.exp(-DT / tau)), "step": r, "one": 1.0}[gain]


def _fired(own: dict[str, float], style: Style, v: float) -> float:
    threshold = own["v_threshold"]
    if style.spikes == 1:
        return float(v >= threshold if style.fires == "at" else v > threshold)
    count = math.floor(v / threshold) if style.fires == "at" else math.ceil(v / threshold) - 1
    return float(min(max(count, 0), style.spikes))


def _jump(own: dict[str, float], style: Style, v: float, fired: float) -> float:
    return own["v_reset"] if style.reset == "value" else v - fired * (own["v_threshold"] - own["v_reset"])


def read(path: Path, kind: str, p: dict[str, Array], style: str) -> Any:
    nodes, edges = chain(SIZE, {"n": node(kind, **p)}, SIZE)
    return read_nir(write(path, nodes, edges), style, DT)


styles = st.builds(
    Style,
    decay=st.sampled_from(["euler", "exponential"]),
    gain=st.sampled_from(["euler", "exponential", "step", "one"]),
    current_gain=st.sampled_from(["euler", "exponential", "step", "one"]),
    integrate=st.sampled_from(["euler", "step"]),
    fires=st.sampled_from(["above", "at"]),
    reset=st.sampled_from(["value", "subtract"]),
    reset_delay=st.sampled_from([0, 1]),
    spikes=st.sampled_from([1, 3]),
    floor=st.sampled_from(["none", "threshold"]),
    start=st.sampled_from(["zero", "leak", "reset"]),
)


@given(kind=st.sampled_from(sorted(KINDS)), style=styles, seed=st.integers(0, 1 << 16))
def test_a_node_takes_the_steps_of_its_equation(tmp_path_factory: Any, kind: str, style: Style, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = {key: rng.uniform(*RANGES[key], SIZE) for key in KINDS[kind]}
    x = rng.normal(0.3, 1.0, (40, SIZE)) * (200 if style.integrate == "euler" and kind in ("I", "IF") else 1)
    model = read(tmp_path_factory.mktemp("nir") / "n.nir", kind, p, style.text())
    trace = run_float(model.graph, x[None], record=("n",))
    spikes, membranes = by_hand(kind, p, style, x)
    assert np.allclose(trace.membranes["n"][0], membranes, rtol=1e-9, atol=1e-9)
    assert np.array_equal(trace.spikes["n"][0], spikes)
    shown = trace.spikes if "v_threshold" in p else trace.membranes
    assert np.array_equal(trace.outputs["out"][0], shown["n"][0])


@pytest.mark.parametrize("kind", ["LI", "LIF"])
def test_the_exact_style_solves_the_equation(tmp_path: Path, kind: str) -> None:
    """Constant input for a step, of which the solution is known: also in one step of the whole length."""
    p = {"tau": 7e-3, "r": 2.0, "v_leak": 0.1, "v_threshold": 9.0, "v_reset": 0.0}
    arrays = {key: np.full(SIZE, p[key]) for key in KINDS[kind]}
    model = read(tmp_path / "n.nir", kind, arrays, "exact")
    trace = run_float(model.graph, np.full((1, 50, SIZE), 0.8), record=("n",))
    level = 0.1 + 2.0 * 0.8
    expected = level * (1 - math.exp(-50 * DT / 7e-3))
    assert trace.membranes["n"][0, -1] == pytest.approx(np.full(SIZE, expected), abs=1e-12)


def test_euler_steps_come_near_the_exact_solution(tmp_path: Path) -> None:
    p = {"tau": np.full(SIZE, 0.5), "r": np.full(SIZE, 2.0), "v_leak": np.full(SIZE, 0.1)}
    found = [
        run_float(read(tmp_path / f"{style}.nir", "LI", p, style).graph, np.full((1, 300, SIZE), 0.8)).outputs["out"]
        for style in ("exact", "norse,start=zero")
    ]
    assert 0 < np.abs(found[0] - found[1]).max() < 1e-3


def test_a_gain_is_a_scale_before_the_neuron_and_none_where_it_is_one(tmp_path: Path) -> None:
    p = {"tau": np.full(SIZE, 5e-3), "r": np.full(SIZE, 5.0), "v_leak": np.zeros(SIZE)}
    assert "n.gain" not in read(tmp_path / "a.nir", "LI", p, "lava").graph.ops
    scale = read(tmp_path / "b.nir", "LI", {**p, "r": np.full(SIZE, 1.0)}, "lava").graph["n.gain"]
    assert scale.scale == pytest.approx(0.2)


def test_equal_parameters_are_one_number(tmp_path: Path) -> None:
    p = {key: np.full(SIZE, value) for key, value in (("r", 1.0), ("v_threshold", 1.0), ("v_reset", 0.0))}
    neuron = read(tmp_path / "n.nir", "IF", p, "lava").graph["n"]
    assert isinstance(neuron, Neuron)
    assert neuron.threshold is not None
    assert neuron.threshold.shape == ()


def test_parameters_without_axes_stand_for_all_neurons(tmp_path: Path) -> None:
    """As Norse and Sinabs write them; v_reset, which old files lack, is 0, and w_in 1."""
    p: dict[str, Any] = {"tau_syn": 5e-3, "tau_mem": 5e-3, "r": 5.0, "v_leak": 0.0, "v_threshold": 1.0}
    neuron = read(tmp_path / "n.nir", "CubaLIF", p, "exact").graph["n"]
    assert isinstance(neuron, Neuron)
    assert neuron.shape == (SIZE,)
    assert neuron.reset.value == 0


@pytest.mark.parametrize("kind", ["I", "LI", "CubaLI"])
def test_an_integrator_with_a_threshold_is_a_neuron_without_a_reset(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    p = {key: rng.uniform(*RANGES[key], SIZE) for key in KINDS[kind]}
    nodes, edges = chain(SIZE, {"n": node(kind, **p), "t": node("Threshold", threshold=np.full(SIZE, 0.7))}, SIZE)
    nodes["v"] = node("Output", shape=np.array([SIZE]))
    graph = read_nir(write(tmp_path / "n.nir", nodes, [*edges, ("n", "v")]), "norse,integrate=step", DT).graph
    x = rng.normal(0.2, 1.0, (1, 60, SIZE))
    trace = run_float(graph, x)
    _, v = by_hand(kind, p, replace(PRESETS["norse"], integrate="step"), x[0])
    assert [op.value for op in graph.of_kind(Output).values()] == ["spikes", "membrane"]
    assert np.allclose(trace.outputs["v"][0], v)
    assert np.array_equal(trace.outputs["out"][0], v > 0.7)


def test_a_threshold_alone_keeps_nothing(tmp_path: Path) -> None:
    nodes, edges = chain(SIZE, {"t": node("Threshold", threshold=np.full(SIZE, 0.5))}, SIZE)
    path = write(tmp_path / "n.nir", nodes, edges)
    x = np.array([[[0.4, 0.5, 0.6]] * 3])
    assert run_float(read_nir(path, "exact").graph, x).outputs["out"][0].tolist() == [[0, 0, 1]] * 3
    assert run_float(read_nir(path, "exact,fires=at").graph, x).outputs["out"][0].tolist() == [[0, 1, 1]] * 3


def test_the_exact_style_is_the_equations_own() -> None:
    assert EXACT.fires == "above"
    assert EXACT.reset == "value"
    assert EXACT.decay == EXACT.gain == EXACT.current_gain == "exponential"
