"""A point of the search is the same choices for the compiler as for who types its command."""

from __future__ import annotations

from dataclasses import replace

from snncc import chip as chips
from snncc import classics, rules
from snncc.exploring.lessons import Taught, text_of
from snncc.exploring.space import (
    choices_of,
    chosen_of,
    dimensions,
    learning_dimensions,
    starts,
    words_of,
)
from snncc.graph import Graph
from snncc.layers import Layer
from snncc.preparation import Choices
from tests.passes.float_nets import random_net

WIDTHS, PRUNED = ("bits of p0", "bits of p1", "bits of p2"), ("state bits", "pruned weights", "pruned neurons")
HOST, SMALL = chips.load("host"), chips.load("cortex-m4")


def network(*names: str) -> Graph[Layer]:
    graph = random_net(1, 8, 12, 6, 5)
    new = dict(zip(("p0", "p1", "p2"), names, strict=True)) if names else {}
    ops = {new.get(name, name): op for name, op in graph.ops.items()}
    edges = [
        replace(each, source=new.get(each.source, each.source), target=new.get(each.target, each.target))
        for each in graph.edges
    ]
    return Graph(ops, edges)


def test_there_are_widths_for_each_population_and_steps_for_static_input() -> None:
    space = dimensions(network(), HOST, 16, static=True)
    assert [each.name for each in space] == [*WIDTHS, "steps", *PRUNED]
    assert space[0].values == (8, 7, 6, 5, 4, 3, 2, "ternary")
    assert space[3].values == (16, "auto:12", "auto:8", "auto:6", "auto:4", "auto:2")
    assert dimensions(network(), HOST, 29, static=False)[3].values == (
        0,
        "auto:15",
        "auto:10",
        "auto:8",
        "auto:5",
        "auto:4",
    )
    assert [each.name for each in dimensions(network(), HOST, 1, static=False)] == [*WIDTHS, *PRUNED]
    assert [each.values for each in dimensions(network(), SMALL, 9, static=False)][:3] == [
        (8, 5, 4, 3, 2, "ternary")
    ] * 3
    four = replace(HOST, weight=replace(HOST.weight, bits=4))
    assert dimensions(network(), four, 1, static=False)[0].values == (4, 3, 2, "ternary")
    loihi = dimensions(network(), chips.load("loihi2"), 1, static=False)  # whose states have one width
    assert [each.name for each in loihi] == [*WIDTHS, *PRUNED[1:]]


def test_a_point_is_choices_and_options() -> None:
    space = dimensions(network(), HOST, 16, static=True)
    point = {"bits of p0": 4, "bits of p1": "ternary", "bits of p2": 4, "steps": "auto:8", **dict.fromkeys(PRUNED, 0.0)}
    assert choices_of(space, point, Choices(backend="c")) == Choices("4,p1=ternary", "auto:8", backend="c")
    assert words_of(space, point) == ["--weight-bits", "4,p1=ternary", "--steps", "auto:8"]
    point |= {"pruned weights": 0.75, "pruned neurons": 0.25, "state bits": 16}
    wanted = Choices("4,p1=ternary", "auto:8", prune=0.75, prune_neurons=0.25, state_bits=16)
    assert choices_of(space, point, Choices()) == wanted
    assert words_of(space, point)[4:] == ["--state-bits", "16", "--prune", "0.75", "--prune-neurons", "0.25"]


def test_names_that_no_option_can_hold_share_one_width() -> None:
    space = dimensions(network("a,b", "c", "d"), HOST, 1, static=False)
    assert [each.name for each in space] == ["bits of ", *PRUNED]
    assert words_of(space, {"bits of ": 4, **dict.fromkeys(PRUNED, 0.0)}) == ["--weight-bits", "4"]


def test_a_search_begins_with_every_width_and_with_few_steps() -> None:
    space = dimensions(network(), HOST, 16, static=True)
    found = starts(space)
    assert found[0] == {**dict.fromkeys(WIDTHS, 8), "steps": 16, **dict.fromkeys(PRUNED, 0.0)}
    assert [each["bits of p1"] for each in found[:8]] == [8, 7, 6, 5, 4, 3, 2, "ternary"]
    assert [each["steps"] for each in found[8:13]] == ["auto:12", "auto:8", "auto:6", "auto:4", "auto:2"]
    assert [each["state bits"] for each in found[13:15]] == [16, 12]
    assert [each["pruned weights"] for each in found[15:19]] == [0.25, 0.5, 0.75, 0.9]
    assert [each["pruned neurons"] for each in found[19:]] == [0.25, 0.5]
    assert len({tuple(each.items()) for each in found}) == len(found)


def test_what_learns_has_choices_about_its_rule_and_is_not_pruned() -> None:
    graph = classics.make("diehl-cook", classics.Shape(9, 4)).graph
    taught = Taught("synapses", text_of(replace(rules.load("fspinn"), period=7)))
    space = learning_dimensions(graph, HOST, 100, [taught], static=True)
    levers = ["bits of synapses", "guard of synapses", "period of synapses", "traces of synapses"]
    assert [each.name for each in space] == [*levers, "bits of inhibitory", "steps", "state bits"]
    assert space[5].values == (100, 75, 50, 25)
    begun = starts(space)
    assert begun[0] == {each.name: each.values[0] for each in space}
    assert chosen_of(space, begun[0], "synapses") == {"bits": 8, "guard": 0, "period": 7, "traces": 12}
    assert len(begun) < len(starts(dimensions(graph, HOST, 100, static=True)))
    rewarded = learning_dimensions(graph, HOST, 100, [Taught("synapses", rules.text_of("reward"))], static=True)
    assert "steps" not in [each.name for each in rewarded]  # rewards are given step by step
    point = begun[0] | {"bits of inhibitory": 4, "steps": 50}
    assert words_of(space, point) == ["--weight-bits", "4", "--steps", "50"]
    assert choices_of(space, point, Choices()) == Choices("4", 50)
