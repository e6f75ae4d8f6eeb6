"""NIR files by the frameworks' own exporters, read in the matching style: what they recorded, spike for spike."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

from snncc.frontends.nir import read_nir
from snncc.layers import Input, Output
from snncc.semantics import run_float

FILES = Path(os.environ.get("SNNCC_ZOO", Path(__file__).parents[2] / "zoo")) / "nir"  # or made anew
NAMES = sorted(path.stem for path in FILES.glob("*.npz"))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_what_its_framework_recorded(name: str, tmp_path: Path) -> None:
    with np.load(FILES / f"{name}.npz", allow_pickle=False) as case:
        path = tmp_path / f"{name}.nir"
        path.write_bytes(case["nir"].tobytes())
        x, wanted, style, dt = case["x"], case["y"], str(case["style"]), float(case["dt"])
    graph = read_nir(path, style, dt or None).graph
    (data,), (output,) = graph.of_kind(Input).values(), graph.of_kind(Output).values()
    assert math.prod(data.shape) == x[0].size
    (found,) = run_float(graph, x.reshape(1, len(x), *data.shape)).outputs.values()
    assert len(x) >= 100
    assert np.ptp(wanted) > 0
    if output.value == "spikes":
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)
    else:
        np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)


def test_four_frameworks_are_there() -> None:
    assert {name.partition("_")[0] for name in NAMES} == {"jelly", "norse", "sinabs", "snntorch"}
    assert len(NAMES) >= 20
    assert max(path.stat().st_size for path in FILES.glob("*.npz")) < 30 * 1024
