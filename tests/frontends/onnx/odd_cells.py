"""Neurons in odd but valid spellings, with what they compute."""

from __future__ import annotations

import numpy as np

from tests.frontends.onnx.build import region
from tests.frontends.onnx.cells import BOTH, GT, LATE_SPIKE, SPIKE, THETA, ZERO, B, Cell, current, hard, neuron, soft


def _odd() -> dict[str, Cell]:
    leak = "b=Mul(v,0.9); h=Add(b,x)"
    by_one = neuron(B, THETA, reset=soft(1.0))
    at_least = neuron(B, THETA, inclusive=True, reset=soft(1.0))
    to_zero = neuron(B, THETA, reset=hard())
    channels = np.float32([0.5, 0.75, 0.9]).astype(np.float64).reshape(3, 1, 1)
    spikes = {
        "not-less": ("l=Less(h,1.25); g=Not(l); s=Cast(g,to=1); v1=Sub(h,s)", at_least),
        "not-less-or-equal": ("l=LessOrEqual(h,1.25); g=Not(l); s=Cast(g,to=1); v1=Sub(h,s)", by_one),
        "negated": ("n=Neg(h); g=Less(n,-1.25); s=Cast(g,to=1); v1=Sub(h,s)", by_one),
        "scaled": ("n=Div(h,1.25); g=Greater(n,1.0); s=Cast(g,to=1); v1=Sub(h,s)", by_one),
        "greater-or-equal-by-parts": (
            "g=Greater(h,1.25); e=Equal(h,1.25); o=Or(g,e); s=Cast(o,to=1); v1=Sub(h,s)",
            at_least,
        ),
        "max-equals": ("m=Max(h,1.25); g=Equal(m,h); s=Cast(g,to=1); v1=Sub(h,s)", at_least),
        "sign": ("d=Sub(h,1.25); sg=Sign(d); s=Relu(sg); v1=Sub(h,s)", by_one),
        "compared-twice": (
            "g=Greater(h,1.25); s=Cast(g,to=1); g2=Less(1.25,h); r=Where(g2,1.0,0.0); v1=Sub(h,r)",
            by_one,
        ),
        "where": ("g=Greater(h,1.25); s=Where(g,1.0,0.0); v1=Where(g,0.0,h)", to_zero),
        "casts": (
            "g=Greater(h,1.25); c=Cast(g,to=7); s=Cast(c,to=1); f=Cast(s,to=9); n=Not(f); k=Cast(n,to=1); v1=Mul(k,h)",
            to_zero,
        ),
        "equal-zero": ("g=Greater(h,1.25); s=Cast(g,to=1); e=Equal(s,0.0); v1=Where(e,h,0.0)", to_zero),
        "xor": ("g=Greater(h,1.25); n=Not(g); t=Xor(n,g); a=And(t,g); s=Cast(a,to=1); v1=Sub(h,s)", by_one),
        "bool-spikes": ("s=Greater(h,1.25); f=Cast(s,to=1); v1=Sub(h,f)", by_one),
        "pinned-infinities": (
            "c=Clip(h,-3.4028234663852886e38,3.4028234663852886e38); g=Greater(c,1.25); s=Cast(g,to=1); v1=Sub(c,s)",
            by_one,
        ),
    }
    cells = {name: Cell(region(f"{leak}; {text}"), expected) for name, (text, expected) in spikes.items()}
    staircase = (
        "g=Greater(h,1.25); g2=Greater(h,2.5); g3=Greater(h,3.75); a=Cast(g,to=1); c=Cast(g2,to=1); e=Cast(g3,to=1)"
    )
    return cells | {
        "staircase": Cell(
            region(f"{leak}; {staircase}; s=Sum(a,c,e); r=Mul(s,1.25); v1=Sub(h,r)"),
            neuron(B, THETA, reset=soft(THETA), max_spikes=3),
        ),
        "ceil": Cell(
            region(f"{leak}; q=Div(h,1.25); c=Ceil(q); m=Sub(c,1.0); s=Clip(m,0.0,4.0); r=Mul(s,1.25); v1=Sub(h,r)"),
            neuron(B, THETA, reset=soft(THETA), max_spikes=4),
        ),
        "inverted-export": Cell(
            region(f"{leak}; g=Greater(h,1.25); s=Cast(g,to=1); n=Sub(1.0,s); v1=Sub(h,s)", exports=("n",)),
            by_one,
            meanings={"n": "spikes"},
            scales={"n": -1.0},
            offsets={"n": 1.0},
        ),
        "hidden-spikes": Cell(
            region(f"{leak}; g=Greater(h,1.25); v1=Where(g,0.0,h)", exports=("v1",)),
            to_zero,
            meanings={"v1": "membrane after"},
        ),
        "subtracts-its-last-spike": Cell(
            region(
                f"b=Mul(v,0.9); y=Add(b,x); r=Mul(p,0.5); v1=Sub(y,r); {SPIKE}", states={"p": "s", "v": "v1"}, th=1.25
            ),
            neuron(B, THETA, reset=soft(0.5, 1)),
        ),
        "two-streams": Cell(
            region(f"w=Mul(y,0.5); xy=Add(x,w); b=Mul(v,0.9); h=Add(b,xy); {GT}; v1=Sub(h,s)", streams=("x", "y")),
            neuron(B, 1.0, reset=soft(1.0)),
            gains={"x": 1.0, "y": 0.5},
        ),
        "channels": Cell(
            region(
                f"b=Mul(v,beta); h=Add(b,x); {GT}; v1=Sub(h,s)",
                shape=(3, 4, 5),
                beta=np.broadcast_to(channels, (3, 4, 5)),
            ),
            neuron(channels, 1.0, (3, 4, 5), reset=soft(1.0)),
        ),
        "scalar-shape": Cell(
            region(f"b=Mul(v,0.9); h=Add(b,x); {GT}; v1=Sub(h,s)", shape=()), neuron(B, 1.0, (), reset=soft(1.0))
        ),
        "some-neurons-forget": Cell(
            region(f"b=Mul(v,beta); h=Add(b,x); {GT}; v1=Sub(h,s)", beta=[0.0, 0.5, 1.0]),
            neuron([0.0, 0.5, 1.0], 1.0, reset=soft(1.0)),
        ),
        "stateless": Cell(region("g=Greater(x,1.25); s=Cast(g,to=1)", states={}), neuron(0.0, THETA)),
        "stateless-below": Cell(
            region("g=Less(x,1.25); s=Cast(g,to=1)", states={}), neuron(0.0, -THETA), gains={"x": -1.0}
        ),
        "stateless-or": Cell(
            region("t=Add(x,y); g=GreaterOrEqual(t,0.5); s=Cast(g,to=1)", states={}, streams=("x", "y")),
            neuron(0.0, 0.5, inclusive=True),
            gains={"x": 1.0, "y": 1.0},
        ),
        "current-with-a-fixed-point": Cell(
            region(f"a=Mul(i,0.5); ax=Add(a,x); i1=Add(ax,1.0); b=Mul(v,0.9); h=Add(b,i1); {GT}; {ZERO}", states=BOTH),
            neuron(B, 1.0, reset=hard(), current=current(0.5, -2.0), bias=2.0),
        ),
        "initial-states": Cell(
            region(
                f"a=Mul(i,0.5); i1=Add(a,x); b=Mul(v,0.9); h=Add(b,i1); {GT}; {ZERO}",
                states=BOTH,
                initial={"v": 0.25, "i": -1.0},
            ),
            neuron(B, 1.0, reset=hard(), current=current(0.5, -1.0), initial=0.25),
        ),
        "initial-state-before-its-reset": Cell(
            region(
                f"{LATE_SPIKE}; k=Sub(1.0,r); m=Mul(k,v); b=Mul(m,0.9); v1=Add(b,x); {SPIKE}",
                th=1.25,
                initial={"v": [2.0, 1.0, 0.0]},
            ),
            neuron(B, THETA, reset=hard(), initial=[0.0, 1.0, 0.0]),
        ),
        "noise-times-zero": Cell(
            region(f"b=Mul(v,0.9); nx=Tanh(x); z=Mul(nx,0.0); xz=Add(x,z); h=Add(b,xz); {GT}; v1=Sub(h,s)"),
            neuron(B, 1.0, reset=soft(1.0)),
        ),
    }


ODD_CELLS = _odd()
