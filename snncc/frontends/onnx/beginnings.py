"""Finds the first values of the states of a rolled-up loop, and makes sure that it computes what the file computes.

The first steps are run twice on random input, rolled up and as the file has them. Exporters fold known initial states
into the first step, so a value that does not show in the file is solved for: the states act on each neuron by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snncc.arrays import Array
from snncc.frontends.onnx.elementwise import evaluate
from snncc.frontends.onnx.roll import Rolled, uneven
from snncc.frontends.onnx.step import Layered, Piece
from snncc.frontends.onnx.tensors import printable
from snncc.layers import size
from snncc.semantics import float_operator

_MOST_SAMPLES = 8
_MOST_VALUES = 1 << 20  # of one step and one sample, times samples: beyond it, fewer samples
_MOST_TARGETS = 64  # streams that a state is solved for from
_CHECKED = 2  # steps that are copies of each other, beside those before them
_TOLERANCE = 1e-5  # relative; constants were folded in float32
_GUESSES = (0.0, 1e3, -1e3)  # where thresholds are out of the way, in one direction or the other
_MOVE = 1e-3
_SCALES = np.array([1.0, 2.0, 5.0, 0.5, 1.0, 2.0, 0.1, 20.0])


_Operators = dict[str, list[Callable[[Array], Array]]]


@dataclass(eq=False)
class _Runner:
    """Computes streams for some samples at once, each as (samples, values)."""

    pieces: Mapping[str, Piece]
    values: dict[str, Array] = field(default_factory=dict[str, Array])
    operators: _Operators = field(default_factory=_Operators)

    def of(self, stream: str, same: Callable[[str], str] = lambda name: name) -> Array:
        waiting = [stream]
        while waiting:
            name = waiting[-1]
            if name in self.values:
                waiting.pop()
                continue
            piece = self.pieces[name]
            missing = [same(each) for each in piece.sources if same(each) not in self.values]
            if missing:
                waiting += missing
            else:
                self.values[name] = self.compute(piece, [self.values[same(each)] for each in piece.sources])
                waiting.pop()
        return self.values[stream]

    def compute(self, piece: Piece, sources: Sequence[Array]) -> Array:
        if isinstance(piece, Layered):
            x = sources[0]
            if piece.output not in self.operators:
                self.operators[piece.output] = [float_operator(layer) for layer in piece.layers]
            for operate in self.operators[piece.output]:
                x = operate(x)
            return x
        known = dict(zip(piece.sources, sources, strict=True))
        inputs = [
            None if not n else piece.constants[n] if n in piece.constants else known[n].reshape(-1, *piece.shape)
            for n in piece.node.inputs
        ]
        result = evaluate(piece.node, [_wide(each) for each in inputs])
        return np.broadcast_to(result, (len(sources[0]), *piece.shape)).reshape(len(sources[0]), -1)


def _wide(value: Array | None) -> Array | None:
    return value if value is None or value.dtype.kind != "f" else value.astype(np.float64)


def first_values(rolled: Rolled) -> dict[str, Array]:
    """The value of each state before step 0, in the shape of the state; zero ones are left out."""
    trial = _Trial(rolled)
    while wrong := trial.differences():
        if not any(trial.improve(each, len(wrong)) for each in wrong[:_MOST_TARGETS]):
            name, _ = wrong[0]
            piece = rolled.step.maker.get(name)
            where = printable(name) if piece is None else piece.node.name
            first = "step" if rolled.regular < 2 else f"{rolled.regular} steps"
            raise uneven(where, f"no initial state makes the first {first} like those that follow")
    found: dict[str, Array] = {}
    for state, value in trial.initial.items():
        if np.any(value):
            shape = rolled.step.shapes[state]
            found[state] = np.broadcast_to(value.reshape(shape) if value.size > 1 else value, shape).astype(np.float32)
    return found


@dataclass(eq=False)
class _Trial:
    """Both ways to compute the first steps, on the same input."""

    rolled: Rolled
    initial: dict[str, Array] = field(init=False)
    unknown: set[str] = field(init=False)

    def __post_init__(self) -> None:
        states = [state for state, _ in self.rolled.states]
        self.unknown = {state for state in states if state not in self.rolled.initial}
        self.initial = {state: self._flat(state, self.rolled.initial.get(state)) for state in states}
        values = sum(size(self.rolled.step.shapes[piece.output]) for piece in self.rolled.step.pieces)
        self.samples = int(np.clip(_MOST_VALUES // max(values, 1), 1, _MOST_SAMPLES))
        rng = np.random.default_rng(0)
        self.steps = min(self.rolled.regular + _CHECKED, self.rolled.steps)
        data = self.rolled.data
        count = size(self.rolled.step.shapes[data]) if data else 0
        frames = [rng.standard_normal((self.samples, count)) * _SCALES[: self.samples, None] for _ in range(self.steps)]
        timed = data in self.rolled.flat.times
        self.frames = frames if timed else frames[:1] * self.steps
        self.wanted = self._file()
        self.operators: _Operators = {}

    def _flat(self, state: str, value: Array | None) -> Array:
        shape = self.rolled.step.shapes[state]
        return np.broadcast_to(0.0 if value is None else value, shape).astype(np.float64).reshape(-1)

    def _file(self) -> dict[tuple[str, int], Array]:
        """What the file computes, of the copies in the first steps."""
        flat, data = self.rolled.flat, self.rolled.data
        runner = _Runner(flat.pieces)
        for name, step in flat.times.items():
            if step < self.steps:
                runner.values[name] = self.frames[step]
        if data and data not in flat.times:
            runner.values[data] = self.frames[0]
        for name in flat.same.values():  # inputs for first states count as zero
            if name not in flat.pieces and name not in runner.values:
                runner.values[name] = np.zeros((self.samples, size(flat.step.shapes[name])))
        same = flat.same.__getitem__
        early = [(key, each) for key, each in self.rolled.copies.items() if 0 <= key[1] < self.steps]
        return {
            key: runner.of(each, same) if isinstance(each, str) else self._constant(key[0], each) for key, each in early
        }

    def _constant(self, stream: str, value: Array) -> Array:
        shape = self.rolled.step.shapes[stream]
        wide = np.broadcast_to(value.reshape(-1) if value.size == size(shape) else value.reshape(()), (size(shape),))
        return np.broadcast_to(wide, (self.samples, size(shape)))

    def run(self, initial: Mapping[str, Array], steps: int) -> list[dict[str, Array]]:
        """The same, rolled up, from some initial states."""
        states = {name: np.broadcast_to(each, (self.samples, each.size)) for name, each in initial.items()}
        found: list[dict[str, Array]] = []
        for step in range(steps):
            runner = _Runner(self.rolled.step.maker, dict(states), self.operators)
            if self.rolled.data:
                runner.values[self.rolled.data] = self.frames[step]
            for piece in self.rolled.step.pieces:
                runner.of(piece.output)
            found.append(runner.values)
            states = {state: runner.values[after] for state, after in self.rolled.states}
        return found

    def differences(self) -> list[tuple[str, int]]:
        """The streams that differ, with the step, in the order of computing."""
        results = self.run(self.initial, self.steps)
        order = [piece.output for piece in self.rolled.step.pieces]
        keys = [(name, step) for step in range(self.steps) for name in order if (name, step) in self.wanted]
        return [(name, step) for name, step in keys if not _close(results[step][name], self.wanted[name, step])]

    def improve(self, wrong: tuple[str, int], before: int) -> bool:
        """Change the one unknown state that makes this stream right, and so fewer than `before` wrong ones."""
        for state in sorted(self.unknown):
            if self.initial[state].size != self.wanted[wrong].shape[1]:
                continue
            for guess in _GUESSES:
                solved = self._solved(wrong, state, guess)
                if solved is None:
                    continue
                old, self.initial = self.initial, {**self.initial, state: solved}
                if len(self.differences()) < before:
                    self.unknown.discard(state)
                    return True
                self.initial = old
        return False

    def _solved(self, wrong: tuple[str, int], state: str, guess: float) -> Array | None:
        """The first value of a state with which a stream is right, if it acts on it as a line near `guess`."""
        start = self.initial[state] + guess
        if wrong[0] in self.rolled.step.events:
            return None
        down, base, up = (self._seen(wrong, state, start + move) for move in (-_MOVE, 0.0, _MOVE))
        slope = (up - down) / (2 * _MOVE)
        if not np.all(np.abs(slope) > 1e-6) or not _close(up - base, base - down):
            return None
        solved = np.median(start + (self.wanted[wrong] - base) / slope, axis=0)
        near = np.round(solved * 2**20) / 2**20
        solved = np.where(np.abs(solved - near) < 1e-7, near, solved)
        return solved if _close(self._seen(wrong, state, solved), self.wanted[wrong]) else None

    def _seen(self, key: tuple[str, int], state: str, value: Array) -> Array:
        """A stream at some step, with another first value of a state."""
        return self.run({**self.initial, state: value}, key[1] + 1)[key[1]][key[0]].astype(np.float64)


def _close(a: Array, b: Array) -> bool:
    if a.shape != b.shape:  # what was folded may hold one value for all
        return False
    wide = np.abs(a).astype(np.float64) + np.abs(b)
    gap = np.abs(a.astype(np.float64) - b)
    return bool(np.all(gap <= _TOLERANCE * (wide + 0.1)))
