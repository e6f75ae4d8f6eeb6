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
from snncc.linear import Conv, Lateral, LinearMap
from snncc.passes.calibration import Drive, Response, frames_of, membrane_errors, respond, spike_errors
from snncc.passes.candidates import Candidate, Problem, build, exact_grid, integer_maps, plain_grid
from snncc.passes.grids import Grid, aligned, largest, largest_by_unit
from snncc.passes.held import held, reachable
from snncc.passes.precision import levels
from snncc.passes.rounding import Frames

_COARSE = 15  # the greatest of weights so coarse that where to clip them matters for how they are rounded together
_MANY_WEIGHTS = 1_000_000  # that take too long to be rounded together more than once
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
        parameters=None,
    )


@dataclass(frozen=True, eq=False)
class Reference:
    """What a population should do: its wide form, and that form's response to wide predecessors."""

    candidate: Candidate
    response: Response

    @property
    def is_readout(self) -> bool:
        """Whether its membranes leave the network, to be compared with each other: they need one scale."""
        return self.response.membranes is not None

    @property
    def seen(self) -> float:
        """Its largest |membrane|, in the model's own measure."""
        return self.response.peak / self.candidate.population.scale

    def errors(self, candidate: Candidate, found: Response) -> Ints:
        """How far a response is from what it should be, by neuron: in its membranes if it has any, else in spikes."""
        wanted = self.response
        if found.membranes is None or wanted.membranes is None:
            return spike_errors(found.spikes, wanted.spikes)
        scales = candidate.population.scale, self.candidate.population.scale
        return membrane_errors(found.membranes, scales[0], wanted.membranes, scales[1])


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

    @property
    def maps(self) -> tuple[LinearMap, ...]:
        return tuple(synapse.map for synapse in self.candidate.synapses)


def search(given: Problem, drive: Drive, reference: Reference) -> Candidate:
    """The best candidate found; weights of 2 bits do without their -2 where samples show that to be better."""
    found, even = _searched(given, drive, reference), evenly(given)
    if even is given:
        return found.candidate
    return min(found, _searched(even, drive, reference), key=lambda each: each.error).candidate


def evenly(given: Problem) -> Problem:
    """The same population with weights of 2 bits that lie evenly on both sides of 0."""
    if all(each.levels != levels(2) for each in given.incoming):
        return given
    incoming = [
        replace(each, levels=levels("ternary")) if each.levels == levels(2) else each for each in given.incoming
    ]
    return replace(given, incoming=tuple(incoming))


def _searched(given: Problem, drive: Drive, reference: Reference) -> _Trial:
    """The best trial with weights within their levels.

    First each weight is rounded by itself, to find a grid for the population; then all are rounded together, on grids
    that follow each neuron where there may be such.
    """
    exact = exact_grid(given)
    units = units_of(given)
    apart = _Task(given, drive, reference, units or given.neuron.shape)
    if exact is not None:
        return apart.plainly(exact)
    trials = [trial for grids in _grids(given) for trial in apart.descended(grids)]
    if not trials:
        return apart.plainly(plain_grid(given))
    common = min(trials, key=lambda trial: trial.error).grid
    together = replace(apart, frames=frames_of(given, drive, reference.response))
    if units is None or reference.is_readout or "per-neuron-parameters" not in given.chip.capabilities:
        joint = list(together.corrected(common))
    elif given.narrowest <= _COARSE and sum(each.map.weight.size for each in given.incoming) <= _MANY_WEIGHTS:
        joint = [*together.corrected(common), *together.descended(_own_grids(given, common, units))]
        joint.append(together.mixed(joint))
    else:
        same = [trial for trial in trials if trial.grid.exponents == common.exponents]
        mixed = apart.mixed([*same, *apart.descended(_own_grids(given, common, units))])
        joint = list(together.corrected(mixed.grid))
    return min([*trials, *joint], key=lambda trial: trial.error)


def units_of(given: Problem) -> Shape | None:
    """The shape of what may have a scale of its own: channels of a feature map, else neurons; None if nothing may.

    The weights of a convolution are shared by a channel, so its scale must be too; that of a lateral map by all.
    """
    shape = given.neuron.shape
    if any(isinstance(each.map, Lateral) for each in given.incoming):
        return None
    shared = {each.map.out_shape[0] for each in given.incoming if isinstance(each.map, Conv)}
    if shared <= {shape[0]} and len(shape) > 1 and (shared or len(shape) == 3):
        return (shape[0], *[1] * (len(shape) - 1))
    return None if shared else shape


def _ratios(given: Problem) -> tuple[float, ...]:
    return _RATIOS if given.narrowest <= _COARSE else _RATIOS_OF_MANY_BITS


