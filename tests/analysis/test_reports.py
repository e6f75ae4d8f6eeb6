"""The rows of the tables about a compiled network, against its arrays and against the types of the C program."""

from __future__ import annotations

import re

import pytest

from snncc.analysis.proof import prove
from snncc.analysis.reports import report, stored
from tests.backends.c_helpers import emitted, rich, small


@pytest.mark.parametrize(("bits", "bytes_"), [(2, 1), (8, 1), (9, 2), (16, 2), (17, 4), (24, 4), (33, 8), (64, 8)])
def test_registers_are_stored_in_whole_powers_of_bytes(bits: int, bytes_: int) -> None:
    assert stored([bits]) == bytes_
    assert stored([bits, 8]) == bytes_ + 1


@pytest.mark.parametrize("network", [small(), rich()])
def test_totals_are_those_of_the_rows(network: object) -> None:
    found = report(network, prove(network, 12))  # pyright: ignore[reportArgumentType]
    assert found.state_bytes == sum(row.state_bytes for row in found.populations) > 0
    assert found.weight_bytes == sum(row.bytes for row in found.synapses) > 0
    assert found.neurons == sum(row.neurons for row in found.populations)


def test_bytes_of_state_are_those_of_the_c_program() -> None:
    network = small()
    header = emitted(network)["network.h"].decode()
    members = re.findall(r"int(8|16|32)_t (?:hidden|readout)_[via]\[(\d+)\];", header)
    assert len(members) == 3
    found = report(network, prove(network, 12))
    assert found.state_bytes == sum(int(bits) // 8 * int(length) for bits, length in members)
