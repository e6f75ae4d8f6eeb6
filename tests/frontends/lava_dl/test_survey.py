"""What `snncc check` shows of a `.net` file that is refused: each layer, recognised or not, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncc.diagnostics import CompileError
from snncc.frontends import Finding, read_model, survey

from .files import NEURON, conv, dense, write


def found(path: Path) -> tuple[str, list[Finding]]:
    with pytest.raises(CompileError) as caught:
        read_model(path)
    return str(caught.value), list(survey(path, (), None, None, caught.value.diagnostics, ordinary=False))


def network(tmp_path: Path, *parts: dict[str, Any]) -> tuple[str, list[Finding]]:
    return found(write(tmp_path / "net.net", *parts))


def test_layers_around_one_that_is_refused_are_recognised(tmp_path: Path) -> None:
    odd = dense(np.ones((4, 3)), neuron={**NEURON, "type": b"ALIF"})
    said, rows = network(tmp_path, dense(np.ones((3, 2))), odd, dense(np.ones((2, 4))))
    assert said == (
        "error[unsupported-layer]: layer1: has neurons of type ALIF; read are CUBA and LOIHI\n"
        "  = hint: export the network as ONNX"
    )
    assert [(each.node, each.kind, each.reads) for each in rows] == [
        ("input", "Input", ()),
        ("layer0.weight", "Affine", ("input",)),
        ("layer0", "CUBA LIF neuron", ("layer0.weight",)),
        ("layer1", "", ("layer0",)),
        ("layer2.weight", "Affine", ("layer1",)),
        ("layer2", "CUBA LIF neuron", ("layer2.weight",)),
    ]
    assert (rows[3].parameters, rows[3].rule) == ("dense", "unsupported-layer")
    assert rows[3].why == "has neurons of type ALIF; read are CUBA and LOIHI"
    assert rows[2].parameters.startswith("i <- 0.75 i + x; v <- 0.8999")


def test_every_layer_that_is_wrong_is_said(tmp_path: Path) -> None:
    said, rows = network(tmp_path, {"type": [b"pool"]}, dense(np.full((3, 2), np.nan)), dense(np.ones((2, 5))))
    assert [line for line in said.splitlines() if line.startswith("error")] == [
        "error[unsupported-layer]: layer0: is of type pool; read are input, dense, conv, flatten",
        "error[bad-net]: layer1: has no weights, or some that are no numbers",
        "error[bad-net]: layer2: has weights (2, 5); it needs (2, 3)",
    ]
    assert [each.rule for each in rows] == ["unsupported-layer", "bad-net", "bad-net"]


def test_what_needs_the_shape_of_a_refused_layer_is_not_blamed(tmp_path: Path) -> None:
    said, rows = network(tmp_path, {"type": [b"pool"]}, conv(np.ones((1, 1, 3, 3)), (1, 2, 2)), {"type": [b"flatten"]})
    assert said.count("error[") == 1
    assert (rows[1].rule, rows[1].why) == ("not-reached", "cannot be read behind what was not recognised")
    assert (rows[2].kind, rows[2].shape, rows[2].reads) == ("Rearrange", (4,), ("layer1",))


def test_what_is_no_net_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net.net"
    path.write_bytes(b"not a file of HDF5")
    assert not found(path)[1]
