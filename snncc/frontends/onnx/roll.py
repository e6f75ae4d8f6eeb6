"""Rolls an unrolled loop up: from all steps written out to one step, its states, and their first values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Array
from snncc.diagnostics import CompileError, fault
from snncc.frontends.onnx.orbits import Copies, Flat, flat, place, reached, shared_by_all
from snncc.frontends.onnx.registers import Read, last_steps
from snncc.frontends.onnx.step import COMPARING, Layered, Piece, Pointwise, Step, jumps
from snncc.frontends.onnx.tensors import printable
from snncc.frontends.onnx.timeline import Readout
from snncc.layers import Rearrange

_CLAMPS = frozenset({"Relu", "Clip", "Max", "Min"})


@dataclass(frozen=True, eq=False)
class Rolled:
    """One step; `states` pairs a state with the stream of its next value, `initial` has its value before step 0.

    `initial` lacks the states whose first value the file does not show. `steps` is how many there are. `copies` maps a
    stream of the step, with a number of step, to the stream or constant that is its copy there in the file as it was.
    From step `regular` on, all steps are copies of each other, op by op.
    """

    step: Step
    data: str
    states: tuple[tuple[str, str], ...]
    initial: Mapping[str, Array]
    outputs: Mapping[str, str]
    steps: int
    regular: int
    flat: Flat
    copies: Mapping[tuple[str, int], str | Array]


@dataclass(frozen=True, eq=False)
class Ends:
    """What an unrolled loop ends in: for each output what it reads out, and the inputs that are no data."""

    readouts: Mapping[str, Readout]
    times: Mapping[str, int]
    steps: int
    others: frozenset[str]


def roll(written_out: Step, ends: Ends) -> Rolled:
    """Raises CompileError (`uneven-steps`, `single-step`) if the steps are not copies of one another."""
    found = flat(written_out, ends.times)
    copies = _matched(found, ends)
    roots = [root for each in ends.readouts.values() if isinstance(root := found.value(each.names[-1]), str)]
    if len(roots) < len(ends.readouts):
        raise uneven("model", "an output is a constant at the last step")
    fixed = shared_by_all(copies)
    names = list(reached(copies, roots, fixed))
    _no_fixed_frames(copies, [name for name in names if name in fixed])
    moving = [name for name in names if name not in fixed]
    if sum(name in ends.times for name in moving) > 1:
        hint = "export one time step, (x, states) -> (y, next states), or a loop of three steps or more"
        raise fault("too-few-steps", "model", "it has too few steps to tell what is done in each", hint)
    reads = list(_reads(copies, moving, fixed))
    steps = _length(copies, moving, ends)
    known = {name: time for name, time in ends.times.items() if copies.last(name) == name}
    for root in roots:
        last, back = place(copies, root)
        known[last] = steps - 1 + back
    least = {name: _made(copies, name) - 1 for name in moving}
    known = {name: step for name, step in known.items() if name in least}
    lasts = last_steps(least, reads, known, _tests(copies, reads))
    if lasts is None:
        raise uneven("model", "an output would be needed before its inputs are there")
    shared = [name for name in names if name in fixed]
    return _built(copies, lasts, (roots, shared), replace(ends, steps=steps))


def uneven(where: str, why: str) -> CompileError:
    hint = "export one step, or a loop whose steps all compute the same with the same parameters"
    return fault("uneven-steps", where, f"the steps of this unrolled loop are not copies of one another: {why}", hint)


def _matched(found: Flat, ends: Ends) -> Copies:
    copies = Copies(found)
    for each in ends.readouts.values():
        values = [found.value(name) for name in each.names]
        for late, early in zip(values[:0:-1], values[-2::-1], strict=True):
            if isinstance(late, str):
                copies.match(late, early)
    for each in ends.readouts.values():
        if len(each.names) == 1 and isinstance(root := found.value(each.names[0]), str):
            copies.match_itself(root)
    if not copies.earlier:
        hint = "export one time step, (x, states) -> (y, next states), or a loop of three steps or more"
        raise fault("single-step", "model", "no part of it is repeated, step by step", hint)
    return copies


def _no_fixed_frames(copies: Copies, names: Sequence[str]) -> None:
    """What all steps share must not stem from the input of one of them."""
    for name in names:
        if name in copies.flat.times:
            raise uneven(printable(name), f"all read step {copies.flat.times[name]} of the input")


def _reads(copies: Copies, names: Sequence[str], fixed: frozenset[str]) -> list[Read]:
    found: list[Read] = []
    for name in names:
        if name in copies.flat.pieces:
            for each in copies.flat.sources(name):
                if isinstance(each, str) and each not in fixed:
                    last, back = place(copies, each)
                    found.append((last, name, back))
    return found


def _tests(copies: Copies, reads: Sequence[Read]) -> set[str]:
    """Comparisons and clamps, and what nothing else reads: they belong to the step that made what they look at.

    So do sums with a constant.
    """
    pieces = copies.flat.pieces
    readers: dict[str, list[str]] = {}
    for source, reader, _ in reads:
        readers.setdefault(source, []).append(reader)
    found = {n for n in readers if n in pieces and pieces[n].node.op in COMPARING | _CLAMPS}
    for name in sorted(readers, key=copies.flat.position.__getitem__, reverse=True):
        if name in pieces and found.issuperset(readers[name]):
            found.add(name)
    return found | {name for name in readers if name in pieces and _is_shift(pieces[name])}


def _is_shift(piece: Piece) -> bool:
    """Whether a constant is added, as at the end of a clamp at another value than 0."""
    node = piece.node
    return isinstance(piece, Pointwise) and node.op in ("Add", "Sub") and node.inputs[-1] in piece.constants


def _length(copies: Copies, names: Sequence[str], ends: Ends) -> int:
    """The number of steps: the input's, the output's, or, where neither has a time axis, that of the copies."""
    if ends.steps > 1:
        return ends.steps
    return max((_made(copies, name) for name in names), default=1)


def _made(copies: Copies, name: str) -> int:
    """How many steps compute a stream, a first one that was folded to another op among them."""
    chain = copies.chain(name)
    return len(chain) + isinstance(copies.folded.get(chain[-1]), str)


def _built(copies: Copies, lasts: Mapping[str, int], kept: tuple[Sequence[str], Sequence[str]], ends: Ends) -> Rolled:
    flat_, old = copies.flat, copies.flat.step
    roots, shared = kept
    delays: dict[tuple[str, int], str] = {}

    def read(name: str, reader: str) -> str:
        """The stream of the one step that stands for a source: itself, or a state."""
        if name in shared or reader in shared:
            return name
        last, back = place(copies, name)
        delay = lasts[reader] - lasts[last] + back
        for d in range(1, delay + 1):
            delays.setdefault((last, d), f"{last} of {d} step{'s' if d > 1 else ''} before")
        return delays[last, delay] if delay else last

    pieces: dict[str, Piece] = {}
    for name in (*lasts, *shared):
        if name in flat_.pieces:
            pieces[name] = _renamed(flat_, copies, name, lambda each, name=name: read(each, name))
    needed = {source for piece in pieces.values() for source in piece.sources}
    states = [(state, last if d == 1 else delays[last, d - 1]) for (last, d), state in delays.items()]
    shapes = dict(old.shapes)
    for (last, _), state in delays.items():
        shapes[state] = old.shapes[last]
    data = [name for name in lasts if name in ends.times]
    data = data or sorted(name for name in needed if name not in pieces and name in shared)
    known = {*pieces, *data[:1], *(state for state, _ in states)}
    if strange := sorted(needed - known):
        message = "this input is read in every step, and only one can be the data"
        raise fault("several-inputs", printable(strange[0]), message, "make it a constant of the model")
    initial: dict[str, Array] = {}
    for (last, d), state in delays.items():
        value = _first_value(copies, lasts, last, d, ends)
        if value is not None:
            initial[state] = value
    outputs = {name: copies.last(root) for name, root in zip(ends.readouts, roots, strict=True)}
    streams = {*pieces, *data, *(state for state, _ in states)}
    ordered = tuple(_ordered(pieces))
    alias, sizes = {name: name for name in streams}, {name: shapes[name] for name in streams}
    step = Step(ordered, alias, sizes, _events(ordered), old.constants)
    regular = max((last - len(copies.chain(name)) + 1 for name, last in lasts.items()), default=0)
    shown = _copies(copies, lasts) | _outputs(copies, ends)
    return Rolled(step, data[0] if data else "", tuple(states), initial, outputs, ends.steps, regular, flat_, shown)


def _events(pieces: Sequence[Piece]) -> frozenset[str]:
    """Streams of discrete values; what the first step folded may look discrete in the file and not be so later."""
    found: set[str] = set()
    for piece in pieces:
        if isinstance(piece, Layered):
            moved = all(isinstance(layer, Rearrange) for layer in piece.layers)
            discrete = moved and piece.source in found
        else:
            discrete = jumps(piece.node) or found.issuperset(piece.sources)
        if discrete:
            found.add(piece.output)
    return frozenset(found)


def _outputs(copies: Copies, ends: Ends) -> dict[tuple[str, int], str | Array]:
    """What the file puts out at each step."""
    found: dict[tuple[str, int], str | Array] = {}
    for each in ends.readouts.values():
        values = [copies.flat.value(name) for name in each.names]
        if len(values) == ends.steps and isinstance(values[-1], str):
            found |= {(copies.last(values[-1]), step): value for step, value in enumerate(values)}
    return found


def _copies(copies: Copies, lasts: Mapping[str, int]) -> dict[tuple[str, int], str | Array]:
    found: dict[tuple[str, int], str | Array] = {}
    for name, last in lasts.items():
        chain = copies.chain(name)
        for back, each in enumerate(chain):
            found[name, last - back] = each
        tail = copies.folded.get(chain[-1])
        if tail is not None:
            found[name, last - len(chain)] = tail
    return found


def _renamed(found: Flat, copies: Copies, name: str, read: object) -> Piece:
    """The piece that stands for all copies, its sources renamed, its node named as the copies agree."""
    assert callable(read)
    piece = found.pieces[name]
    chain = copies.chain(name)
    label = _common_name(piece.node.name, found.pieces[chain[1]].node.name) if len(chain) > 1 else piece.node.name
    if isinstance(piece, Layered):
        return replace(piece, source=read(found.same[piece.source]), node=replace(piece.node, name=label))
    inputs = tuple(n if not n or n in piece.constants else read(found.same[n]) for n in piece.node.inputs)
    return replace(piece, node=replace(piece.node, inputs=inputs, name=label))


def _common_name(a: str, b: str) -> str:
    """`/lif_4/Mul` and `/lif_3/Mul` are called `/lif/Mul`."""
    one, other = a.split("/"), b.split("/")
    if len(one) != len(other):
        return a
    return "/".join(x if x == y else _without_number(x) for x, y in zip(one, other, strict=True))


def _without_number(name: str) -> str:
    stem, _, number = name.rpartition("_")
    return stem if number.isdigit() else name


def _first_value(copies: Copies, lasts: Mapping[str, int], name: str, delay: int, ends: Ends) -> Array | None:
    """What the file shows of a value `delay` steps before step 0."""
    chain = copies.chain(name)
    tail = copies.folded.get(chain[-1])
    if tail is None or lasts[name] - len(chain) != -delay:
        return None
    if isinstance(tail, str):
        return np.zeros(()) if tail in ends.others else None
    return tail


def _ordered(pieces: Mapping[str, Piece]) -> list[Piece]:
    """Each piece after those that it reads."""
    done: dict[str, Piece] = {}
    for name in pieces:
        stack = [name]
        while stack:
            top = stack[-1]
            missing = [each for each in pieces[top].sources if each in pieces and each not in done]
            if top in done or not missing:
                done.setdefault(top, pieces[top])
                stack.pop()
            elif len(stack) > len(pieces):
                raise uneven(pieces[top].node.name, "a step would have to wait for its own result")
            else:
                stack += missing
    return list(done.values())
