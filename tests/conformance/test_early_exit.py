"""A sample that ends as soon as it is decided has the class that it has in the end, on every backend that can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings

from snncc.backends.base import Batch
from snncc.diagnostics import CompileError
from snncc.exits import decided, read_out, refusals
from snncc.graph import Graph
from snncc.integers import IntOp, Network, Output, Population
from snncc.passes.retime import retime
from snncc.semantics import decode
from tests.conformance.backends import Candidate, each_candidate, expect, result_of
from tests.networks import Case, cases


def counted(network: Network) -> Network:
    """The network with its first output only, which counts spikes."""
    name, *others = network.of_kind(Output)
    ops: dict[str, IntOp] = {**network.ops, name: replace(network[name], value="spikes", decoder="count")}  # type: ignore[call-arg]
    left = {each: op for each, op in ops.items() if each not in others}
    return Graph(left, [edge for edge in network.edges if edge.target not in others])


@each_candidate
def test_the_class_is_the_same(candidate: Candidate) -> None:
    if not candidate.backend.exits:
        return

    @settings(max_examples={"mcu": 3, "c": 8}.get(candidate.label, 15))
    @given(cases())
    def ends(case: Case) -> None:
        network = counted(case.network)
        assert not list(refusals(network))
        try:
            retime(network, candidate.chip)
        except CompileError:  # a cycle that the chip's delays are too long for
            assume(False)
        population, name = read_out(network), next(iter(network.of_kind(Output)))
        assume(population.size > 1)  # one class is decided before it has come out
        samples, steps = case.x.shape[:2]
        whole = expect(network, case.x, case.lengths).outputs[name]
        batch = Batch(case.x.reshape(samples, steps, -1), case.lengths, early=True)
        result = result_of(candidate, network, batch)
        found, taken = result.trace.outputs[name], result.taken
        assert taken is not None
        assert ((taken >= 1) & (taken <= case.lengths)).all()
        classes = [decode(each, "count", case.lengths).argmax(axis=1) for each in (whole, found)]
        assert np.array_equal(*classes)
        live = np.arange(steps) < taken[:, None]
        assert np.array_equal(found, np.where(live[:, :, None], whole, 0))
        for sample in range(samples):
            before = whole[sample : sample + 1, : taken[sample]].sum(axis=1)
            left = case.lengths[sample : sample + 1] - taken[sample]
            assert decided(before, left, population).all()
        starts = [each.start for each in retime(network, candidate.chip).of_kind(Population).values()]
        if not any(starts):
            assert np.array_equal(taken, first_decided(whole, case.lengths, population))

    ends()


def first_decided(whole: np.ndarray, lengths: np.ndarray, population: Population) -> np.ndarray:
    """The steps after which samples are decided, one at a time."""
    found: list[int] = []
    for each, length in zip(whole, lengths.tolist(), strict=True):
        so_far = np.cumsum(each[:length], axis=0)
        found.append(1 + int(decided(so_far, np.arange(length)[::-1], population).argmax()))
    return np.array(found)
