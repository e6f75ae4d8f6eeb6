"""The graph keeps its order, refuses what no stage could mean, and prints itself for a diff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from snncc.arrays import digest, frozen
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph, op_text


@dataclass(frozen=True)
class Op:
    size: int
    tag: str = ""


def test_it_keeps_the_order_in_which_it_was_built() -> None:
    graph = Graph({"b": Op(1), "a": Op(2), "c": Op(3)}, [Edge("c", "a"), Edge("b", "a", 1, 0.5)])
    assert list(graph.ops) == ["b", "a", "c"]
    assert graph.incoming("a") == (Edge("c", "a"), Edge("b", "a", 1, 0.5))
    assert graph.outgoing("b") == (Edge("b", "a", 1, 0.5),)
    assert graph.of_kind(Op)["c"] is graph["c"]
    assert graph.of_kind(int) == {}


def test_the_order_of_steps_ignores_delayed_edges() -> None:
    graph = Graph({"b": Op(1), "a": Op(2), "c": Op(3)}, [Edge("c", "b"), Edge("b", "c", delay=1), Edge("b", "a")])
    assert graph.order() == ("c", "b", "a")


def test_a_cycle_within_a_step_is_named() -> None:
    graph = Graph({"x": Op(1), "a": Op(1), "b": Op(1)}, [Edge("x", "a"), Edge("a", "b"), Edge("b", "a")])
    with pytest.raises(CompileError) as raised:
        graph.order()
    assert str(raised.value) == (
        "error[zero-delay-cycle]: a: these ops feed each other within one time step: a -> b\n"
        "  = hint: a recurrent connection must read the previous step's value (a state input)"
    )


@pytest.mark.parametrize(
    ("edges", "why"),
    [
        ([Edge("a", "z")], "not there"),
        ([Edge("a", "b"), Edge("a", "b", 1)], "use one edge with a gain"),
        ([Edge("a", "b", -1)], "negative delay"),
    ],
)
def test_edges_that_mean_nothing_are_refused(edges: list[Edge], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Graph({"a": Op(1), "b": Op(1)}, edges)


def test_a_graph_cannot_be_changed() -> None:
    ops = {"a": Op(1)}
    graph = Graph(ops)
    ops["b"] = Op(2)
    graph.digraph().add_node("c")
    assert graph.order() == ("a",)
    with pytest.raises(TypeError):
        graph.ops["b"] = Op(2)  # pyright: ignore[reportIndexIssue]


def test_its_text_leaves_out_what_is_at_its_default() -> None:
    graph = Graph({"a": Op(1), "b": Op(2, "x")}, [Edge("a", "b", 2, -0.5), Edge("b", "b", 1)])
    assert graph.text() == "a = Op(size=1)\nb = Op(size=2, tag=x)\n    <- a delay 2 gain -0.5\n    <- b delay 1\n"


def test_arrays_are_told_apart_by_a_digest_that_no_machine_changes() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert op_text(array) == "int32[2,3]#" + digest(array)
    assert digest(array) == digest(array.astype(">i4")) == digest(np.asfortranarray(array)) == "cd9a"
    assert op_text(np.asarray(0.5)) == "0.5"
    assert op_text((1, (2.5, "x"))) == "(1,(2.5,x))"


def test_frozen_arrays_are_views_that_cannot_be_written() -> None:
    array = np.arange(4.0)
    assert np.shares_memory(frozen(array), array)
    assert array.flags.writeable
    assert not frozen(array).flags.writeable
    assert frozen(1.0).shape == ()
