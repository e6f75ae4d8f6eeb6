"""Neurons whose file resets them at the beginning of the next step, by the spikes that it hands on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snncc.frontends.onnx.ahead import reset_ahead
from snncc.frontends.onnx.identify import identify
from snncc.frontends.onnx.region import Region
from snncc.layers import SoftReset
from tests.frontends.onnx.build import region

FIRE = {
    "several": "f=Floor(v1); g=Greater(v1,0.0); p=Cast(g,to=1); s=Mul(f,p)",
    "one": "d=Sub(v1,1.0); g=GreaterOrEqual(d,0.0); s=Cast(g,to=1)",
}


def late(fire: str, **more: Any) -> Region:
    """As an unrolled layer whose spikes also go back through weights: `last` are the spikes of the step before."""
    text = f"u=Sub(v,last); a=Mul(u,0.9); v1=Add(a,x); {FIRE[fire]}"
    return region(text, streams=("x", "last"), feedback={"last": "s"}, **more)


@pytest.mark.parametrize("fire", FIRE)
def test_the_neuron_is_that_of_a_reset_with_the_spike(fire: str) -> None:
    start = np.array([-0.3, 0.0, 1.5])  # the last is beyond the threshold, but no spike is there to reset it
    fit = identify(late(fire, initial={"v": start}))
    assert isinstance(fit.neuron.reset, SoftReset)
    assert (float(fit.neuron.reset.amount), fit.neuron.reset.delay) == (1.0, 0)
    assert (fit.neuron.threshold, fit.neuron.inclusive) == (1.0, True)
    assert fit.neuron.max_spikes == (1 if fire == "one" else 2**31 - 1)
    assert fit.meanings == {"s": "spikes"}
    np.testing.assert_allclose(fit.neuron.initial, start, rtol=1e-6)
    np.testing.assert_allclose((fit.neuron.decay, fit.gains["x"]), (0.9, 1.0), rtol=1e-6)


def test_what_two_values_are_made_of_is_left_as_it_is() -> None:
    text = "a=Mul(v,0.9); r=Mul(last,0.5); h=Add(a,x); v1=Sub(h,r); d=Sub(v1,1.0); g=Greater(d,0.0); s=Cast(g,to=1)"
    assert reset_ahead(region(text, streams=("x", "last"), feedback={"last": "s"})) is None


def test_what_leaves_the_region_is_left_as_it_is() -> None:
    assert reset_ahead(late("one", exports=("s", "a"))) is None
    assert reset_ahead(region("a=Mul(v,0.9); v1=Add(a,x); f=Floor(v1)", exports=("f", "v"))) is None


def test_without_last_values_there_is_nothing_to_do() -> None:
    assert reset_ahead(region("h=Add(v,x); g=Greater(h,1.0); s=Cast(g,to=1); v1=Sub(h,s)")) is None
