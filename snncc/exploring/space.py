"""The choices that a search makes about a compilation, each with the values that it may take and its option.

A point of the search is one value for each dimension. What the compiler learns to choose is added to `dimensions` here,
and to nothing else of the search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from snncc.chip import Chip
from snncc.exploring.lessons import Taught, levers
from snncc.graph import Graph
from snncc.layers import Layer, Neuron
from snncc.passes.precision import stored_width
from snncc.preparation import Choices

Value = str | int | float
Point = Mapping[str, Value]
_BITS = "bits of "
_PARTS = (0.75, 0.5, 0.375, 0.25, 0.125)  # of the model's steps, where the input is static
_SHORTER = (0.75, 0.5, 0.25)  # of the steps for which what is learnt is shown
_EVERY = (2, 3, 4, 6, 8)  # steps of other inputs that become one
_SHARES: tuple[Value, ...] = (0.0, 0.25, 0.5, 0.75, 0.9)
_STATES = (0, 16, 12)  # 0 stands for what the target has
_WIDTHS: tuple[Value, ...] = (8, 7, 6, 5, 4, 3, 2, "ternary")
_PACKED: tuple[Value, ...] = (8, 5, 4, 3, 2, "ternary")  # in which C for microcontrollers stores weights


@dataclass(frozen=True)
class Dimension:
    """Something to choose: its values, the widest or most first, and the field of `Choices` and option that it sets.

    The widths of weights, one dimension for each population, make one option together; so does what is chosen about the
    rule of a `group` that learns, whose own values come first, each a `lever`.
    """

    name: str
    values: tuple[Value, ...]
    field: Literal["weight_bits", "steps", "prune", "prune_neurons", "state_bits", "learn"]
    option: str
    group: str = ""
    lever: str = ""


def dimensions(graph: Graph[Layer], chip: Chip, steps: int, *, static: bool) -> tuple[Dimension, ...]:
    """What there is to choose for a legal network on a chip, which was trained with so many steps.

    Neurons are adapted to fewer; 0 steps stand for as many as samples have that are not static.
    """
    widths = _PACKED if chip.device else _WIDTHS
    widths = tuple(each for each in widths if _stored(each) <= chip.weight.bits)
    found = [Dimension(_BITS + name, widths, "weight_bits", "--weight-bits") for name in _weighted(graph)]
    fewer = (round(steps * part) for part in _PARTS) if static else (-(-steps // every) for every in _EVERY)
    counts = dict.fromkeys(max(1, count) for count in fewer if count < steps)
    every: tuple[Value, ...] = (steps if static else 0, *(f"auto:{count}" for count in counts))
    found.append(Dimension("steps", every, "steps", "--steps"))
    found += _states(chip)
    found.append(Dimension("pruned weights", _SHARES, "prune", "--prune"))
    found.append(Dimension("pruned neurons", _SHARES[:3], "prune_neurons", "--prune-neurons"))
    return tuple(each for each in found if len(each.values) > 1)


def learning_dimensions(
    graph: Graph[Layer], chip: Chip, steps: int, taught: Sequence[Taught], *, static: bool
) -> tuple[Dimension, ...]:
    """What there is to choose for a legal network whose groups are `taught`, with so many steps for static input.

    Nothing is pruned, and nothing adapted to fewer steps: that is fitted to how a trained network answers.
    """
    found = [
        Dimension(f"{lever} of {each.group}", values, "learn", "--learn", each.group, lever)
        for each in taught
        for lever, values in levers(each.rule).items()
    ]
    groups = {each.group for each in taught}
    widths = tuple(each for each in (_PACKED if chip.device else _WIDTHS) if _stored(each) <= chip.weight.bits)
    fixed = [
        name for name in _weighted(graph) if name and not any(edge.source in groups for edge in graph.incoming(name))
    ]
    found += [Dimension(_BITS + name, widths, "weight_bits", "--weight-bits") for name in fixed]
    if static and not any(each.rule.reward for each in taught):  # a reward is given step by step
        counts = dict.fromkeys(max(1, round(steps * part)) for part in (1.0, *_SHORTER))
        found.append(Dimension("steps", tuple(counts), "steps", "--steps"))
    return tuple(each for each in (*found, *_states(chip)) if len(each.values) > 1)


def _states(chip: Chip) -> list[Dimension]:
    least, most = chip.membrane.decay_bits
    narrower = least < most and chip.membrane.bits > _STATES[1]
    return [Dimension("state bits", _STATES, "state_bits", "--state-bits")] * narrower


def _stored(width: Value) -> int:
    return stored_width("ternary" if width == "ternary" else int(width))


def _weighted(graph: Graph[Layer]) -> list[str]:
    """The populations that read weights; "" stands for all if one has a name that the option cannot hold."""
    names = [name for name in graph.order() if isinstance(graph[name], Neuron) and graph.incoming(name)]
    return names if all("," not in name and name == name.strip() for name in names) else [""]


def starts(space: Sequence[Dimension]) -> list[Point]:
    """Where a search begins: every width for all populations with all steps, and few steps with the widest weights."""
    widest = {each.name: each.values[0] for each in space}
    widths = max((each.values for each in space if each.field == "weight_bits"), key=len, default=())
    uniform = [widest | {each.name: width for each in space if each.field == "weight_bits"} for width in widths]
    learning = any(each.field == "learn" for each in space)
    others = [
        widest | {each.name: value}
        for each in space
        if each.field != "weight_bits"
        for value in (_few(each.values) if learning else each.values)
    ]
    found = [widest, *uniform, *others]
    return [each for number, each in enumerate(found) if each not in found[:number]]


def _few(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """The middle and the last of some values: a point of a network that learns takes long."""
    return values[len(values) // 2], values[-1]


def chosen_of(space: Sequence[Dimension], point: Point, group: str) -> Mapping[str, int]:
    """What is chosen at a point about the rule of a group, lever by lever."""
    return {each.lever: int(point[each.name]) for each in space if each.field == "learn" and each.group == group}


def choices_of(space: Sequence[Dimension], point: Point, base: Choices) -> Choices:
    """What is chosen at a point, but for rules."""
    fields: dict[str, Value] = {each.field: point[each.name] for each in _others(space, point)}
    bits = _bits(space, point)
    return replace(base, **fields, **({"weight_bits": bits} if bits else {}))  # type: ignore[arg-type]


def words_of(space: Sequence[Dimension], point: Point) -> list[str]:
    """The options of `snncc compile` that make the same choices, but for rules."""
    bits = _bits(space, point)
    found = ["--weight-bits", bits] if bits else []
    for each in _others(space, point):
        found += [each.option, str(point[each.name])]
    return found


def _others(space: Sequence[Dimension], point: Point) -> list[Dimension]:
    """The dimensions with options of their own that do something; nothing pruned is no option."""
    together = "weight_bits", "learn"
    return [each for each in space if each.field not in together and point[each.name] != 0]


def _bits(space: Sequence[Dimension], point: Point) -> str:
    """The widths of a point's weights: that of most populations first, then those that differ."""
    widths = {each.name.removeprefix(_BITS): str(point[each.name]) for each in space if each.field == "weight_bits"}
    values = list(widths.values())
    if not values:
        return ""
    usual = max(dict.fromkeys(values), key=values.count)
    others = [f"{name}={width}" for name, width in widths.items() if width != usual]
    return ",".join([usual, *others])
