"""What `snncc check` shows of a NIR file that is refused: each node, recognised or not, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snncc.diagnostics import CompileError
from snncc.frontends import Finding, read_model, survey

from .files import DT, chain, lif, linear, node, write


def found(path: Path, style: str | None = "norse", dt: float | None = DT) -> dict[str, Finding]:
    with pytest.raises(CompileError) as caught:
        read_model(path, (), style, dt)
    return {each.node: each for each in survey(path, (), style, dt, caught.value.diagnostics, ordinary=False)}


def network(**more: dict[str, object]) -> tuple[dict[str, dict[str, object]], list[tuple[str, str]]]:
    return chain(3, {"fc": linear(np.ones((2, 3))), "lif": lif(2), **more}, 2)


def test_neurons_show_as_unread_until_the_style_is_given(tmp_path: Path) -> None:
    rows = found(write(tmp_path / "net.nir", *network()), None)
    assert {name: each.kind for name, each in rows.items()} == {"in": "Input", "fc": "Affine", "lif": "", "out": ""}
    assert (rows["lif"].rule, rows["lif"].parameters, rows["lif"].reads) == ("no-nir-style", "LIF", ("fc",))
    assert (rows["out"].rule, rows["out"].why) == ("not-reached", "reads only what was not recognised")


def test_a_node_of_another_kind_shows_beside_those_that_are_read(tmp_path: Path) -> None:
    rows = found(write(tmp_path / "net.nir", *network(odd=node("Izhikevich", a=np.ones(2)))))
    assert rows["lif"].kind == "LIF neuron"
    assert rows["lif"].parameters.startswith("v <- 0.8 v + x; s = v > 1")
    assert (rows["odd"].kind, rows["odd"].rule) == ("", "unsupported-node")
    assert rows["odd"].why.startswith("is a Izhikevich; read are Threshold")


def test_a_node_that_is_read_wrongly_shows_what_it_is_and_why_not(tmp_path: Path) -> None:
    leaky = node("LI", **{key: np.full(2, value) for key, value in (("tau", 5e-3), ("r", 5.0), ("v_leak", 0.0))})
    rows = found(write(tmp_path / "net.nir", *network(li=leaky, fc2=linear(np.eye(2)))))
    assert (rows["li"].kind, rows["li"].rule) == ("leaky integrator", "graded-membrane")
    assert rows["fc2"].reads == ("li",)


def test_what_is_no_graph_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    path.write_bytes(b"not a file of HDF5")
    assert not found(path)
