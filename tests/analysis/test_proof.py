"""The proof encloses what any run does, says no more than is true, and no less than is needed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.graph import Edge, Graph
from snncc.integers import (
    Adapt,
    Current,
    Decay,
    Fire,
    HardReset,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
)
from snncc.linear import Dense
from snncc.semantics import rest, step

SIZE = 3
ENOUGH = 1 << 30
ROUNDINGS = ("zero", "floor", "nearest")
numbers = st.integers(-20, 20)


@st.composite
def registers(draw: Any, overflow: str | None = None) -> Register:
    bits = draw(st.integers(6, 9))
    chosen = overflow or draw(st.sampled_from(("saturate", "wrap")))
    return Register(-(1 << bits), (1 << bits) - 1, chosen)


@st.composite
def decays(draw: Any) -> Decay:
    bits = draw(st.integers(1, 4))
    amount = draw(
        st.one_of(st.integers(0, 1 << bits), st.lists(st.integers(0, 1 << bits), min_size=SIZE, max_size=SIZE))
    )
    return Decay(np.array(amount), bits, draw(st.sampled_from(ROUNDINGS)))


def per_neuron(draw: Any, values: Any) -> Array:
    return np.array(draw(st.one_of(values, st.lists(values, min_size=SIZE, max_size=SIZE))))


@st.composite
def populations(draw: Any) -> Population:
    most = draw(st.sampled_from((1, 1, 2, 3, 5)))
    fire = Fire(per_neuron(draw, st.integers(1 if most > 1 else -5, 40)), draw(st.booleans()), most)
    adapt = None
    if draw(st.booleans()):
        adapt = Adapt(draw(decays()), draw(registers("saturate")), per_neuron(draw, st.integers(0, 9)))
    delay = draw(st.integers(0, 1))
    reset = draw(
        st.sampled_from(
            (
                None,
                HardReset(per_neuron(draw, numbers), delay),
                SoftReset(per_neuron(draw, st.integers(-5, 50)), delay, adapt is not None and draw(st.booleans())),
            )
        )
    )
    current = Current(draw(decays()), draw(registers()), per_neuron(draw, numbers)) if draw(st.booleans()) else None
    minimum = per_neuron(draw, st.integers(-30, 5)) if draw(st.booleans()) else None
    membrane = Membrane(
        draw(decays()), draw(registers()), per_neuron(draw, numbers), minimum, per_neuron(draw, numbers)
    )
    fires = draw(st.integers(0, 5)) > 0
    return Population(
        (SIZE,),
        membrane,
        fire if fires else None,
        reset if fires else None,
        current,
        adapt,
        refractory=draw(st.sampled_from((0, 0, 1, 3))),
        input_shift=draw(st.integers(0, 2)),
    )


def network(population: Population, weight: Array, source: Source | None = None) -> Network:
    ops = {"x": source or Source((weight.shape[1],)), "w": Synapse(Dense(weight)), "p": population}
    ops["out"] = Output("membrane", "after", "last")
    return Graph(ops, [Edge("x", "w"), Edge("w", "p"), Edge("p", "out")])


def drives(weight: Array, steps: int, seed: int) -> Array:
    """(samples, steps, inputs) of 0/1: all on, all off, each neuron's extremes, their alternation, noise."""
    rows = [np.ones_like(weight[0]), np.zeros_like(weight[0])]
    rows += [part for row in weight for part in (row > 0, row < 0)]
    held = np.repeat(np.array(rows, np.int64)[:, None], steps, axis=1)
    swapped = held.copy()
    swapped[:, steps // 2 :] = 1 - held[:, steps // 2 :]
    toggled = np.where(np.arange(steps)[:, None] % 3 == 0, held, 1 - held)
    rng = np.random.default_rng(seed)
    noise = [rng.random((4, steps, weight.shape[1])) < p for p in (0.1, 0.5, 0.9)]
    return np.concatenate([held, swapped, toggled, *noise]).astype(np.int64)


def follow(population: Population, acc: Array) -> list[dict[str, Array]]:
    """The states of all steps, with the membrane before the reset; acc is (samples, steps, neurons)."""
    state, seen = rest(population, len(acc)), []
    for now in range(acc.shape[1]):
        state, _, before = step(population, state, acc[:, now])
        seen.append({**state, "before": before})
    return seen


def loosened(population: Population) -> Population:
    """The same with registers that nothing ever leaves."""
    free = Register(-(1 << 45), 1 << 45)

    def loose(record: Any) -> Any:
        return record and dataclasses.replace(record, register=free)

    return dataclasses.replace(
        population,
        membrane=loose(population.membrane),
        current=loose(population.current),
        adapt=loose(population.adapt),
    )


@settings(max_examples=300, deadline=None)
@given(populations(), st.lists(st.lists(st.integers(-9, 9), min_size=4, max_size=4), min_size=SIZE, max_size=SIZE))
def test_no_run_leaves_what_is_proved(population: Population, weight: list[list[int]]) -> None:
    steps, matrix = 24, np.array(weight)
    proof = prove(network(population, matrix), steps)
    found = proof.populations["p"]
    acc = drives(matrix, steps, 0) @ matrix.T
    assert found.acc[0] <= acc.min()
    assert acc.max() <= found.acc[1]
    seen = follow(population, acc)
    registers = {"v": found.membrane, "before": found.membrane, "i": found.current, "a": found.adapt}
    for now, state in enumerate(seen):
        for key, verdict in registers.items():
            if verdict is not None:
                assert verdict.reach[0] <= state[key].min(), (now, key, verdict)
                assert state[key].max() <= verdict.reach[1], (now, key, verdict)
    safe = min(ENOUGH if verdict.steps is None else verdict.steps for verdict in found.verdicts.values())
    assert all((verdict.kind == "safe") == (verdict.steps is None) for verdict in found.verdicts.values())
    for state, free in zip(seen[:safe], follow(loosened(population), acc), strict=False):
        assert all((state[key] == free[key]).all() for key in state), "a value left a register that was proved safe"
