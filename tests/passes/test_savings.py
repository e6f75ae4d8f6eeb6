"""What was taken out is counted, and the compiler's table says it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from snncc.cli import app
from snncc.graph import Graph
from snncc.integers import Population, Synapse
from snncc.linear import Conv, Dense, Lateral, effective_count, nonzero_count, synapse_count, to_sparse
from snncc.passes.savings import Gone, between, total
from snncc.passes.shrink import shrunk, shrunk_by
from tests.networks import Case, cases

MODELS = Path(__file__).parents[2] / "models"
RUN = CliRunner()


@given(st.integers(0, 1 << 32), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.sampled_from([1, 2]))
def test_a_convolution_has_the_synapses_of_its_list(seed: int, stride: int, pad: int, gap: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-1, 2, (4, 2 // groups, 2, 3))
    conv = Conv(weight, (2, 6, 5), (stride, 1), (pad, 1, 0, pad), (gap, 1), groups)
    assert effective_count(conv) == nonzero_count(to_sparse(conv))
    assert synapse_count(conv) == nonzero_count(to_sparse(Conv(np.ones_like(weight), *_rest(conv))))


def _rest(conv: Conv) -> tuple[object, ...]:
    return conv.in_shape, conv.stride, conv.padding, conv.dilation, conv.groups


def test_other_maps_are_counted_without_zeros() -> None:
    assert effective_count(Dense(np.array([[1, 0], [2, 3]]))) == 3
    assert effective_count(Lateral(np.array([-2]), 5)) == 20


@settings(max_examples=25)
@given(cases())
def test_counts_add_up(case: Case) -> None:
    after, gone = shrunk_by(case.network)
    assert after.text() == shrunk(case.network).text()
    assert {each.why for each in gone} <= {"never fires", "does what another does"}
    before, left = (sum(op.size for op in each.of_kind(Population).values()) for each in (case.network, after))
    assert sum(each.neurons for each in gone) == before - left
    counts = [sum(effective_count(op.map) for op in each.of_kind(Synapse).values()) for each in (case.network, after)]
    assert sum(each.synapses for each in gone) == counts[0] - counts[1]


def test_nothing_lost_is_no_row() -> None:
    empty: Graph[object] = Graph({}, [])
    assert between("why", empty, empty) == ()
    rows = (Gone("a", 1, 2), Gone("b", 3, 4), Gone("a", 5, 6))
    assert total(rows) == (Gone("a", 6, 8), Gone("b", 3, 4))


def test_the_table_of_a_compile_says_what_went(tmp_path: Path) -> None:
    words = ["compile", str(MODELS / "digits_dense.onnx"), "-o", str(tmp_path / "p"), "--weight-bits", "2"]
    words += ["--samples", str(MODELS / "digits_dense.samples.npz"), "--prune", "0.75", "--prune-neurons", "0.25"]
    shown = " ".join(RUN.invoke(app, words).stdout.split())
    plain = json.loads(RUN.invoke(app, [*words, "--json"]).stdout)
    rows = {each["why"]: (each["neurons"], each["synapses"]) for each in plain["gone"]}
    assert rows["was pruned"][0] == 32
    assert plain["neurons"] == 138 - sum(neurons for neurons, _ in rows.values())
    assert rows["was pruned"][1] > 0.7 * (64 * 128 + 128 * 10)
    for why, (neurons, synapses) in rows.items():
        assert f"{why} {neurons:,} {synapses:,}" in shown
    whole = json.loads(RUN.invoke(app, ["compile", words[1], "-o", str(tmp_path / "q"), "--json"]).stdout)
    assert whole["neurons"] + sum(each["neurons"] for each in whole["gone"]) == 138
