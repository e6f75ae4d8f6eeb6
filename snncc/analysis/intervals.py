"""Encloses what a state register can reach, and counts the steps until it may be left, neuron by neuron.

The bounds of a state move by monotone maps F, so any U with F(U) <= U encloses it for ever. The least one is found by
bisection, not by stepping; steps are counted in jumps as long as a bound moves by the same amount.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from snncc.arrays import Array, Ints
from snncc.integers import Decay, HardReset, Population, Register, SoftReset
from snncc.states import decayed

ENDLESS = 1 << 40  # steps; nobody runs a sample for longer
_FAR = 1 << 55  # beyond every state, and no sum with one leaves int64
_MOST_JUMPS = 20_000  # then the steps counted so far are the answer, which errs on the safe side
SideT = TypeVar("SideT", bound="Upper | Lower")


@dataclass(frozen=True, eq=False)
class Upper:
    """How the upper bound u of a state moves in one step; all arrays are (size,).

    `push` is the most that a step adds. From `loud` on the neuron can fire, above `quiet` it must. After a spike v is
    at most `floor`, or `relief` less than before. `delay` is the reset's, `swing` the most that it moves v.
    """

    decay: Decay
    start: Ints
    push: Ints
    loud: Ints
    quiet: Ints
    floor: Ints
    relief: Ints
    minimum: Ints
    swing: Ints
    delay: int

    def move(self, u: Ints) -> tuple[Ints, Ints, Ints]:
        """The bounds of the sum that must fit the register, of v before the step's reset, of the state after it."""
        if self.delay:
            still = decayed(np.minimum(u, self.quiet), self.decay)
            reset = np.maximum(self.floor, decayed(u, self.decay) - self.relief)
            p = np.where(u >= self.loud, np.maximum(still, reset), still) + self.push
            p = np.maximum(p, self.minimum)
            return p, p, p
        p = np.maximum(decayed(u, self.decay) + self.push, self.minimum)
        reset = np.maximum(self.floor, p - self.relief)
        after = np.where(p >= self.loud, np.maximum(np.minimum(p, self.quiet), reset), p)
        return np.maximum(p, after), p, after


@dataclass(frozen=True, eq=False)
class Lower:
    """How the lower bound of a state moves, mirrored so that it too grows: u stands for v >= -u.

    `push` is the most that a step takes away. `sink` is minus the lowest value that a spike can leave.
    """

    decay: Decay
    start: Ints
    push: Ints
    sink: Ints
    minimum: Ints
    swing: Ints
    delay: int

    def move(self, u: Ints) -> tuple[Ints, Ints, Ints]:
        """As `Upper.move`."""
        total = self.push - decayed(-u, self.decay)
        if self.delay:
            total = np.maximum(total, self.sink + self.push)
        p = np.minimum(total, -self.minimum)
        after = p if self.delay else np.maximum(p, self.sink)
        return np.maximum(total, after), p, after


@dataclass(frozen=True, eq=False)
class Enclosure:
    """Per neuron: the bounds of a register whenever it is read, and the steps that are safe at its two ends."""

    low: Ints
    high: Ints
    steps_below: Ints
    steps_above: Ints


def spread(value: Array | int, population: Population) -> Ints:
    """A parameter written out for each neuron: int64 (size,)."""
    return np.broadcast_to(np.asarray(value, np.int64), population.shape).reshape(-1)


def enclose_current(population: Population, low: Ints, high: Ints) -> Enclosure:
    """The synaptic current, for accumulators within low..high."""
    assert population.current
    current, shift = population.current, population.input_shift
    return _enclose(*_free(population, current.decay, current.initial, low << shift, high << shift), current.register)


def enclose_adaptation(population: Population) -> Enclosure:
    """The threshold's adaptation, which jumps by at most every spike of every step.

    A learnt one decays between samples only, however long they are: nothing is taken off here.
    """
    assert population.adapt
    adapt = population.adapt
    decay = replace(adapt.decay, amount=np.zeros((), np.int64)) if adapt.learnt else adapt.decay
    jump = spread(adapt.jump, population) * (population.fire.max_spikes if population.fire else 0)
    return _enclose(*_free(population, decay, adapt.initial, np.minimum(jump, 0), np.maximum(jump, 0)), adapt.register)


def enclose_membrane(population: Population, low: Ints, high: Ints, adaptation: Enclosure | None) -> Enclosure:
    """The membrane, for inputs (currents, or shifted accumulators) within low..high."""
    membrane = population.membrane
    bias = spread(membrane.bias, population)
    upper, lower = _free(population, membrane.decay, membrane.initial, low + bias, high + bias)
    if membrane.minimum is not None:
        minimum = spread(membrane.minimum, population)
        upper, lower = replace(upper, minimum=minimum), replace(lower, minimum=minimum)
    if population.fire:
        upper, lower = _firing(population, upper, lower, _adaptations(population, adaptation))
    return _enclose(upper, lower, membrane.register)


