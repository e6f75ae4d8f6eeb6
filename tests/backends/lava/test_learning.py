"""Rules in the emitted `learning.py`: written out as their equations, and computed as the reference computes them."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc import classics
from snncc import compile as compile_model
from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.backends.base import Batch, Job
from snncc.backends.lava import BACKEND
from snncc.backends.lava.emit import emit
from snncc.backends.lava.environment import environment
from snncc.backends.lava.plastic import product, rule_of
from snncc.backends.templates import fill, tidy
from snncc.graph import Edge, Graph
from snncc.integers import (
    Adapt,
    Decay,
    Factor,
    IntOp,
    Network,
    Output,
    Plasticity,
    Population,
    Register,
    Source,
    Synapse,
    Term,
)
from snncc.linear import Conv, Dense
from snncc.passes.retime import retime
from snncc.plasticity import Moment, begun, learnt_step, normalised, seen
from snncc.program import Program
from snncc.semantics import rest, run, step
from snncc.states import decayed
from snncc.verify import compare
from tests.backends.lava.loihi import lif
from tests.backends.lava.test_emit import HOSTILE
from tests.backends.mcu.devices import place
from tests.conformance.backends import LATE
from tests.lessons import rules

TARGETS, SOURCES = 4, 5


class Port:
    """In place of Lava's ports: gives `value`, keeps what is sent."""

    VEC_DENSE = None

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.value: Array = np.zeros(shape, np.int64)

    def recv(self) -> Array:
        return self.value

    def send(self, value: Array) -> None:
        self.value = value


class Model:
    """In place of Lava's process models: what Lava's runtime does with them is none of their arithmetic."""

    def __init__(self, proc_params: dict[str, Any]) -> None:
        self.proc_params = proc_params


class Process:
    """In place of Lava's processes."""

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters


def alike(*_: object, **__: object) -> Any:
    """In place of Lava's decorators."""
    return lambda decorated: decorated


LAVA: dict[str, dict[str, Any]] = {
    "core.decorator": {"implements": alike, "requires": alike, "tag": alike},
    "core.model.py.model": {"PyLoihiProcessModel": Model},
    "core.model.py.ports": {"PyInPort": Port, "PyOutPort": Port},
    "core.model.py.type": {"LavaPyType": lambda *_: None},
    "core.process.ports.ports": {"InPort": Port, "OutPort": Port},
    "core.process.process": {"AbstractProcess": Process},
    "core.process.variable": {"Var": lambda shape, init: np.broadcast_to(init, shape).astype(np.int64)},
    "core.resources": {"CPU": None},
    "core.sync.protocols.loihi_protocol": {"LoihiProtocol": None},
}


def written(given: Sequence[Plasticity]) -> str:
    """The file with these rules, called Rule0 and so on."""
    named = [(f"Rule{number}", rule_of(each)) for number, each in enumerate(given)]
    roundings = {each for _, rule in named for each in rule.roundings}
    return tidy(fill("snncc.backends.lava", "learning.py.j2", rules=named, trace_roundings=roundings), 2)


def loaded(text: str) -> dict[str, Any]:
    """What is in the file, with Lava stood in for."""
    modules = {f"lava.magma.{name}": types.ModuleType(name) for name in LAVA}
    for name, members in LAVA.items():
        vars(modules[f"lava.magma.{name}"]).update(members)
    found: dict[str, Any] = {}
    with patch.dict(sys.modules, modules):
        exec(compile(text, "learning.py", "exec"), found)
    return found


def started(found: dict[str, Any], name: str, **parameters: Any) -> Any:
    """A model of a class as Lava would start it."""
    process = found[name](**parameters)
    model = found[f"Py{name}Model"](process.parameters)
    for key, value in vars(process).items():
        if key != "parameters":
            setattr(model, key, value)
    return model


