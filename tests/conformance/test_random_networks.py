"""Random small networks with every feature that there is, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import given, reject, settings

from snncc.capabilities import needs
from snncc.chip import Capability
from snncc.diagnostics import CompileError
from snncc.integers import Network, Population, Synapse, source_of, synapses_of
from snncc.passes.retime import retime
from tests.conformance.backends import (
    INTERPRETER,
    Candidate,
    assert_conforms,
    each_candidate,
    each_variant,
    on_a_small_device,
)
from tests.networks import Case, cases, networks


def holds(candidate: Candidate, examples: int) -> None:
    @settings(max_examples=examples)
    @given(cases())
    def conforms(case: Case) -> None:
        try:
            retime(case.network, candidate.chip)
        except CompileError:  # a cycle that the chip's delays are too long for
            reject()
        assert_conforms(candidate, case.network, case.x, case.lengths)

    conforms()


@each_candidate
def test_random_networks(candidate: Candidate) -> None:
    """Few where each must be built, and fewest where it must be started."""
    holds(candidate, {"interpreter": 80, "lava": 6, "mcu": 4}.get(candidate.label, 20))


@pytest.mark.slow
@each_variant
def test_many_random_networks(candidate: Candidate) -> None:
    holds(candidate, 2000 if candidate.backend is INTERPRETER else 100 if candidate.chip.device else 300)


@pytest.mark.slow
@on_a_small_device
def test_random_networks_on_a_small_device(candidate: Candidate) -> None:
    holds(candidate, 40)


def features(network: Network) -> Iterator[str]:
    """What a network has that one without it could get wrong."""
    populations = network.of_kind(Population)
    for op in network.ops.values():
        yield from needs(op)
    for name, synapse in network.of_kind(Synapse).items():
        source, delay = source_of(network, name)
        target = network.outgoing(name)[0].target
        yield type(synapse.map).__name__
        yield from (["delay"] if delay else []) + (["exponent"] if synapse.exponent else [])
        if source in populations:
            yield "itself" if source == target else "back" if _later(populations, source, target) else "forward"
    for name, op in populations.items():
        yield f"{min(len(synapses_of(network, name)), 2)} synapses"
        yield f"{op.membrane.decay.rounding}, {op.membrane.register.overflow}"
        yield from (["late start"] if op.start else []) + (["input shift"] if op.input_shift else [])


def _later(populations: dict[str, Population], source: str, target: str) -> bool:
    order = list(populations)
    return order.index(source) > order.index(target)


def test_every_feature_is_drawn() -> None:
    found: set[str] = set()

    @settings(max_examples=200)
    @given(networks())
    def look(network: Network) -> None:
        found.update(features(network))

    look()
    expected = {"Dense", "Conv", "Sparse", "Lateral", "delay", "exponent", "itself", "back", "forward", "late start"}
    expected |= {"input shift", "0 synapses", "1 synapses", "2 synapses", *get_args(Capability)}
    expected |= {f"{rounding}, {over}" for rounding in ("zero", "floor", "nearest") for over in ("saturate", "wrap")}
    expected -= {"learning"}  # tests/test_plasticity.py and tests/lessons.py have networks that learn
    assert expected <= found, expected - found
