"""Neurons of the frameworks as their exporters spell them, with what they compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncc.frontends.onnx.region import Meaning, Region
from snncc.layers import Adapt, Current, HardReset, Neuron, SoftReset
from tests.frontends.onnx.build import region

A, B, K, THETA = (np.float64(np.float32(value)) for value in (0.8, 0.9, 0.1, 1.25))
BETAS = np.float32([0.5, 0.9, 0.99]).astype(np.float64)
THETAS = np.float32([1.0, 0.7, 2.5]).astype(np.float64)


@dataclass(frozen=True)
class Cell:
    """A region, and the fit that it must have."""

    region: Region
    neuron: Neuron
    gains: Mapping[str, Any] = field(default_factory=lambda: {"x": 1.0})
    late: bool = False
    meanings: Mapping[str, Meaning] = field(default_factory=lambda: {"s": "spikes"})
    scales: Mapping[str, Any] = field(default_factory=dict)
    offsets: Mapping[str, Any] = field(default_factory=dict)


def neuron(decay: Any, threshold: Any, shape: tuple[int, ...] = (3,), **rest: Any) -> Neuron:
    arrays = {name: np.asarray(value) for name, value in rest.items() if name in {"bias", "minimum", "initial"}}
    limit = None if threshold is None else np.asarray(threshold)
    return Neuron(shape, np.asarray(decay), limit, **{**rest, **arrays})


def soft(amount: Any, delay: int = 0, adaptive: bool = False) -> SoftReset:
    return SoftReset(np.asarray(amount), delay, adaptive)


def hard(value: Any = 0.0) -> HardReset:
    return HardReset(np.asarray(value))


def current(decay: Any, initial: Any = 0.0) -> Current:
    return Current(np.asarray(decay), np.asarray(initial))


LATE_SPIKE = "d=Sub(v,th); g=Greater(d,0.0); r=Cast(g,to=1)"
SPIKE = "d1=Sub(v1,th); g1=Greater(d1,0.0); s=Cast(g1,to=1)"
BEFORE: Mapping[str, Meaning] = {"s": "spikes", "v1": "membrane before"}
AFTER: Mapping[str, Meaning] = {"s": "spikes", "v1": "membrane after"}
BOTH: Mapping[str, str] = {"i": "i1", "v": "v1"}
OUT = ("s", "v1")


def _snntorch() -> dict[str, Cell]:
    leak = f"{LATE_SPIKE}; b=Mul(v,beta); h=Add(b,x)"
    synapse = f"{LATE_SPIKE}; a=Mul(i,0.8); i1=Add(a,x); b=Mul(v,0.9); h=Add(b,i1)"
    zero = f"{LATE_SPIKE}; k=Sub(1.0,r); m=Mul(k,v); b=Mul(m,beta)"
    one = {"th": 1.25, "beta": 0.9}
    many = {"th": THETAS, "beta": BETAS}
    subtract = f"{leak}; rr=Mul(r,th); v1=Sub(h,rr); {SPIKE}"
    syn = {"states": BOTH, "exports": ("s", "v1", "i1"), "th": 1.25}
    meanings: Mapping[str, Meaning] = {**BEFORE, "i1": "current"}
    late, rest = soft(THETA, 1), {"reset": hard(), "refractory": 1}
    recurrent = f"{leak}; w=Mul(p,0.7); hw=Add(h,w); rr=Mul(r,th); v1=Sub(hw,rr); {SPIKE}"
    graded = f"{leak}; rr=Mul(r,th); v1=Sub(h,rr); d1=Sub(v1,th); g1=Greater(d1,0.0); c=Cast(g1,to=1); s=Mul(c,2.5)"
    undone = (
        f"{zero}; h=Add(b,x); d1=Sub(h,th); g1=Greater(d1,0.0); s=Cast(g1,to=1); u=Sub(s,r); hu=Mul(u,h); v1=Sub(h,hu)"
    )
    return {
        "leaky-subtract": Cell(region(subtract, exports=OUT, **one), neuron(B, THETA, reset=late), meanings=BEFORE),
        "leaky-subtract-vectors": Cell(
            region(subtract, exports=OUT, **many), neuron(BETAS, THETAS, reset=soft(THETAS, 1)), meanings=BEFORE
        ),
        "leaky-zero": Cell(
            region(f"{zero}; v1=Add(b,x); {SPIKE}", exports=OUT, **one), neuron(B, THETA, reset=hard()), meanings=BEFORE
        ),
        "leaky-none": Cell(
            region(f"b=Mul(v,beta); v1=Add(b,x); {SPIKE}", exports=OUT, **one), neuron(B, THETA), meanings=AFTER
        ),
        "leaky-clipped-beta": Cell(
            region(f"{leak}; cb=Clip(beta,0.0,1.0); b2=Mul(v,cb); h2=Add(b2,x); v1=Sub(h2,r); {SPIKE}", **one),
            neuron(B, THETA, reset=soft(1.0, 1)),
        ),
        "leaky-graded": Cell(region(graded, **one), neuron(B, THETA, reset=late), scales={"s": 2.5}),
        "leaky-zero-reset-at-once": Cell(region(undone, **one), neuron(B, THETA, reset=hard())),
        "synaptic-subtract": Cell(
            region(f"{synapse}; rr=Mul(r,th); v1=Sub(h,rr); {SPIKE}", **syn),
            neuron(B, THETA, reset=late, current=current(A)),
            meanings=meanings,
        ),
        "synaptic-none": Cell(
            region(f"{synapse}; v1=Identity(h); {SPIKE}", **syn),
            neuron(B, THETA, current=current(A)),
            meanings={**AFTER, "i1": "current"},
        ),
        "synaptic-zero": Cell(
            region(f"{synapse}; hr=Mul(h,r); v1=Sub(h,hr); {SPIKE}", **syn),
            neuron(B, THETA, current=current(A), **rest),
            meanings=meanings,
        ),
        "rleaky-one-to-one": Cell(
            region(recurrent, states={"p": "s", "v": "v1"}, **one),
            neuron(B, THETA, reset=late),
            gains={"x": 1.0, "p": np.float64(np.float32(0.7))},
        ),
        "rleaky-fed-back": Cell(
            region(recurrent, streams=("x", "p"), feedback={"p": "s"}, **one),
            neuron(B, THETA, reset=late),
            gains={"x": 1.0, "p": np.float64(np.float32(0.7))},
        ),
        "lapicque": Cell(
            region(f"{LATE_SPIKE}; y=Mul(x,0.1); m=Mul(v,0.9); h=Add(y,m); v1=Sub(h,r); {SPIKE}", th=1.25),
            neuron(B, THETA, reset=soft(1.0, 1)),
            gains={"x": K},
        ),
    }


GE = "d=Sub(h,1.0); g=GreaterOrEqual(d,0.0); s=Cast(g,to=1)"
HARD = "z=Mul(s,-0.5); k=Sub(1.0,s); m=Mul(k,h); v1=Add(z,m)"
ZERO = "k=Sub(1.0,s); v1=Mul(k,h)"


def _spikingjelly() -> dict[str, Cell]:
    wrapped = "ux=Unsqueeze(x); lx=Slice(ux); sx=Squeeze(lx)"
    third = np.float64(np.float32(1 / 3))
    return {
        "if-soft": Cell(region(f"h=Add(v,x); {GE}; v1=Sub(h,s)"), neuron(1.0, 1.0, inclusive=True, reset=soft(1.0))),
        "if-hard": Cell(region(f"h=Add(v,x); {GE}; {HARD}"), neuron(1.0, 1.0, inclusive=True, reset=hard(-0.5))),
        "lif-soft": Cell(
            region(f"e=Sub(x,v); f=Div(e,4.0); h=Add(v,f); {GE}; v1=Sub(h,s)"),
            neuron(0.75, 1.0, inclusive=True, reset=soft(1.0)),
            gains={"x": 0.25},
        ),
        "lif-hard": Cell(
            region(f"{wrapped}; w=Sub(v,-0.5); e=Sub(sx,w); f=Div(e,4.0); h=Add(v,f); {GE}; {HARD}", exports=OUT),
            neuron(0.75, 1.0, inclusive=True, reset=hard(-0.5), bias=-0.125),
            gains={"x": 0.25},
            meanings=AFTER,
        ),
        "lif-hard-undecayed-input": Cell(
            region(f"w=Div(v,4.0); e=Sub(v,w); h=Add(e,x); {GE}; {ZERO}"),
            neuron(0.75, 1.0, inclusive=True, reset=hard()),
        ),
        "plif": Cell(
            region(f"e=Sub(x,v); f=Mul(e,third); h=Add(v,f); {GE}; {ZERO}", third=1 / 3),
            neuron(1 - third, 1.0, inclusive=True, reset=hard()),
            gains={"x": third},
        ),
        "klif": Cell(
            region(f"e=Sub(x,v); f=Div(e,2.0); u=Add(v,f); ku=Mul(u,1.5); h=Relu(ku); {GE}; v1=Sub(h,s)"),
            neuron(0.75, 1.0, inclusive=True, reset=soft(1.0), minimum=0.0),
            gains={"x": 0.75},
        ),
        "cuba": Cell(
            region(f"ci=Mul(i,0.8); i1=Add(ci,x); b=Mul(v,0.9); h=Add(b,i1); {GE}; v1=Sub(h,s)", states=BOTH),
            neuron(B, 1.0, inclusive=True, reset=soft(1.0), current=current(A)),
        ),
        "spike-last-step": Cell(  # the STBP neuron of many home-made models
            region(
                "k=Sub(1.0,p); m=Mul(v,k); b=Mul(m,0.9); v1=Add(b,x); g=Greater(v1,1.25); s=Cast(g,to=1)",
                states={"v": "v1", "p": "s"},
                exports=("s", "v1"),
            ),
            neuron(B, THETA, reset=hard()),
            meanings=BEFORE,
        ),
        "spike-last-step-fed-back": Cell(
            region(
                "k=Sub(1.0,p); m=Mul(v,k); b=Mul(m,0.9); v1=Add(b,x); g=Greater(v1,1.25); s=Cast(g,to=1)",
                streams=("x", "p"),
                feedback={"p": "s"},
            ),
            neuron(B, THETA, reset=hard()),
        ),
    }


GT = "d=Sub(h,1.0); g=Greater(d,0.0); s=Cast(g,to=1)"


def _norse() -> dict[str, Cell]:
    lif = f"j=Add(i,x); l=Sub(0.2,v); t=Add(l,j); dv=Mul(t,0.1); h=Add(v,dv); di=Mul(j,-0.2); i1=Add(j,di); {GT}"
    lsnn = (
        f"l=Sub(0.0,v); t=Add(l,i); dv=Mul(t,0.1); h=Add(v,dv); ai=Mul(i,0.8); i1=Add(ai,x); e=Sub(1.0,b);"
        f"f=Mul(e,0.05); bb=Add(b,f); d=Sub(h,bb); g=Greater(d,0.0); s=Cast(g,to=1); {ZERO};"
        "sb=Mul(s,1.8); b1=Add(bb,sb)"
    )
    fifth, slow, jump = (np.float64(np.float32(value)) for value in (0.2, 0.05, 1.8))
    return {
        "norse-lif": Cell(
            region(
                f"{lif}; z=Mul(s,-0.5); k=Sub(1.0,s); m=Mul(k,h); v1=Add(m,z)", states=BOTH, exports=("s", "v1", "i1")
            ),
            neuron(1 - K, 1.0, reset=hard(-0.5), bias=K * fifth, current=current(1 - fifth)),
            gains={"x": K},
            meanings={**AFTER, "i1": "current"},
            scales={"i1": (1 - fifth) / K},
        ),
        "norse-lif-box": Cell(
            region(f"e=Sub(x,v); f=Mul(e,0.1); h=Add(v,f); {GT}; {ZERO}"),
            neuron(1 - K, 1.0, reset=hard()),
            gains={"x": K},
        ),
        "norse-li": Cell(
            region(
                "j=Add(i,x); l=Sub(0.0,v); t=Add(l,j); dv=Mul(t,0.1); v1=Add(v,dv); di=Mul(j,-0.2); i1=Add(j,di)",
                states=BOTH,
                exports=("v1",),
            ),
            neuron(1 - K, None, current=current(1 - fifth)),
            gains={"x": K},
            meanings={"v1": "membrane after"},
        ),
        "norse-lsnn": Cell(
            region(lsnn, states={"v": "v1", "i": "i1", "b": "b1"}),
            neuron(
                1 - K,
                1.0,
                reset=hard(),
                current=current(A),
                adapt=Adapt(np.asarray(1 - slow), np.asarray(jump), np.asarray(-1.0)),
            ),
            gains={"x": K},
            late=True,
        ),
    }


COUNT = (
    "q=Div(h,1.25); a=Abs(q); fl=Floor(a); sg=Sign(q); tr=Mul(fl,sg); p=Greater(h,0.0); pf=Cast(p,to=1); s=Mul(pf,tr)"
)


def _sinabs() -> dict[str, Cell]:
    from snncc.frontends.onnx.hypothesis import UNBOUNDED

    leak = "b=Mul(v,0.9); h=Add(b,x)"
    single = "d=Sub(h,1.25); g=GreaterOrEqual(d,0.0); s=Cast(g,to=1)"
    fire: dict[str, Any] = {"inclusive": True}
    alif = (
        "bd=Mul(b,0.95); th=Add(bd,1.25); l=Mul(v,0.9); h=Add(l,x); d=Sub(h,th); g=GreaterOrEqual(d,0.0);"
        "s=Cast(g,to=1); rs=Mul(s,th); v1=Sub(h,rs); j=Mul(s,0.5); b1=Add(bd,j)"
    )
    slow = np.float64(np.float32(0.95))
    return {
        "sinabs-single": Cell(
            region(f"{leak}; {single}; r=Mul(s,1.25); v1=Sub(h,r)"), neuron(B, THETA, reset=soft(THETA), **fire)
        ),
        "sinabs-single-zero": Cell(
            region(f"{leak}; {single}; e=Equal(s,0.0); ef=Cast(e,to=1); v1=Mul(h,ef)"),
            neuron(B, THETA, reset=hard(), **fire),
        ),
        "sinabs-min-v-mem": Cell(
            region(f"b=Mul(v,0.9); u=Add(b,x); um=Sub(u,-2.0); ur=Relu(um); h=Add(ur,-2.0); {single}; v1=Sub(h,s)"),
            neuron(B, THETA, reset=soft(1.0), minimum=-2.0, **fire),
        ),
        "sinabs-min-v-mem-after": Cell(
            region(f"{leak}; {single}; w=Sub(h,s); um=Sub(w,-2.0); ur=Relu(um); v1=Add(ur,-2.0)"),
            neuron(B, THETA, reset=soft(1.0), minimum=-2.0, **fire),
        ),
        "sinabs-multi": Cell(
            region(f"{leak}; {COUNT}; r=Mul(s,1.25); v1=Sub(h,r)"),
            neuron(B, THETA, reset=soft(THETA), max_spikes=UNBOUNDED, **fire),
        ),
        "sinabs-multi-max": Cell(
            region(f"{leak}; q=Div(h,1.25); fl=Floor(q); s=Clip(fl,0.0,5.0); r=Mul(s,1.25); v1=Sub(h,r)"),
            neuron(B, THETA, reset=soft(THETA), max_spikes=5, **fire),
        ),
        "sinabs-synapse-decays-late": Cell(
            region(
                f"j=Add(i,x); i1=Mul(j,0.8); b=Mul(v,0.9); h=Add(b,i1); {single}; r=Mul(s,1.25); v1=Sub(h,r)",
                states=BOTH,
            ),
            neuron(B, THETA, reset=soft(THETA), current=current(A), **fire),
            gains={"x": A},
        ),
        "sinabs-alif": Cell(
            region(alif, states={"v": "v1", "b": "b1"}),
            neuron(
                B,
                THETA,
                reset=soft(THETA, adaptive=True),
                adapt=Adapt(np.asarray(slow), np.asarray(0.5)),
                **fire,
            ),
        ),
        "exp-leak": Cell(
            region("b=Mul(v,0.9); v1=Add(b,x)", exports=("v1",)), neuron(B, None), meanings={"v1": "membrane after"}
        ),
    }


CELLS = {**_snntorch(), **_spikingjelly(), **_norse(), **_sinabs()}