def learns_alike(found: dict[str, Any], name: str, rule: Plasticity, seed: int) -> None:
    """Samples of different lengths, in and between which every weight is that of the reference."""
    rng = np.random.default_rng(seed)
    lengths, start, delay, gap, before = rng.integers(1, 13, 3), int(rng.integers(3)), int(rng.integers(1, 4)), 2, 2**31
    interval = int(lengths.max()) + gap
    reward = rng.integers(-3, 4, (3, interval))
    low, high = rule.stored
    few = rng.random((TARGETS, SOURCES)) < rng.choice((0.2, 1.0))  # sums are small there, and factors great
    weight = np.clip(np.where(few, rng.integers(low, high, few.shape, endpoint=True), 0), low, high)
    own = {"weights": weight, "weight_exp": 2, "delay": delay, "start": start, "seed": rule.seed}
    run = {"interval": interval, "lengths": lengths, "rewards": reward, "count": before, "frozen": False}
    model, still = (started(found, name, **own, **run | {"frozen": frozen}) for frozen in (False, True))
    steps = 3 * interval + start
    sent = rng.integers(0, 3, (steps, SOURCES)) * (rng.random((steps, SOURCES)) < 0.5)
    spikes = rng.integers(0, 3, (steps, TARGETS)) * (rng.random((steps, TARGETS)) < rng.choice((0.1, 0.4)))
    state = begun(rule, weight)
    for time in range(steps):
        for each in (model, still):
            each.time_step, each.s_in.value, each.s_in_bap.value = time + 1, sent[time], spikes[time]
            each.run_spk()
        x = sent[time - delay] if time >= delay else np.zeros(SOURCES, np.int64)
        assert np.array_equal(model.a_out.value, seen(rule, state.weight) @ x << 2)
        sample, now = divmod(time - start, interval)
        if 0 <= sample < 3 and now < lengths[sample]:
            old = begun(rule, state.weight) if now == 0 else state
            count = before + int(lengths[:sample].sum()) + now
            state = learnt_step(rule, old, x, spikes[time], Moment(now, count, int(reward[sample, now])))
            if now + 1 == lengths[sample] and rule.normalisation and not rule.normalisation.every:
                state = begun(rule, normalised(rule, state.weight, state.spiked, count + 1))
        assert np.array_equal(model.weights, state.weight), (time, rule)
    assert np.array_equal(still.weights, weight)


@settings(max_examples=20, deadline=None)
@given(st.lists(rules(), min_size=10, max_size=10), st.integers(0, 1 << 32))
def test_random_rules_learn_the_reference_s_weights(given: list[Plasticity], seed: int) -> None:
    found = loaded(written(given))
    for number, rule in enumerate(given):
        learns_alike(found, f"Rule{number}", rule, seed + number)


def test_terms_are_written_as_their_equations() -> None:
    x, y, w = Factor("pre", 0, 1, -5), Factor("post", 1), Factor("weight", 0, -1, 15)
    most, reward = Factor("most post", 1, 3, 2, 8), Factor("reward")
    assert product(Term("period", 40, (x, y, w))) == "40 * (self.x0[columns] - 5) * self.y1[rows, None] * (15 - w)"
    assert product(Term("post", -3, (y, reward))) == "-3 * y1[rows, None] * reward"
    assert product(Term("pre", 7, (), most)) == "7 // max(1, 3 * up(y1.max(), 8) + 2)"
    assert product(Term("period", 1, (Factor("most pre"),), reward)) == "1 * self.x0.max() // max(1, reward)"


def test_the_classic_rules_are_read_easily() -> None:
    """What a user sees of SpikeDyn's rule."""
    text = program("spikedyn").files()["learning.py"].decode("ascii")
    begin = text.index("    def learn(self, x, s, now, count, reward):")
    assert (
        text[begin:]
        == '''    def learn(self, x, s, now, count, reward):
        """A step of learning: the synapses read x, their targets sent s."""
        self.x0[:] = np.where(x > 0, 4095, down(self.x0 * 3896, 12))
        self.y0[:] = np.where(s > 0, 1, self.y0)
        self.y1[:] = np.minimum(self.y1 + s, 255)
        if (now + 1) % 5 == 0:
            rows, columns = np.flatnonzero(self.y0), self.sources
            w = self.weights[np.ix_(rows, columns)]
            total = 123 * (self.x0[columns] - 1638) * self.y0[rows, None] * up(self.y1.max(), 8) * (15 - w)
            total = total - 335544 * self.y0[rows, None] * w
            self.change(rows, columns, total, count)
            self.y0[:] = 0
'''
    )


def program(kind: str) -> Program:
    made = compile_model(classics.make(kind, classics.Shape(25, 6, 4)), "loihi2")
    assert isinstance(made, Program)
    return made


