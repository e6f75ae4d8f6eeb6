"""Counts of the steps of rest after a spike are read, in any spelling, and refused where more than that rests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from snncc.diagnostics import CompileError
from snncc.frontends import read_model
from snncc.frontends.onnx.identify import identify
from snncc.frontends.onnx.region import Region
from snncc.layers import HardReset, Neuron, SoftReset
from snncc.semantics import run_float
from tests.frontends.onnx.build import region
from tests.frontends.onnx.step_graphs import runtime, two_layers

HOLD = "a=Mul(v,0.9); h=Add(a,x); w=Where(rest,v,h)"
FIRE = "g=Greater(w,1.0); n=Not(rest); gn=And(g,n); s=Cast(gn,to=1)"
DOWN = "d=Sub(c,one); m=Max(d,0.0); c1=Where(gn,k,m)"
UP = "d=Add(c,1.0); m=Min(d,k); c1=Where(gn,0.0,m)"
RESTS, COUNTS = "rest=Greater(c,0.0)", "rest=Less(c,k)"
STATES = {"v": "v1", "c": "c1"}
RESETS = {"hard": "u=Sub(1.0,s); v1=Mul(w,u)", "soft": "v1=Sub(w,s)", "none": "v1=Identity(w)"}
HINT = "after a spike the normal form holds the membrane and is silent for some steps; all else goes on"


def down(reset: str = "hard", k: Any = 3.0, one: Any = 1.0, **rest: Any) -> Region:
    return region(f"{RESTS}; {HOLD}; {FIRE}; {RESETS[reset]}; {DOWN}", **{"states": STATES, "k": k, "one": one, **rest})


def rests(found: Region) -> int:
    fit = identify(found)
    assert (float(fit.neuron.decay), fit.meanings["s"]) == (np.float32(0.9), "spikes")
    assert fit.neuron.threshold is not None
    assert fit.neuron.threshold == 1.0
    return fit.neuron.refractory


@pytest.mark.parametrize("k", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("reset", list(RESETS))
def test_a_count_down_is_read(k: int, reset: str) -> None:
    assert rests(down(reset, float(k))) == k


@pytest.mark.parametrize("k", [1, 2, 6])
def test_a_count_up_is_read_where_it_starts_at_its_end(k: int) -> None:
    text = f"{COUNTS}; {HOLD}; {FIRE}; {RESETS['soft']}; {UP}"
    assert rests(region(text, states=STATES, k=float(k), initial={"c": k})) == k


def test_a_count_from_below_is_read() -> None:
    text = f"rest=Less(c,0.0); {HOLD}; {FIRE}; {RESETS['hard']}; d=Add(c,1.0); m=Min(d,0.0); c1=Where(gn,-4.0,m)"
    assert rests(region(text, states=STATES)) == 4


@pytest.mark.parametrize(("k", "one"), [(0.004, 0.001), (0.3, 0.1), (0.7, 0.1), (5.0, 2.0), (0.06, 0.02)])
def test_a_count_in_seconds_rests_as_long_as_float32_makes_it(k: float, one: float) -> None:
    left, steps = np.float32(k), 0
    while left > 0:
        left, steps = np.maximum(left - np.float32(one), np.float32(0)), steps + 1
    assert rests(down("hard", k, one)) == steps


def test_a_rest_may_end_before_the_count_does() -> None:
    assert rests(region(f"rest=Greater(c,1.5); {HOLD}; {FIRE}; {RESETS['soft']}; d=Sub(c,1.0); m=Max(d,0.0); "
                        "c1=Where(gn,5.0,m)", states=STATES)) == 4  # fmt: skip


def test_a_membrane_that_is_reset_again_and_again_is_held() -> None:
    text = f"{RESTS}; a=Mul(v,0.9); h=Add(a,x); w=Where(rest,-0.5,h); g=Greater(w,1.0); s=Cast(g,to=1)"
    fit = identify(region(f"{text}; v1=Where(g,-0.5,w); d=Sub(c,1.0); m=Max(d,0.0); c1=Where(g,2.0,m)", states=STATES))
    assert fit.neuron.refractory == 2
    assert isinstance(fit.neuron.reset, HardReset)
    assert fit.neuron.reset.value == -0.5


def test_neurons_may_count_in_steps_of_their_own() -> None:
    assert rests(down("soft", np.array([2.0, 3.0, 1.0]), np.array([1.0, 1.5, 0.5]))) == 2


def test_a_current_and_an_adaptation_go_on() -> None:
    text = f"i0=Mul(i,0.5); i1=Add(i0,x); {RESTS}; a=Mul(v,0.9); h=Add(a,i1); w=Where(rest,v,h); b0=Mul(b,0.8)"
    text += f"; o=Sub(w,b0); g=Greater(o,1.0); n=Not(rest); gn=And(g,n); s=Cast(gn,to=1); b1=Add(b0,s); {DOWN}"
    neuron: Neuron = identify(
        region(f"{text}; v1=Sub(w,s)", states={**STATES, "i": "i1", "b": "b1"}, k=3.0, one=1.0)
    ).neuron
    assert neuron.refractory == 3
    assert neuron.current is not None
    assert neuron.adapt is not None
    assert isinstance(neuron.reset, SoftReset)


def _refusals() -> dict[str, tuple[Region, str]]:
    current = f"{RESTS}; i0=Mul(i,0.5); i2=Add(i0,x); a=Mul(v,0.9); h=Add(a,i2); w=Where(rest,v,h); {FIRE}; v1=Sub(w,s)"
    three = {"states": {**STATES, "i": "i1"}, "k": 3.0, "one": 1.0}
    going = f"{RESTS}; a=Mul(v,0.9); w=Add(a,x); {FIRE}; {RESETS['hard']}; {DOWN}"
    frozen = "refractory-count]: cell: while c counts the steps since the last spike, "
    return {
        "frozen current": (
            region(f"{current}; i1=Where(rest,i,i2); {DOWN}", **three),
            f"{frozen}the current i does not go on as ever\n  = hint: {HINT}",
        ),
        "membrane goes on": (
            region(going, states=STATES, k=3.0, one=1.0),
            f"{frozen}v does not just stay as the spike left it\n  = hint: {HINT}",
        ),
        "neurons differ": (
            down("hard", np.array([2.0, 3.0, 3.0])),
            "refractory-count]: cell: c counts 2 to 3 steps after a spike, not the same for all neurons\n"
            "  = hint: the neurons of one population rest equally long; split it into several",
        ),
        "starts at rest": (
            down(initial={"c": 2.0}),
            "initial-rest]: cell: c starts at 2, so the neuron is not ready before the first step\n"
            "  = hint: let c start at 0, the value with which the neuron rests no more",
        ),
        "starts at zero and counts up": (
            region(f"{COUNTS}; {HOLD}; {FIRE}; {RESETS['soft']}; {UP}", states=STATES, k=3.0),
            "initial-rest]: cell: c starts at 0, so the neuron is not ready before the first step\n"
            "  = hint: let c start at 3, the value with which the neuron rests no more",
        ),
        "never stays": (
            region(f"{RESTS}; {HOLD}; {FIRE}; {RESETS['hard']}; d=Sub(c,1.0); c1=Where(gn,3.0,d)", states=STATES),
            "refractory-count]: cell: v is held while c counts the steps since the last spike\n"
            "  = hint: a spike must set the count to a number, from which it goes step by step to another one and "
            "stays there",
        ),
    }


@pytest.mark.parametrize("name", list(_refusals()))
def test_another_rest_is_refused(name: str) -> None:
    found, message = _refusals()[name]
    with pytest.raises(CompileError) as caught:
        identify(found)
    assert str(caught.value) == f"error[{message}"


def test_a_counter_that_skips_a_value_is_refused() -> None:
    text = f"{RESTS}; {HOLD}; {FIRE}; {RESETS['soft']}; {DOWN}"
    with pytest.raises(CompileError):  # from 2 the spikes are let through, at 3 and at 1 they are not
        identify(
            region(
                text.replace("n=Not(rest)", "e=Equal(c,2.0); nr=Not(rest); n=Or(e,nr)"), states=STATES, k=3.0, one=1.0
            )
        )


def test_an_echo_that_the_rest_changes_is_refused() -> None:
    text = f"{RESTS}; a=Mul(v,0.9); y=Mul(p,0.5); xy=Add(x,y); h=Add(a,xy); w=Where(rest,v,h); {FIRE}; v1=Sub(w,s)"
    states = {**STATES, "p": "p1"}
    good = region(f"{text}; p1=Identity(s); {DOWN}", states=states, k=3.0, one=1.0)
    assert rests(good) == 3
    with pytest.raises(CompileError):
        identify(region(f"{text}; f=Cast(rest,to=1); p1=Add(s,f); {DOWN}", states=states, k=3.0, one=1.0))


@pytest.mark.parametrize("kind", ["int64", "int32", "float"])
def test_a_file_with_a_count_computes_what_onnx_runtime_computes(kind: str, tmp_path: Path) -> None:
    graph = f"""<ir_version: 8, opset_import: ["" : 17]>
    step (float[1, 4] x, float[1, 4] v, {kind}[1, 4] c) => (float[1, 4] s, float[1, 4] v1, {kind}[1, 4] c1)
    <float leak = {{0.9}}, float theta = {{1}}, {kind} k = {{3}}, {kind} zero = {{0}}, {kind} one = {{1}}>
    {{
      rest = Greater(c, zero)
      a = Mul(v, leak)
      h = Add(a, x)
      w = Where(rest, v, h)
      over = Greater(w, theta)
      ready = Not(rest)
      fires = And(over, ready)
      s = Cast <to = 1> (fires)
      v1 = Sub(w, s)
      d = Sub(c, one)
      m = Max(d, zero)
      c1 = Where(fires, k, m)
    }}"""
    model = onnx.parser.parse_model(graph)
    onnx.save(model, tmp_path / "step.onnx")
    x = np.random.default_rng(0).normal(0.6, 1.1, (100, 4)).astype(np.float32)
    session = runtime(model)
    first = {"float": np.float32, "int32": np.int32, "int64": np.int64}[kind]
    states: dict[str, Any] = {"v": np.zeros((1, 4), np.float32), "c": np.zeros((1, 4), first)}
    wanted: list[Any] = []
    for frame in x:
        s, *after = session.run(None, {"x": frame[None], **states})
        states = dict(zip(states, after, strict=True))
        wanted.append(s)
    assert 0.05 < np.mean(wanted) < 0.5
    (found,) = run_float(read_model(tmp_path / "step.onnx").graph, x[None], 100).outputs.values()
    np.testing.assert_array_equal(found[0], np.concatenate(wanted))


def test_a_count_that_is_halved_is_refused(tmp_path: Path) -> None:
    graph = two_layers()
    graph.input("count", (1, 3), onnx.TensorProto.INT64)
    graph.node("Div", ["count", graph.constant("two", 2, np.int64)], "half", name="halve")
    graph.output("half", onnx.TensorProto.INT64)
    with pytest.raises(CompileError) as caught:
        read_model(graph.save(tmp_path))
    assert str(caught.value) == (
        "error[unsupported-op]: halve: divides whole numbers, which cuts off the rest\n"
        "  = hint: count steps down by subtraction, or cast to float before"
    )


def test_data_of_whole_numbers_is_refused(tmp_path: Path) -> None:
    graph = two_layers()
    graph.inputs[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    graph.nodes[0].input[0] = graph.node("Cast", ["x"], "x_float", to=onnx.TensorProto.FLOAT)
    graph.nodes.insert(0, graph.nodes.pop())
    with pytest.raises(CompileError) as caught:
        read_model(graph.save(tmp_path))
    assert str(caught.value) == (
        "error[unsupported-type]: x: is an input of type int64\n"
        "  = hint: spikes and states are floats in a step: cast them before the export"
    )
