"""What is no neuron of the normal form is refused, and each refusal says what is in the way."""

from __future__ import annotations

import numpy as np
import pytest

from snncc.diagnostics import CompileError
from snncc.frontends.onnx.identify import identify
from snncc.frontends.onnx.region import Region
from tests.frontends.onnx.build import region

LEAK = "a=Mul(v,0.9); h=Add(a,x)"
SPIKE = "g=Greater(h,1.0); s=Cast(g,to=1)"
LATE = "g0=Greater(v,1.0); r=Cast(g0,to=1)"
SPIKE1 = "g=Greater(v1,1.0); s=Cast(g,to=1)"
SUBTRACT = "v1=Sub(h,s)"
AFFINE = "the normal form is affine between its switches: leaks, weights and resets must be constants"
THRESHOLD = "reset the membrane where it fires, with the same threshold and the same comparison"
COUNTS = "spikes are 0 or 1, or a count; split a signed neuron into a positive and a negative population"
CUBA = "the normal form resets the membrane only; the nearest neuron is a CubaLIF"

REFUSED: dict[str, tuple[Region, str, str, str]] = {
    "input-gating": (
        region(f"a=Mul(v,0.9); xv=Mul(x,v); h=Add(a,xv); {SPIKE}; {SUBTRACT}"),
        "gated-input",
        "node Mul_1 multiplies x by v",
        AFFINE,
    ),
    "input-dependent-leak": (
        region(f"c=Sigmoid(x); a=Mul(v,c); h=Add(a,x); {SPIKE}; {SUBTRACT}"),
        "nonlinear-neuron",
        "node Sigmoid_0 takes Sigmoid of x",
        AFFINE,
    ),
    "multiplied-by-the-reset": (
        region(f"{LEAK}; {SPIKE}; c=Mul(s,0.5); k=Sub(1.0,c); v1=Mul(k,h)"),
        "scaled-reset",
        "a spike multiplies the membrane by 0.5",
        "use a reset by subtraction or to a value",
    ),
    "multiplied-by-the-late-reset": (
        region(f"{LATE}; c=Mul(r,0.75); k=Sub(1.0,c); m=Mul(k,v); a=Mul(m,0.5); v1=Add(a,x); {SPIKE1}"),
        "scaled-reset",
        "a spike multiplies the membrane by 0.25",
        "use a reset by subtraction or to a value",
    ),
    "leak-by-sign": (
        region(f"a=Mul(v,0.9); c=Mul(v,0.5); p=Greater(v,0.0); w=Where(p,a,c); h=Add(w,x); {SPIKE}; {SUBTRACT}"),
        "branching-leak",
        "v decays by 0.5 below 0 and by 0.9 above it",
        "the normal form has one decay per neuron; use one leak for both signs",
    ),
    "leaky-relu-membrane": (
        region(f"a=Mul(v,0.5); y=Add(a,x); h=LeakyRelu(y,alpha=0.25); {SPIKE}; {SUBTRACT}"),
        "branching-leak",
        "v decays by 0.125 below 0 and by 0.5 above it",
        "the normal form has one decay per neuron; use one leak for both signs",
    ),
    "ternary": (
        region(f"{LEAK}; {SPIKE}; g2=Less(h,-1.0); n=Cast(g2,to=1); t=Sub(s,n); v1=Sub(h,t)", exports=("t",)),
        "negative-spikes",
        "emits negative spikes too",
        COUNTS,
    ),
    "counts-below-zero": (
        region(f"{LEAK}; s=Floor(h); v1=Sub(h,s)"),
        "negative-spikes",
        "emits negative spikes too",
        COUNTS,
    ),
    "counts-on-both-sides": (
        region(f"{LEAK}; m=Abs(h); f=Floor(m); n=Sign(h); s=Mul(f,n); v1=Sub(h,s)"),
        "negative-spikes",
        "emits negative spikes too",
        COUNTS,
    ),
    "window": (
        region(f"{LEAK}; g=Greater(h,1.0); g2=Less(h,2.0); b=And(g,g2); s=Cast(b,to=1); {SUBTRACT}"),
        "windowed-firing",
        "fires only while the membrane lies between 1 and 2",
        "a neuron must fire at every membrane above its threshold",
    ),
    "fires-below": (
        region(f"{LEAK}; g=Less(h,-1.0); s=Cast(g,to=1); v1=Add(h,s)"),
        "fires-below",
        "fires while the membrane is below -1",
        "a neuron must fire above its threshold; negate the membrane and its weights",
    ),
    "weak-square": (
        region(f"a=Mul(v,0.9); q=Mul(v,v); w=Mul(q,0.0001); b=Sub(a,w); h=Add(b,x); {SPIKE}; {SUBTRACT}"),
        "nonlinear-neuron",
        "node Mul_1 multiplies v by v",
        AFFINE,
    ),
    "reset-above-the-threshold": (
        region(f"{LEAK}; {SPIKE}; g2=Greater(h,1.25); r=Cast(g2,to=1); v1=Sub(h,r)"),
        "reset-threshold",
        "v is reset where it passes 1.25; the neuron fires elsewhere, or by the other of > and >=",
        THRESHOLD,
    ),
    "reset-below-the-threshold": (
        region(f"{LEAK}; {SPIKE}; g2=Greater(h,0.75); r=Cast(g2,to=1); v1=Sub(h,r)"),
        "reset-threshold",
        "v is reset where it passes 0.75; the neuron fires elsewhere, or by the other of > and >=",
        THRESHOLD,
    ),
    "reset-by-the-other-comparison": (
        region(f"{LEAK}; {SPIKE}; g2=GreaterOrEqual(h,1.0); r=Cast(g2,to=1); v1=Sub(h,r)"),
        "reset-threshold",
        "v is reset where it passes 1; the neuron fires elsewhere, or by the other of > and >=",
        THRESHOLD,
    ),
    "late-reset-at-another-threshold": (
        region(f"g0=Greater(v,1.25); r=Cast(g0,to=1); {LEAK}; v1=Sub(h,r); {SPIKE1}"),
        "reset-threshold",
        "v is reset where it passes 1.25; the neuron fires elsewhere, or by the other of > and >=",
        THRESHOLD,
    ),
    "saturation": (
        region(f"a=Mul(v,0.9); y=Add(a,x); h=Clip(y,-50.0,50.0); {SPIKE}; {SUBTRACT}"),
        "saturating-membrane",
        "v never exceeds 50: the normal form has a lower clamp only",
        "remove the upper clamp from the model, or move it beyond the values that occur",
    ),
    "saturating-read-out": (
        region("a=Mul(v,0.9); y=Add(a,x); v1=Min(y,50.0)", exports=("v1",)),
        "saturating-membrane",
        "v never exceeds 50: the normal form has a lower clamp only",
        "remove the upper clamp from the model, or move it beyond the values that occur",
    ),
    "alpha": (  # snnTorch's: the spike resets the two currents
        region(
            f"ea=Mul(e,0.9); e1=Add(ea,x); ia=Mul(i,0.8); i1=Sub(ia,x); t=Add(e1,i1); v1=Mul(t,3.0); {SPIKE1}",
            states={"e": "e1", "i": "i1", "v": "v1"},
        ),
        "too-many-currents",
        "v reads the states e and i; the normal form has one synaptic current",
        "the nearest neuron is a CubaLIF, with one current",
    ),
    "current-cleared-by-the-spike": (
        region(
            f"ai=Mul(i,0.8); j=Add(ai,x); a=Mul(v,0.9); h=Add(a,j); {SPIKE}; k=Sub(1.0,s); v1=Mul(k,h); i1=Mul(k,j)",
            states={"i": "i1", "v": "v1"},
        ),
        "current-reset",
        "a spike, or a switch, changes the current i too",
        CUBA,
    ),
    "quadratic": (
        region(f"e=Sub(v,-1.0); f=Sub(v,1.0); q=Mul(e,f); y=Add(q,x); d=Mul(y,0.5); h=Add(v,d); {SPIKE}; {SUBTRACT}"),
        "nonlinear-neuron",
        "node Mul_2 multiplies v by v",
        AFFINE,
    ),
    "exponential": (
        region(f"e=Exp(v); f=Add(e,x); a=Mul(v,0.9); h=Add(a,f); {SPIKE}; {SUBTRACT}"),
        "nonlinear-neuron",
        "node Exp_0 takes Exp of v",
        AFFINE,
    ),
    "cube": (
        region(f"e=Pow(v,3.0); h=Add(e,x); {SPIKE}; {SUBTRACT}"),
        "nonlinear-neuron",
        "node Pow_0 raises v to the power 3",
        AFFINE,
    ),
    "izhikevich": (
        region(
            f"q=Mul(v,v); c=Mul(q,0.04); y=Sub(c,u); h=Add(y,x); {SPIKE}; v1=Where(g,-65.0,h); w=Mul(v,0.2);"
            "z=Sub(w,u); z1=Mul(z,0.02); u0=Add(u,z1); u8=Add(u0,8.0); u1=Where(g,u8,u0)",
            states={"v": "v1", "u": "u1"},
        ),
        "nonlinear-neuron",
        "node Mul_0 multiplies v by v",
        AFFINE,
    ),
    "threshold-raised-by-its-own-late-reset": (  # snnTorch Leaky with reset_delay=False
        region(f"{LATE}; a=Mul(v,0.9); b=Add(a,x); h=Sub(b,r); {SPIKE}; u=Sub(s,r); v1=Sub(h,u)"),
        "late-threshold",
        "the threshold changes while the membrane is beyond it after a reset",
        "reset in the step after the spike (in snnTorch: reset_delay=True), or reset to a value",
    ),
    "input-around-the-current": (
        region(
            f"ai=Mul(i,0.8); i1=Add(ai,x); a=Mul(v,0.9); b=Add(a,i1); h=Add(b,y); {SPIKE}; {SUBTRACT}",
            states={"i": "i1", "v": "v1"},
            streams=("x", "y"),
        ),
        "bypassed-current",
        "input reaches v around the current i",
        "the membrane may read its input through the current only",
    ),
    "current-that-drifts": (
        region(
            f"ax=Add(i,x); i1=Add(ax,0.5); a=Mul(v,0.9); h=Add(a,i1); {SPIKE}; {SUBTRACT}",
            states={"i": "i1", "v": "v1"},
        ),
        "drifting-current",
        "i grows by 0.5 every step",
        "",
    ),
    "membrane-driven-adaptation": (
        region(
            f"a=Mul(v,0.9); y=Sub(a,w); h=Add(y,x); {SPIKE}; {SUBTRACT}; wd=Mul(w,0.9); wv=Mul(v,0.1); w1=Add(wd,wv)",
            states={"v": "v1", "w": "w1"},
        ),
        "unrecognised-current",
        "the current w of v reads v",
        "",
    ),
    "a-trace-of-spikes": (
        region(
            f"{LEAK}; {SPIKE}; {SUBTRACT}; td=Mul(t,0.9); t1=Add(td,s)",
            states={"v": "v1", "t": "t1"},
            exports=("s", "t1"),
        ),
        "unrelated-state",
        "t is neither a membrane, a current nor an adapting threshold",
        "the normal form has these three states",
    ),
    "half-a-membrane-outside": (
        region(f"{LEAK}; {SPIKE}; {SUBTRACT}; y=Relu(h)", exports=("s", "y")),
        "unknown-export",
        "y is read outside the neuron, but is neither its spikes, its membrane nor its current",
        "only these three may leave a neuron",
    ),
    "fires-at-rest": (
        region(f"{LATE}; {LEAK}; v1=Sub(h,r); {SPIKE1}", initial={"v": 2.0}),
        "fires-at-rest",
        "the initial state 2 is beyond the threshold 1",
        "the first step would apply a reset that no spike asked for",
    ),
    "no-state-and-no-spikes": (
        region("y=Relu(x)", states={}, exports=("y",)),
        "not-a-neuron",
        "has neither a state nor spikes",
        "only neurons may stand between linear layers",
    ),
    "fires-by-its-input": (
        region(f"{LEAK}; g=Greater(x,1.0); s=Cast(g,to=1); {SUBTRACT}"),
        "unrecognised-firing",
        "its spikes are no comparison of the membrane v <- 0.9 v + x with a threshold",
        "spikes must be v > threshold or v >= threshold for the membrane that the spike resets",
    ),
    "not-a-number": (
        region(f"a=Mul(v,beta); h=Add(a,x); {SPIKE}; {SUBTRACT}", beta=[0.5, np.nan, 0.9]),
        "not-a-number",
        "its constant beta holds NaN",
        "check the trained parameters",
    ),
    "half-a-spike-at-the-threshold": (  # torch.heaviside(v - theta, 0.5)
        region(f"{LEAK}; d=Sub(h,1.0); n=Sign(d); p=Add(n,1.0); s=Mul(p,0.5); {SUBTRACT}"),
        "inexact-fit",
        "at v = 0, x = 1, the spikes are 0.5, but 1 in the nearest neuron (v <- 0.9 v + x; s = v >= 1; reset by 1)",
        "only neurons of the normal form can be compiled",
    ),
    "reset-by-another-amount-far-up": (
        region(f"{LEAK}; {SPIKE}; g2=Greater(h,100.0); r=Cast(g2,to=1); t=Add(s,r); v1=Sub(h,t)"),
        "inexact-fit",
        "at v = 0, x = 101, the next v is 99, but 100 in the nearest neuron (v <- 0.9 v + x; s = v > 1; reset by 1)",
        "only neurons of the normal form can be compiled",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_what_is_in_the_way(name: str) -> None:
    given, rule, message, hint = REFUSED[name]
    with pytest.raises(CompileError) as caught:
        identify(given)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.rule, diagnostic.where, diagnostic.message, diagnostic.hint) == (rule, "cell", message, hint)


def test_a_region_of_endless_cases_is_refused_in_time() -> None:
    folds = "; ".join(f"a{k}=Sub(y{k},{k + 0.5}); y{k + 1}=Abs(a{k})" for k in range(40))
    text = f"y0=Add(v,x); {folds}; v1=Add(y40,v)"
    with pytest.raises(CompileError, match="makes more decisions in a step than any neuron does"):
        identify(region(text, exports=("v1",)))
