"""One neuron of an integer network in plain Python integers: its constants, its state, and one step of time."""

from __future__ import annotations

import numpy as np

from snncc.integers import Decay, HardReset, Population, Register, SoftReset


def shrink(x: int, amount: int, decay: Decay) -> int:
    """x * (2**bits - amount) / 2**bits, rounded; the nearest of two equally near is the greater."""
    whole = 2**decay.bits
    quotient, remainder = divmod(x * (whole - amount), whole)
    if decay.rounding == "zero" and quotient < 0:
        return quotient + (remainder > 0)
    if decay.rounding == "nearest":
        return quotient + (2 * remainder >= whole)
    return quotient


def hold(x: int, register: Register) -> int:
    """What a register keeps of x."""
    if register.lo <= x <= register.hi:
        return x
    if register.overflow == "saturate":
        return register.lo if x < register.lo else register.hi
    span = register.hi - register.lo + 1
    return x + span if x < register.lo else x - span


def value_of(array: np.ndarray, shape: tuple[int, ...], index: int) -> int:
    """A parameter's value for one neuron, by numpy's rule: align at the last axis, repeat axes of size 1."""
    place = []
    for size in reversed(shape):
        index, coordinate = divmod(index, size)
        place.append(coordinate)
    own = place[: array.ndim][::-1]
    return int(array[tuple(0 if size == 1 else at for size, at in zip(array.shape, own, strict=True))])


class Neuron:
    """One neuron: its state, and the spikes `s` and the membrane `before` the reset of its latest step."""

    def __init__(self, population: Population, index: int) -> None:
        def own(array: np.ndarray | None) -> int:
            return 0 if array is None else value_of(array, population.shape, index)

        self.population, self.gain = population, 2**population.input_shift
        membrane, current, fire = population.membrane, population.current, population.fire
        adapt, reset = population.adapt, population.reset
        self.v_decay, self.bias, self.minimum = own(membrane.decay.amount), own(membrane.bias), own(membrane.minimum)
        self.v_start, self.i_start = own(membrane.initial), own(current.initial) if current else 0
        self.i_decay = own(current.decay.amount) if current else 0
        self.threshold = own(fire.threshold) if fire else 0
        self.a_decay, self.jump, self.a_start = (
            (own(adapt.decay.amount), own(adapt.jump), own(adapt.initial)) if adapt else (0, 0, 0)
        )
        self.down = own(reset.amount) if isinstance(reset, SoftReset) else 0
        self.target = own(reset.value) if isinstance(reset, HardReset) else 0
        self.a = self.a_start
        self.start()

    def start(self) -> None:
        """Before the first step of a sample."""
        self.v, self.i = self.v_start, self.i_start
        if not self.learns:
            self.a = self.a_start
        self.wait = 0  # refractory steps to come
        self.owed = 0  # spikes whose reset is yet to come
        self.sleep()

    @property
    def learns(self) -> bool:
        return self.population.adapt is not None and self.population.adapt.learnt

    def finish(self) -> None:
        """After a sample."""
        if self.population.adapt and self.learns:
            self.a = shrink(self.a, self.a_decay, self.population.adapt.decay)

    def sleep(self) -> None:
        """A step outside the sample's window."""
        self.s, self.before = 0, self.v

    def step(self, acc: int) -> None:
        one = self.population
        x = acc * self.gain
        if one.current:
            x = self.i = hold(shrink(self.i, self.i_decay, one.current.decay) + x, one.current.register)
        if one.adapt and not self.learns:
            self.a = shrink(self.a, self.a_decay, one.adapt.decay)
        if self.wait > 0:
            self.wait -= 1
            self.s = 0
        else:
            self.v = self.integrated(x)
            self.s = self.spikes()
        self.before = self.v
        if one.reset is not None and one.reset.delay == 0:
            self.v = hold(self.reset(self.v, self.s) if self.s else self.v, one.membrane.register)
        if self.s > 0:
            self.answer()

    def integrated(self, x: int) -> int:
        membrane = self.population.membrane
        v = shrink(self.v, self.v_decay, membrane.decay)
        if self.owed:
            v, self.owed = self.reset(v, self.owed), 0
        v = hold(v + x + self.bias, membrane.register)
        if membrane.minimum is not None and v < self.minimum:
            return self.minimum
        return v

    def spikes(self) -> int:
        fire = self.population.fire
        if fire is None:
            return 0
        threshold = self.threshold + self.a
        count = 0  # how often the threshold fits into v; for > with something left over
        while count < fire.max_spikes:
            needed = threshold * (count + 1)
            if self.v < needed or (self.v == needed and not fire.inclusive):
                break
            count += 1
        return count

    def answer(self) -> None:
        """What its own spikes do to a neuron, besides an immediate reset."""
        one = self.population
        if one.reset is not None and one.reset.delay == 1:
            self.owed = self.s
        if one.adapt:
            self.a = hold(self.a + self.jump * self.s, one.adapt.register)
        self.wait = one.refractory

    def reset(self, v: int, spikes: int) -> int:
        reset = self.population.reset
        if isinstance(reset, HardReset):
            return self.target
        assert isinstance(reset, SoftReset)
        return v - (self.down + (self.a if reset.adaptive else 0)) * spikes