def test_every_place_says_whose_model_it_is() -> None:
    made = program("spikedyn")
    mark = "process models of snncc's own"
    files = {name: content.decode() for name, content in made.files().items() if name.endswith((".py", ".md"))}
    assert [name for name, text in files.items() if mark in text] == [
        "network.py",
        "run.py",
        "README.md",
        "learning.py",
    ]
    said = [str(each) for each in made.warnings if each.rule == "simulated-learning"]
    how = "by a process model of snncc's own: in Lava's simulation on a computer, not on a Loihi's learning engine"
    hint = "  = hint: `snncc freeze` makes a program that no longer learns of what was learnt"
    assert said == [
        f"warning[simulated-learning]: synapses: its weights learn {how}\n{hint}",
        f"warning[simulated-learning]: excitatory: its threshold learns {how}\n{hint}",
    ]


@pytest.mark.parametrize("kind", ["spikedyn", "diehl-cook", "pair-stdp"])
def test_generated_python_is_clean(kind: str) -> None:
    made = program(kind) if kind in classics.KINDS else taught(kind)
    files = {name: content for name, content in made.files().items() if name.endswith(".py")}
    assert set(files) == {"learning.py", "network.py", "neurons.py", "recorder.py", "run.py"}
    for content in files.values():
        command = [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--select",
            "E,F,B,W",
            "--line-length",
            "120",
            "-",
        ]
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode()


def taught(rule: str) -> Program:
    made = compile_model(classics.make("spikedyn", classics.Shape(25, 6, 4)), "loihi2", learn=[("synapses", rule)])
    assert isinstance(made, Program)
    return made


def layered() -> Network:
    """A convolution, whose neurons Lava orders otherwise and whose thresholds learn, and rules into and out of them."""
    (reward,) = (each for each in taught("reward").network.of_kind(Synapse).values() if each.plasticity)
    (stdp,) = (each for each in taught("pair-stdp").network.of_kind(Synapse).values() if each.plasticity)
    assert reward.plasticity
    assert stdp.plasticity
    signed, small = replace(reward.plasticity, seed=3), replace(stdp.plasticity, seed=4, guard=3)
    rng = np.random.default_rng(2)
    decay = Decay(np.array(9), 12, "zero")
    adapt = Adapt(decay, Register(0, 400, "saturate"), np.array(30), np.array(7), learnt=True)
    shown = replace(lif((2, 3, 4), 96 << 6, dv=300), adapt=adapt)
    ops: dict[str, IntOp] = {
        "x": Source((1, 5, 6)),
        "conv": Synapse(Conv(rng.integers(-60, 90, (2, 1, 3, 3)).astype(np.int8), (1, 5, 6))),
        "p": shown,
        HOSTILE: Synapse(Dense(rng.integers(-9, 30, (5, 24)).astype(np.int8)), plasticity=signed),
        "q": lif((5,), 40 << 6, dv=300),
        "into p": Synapse(Dense(rng.integers(0, small.highest + 1, (24, 5)).astype(np.int8)), plasticity=small),
        "y": Output("spikes", "after", "count"),
    }
    edges = [Edge("x", "conv"), Edge("conv", "p"), Edge("p", HOSTILE), Edge(HOSTILE, "q")]
    edges += [Edge("q", "into p", 2), Edge("into p", "p"), Edge("q", "y")]
    return Graph(ops, edges)


def test_two_rules_and_learnt_thresholds_around_a_convolution(tmp_path: Path) -> None:
    """From what was learnt before: spikes, membranes, weights and thresholds are the reference's."""
    network, rng = layered(), np.random.default_rng(5)
    late = retime(network, LATE)
    place(BACKEND.emit(Job("layered", late, prove(late), LATE)), tmp_path)
    assert b"connect(self.into_p.s_in_bap)" in (tmp_path / "network.py").read_bytes()
    x, lengths = rng.integers(0, 2, (4, 12, 1, 5, 6)), np.array([12, 7, 12, 9])
    reward, names = rng.integers(-3, 4, (4, 12)), ("p", "q")
    before = run(network, x[:2], None, lengths[:2], reward=reward[:2]).learnt
    batch = Batch(x[2:].reshape(2, 12, -1), lengths[2:], before, reward[2:], traces=True)
    expected = run(network, x[2:], None, lengths[2:], names, before, reward[2:], traces=True)
    verdict = compare(expected, BACKEND.run(tmp_path, late, LATE, batch, True).trace, names)
    assert verdict.difference is None
    assert verdict.traces == 2 * 12 * 2 * (24 + 5)
    assert before
    assert expected.learnt
    for name, each in expected.learnt.weights.items():
        assert (each != before.weights[name]).any(), f"{name} learns nothing"
    assert (expected.learnt.adaptations["p"] != before.adaptations["p"]).any()


