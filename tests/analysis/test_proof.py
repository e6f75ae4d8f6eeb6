"""The proof encloses what any run does, says no more than is true, and no less than is needed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snncc.analysis.proof import Proof, diagnostics, margins, prove
from snncc.analysis.sums import signed_sums
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
from snncc.linear import Conv, Dense, to_sparse
from snncc.semantics import rest, run, step
from tests.networks import Case, cases

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


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_random_networks_stay_within_what_is_proved(case: Case) -> None:
    steps = int(case.lengths.max())
    proof = prove(case.network, steps)
    for name, (low, high) in margins(case.network, case.x, lengths=case.lengths).items():
        reach = proof.populations[name].membrane.reach
        assert reach[0] <= low <= high <= reach[1], (name, reach)
    free = Graph(
        {name: loosened(op) if isinstance(op, Population) else op for name, op in case.network.ops.items()},
        case.network.edges,
    )
    if all(verdict.kind != "may overflow" for each in proof.populations.values() for verdict in each.verdicts.values()):
        names = tuple(case.network.of_kind(Population))
        one, other = (run(each, case.x, lengths=case.lengths, record=names) for each in (case.network, free))
        assert all((one.membranes[name] == other.membranes[name]).all() for name in names)


def lone(membrane: Membrane, fire: Fire | None = None, reset: Any = None, **options: Any) -> Population:
    return Population((1,), membrane, fire, reset, **options)


def reachable(population: Population, low: int, high: int) -> tuple[set[int], int | None]:
    """All membranes, before and after resets, of one neuron with inputs low..high, and the first step that overflows.

    Found by trying every input in every state; a value that leaves the register ends its branch.
    """
    register = population.membrane.register
    inputs = np.arange(low, high + 1)
    states, seen, now, overflow = {(int(population.membrane.initial), 0)}, set(), 0, None
    values = {int(population.membrane.initial)}
    free = loosened(population)
    while states - seen:
        now, seen = now + 1, seen | states
        after: set[tuple[int, int]] = set()
        for v, s in states:
            state = {"v": np.full((len(inputs), 1), v), "s": np.full((len(inputs), 1), s)}
            state["refractory"] = np.zeros((len(inputs), 1), np.int64)
            new, _, before = step(free, state, inputs[:, None])
            for fired, one, other in zip(new["s"][:, 0], before[:, 0], new["v"][:, 0], strict=True):
                if min(one, other) < register.lo or max(one, other) > register.hi:
                    overflow = overflow or now
                else:
                    values |= {int(one), int(other)}
                    after.add((int(other), int(fired)))
        states = after - seen
    return values, overflow


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("amount", [0, 1, 8])
@pytest.mark.parametrize(
    "reset", [None, HardReset(0), HardReset(2), HardReset(0, 1), SoftReset(5), SoftReset(5, 1), SoftReset(9)], ids=str
)
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize(("low", "high"), [(0, 3), (-4, 7)])
def test_every_state_of_a_small_neuron(
    rounding: Any, amount: int, reset: Any, inclusive: bool, low: int, high: int
) -> None:
    register = Register(-32, 31)
    population = lone(Membrane(Decay(amount, 3, rounding), register), Fire(5, inclusive), reset)
    verdict = prove(network(population, np.array([[1] * high + [-1] * -low]))).populations["p"].membrane
    values, overflow = reachable(population, low, high)
    assert verdict.reach[0] <= min(values)
    assert max(values) <= verdict.reach[1]
    if overflow is None:
        assert verdict.kind == "safe"
        assert verdict.reach[0] == min(values), "the lower bound is not the least one"
        assert verdict.reach[1] == max(values), "the upper bound is not the least one"
    else:
        assert verdict.kind == "may overflow"
        assert verdict.steps is not None
        assert verdict.steps < overflow


def test_the_number_of_safe_steps_is_exact() -> None:
    population = lone(Membrane(Decay(0, 4, "floor"), Register(-128, 127)))
    verdict = prove(network(population, np.array([[10, -3]])), 12).populations["p"].membrane
    assert (verdict.kind, verdict.steps) == ("safe for steps", 12)
    assert verdict.witness == "neuron 0 may pass 127 while its one input of positive weight is active and no other"
    assert prove(network(population, np.array([[10, -3]])), 13).populations["p"].membrane.kind == "may overflow"
    _, overflow = reachable(population, -3, 10)
    assert overflow == 13


def test_the_lower_side_counts_too() -> None:
    population = lone(Membrane(Decay(0, 4, "floor"), Register(-128, 127)), Fire(20, True), HardReset(0))
    verdict = prove(network(population, np.array([[10, -3, -4]]))).populations["p"].membrane
    assert (verdict.kind, verdict.steps) == ("may overflow", 18)
    assert verdict.witness == "neuron 0 may pass -128 while all its 2 inputs of negative weight are active and no other"


def test_a_leak_may_take_long_to_lose() -> None:
    """A bound that creeps up for a million steps is followed in jumps; each step by hand gives the same."""
    population = lone(Membrane(Decay(1, 15, "floor"), Register(-(1 << 23), (1 << 23) - 1)))
    verdict = prove(network(population, np.array([[300]]))).populations["p"].membrane
    v, steps = 0, 0
    while (v := (v * 32767 >> 15) + 300) < 1 << 23:
        steps += 1
    assert verdict.steps == steps > 50_000
    slow = lone(Membrane(Decay(0, 15, "floor"), Register(-(1 << 23), (1 << 23) - 1)))
    assert prove(network(slow, np.array([[1]]))).populations["p"].membrane.steps == (1 << 23) - 1


@pytest.mark.parametrize(
    ("decay", "reset", "weight", "kind"),
    [
        (2, HardReset(0), [[9, -9, 4]], "safe"),
        (2, SoftReset(10), [[9, -9, 4]], "safe"),
        (0, SoftReset(10), [[4, 6]], "safe"),
        (0, SoftReset(10), [[5, 6]], "may overflow"),
        (0, HardReset(0), [[5, 60]], "safe"),
        (0, HardReset(0), [[5, -1]], "may overflow"),
    ],
)
def test_which_neurons_are_safe_for_ever(decay: int, reset: Any, weight: list[list[int]], kind: str) -> None:
    population = lone(Membrane(Decay(decay, 4, "nearest"), Register(-512, 511)), Fire(10, True), reset)
    assert prove(network(population, np.array(weight))).populations["p"].membrane.kind == kind


def test_sums_are_those_of_the_real_weights() -> None:
    weight = np.array([[3, -5, 2], [-1, -1, -1]])
    ops: dict[str, Any] = {
        "x": Source((3,), bits=3, signed=True),
        "w": Synapse(Dense(weight), exponent=2),
        "p": dataclasses.replace(lone(Membrane(Decay(0, 4, "floor"), Register(-9999, 9999))), shape=(2,)),
        "out": Output("membrane", "after", "last"),
    }
    proof = prove(Graph(ops, [Edge("x", "w"), Edge("w", "p"), Edge("p", "out")]))
    assert proof.synapses["w"] == (-30, 30)
    assert proof.populations["p"].acc == (-120, 120)


def test_a_convolution_has_the_sums_of_its_sparse_form() -> None:
    conv = Conv(np.random.default_rng(0).integers(-9, 9, (2, 3, 3, 3)), (3, 4, 5), (2, 1), (1, 0, 0, 1))
    for one, other, dense in zip(
        signed_sums(conv), signed_sums(to_sparse(conv)), signed_sums(Dense(as_matrix(conv))), strict=True
    ):
        assert (one == other).all()
        assert (one == dense).all()


def as_matrix(conv: Conv) -> Array:
    sparse = to_sparse(conv)
    matrix = np.zeros((sparse.out_size, sparse.in_size), np.int64)
    sources = np.repeat(np.arange(sparse.in_size), np.diff(sparse.indptr))
    matrix[sparse.targets, sources] = sparse.weight
    return matrix


def overflowing() -> Proof:
    population = lone(Membrane(Decay(0, 4, "floor"), Register(-128, 127)))
    return prove(network(population, np.array([[10, -3]])))


def test_what_may_overflow_is_said() -> None:
    (found,) = diagnostics(overflowing(), require=False)
    assert str(found) == (
        "warning[may-overflow]: p: its membrane may overflow: 12 steps of any input are proved safe; then neuron 0 may "
        "pass 127 while its one input of positive weight is active and no other\n"
        "  = hint: declare at most 12 steps with --steps"
    )
    (found,) = diagnostics(overflowing(), require=True, seen={"p": (-30, 100)})
    assert found.severity == "error"
    assert found.message.endswith("active and no other; on the samples it held -30..100, 79% of that")


def test_nothing_is_said_of_what_is_safe() -> None:
    population = lone(Membrane(Decay(0, 4, "floor"), Register(-128, 127)))
    assert not list(diagnostics(prove(network(population, np.array([[10, -3]])), 12), require=True))


def test_a_register_that_holds_nothing() -> None:
    population = lone(Membrane(Decay(0, 4, "floor"), Register(-128, 127), initial=np.array(200)))
    proof = prove(network(population, np.array([[0, 0]])))
    (found,) = diagnostics(proof, require=False)
    assert "no step of any input is proved safe; then neuron 0 may pass 127 by its bias, its" in found.message
    assert not found.hint


def test_margins_see_the_membrane_before_its_reset() -> None:
    population = lone(Membrane(Decay(0, 4, "floor"), Register(-128, 127)), Fire(20, True), HardReset(0))
    seen = margins(network(population, np.array([[15, -7]])), np.array([[[1, 0], [1, 0], [0, 1], [0, 1]]]))
    assert seen["p"] == (-14, 30)