def _grids(given: Problem) -> Iterator[Iterator[Grid]]:
    """Grids for the whole population: each of its maps in turn fills the bits, clipped at each of the ratios.

    Where the chip could not hold all that stands on them, there are coarser ones beside them: samples show whether the
    weights or what is cut off matters more.
    """
    span = given.chip.weight.exponent
    for anchor, each in enumerate(given.incoming):
        if largest(each) > 0:
            plain = (aligned(given.incoming, anchor, ratio, span) for ratio in _ratios(given))
            grids = [reachable(given.neuron, grid, given.chip, given.narrowest) for grid in plain]
            coarser = [[_held(given, grid, seen) for grid in grids] for seen in (None, given.use.seen)]
            distinct = {float(each[0].quantum): each for each in (grids, *coarser)}
            yield from (iter(each) for each in distinct.values())


def _held(given: Problem, grid: Grid, seen: float | None = None) -> Grid:
    return held(given.neuron, grid, given.chip, given.narrowest, seen)


def _own_grids(given: Problem, common: Grid, units: Shape) -> Iterator[Grid]:
    """Grids that follow the largest weight of each channel or neuron, with the exponents of the common grid."""
    most = given.narrowest
    largests = [
        np.ldexp(largest_by_unit(each, units), -exponent) * (most / each.levels.high)
        for each, exponent in zip(given.incoming, common.exponents, strict=True)
    ]
    wanted = np.maximum.reduce(largests)
    wanted = np.maximum(wanted, wanted.max() / _SPREAD)
    for ratio in _ratios(given):
        yield _held(given, Grid(wanted * ratio / most, common.exponents))


@dataclass(frozen=True, eq=False)
class _Task:
    """What all trials of one population share; with `frames`, weights are rounded together."""

    given: Problem
    drive: Drive
    reference: Reference
    units: Shape
    frames: Frames | None = None

    def attempt(self, grid: Grid, bias: Floats, maps: tuple[LinearMap, ...]) -> _Trial:
        """Build a candidate, run it, and compare it with the reference."""
        candidate = build(self.given, grid, bias, maps)
        response = respond(self.given, candidate, self.drive, membranes=self.reference.is_readout)
        errors = self.by_unit(self.reference.errors(candidate, response))
        return _Trial(grid, bias, candidate, errors, self.mean(candidate, response))

    def plainly(self, grid: Grid) -> _Trial:
        """A candidate with the bias as it is."""
        return self.attempt(grid, self.given.neuron.bias.astype(np.float64), integer_maps(self.given, grid))

    def corrected(self, grid: Grid) -> tuple[_Trial, ...]:
        """A candidate, and it with the bias that gives each channel or neuron the mean input of the reference."""
        maps = integer_maps(self.given, grid, self.frames)
        first = self.attempt(grid, self.given.neuron.bias.astype(np.float64), maps)
        if "bias" not in self.given.chip.capabilities:
            return (first,)
        lack = self.mean(self.reference.candidate, self.reference.response) - first.mean
        return first, self.attempt(grid, first.bias + lack, maps)

    def descended(self, grids: Iterable[Grid]) -> list[_Trial]:
        """Finer and finer grids, until clipping costs far more than the best so far."""
        trials: list[_Trial] = []
        for grid in grids:
            trials += self.corrected(grid)
            if trials[-1].error > _HOPELESS * min(trial.error for trial in trials):
                break
        return trials

    def mixed(self, trials: Sequence[_Trial]) -> _Trial:
        """For each channel or neuron the grid and the bias that served it best; the exponents are the same in all."""
        shape = self.units
        best = np.argmin([trial.errors for trial in trials], axis=0)
        quanta = [np.broadcast_to(trial.grid.quantum, shape).reshape(-1) for trial in trials]
        biases = [np.broadcast_to(trial.bias, shape).reshape(-1) for trial in trials]
        rows = np.arange(len(best))
        quantum, bias = (np.stack(each)[best, rows].reshape(shape) for each in (quanta, biases))
        grid = Grid(quantum, trials[0].grid.exponents)
        return self.attempt(grid, bias, integer_maps(self.given, grid, self.frames))

    def by_unit(self, values: Ints) -> Ints:
        """Values of all neurons, added up by unit."""
        return values.reshape(math.prod(self.units), -1).sum(axis=1)

    def mean(self, candidate: Candidate, response: Response) -> Floats:
        """The mean input of each unit over samples and steps, in the model's own measure."""
        count = int(self.drive.live.sum()) * max(1, size(self.given.neuron.shape) // math.prod(self.units))
        return self.by_unit(response.total).reshape(self.units) * candidate.quantum / count