@pytest.mark.parametrize("frozen", [False, True])
def test_thresholds_learn_and_fade_as_the_reference_s(frozen: bool) -> None:
    """Over samples of different lengths; what is frozen compares with what it has learnt, which stays."""
    network = layered()
    op, rng = network["p"], np.random.default_rng(4)
    assert isinstance(op, Population)
    assert op.adapt
    late = retime(network, LATE)
    found = loaded(emit(Job("layered", late, prove(late), LATE))["neurons.py"].decode())
    (name,) = (each for each in found if each.startswith("Learning"))
    known = np.full(op.shape, 7)
    lengths, parameters = np.array([6, 3, 6]), {"v0": 0, "v_keep": 4096 - 300, "threshold": 96 << 6, "reset_to": 0}
    parameters |= {"jump": 30, "a_keep": 4096 - 9, "a0": known, "frozen": frozen}
    model = started(found, name, shape=op.shape, interval=8, lengths=lengths, start=1, **parameters)
    learnt: Array = known
    for sample, length in enumerate(lengths):
        state = {**rest(op, 1), "a": learnt[None]}
        for now in range(length):
            acc = rng.integers(-20, 60, (1, *op.shape))
            model.time_step, model.a_in.value = 8 * sample + now + 2, acc[0]
            model.run_spk()
            state, spikes, _ = step(op, state, acc)
            state = {**state, "a": learnt[None]} if frozen else state
            assert np.array_equal(model.s_out.value, spikes[0])
            assert np.array_equal(model.v, state["v"][0])
        learnt = learnt if frozen else decayed(state["a"][0], op.adapt.decay)
        assert np.array_equal(model.a, learnt)
    assert frozen == np.array_equal(learnt, known)


def own(folder: Path, *arguments: str) -> tuple[int, str]:
    """The program as a user starts it, without snncc."""
    command = [str(environment().python), str(folder / "run.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


@pytest.mark.slow
def test_the_program_goes_on_from_what_it_has_learnt(tmp_path: Path) -> None:
    """By itself: three samples, of them the last from what was known after two, then frozen; and what it refuses."""
    made = taught("reward").write(tmp_path / "build")
    folder, rng = made.folder, np.random.default_rng(3)
    assert folder
    x = (rng.random((3, 40, 25)) < np.linspace(0, 0.6, 25)).astype(np.uint8)
    lengths, reward = np.array([40, 25, 40]), rng.integers(-3, 4, (3, 40))
    for name, part in (("first", slice(0, 2)), ("last", slice(2, 3))):
        np.savez(tmp_path / f"{name}.npz", x=x[part], lengths=lengths[part], reward=reward[part])
    names = [str(tmp_path / name) for name in ("first.npz", "last.npz", "known.npz", "whole.npz", "still.npz")]
    first, last, known, whole, still = names
    assert own(folder, first, known) == (0, "")
    assert own(folder, last, whole, "--learnt", known) == (0, "")
    assert own(folder, last, still, "--learnt", whole, "--frozen") == (0, "")
    assert isinstance(made, Program)
    expected = made.expected(x, lengths, reward=reward).learnt
    assert expected
    for path in (whole, still):
        with np.load(path) as found:
            assert int(found["learnt/steps"]) == expected.steps == 105
            assert np.array_equal(found["learnt/weights/synapses"], expected.weights["synapses"])
    with np.load(whole) as found:
        np.savez(tmp_path / "other.npz", **{**found, "learnt/network": 7})
    other = str(tmp_path / "other.npz")
    assert own(folder, last, still, "--learnt", other) == (1, f"{other} is not what this network has learnt\n")
    assert own(folder, last, still, "--config", "Loihi2HwCfg") == (
        1,
        "this network learns by process models of snncc's own, which run in Lava's simulation only\n",
    )
    np.savez(tmp_path / "great.npz", x=x, reward=reward * 2)
    said = "reward must be whole numbers from -3 to 3\n"
    assert own(folder, str(tmp_path / "great.npz"), still) == (1, said)
