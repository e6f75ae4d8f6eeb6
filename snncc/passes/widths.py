"""Turns a float neuron population into an integer one on a given grid: fraction bits, register widths, decay widths.

Few fraction bits make decays round coarsely; many need wide registers, and leave few bits to the decay itself. The
narrowest registers are taken that keep all rounding small beside the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snncc import integers, layers
from snncc.analysis.intervals import ENDLESS, Enclosure, enclose_adaptation, enclose_current, enclose_membrane, spread
from snncc.arrays import Array, Floats, Ints, frozen
from snncc.chip import Chip, StateArithmetic
from snncc.integers import Decay, Population, Register
from snncc.layers import Neuron
from snncc.passes.grids import Grid
from snncc.passes.held import holds
from snncc.passes.spikes import bounded

TOLERANCE = 1 / 128  # of the threshold: what all rounding of states may add up to before a neuron forgets it
_MEMORY = 64  # steps after which a neuron counts as having forgotten, where nothing says how long samples are
_PROBE = (42, 18)  # register and decay bits of the population whose reach is measured: products fit 60 bits
_PROBE_THRESHOLD = 12  # bits of its threshold at least, so that its reach is known to a part in a thousand
_HEADROOM = 4.0  # times what the samples showed, where no proof gives a bound
_MOST_ROOM = 16  # bits that an unproved register is widened by, as far as its integer type goes
_BEYOND = 1 << 58  # more than any register holds; sums of a few of these fit int64
_TYPES = (8, 16, 32, 64)  # bits of the integers that machines have: a register narrower than its type saves nothing

StateName = Literal["membrane", "current", "adapt"]


@dataclass(frozen=True)
class Use:
    """How long samples are, and the largest |membrane| that the calibration samples showed; None where unknown.

    `grown` is how many times as high as its own a threshold may come to be: membranes have to reach it there, too.
    """

    steps: int | None = None
    seen: float | None = None
    grown: float = 1.0


@dataclass(frozen=True)
class Widths:
    """Left shift of the accumulator in all, and (register bits, decay bits) by state."""

    shift: int
    states: Mapping[StateName, tuple[int, int]]


@dataclass(frozen=True, eq=False)
class _State:
    """A state whose widths are to be chosen: what it keeps of itself in a step, and the chip's arithmetic for it.

    `reaches` are bounds of its magnitude in units of the probe, the safest first: for ever, for the samples' steps,
    several times what samples showed, or one step of all inputs at once where there are none; inf where unbounded.
    """

    kept: Floats
    arithmetic: StateArithmetic
    reaches: tuple[float, float, float]


def fitted(neuron: Neuron, grid: Grid, sums: tuple[Ints, Ints], chip: Chip, use: Use) -> tuple[Population, int]:
    """The integer population for accumulators within `sums`, and what all exponents of its maps have to grow by."""
    widths = choose(neuron, grid, sums, chip, use)
    shift = min(widths.shift, chip.accumulator.input_shift[1])
    return build(neuron, grid, widths, shift, chip), widths.shift - shift


def build(neuron: Neuron, grid: Grid, widths: Widths, input_shift: int, chip: Chip) -> Population:
    """The population with all parameters on the grid."""
    scale = np.ldexp(1.0 / grid.quantum, widths.shift)

    def on_grid(value: Array) -> Ints:
        return _integers(np.rint(value.astype(np.float64) * scale))

    current = adapt = None
    if neuron.current:
        decay, register = _arithmetic(neuron.current.decay, widths.states["current"], chip.current)
        current = integers.Current(decay, register, on_grid(neuron.current.initial))
    if neuron.adapt:
        decay, register = _arithmetic(neuron.adapt.decay, widths.states["adapt"], chip.membrane)
        adapt = integers.Adapt(decay, register, on_grid(neuron.adapt.jump), on_grid(neuron.adapt.initial))
    decay, register = _arithmetic(neuron.decay, widths.states["membrane"], chip.membrane)
    minimum = None if neuron.minimum is None else on_grid(neuron.minimum)
    return Population(
        neuron.shape,
        integers.Membrane(decay, register, on_grid(neuron.bias), minimum, on_grid(neuron.initial)),
        _fire(neuron, scale, chip),
        _reset(neuron.reset, on_grid),
        current,
        adapt,
        neuron.refractory,
        input_shift,
        scale=float(scale) if scale.ndim == 0 else 0.0,
    )


def _fire(neuron: Neuron, scale: Floats, chip: Chip) -> integers.Fire | None:
    """Integers reach a threshold when they reach the next integer: it is rounded up, or down for a strict one.

    Those that reach an integer are above the one before it, so a chip with one kind of threshold can do both.
    """
    if neuron.threshold is None:
        return None
    exact = neuron.threshold.astype(np.float64) * scale
    nearest = np.rint(exact)
    on_grid = np.abs(exact - nearest) <= 1e-6 * np.maximum(1.0, np.abs(nearest))
    outside = np.ceil(exact) if neuron.inclusive else np.floor(exact)
    threshold = _integers(np.where(on_grid, nearest, outside))
    own, other = "inclusive-threshold", "strict-threshold"
    own, other = (own, other) if neuron.inclusive else (other, own)
    if own in chip.capabilities or other not in chip.capabilities or neuron.max_spikes > 1:
        return integers.Fire(threshold, neuron.inclusive, neuron.max_spikes)
    return integers.Fire(threshold - 1 if neuron.inclusive else threshold + 1, not neuron.inclusive)


def _integers(values: Floats) -> Ints:
    """Whole numbers as integers, cut off where no chip could hold them: a contract then says so."""
    return frozen(np.clip(values, -_BEYOND, _BEYOND), np.int64)


def _reset(
    reset: layers.SoftReset | layers.HardReset | None, on_grid: Callable[[Array], Ints]
) -> integers.SoftReset | integers.HardReset | None:
    if isinstance(reset, layers.SoftReset):
        return integers.SoftReset(on_grid(reset.amount), reset.delay, reset.adaptive)
    return None if reset is None else integers.HardReset(on_grid(reset.value), reset.delay)


def _arithmetic(kept: Array, widths: tuple[int, int], arithmetic: StateArithmetic) -> tuple[Decay, Register]:
    """The decay that keeps a part `kept` of a state, and the state's register."""
    bits, decay_bits = widths
    amount = np.rint(np.ldexp(1.0 - kept.astype(np.float64), decay_bits))
    register = Register(-(1 << (bits - 1)), (1 << (bits - 1)) - 1, arithmetic.overflow)
    return Decay(frozen(amount, np.int64), decay_bits, arithmetic.rounding), register