def _free(population: Population, decay: Decay, initial: Array, low: Ints, high: Ints) -> tuple[Upper, Lower]:
    """A state that nothing resets."""
    decay = replace(decay, amount=spread(decay.amount, population))
    start = spread(initial, population)
    far, none = np.full(population.size, _FAR), np.zeros(population.size, np.int64)
    upper = Upper(decay, start, high, loud=far, quiet=far, floor=-far, relief=far, minimum=-far, swing=none, delay=0)
    return upper, Lower(decay, -start, -low, sink=-far, minimum=-far, swing=none, delay=0)


def _adaptations(population: Population, adaptation: Enclosure | None) -> tuple[Ints, Ints]:
    """The least and the greatest adaptation that a threshold is compared with: after its decay."""
    if adaptation is None or population.adapt is None:
        zero = np.zeros(population.size, np.int64)
        return zero, zero
    if population.adapt.learnt:
        return adaptation.low, adaptation.high
    decay = replace(population.adapt.decay, amount=spread(population.adapt.decay.amount, population))
    return decayed(adaptation.low, decay), decayed(adaptation.high, decay)


def _firing(population: Population, upper: Upper, lower: Lower, adaptation: tuple[Ints, Ints]) -> tuple[Upper, Lower]:
    """The bounds of a membrane with the population's threshold and reset."""
    fire, reset = population.fire, population.reset
    assert fire
    if reset is None:
        return upper, lower
    first = spread(fire.threshold, population) + (0 if fire.inclusive else 1)  # the least v that fires
    loud, quiet = first + adaptation[0], first + adaptation[1] - 1
    if population.adapt and fire.max_spikes > 1:
        loud, quiet = np.full(population.size, -_FAR), np.full(population.size, _FAR)
    if reset.delay and population.refractory:
        quiet = np.full(population.size, _FAR)  # a held neuron loses its delayed reset: count on none
    upper = replace(upper, loud=loud, quiet=quiet, delay=reset.delay)
    lower = replace(lower, delay=reset.delay)
    if isinstance(reset, HardReset):
        value = spread(reset.value, population)
        upper, lower = replace(upper, floor=value), replace(lower, sink=-value)
    else:
        upper, lower = _soft(population, reset, upper, lower, first, adaptation)
    if reset.delay:
        # the initial state has no spike behind it, so no reset awaits it, however high it is
        once = np.maximum(upper.start, decayed(upper.start, upper.decay) + upper.push)
        upper = replace(upper, start=np.where(upper.start >= loud, once, upper.start))
    return upper, lower


def _soft(
    population: Population, reset: SoftReset, upper: Upper, lower: Lower, first: Ints, adaptation: tuple[Ints, Ints]
) -> tuple[Upper, Lower]:
    """The bounds of a membrane that loses `reset.amount` a spike."""
    fire, amount = population.fire, spread(reset.amount, population)
    assert fire
    most, step = fire.max_spikes, spread(fire.threshold, population)
    least, greatest = (amount + each if reset.adaptive else amount for each in adaptation)
    swing = np.maximum(np.abs(least), np.abs(greatest)) * most
    upper, lower = replace(upper, swing=swing), replace(lower, swing=swing)
    if most > 1 and population.adapt:
        # how many spikes there are depends on both states: allow any number at any v
        rise, drop = np.maximum(-least * most, 0), np.maximum(greatest * most, 0)
        far = np.full(population.size, _FAR)
        return (
            replace(upper, push=upper.push + rise, minimum=upper.minimum + rise, loud=far, quiet=far, delay=0),
            replace(lower, push=lower.push + drop, minimum=-far, delay=0),
        )

    def later(v: Ints) -> Ints:
        return decayed(v, upper.decay) if reset.delay else v

    slack = 2 if reset.delay and most > 2 else 0  # two roundings of the decay between the ends of a range of spikes
    if population.adapt:
        # v > threshold + a loses at most amount + a: in an immediate adaptive reset a cancels
        left = first - amount if reset.adaptive and not reset.delay else later(upper.loud) - greatest
        return replace(upper, relief=least), replace(lower, sink=-left)
    # v that fires s times is at least first + (s - 1) * step; what is left of it is extreme at the ends of 1..most
    left = np.minimum(later(first) - amount, later(first + (most - 1) * step) - amount * most)
    lower = replace(lower, sink=slack - left)
    if most == 1:
        return replace(upper, relief=amount), lower
    kept = np.maximum(later(first + step - 1) - amount, later(first + (most - 1) * step - 1) - amount * (most - 1))
    return replace(upper, relief=amount * most, floor=kept + slack), lower


