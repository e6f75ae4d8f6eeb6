"""Random small networks with every feature that there is, on every backend."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.conformance.backends import Candidate, assert_conforms, each_candidate, each_variant
from tests.networks import Case, cases


def holds(candidate: Candidate, examples: int) -> None:
    @settings(max_examples=examples)
    @given(cases())
    def conforms(case: Case) -> None:
        assert_conforms(candidate, case.network, case.x, case.lengths)

    conforms()


@each_candidate
def test_random_networks(candidate: Candidate) -> None:
    holds(candidate, 25)


@pytest.mark.slow
@each_variant
def test_many_random_networks(candidate: Candidate) -> None:
    holds(candidate, 1000)
