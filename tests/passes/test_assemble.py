"""Assembly: a chip without shared weights gets every synapse listed, and computes the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snncc import contracts
from snncc.analysis.proof import prove
from snncc.diagnostics import CompileError
from snncc.graph import Graph
from snncc.integers import Output, Synapse
from snncc.linear import Conv, Dense, Sparse
from snncc.passes import compose
from snncc.passes.quantise import Options, quantise
from snncc.semantics import run
from tests.conformance.backends import CANDIDATES, assert_conforms
from tests.passes.float_nets import HOST, NEURONS, convolved, net, number, spike_samples

LISTING = replace(HOST, capabilities=tuple(each for each in HOST.capabilities if each != "convolution"))
RNG = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("conv", "kind"),
    [
        (Conv(RNG.normal(size=(4, 2, 3, 3)), (2, 6, 6), padding=(1, 1, 1, 1)), Sparse),
        (Conv(RNG.normal(size=(6, 1, 2, 2)), (3, 6, 6), (2, 2), groups=3), Sparse),
        (Conv(RNG.normal(size=(8, 3, 4, 4)), (3, 4, 4)), Dense),
    ],
)
@pytest.mark.parametrize("with_samples", [False, True])
def test_convolutions_are_written_out_where_weights_cannot_be_shared(
    conv: Conv, kind: type, with_samples: bool
) -> None:
    graph = convolved(conv, NEURONS["if"], *conv.out_shape)
    samples = spike_samples(2, 8, 12, *conv.in_shape)
    shared, listed = (
        quantise(graph, chip, Options(4, steps=12), samples if with_samples else None) for chip in (HOST, LISTING)
    )
    assert isinstance(listed.of_kind(Synapse)["w"].map, kind)
    assert listed.of_kind(Synapse)["w"].map.weight.dtype == np.int8
    assert contracts.quantised(listed, LISTING, prove(listed, 12)) == ()
    x = samples.x.astype(np.int64)
    one, other = (run(each, x, record=("p",)) for each in (shared, listed))
    assert np.array_equal(one.spikes["p"], other.spikes["p"])
    assert np.array_equal(one.membranes["p"], other.membranes["p"])
    assert one.spikes["p"].any()
    for candidate in CANDIDATES:
        assert_conforms(candidate, listed, x)


def test_convolutions_too_large_to_be_listed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "MAX_SYNAPSES", 100)
    graph = convolved(Conv(np.ones((4, 2, 3, 3)) * 0.3, (2, 6, 6)), NEURONS["if"], 4, 4, 4)
    with pytest.raises(CompileError) as caught:
        quantise(graph, LISTING, Options())
    assert str(caught.value) == (
        "error[too-many-synapses]: w: without shared weights, which host lacks, it needs 1,152 synapses; snncc lists "
        "100\n  = hint: choose a target with convolutions, or a smaller model"
    )


def test_outputs_get_the_decoder_that_is_asked_for_or_the_models_or_the_usual_one() -> None:
    readout = replace(NEURONS["if"], threshold=None, reset=None, decay=number(0.9))
    for value, decoder, asked, expected in (
        ("spikes", None, None, "count"),
        ("membrane", None, None, "mean"),
        ("membrane", "max", None, "max"),
        ("membrane", "max", "last", "last"),
    ):
        graph = net(np.ones((2, 2)), last=readout, events=True, value=value, decoder=decoder)
        network: Graph = quantise(graph, HOST, Options(decoder=asked, steps=3))
        assert network.of_kind(Output)["y"].decoder == expected