def choose(neuron: Neuron, grid: Grid, sums: tuple[Ints, Ints], chip: Chip, use: Use) -> Widths:
    """The smallest shift whose rounding is within `TOLERANCE`, for the safest registers for which there is one.

    Failing all, the widest registers with a threshold well inside, and the most accurate of those.
    """
    unit = threshold_unit(neuron, grid) / grid.quantum
    probe_shift = max(0, _PROBE_THRESHOLD - int(np.frexp(unit.min())[1]))
    states = _states(neuron, grid, sums, chip, use, probe_shift)
    shifts = tuple(_shifts(neuron, grid, sums, chip, use.grown))
    for certainty in range(4):
        for shift in shifts:
            for room in (0,) if certainty == 0 else range(_MOST_ROOM, -1, -1):
                widths = _widths(states, shift, shift - probe_shift, certainty, room)
                if widths and _error(neuron, states, widths, unit, use) <= TOLERANCE:
                    return widths
    widest = [widths for shift in shifts if (widths := _widths(states, shift, shift - probe_shift, 3, 0))]
    limit = 1 << (chip.membrane.bits - 1)
    times = max(_HEADROOM, use.grown)
    inside = [each for each in widest if np.ldexp(unit.max(), each.shift) * times < limit] or widest[:1]
    return min(inside, key=lambda each: (_error(neuron, states, each, unit, use), each.shift))


def threshold_unit(neuron: Neuron, grid: Grid) -> Floats:
    """What errors of a membrane are measured by, in the model's unit: the threshold's distance from the reset value.

    A neuron without a threshold, or with one at its reset value, is measured by an input of a hundred quanta.
    """
    if neuron.threshold is None:
        return np.asarray(grid.quantum * 100)
    value = neuron.reset.value if isinstance(neuron.reset, layers.HardReset) else np.zeros(())
    distance = np.abs(neuron.threshold.astype(np.float64) - value)
    return np.where(distance > 0, distance, grid.quantum * 100)


def _shifts(neuron: Neuron, grid: Grid, sums: tuple[Ints, Ints], chip: Chip, grown: float = 1.0) -> Iterator[int]:
    """The left shifts, by input shift and exponents together, at which sums and parameters fit the chip.

    Shifted sums stay within half the accumulator. The least shift there is is among them in any case.
    """
    low, high = chip.accumulator.input_shift
    room = chip.weight.exponent[1] - max(grid.exponents, default=0)
    most = max(-int(sums[0].min(initial=0)), int(sums[1].max(initial=0)))
    for shift in range(low, high + max(0, room) + 1):
        fits = most << shift < 1 << (chip.accumulator.bits - 2) and holds(neuron, grid, chip, shift, grown)
        if shift == low or fits:
            yield shift


