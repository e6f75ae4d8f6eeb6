"""Chooses the grid of each population on samples: the one whose spikes are nearest to those of unrounded weights.

The reference is the same network on a chip with very wide numbers, so that every figure compared is an exact integer.
Populations are chosen in the order of the graph, each fed by the spikes of those chosen before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snncc.arrays import Floats, Ints, Shape
from snncc.chip import Accumulator, Chip, InputPort, StateArithmetic, Weight
from snncc.layers import size
from snncc.passes.calibration import Drive, Response, count_errors, membrane_errors, respond
from snncc.passes.candidates import Candidate, Problem, build, exact_grid, plain_grid
from snncc.passes.grids import Grid, aligned, largest, largest_by_neuron, top

_FEW_BITS = 5  # weights so narrow that each neuron deserves a scale of its own
_RATIOS = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4)  # of the largest weight: where clipping may start
_RATIOS_OF_MANY_BITS = (1.0, 0.8, 0.6)
_HOPELESS = 1.5  # times the best error, at which finer grids are not tried any more
_SPREAD = 16  # between the largest weights of neurons, beyond which a neuron's own scale does not follow them


def wide(chip: Chip) -> Chip:
    """A chip with the same arithmetic but numbers so wide that rounding hardly matters; products fit 62 bits."""
    state = StateArithmetic(42, (4, 18), 61, "nearest", "saturate")
    return replace(
        chip,
        weight=Weight(20, (0, 40)),
        input=InputPort(14, signed=True),
        accumulator=Accumulator(60, (0, 30)),
        current=state,
        membrane=state,
    )


@dataclass(frozen=True, eq=False)
class Reference:
    """What a population should do: its wide form, and that form's response to wide predecessors."""

    candidate: Candidate
    response: Response


@dataclass(frozen=True, eq=False)
class _Trial:
    """A candidate, its error by unit (a channel of a feature map, else a neuron), and the mean of its inputs."""

    grid: Grid
    bias: Floats
    candidate: Candidate
    errors: Ints
    mean: Floats

    @property
    def error(self) -> int:
        return int(self.errors.sum())


def search(given: Problem, drive: Drive, reference: Reference, *, one_scale: bool) -> Candidate:
    """The best candidate found; `one_scale` for a population whose membranes are compared with each other."""
    exact = exact_grid(given)
    if exact is not None:
        return build(given, exact)
    task = _Task(given, drive, reference, one_scale)
    trials = [trial for grids in _grids(given) for trial in task.descended(grids)]
    if not trials:
        return build(given, plain_grid(given))
    best = min(trials, key=lambda trial: trial.error)
    if given.bits <= _FEW_BITS and not one_scale and "per-neuron-parameters" in given.chip.capabilities:
        own = task.descended(_own_grids(given, best.grid))
        same = [trial for trial in trials if trial.grid.exponents == best.grid.exponents]
        best = min(best, task.mixed([*same, *own]), key=lambda trial: trial.error)
    return best.candidate


def _grids(given: Problem) -> Iterator[Iterator[Grid]]:
    """Grids for the whole population: each of its maps in turn fills the bits, clipped at each of the ratios."""
    largests = tuple(largest(each) for each in given.incoming)
    most = given.chip.weight.exponent[1]
    ratios = _RATIOS if given.bits <= _FEW_BITS else _RATIOS_OF_MANY_BITS
    for anchor in range(len(largests)):
        if largests[anchor] > 0:
            yield (aligned(largests, anchor, ratio, given.bits, most) for ratio in ratios)


def _own_grids(given: Problem, common: Grid) -> Iterator[Grid]:
    """Grids that follow the largest weight of each channel or neuron, with the exponents of the common grid."""
    shape = given.neuron.shape
    largests = [
        np.ldexp(largest_by_neuron(each, shape), -exponent)
        for each, exponent in zip(given.incoming, common.exponents, strict=True)
    ]
    most = np.maximum.reduce(largests)
    most = np.maximum(most, most.max() / _SPREAD)
    for ratio in _RATIOS:
        yield Grid(most * ratio / top(given.bits), common.exponents)


@dataclass(frozen=True, eq=False)
class _Task:
    """What all trials of one population share."""

    given: Problem
    drive: Drive
    reference: Reference
    one_scale: bool

    def attempt(self, grid: Grid, bias: Floats) -> _Trial:
        """Build a candidate, run it, and compare it with the reference."""
        candidate = build(self.given, grid, bias)
        response = respond(self.given, candidate, self.drive, membranes=self.one_scale)
        wanted = self.reference.response
        if self.one_scale:
            scales = candidate.population.scale, self.reference.candidate.population.scale
            errors = membrane_errors(response, scales[0], wanted, scales[1])
        else:
            errors = count_errors(response, wanted)
        return _Trial(grid, bias, candidate, self.by_unit(errors), self.mean(candidate, response))

    def corrected(self, grid: Grid) -> tuple[_Trial, ...]:
        """A candidate, and it with the bias that gives each channel or neuron the mean input of the reference."""
        first = self.attempt(grid, self.given.neuron.bias.astype(np.float64))
        if "bias" not in self.given.chip.capabilities:
            return (first,)
        lack = self.mean(self.reference.candidate, self.reference.response) - first.mean
        return first, self.attempt(grid, first.bias + lack)

    def descended(self, grids: Iterable[Grid]) -> list[_Trial]:
        """Finer and finer grids, until clipping costs far more than the best so far."""
        trials: list[_Trial] = []
        for grid in grids:
            trials += self.corrected(grid)
            if trials[-1].error > _HOPELESS * min(trial.error for trial in trials):
                break
        return trials

    def mixed(self, trials: Sequence[_Trial]) -> _Trial:
        """For each channel or neuron the grid and the bias that served it best."""
        shape = self.units
        best = np.argmin([trial.errors for trial in trials], axis=0)
        quanta = [np.broadcast_to(trial.grid.quantum, shape).reshape(-1) for trial in trials]
        biases = [np.broadcast_to(trial.bias, shape).reshape(-1) for trial in trials]
        rows = np.arange(len(best))
        quantum, bias = (np.stack(each)[best, rows].reshape(shape) for each in (quanta, biases))
        return self.attempt(Grid(quantum, trials[0].grid.exponents), bias)

    @property
    def units(self) -> Shape:
        """The shape of what may have a scale of its own: channels of a feature map, else neurons."""
        shape = self.given.neuron.shape
        return (shape[0], 1, 1) if len(shape) == 3 else shape

    def by_unit(self, values: Ints) -> Ints:
        """Values of all neurons, added up by unit."""
        return values.reshape(math.prod(self.units), -1).sum(axis=1)

    def mean(self, candidate: Candidate, response: Response) -> Floats:
        """The mean input of each unit over samples and steps, in the model's own measure."""
        count = int(self.drive.live.sum()) * max(1, size(self.given.neuron.shape) // math.prod(self.units))
        return self.by_unit(response.total).reshape(self.units) * candidate.quantum / count