def _enclose(upper: Upper, lower: Lower, register: Register) -> Enclosure:
    high, steps_above = _bound(upper, register.hi)
    silent = high < upper.loud
    lower = replace(lower, sink=np.where(silent, -_FAR, lower.sink))
    low, steps_below = _bound(lower, -register.lo)
    if register.overflow == "wrap":
        left = (steps_above < ENDLESS) | (steps_below < ENDLESS)
        span = register.hi - register.lo + 1
        high = np.where(left, _wrapped(upper, register.hi, span), high)
        low = np.where(left, _wrapped(lower, -register.lo, span), low)
    return Enclosure(-low, high, steps_below, steps_above)


def _bound(side: Upper | Lower, limit: int) -> tuple[Ints, Ints]:
    """The enclosure at one side, at most `limit`, and the steps for which nothing passes the limit."""
    start, top = np.minimum(side.start, limit), np.full(side.start.shape, limit)
    knee = np.clip(side.loud - 1, start, top) if isinstance(side, Upper) else top
    first, settled = _least(side, start, knee)
    second, held = _least(side, knee, top)
    u = np.where(settled, first, np.where(held, second, top))
    total, before, _ = side.move(u)
    safe = (settled | held) & (total <= limit) & (side.start <= limit)
    steps = np.full(u.shape, ENDLESS)
    if not safe.all():
        steps[~safe] = _steps(_rows(side, ~safe), limit)
    return np.where(safe, np.maximum(u, before), np.maximum(limit, side.start)), steps


def _least(side: Upper | Lower, start: Ints, top: Ints) -> tuple[Ints, Array]:
    """The least u in start..top that a step does not raise, and whether there is one.

    Within one piece of a side's map (below `loud`, and from it on) u is raised just where it is too low.
    """
    low, high = start, top
    found = side.move(high)[2] <= high
    while (low < high).any():
        middle = (low + high) >> 1
        good = side.move(middle)[2] <= middle
        low, high = np.where(good, low, middle + 1), np.where(good, middle, high)
    return high, found


def _wrapped(side: Upper | Lower, limit: int, span: int) -> Ints:
    """The enclosure of a register that wraps once: beyond `limit` where a step can add more than the span."""
    free = replace(side, push=side.push + 2 * side.swing - span, delay=0, minimum=np.full(side.push.shape, -_FAR))
    free = replace(free, loud=-free.minimum) if isinstance(free, Upper) else replace(free, sink=free.minimum)
    start = np.maximum(side.start, limit)
    u, found = _least(free, start, np.maximum(start, 1 << (61 - side.decay.bits)))
    return np.where(found, u, _FAR)


def _steps(side: Upper | Lower, limit: int) -> Ints:
    """How many steps no value passes `limit`; jumps double while the bound grows evenly, and halve where not."""
    u, steps = side.start, np.zeros(side.start.shape, np.int64)
    jump, running = np.ones_like(steps), side.start <= limit
    for _ in range(_MOST_JUMPS):
        total, before, after = side.move(u)
        growth = after - u
        running &= (total <= limit) & (growth > 0) & (steps < ENDLESS)
        if not running.any():
            break
        jump = np.clip(jump, 1, np.maximum(1, (limit - u) // np.maximum(growth, 1)))
        last = np.minimum(u + (jump - 1) * growth, limit)
        total, then, after = side.move(last)
        even = (jump == 1) | ((after - last == growth) & (total <= limit))
        even &= (jump == 1) | _one_piece(side, (u, before), (last, then))
        taken = np.where(even & running, jump, 0)
        u, steps = u + taken * growth, steps + taken
        jump = np.where(even, jump * 2, jump >> 1)
    return steps


def _one_piece(side: Upper | Lower, first: tuple[Ints, Ints], last: tuple[Ints, Ints]) -> Array:
    """Whether the neuron fires at both bounds (v after a step, v before its reset) or at neither.

    In between, a bound's growth never rises, so growth that is equal at both ends is equal throughout.
    """
    if isinstance(side, Lower):
        return np.ones(side.start.shape, np.bool_)
    gate = 0 if side.delay else 1
    return (last[gate] < side.loud) | (first[gate] >= side.loud)


def _rows(side: SideT, chosen: Array) -> SideT:
    """The side of some of the neurons."""
    arrays: dict[str, Any] = {key: value[chosen] for key, value in vars(side).items() if isinstance(value, np.ndarray)}
    return replace(side, decay=replace(side.decay, amount=side.decay.amount[chosen]), **arrays)