def _states(
    neuron: Neuron, grid: Grid, sums: tuple[Ints, Ints], chip: Chip, use: Use, shift: int
) -> dict[StateName, _State]:
    """The states and their reach, measured on a population of very wide registers."""
    names: tuple[StateName, ...] = ("membrane", "current", "adapt")
    probe = bounded(build(neuron, grid, Widths(shift, dict.fromkeys(names, _PROBE)), shift, chip), *sums)
    states: dict[StateName, _State] = {}
    low, high = sums[0] << shift, sums[1] << shift
    one_step = _magnitude(low, high)
    if neuron.current and probe.current:
        initial = spread(probe.current.initial, probe)
        low, high, reach = _limited(enclose_current(probe, *sums), initial, low, high, use.steps)
        states["current"] = _state(neuron.current.decay, chip.current, (*reach, one_step), initial)
    adaptation = None
    if neuron.adapt and probe.adapt:
        adaptation = enclose_adaptation(probe)
        jump = spread(probe.adapt.jump, probe) * (probe.fire.max_spikes if probe.fire else 0)
        initial = spread(probe.adapt.initial, probe)
        *_, reach = _limited(adaptation, initial, np.minimum(jump, 0), np.maximum(jump, 0), use.steps)
        states["adapt"] = _state(neuron.adapt.decay, chip.membrane, (*reach, reach[1]), initial)
    bias, initial = spread(probe.membrane.bias, probe), spread(probe.membrane.initial, probe)
    found = enclose_membrane(probe, low, high, adaptation)
    *_, reach = _limited(found, initial, low + bias, high + bias, use.steps)
    scale = float(np.ldexp(1.0 / grid.quantum, shift).max())
    likely = one_step if use.seen is None else use.seen * scale * _HEADROOM
    values = [
        initial,
        *(each for each in (probe.membrane.minimum, getattr(probe.reset, "value", None)) if each is not None),
    ]
    if probe.fire and use.grown > 1:
        values.append(np.ceil(probe.fire.threshold * use.grown).astype(np.int64))
    states["membrane"] = _state(neuron.decay, chip.membrane, (*reach, likely), *values)
    return states


def _state(kept: Array, arithmetic: StateArithmetic, reaches: tuple[float, float, float], *values: Ints) -> _State:
    """A state that has to hold some values in any case."""
    least = max(_magnitude(each, each) for each in values)
    certain, in_time, likely = (max(each, least) for each in reaches)
    return _State(kept.astype(np.float64), arithmetic, (certain, in_time, likely))


def _magnitude(low: Ints, high: Ints) -> float:
    return float(np.maximum(-low, high).max(initial=0))


def _limited(
    found: Enclosure, start: Ints, low: Ints, high: Ints, steps: int | None
) -> tuple[Ints, Ints, tuple[float, float]]:
    """What a state with inputs low..high reaches in so many steps, and how far it may go for ever and in that time."""
    safe = bool((np.minimum(found.steps_below, found.steps_above) == ENDLESS).all())
    for_ever = _magnitude(found.low, found.high) if safe else np.inf
    if steps is None:
        return found.low, found.high, (for_ever, for_ever)
    least = np.maximum(found.low, np.minimum(start, 0) + steps * np.minimum(low, 0))
    greatest = np.minimum(found.high, np.maximum(start, 0) + steps * np.maximum(high, 0))
    return found.low, found.high, (for_ever, _magnitude(least, greatest))


def _widths(
    states: Mapping[StateName, _State], shift: int, beyond_probe: int, certainty: int, room: int
) -> Widths | None:
    """Registers that hold each state's reach at a shift, and the widest decays beside them; None if they do not fit.

    `certainty` 0..2 picks the reach; 3 takes the widest registers, whatever is reached. Registers get up to `room`
    bits more, within their integer types.
    """
    found: dict[StateName, tuple[int, int]] = {}
    for name, state in states.items():
        arithmetic, bits = state.arithmetic, state.arithmetic.bits
        if certainty < 3:
            reach = state.reaches[certainty]
            if not np.isfinite(reach):
                return None
            bits = max(2, int(np.frexp(np.ldexp(reach, beyond_probe) * (1 + 2**-10) + 1)[1]) + 1)
        if bits > arithmetic.bits:
            return None
        least, most = arithmetic.decay_bits
        type_bits = next((each for each in _TYPES if each >= bits), bits)
        bits = max(bits, min(bits + room, type_bits, arithmetic.bits))
        if least == most and arithmetic.bits + least <= arithmetic.product_bits:
            bits = arithmetic.bits  # narrower registers would gain nothing
        decay_bits = min(most, arithmetic.product_bits - bits)
        if decay_bits < least:
            return None
        found[name] = bits, decay_bits
    return Widths(shift, found)


def _error(neuron: Neuron, states: Mapping[StateName, _State], widths: Widths, unit: Floats, use: Use) -> float:
    """What rounding adds up to, as a part of the threshold; `unit` is the threshold in quanta."""
    one = 1.0 / float(np.ldexp(unit, widths.shift).min())
    memory = {name: _memory(state.kept, use) for name, state in states.items()}
    error = one
    if neuron.bias.any():
        error += memory["membrane"] * one / 2
    for name, state in states.items():
        inexact = bool(((state.kept != 0) & (state.kept != 1)).any())
        if inexact:
            rounding = 0.5 if state.arithmetic.rounding == "nearest" else 1.0
            passed_on = memory["membrane"] if name == "current" else 1.0
            lost = 1.0 - state.kept
            bits = widths.states[name][1]
            off = float(np.abs(np.ldexp(np.rint(np.ldexp(lost, bits)), -bits) - lost).max())
            error += memory[name] * (rounding * one * passed_on + off)
    return error


def _memory(kept: Floats, use: Use) -> float:
    """For how many steps a state remembers, at most a sample's own."""
    longest = float(use.steps or _MEMORY)
    least = float(1.0 - kept.max())
    return longest if least * longest <= 1.0 else 1.0 / least
