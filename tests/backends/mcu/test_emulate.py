"""Programs for microcontrollers give the reference's bits in their emulators, and say what is missing or wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.backends.base import Batch, Job
from snncc.backends.c.mcu import BACKEND
from snncc.backends.c.mcu.emulate import worst_step
from snncc.backends.c.mcu.memory import footprint
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import Fire, IntOp, Network, Output, Population, SoftReset, Source, Synapse
from snncc.linear import Conv, Dense, to_sparse
from tests.backends.c_helpers import chained, inputs, lif, rich, small
from tests.backends.mcu.devices import NAMES, differences, each_device, each_kind, emitted, needs, place, ran

MARGIN = 24  # bytes of the harness's own frames between the step and where its stack is measured


@each_device
def test_every_part_of_a_network_gives_the_same_bits(name: str) -> None:
    chip = chips.load(name)
    network = small() if name == "avr" else rich()
    assert differences(network, chip, *inputs(network)) == []


@each_kind
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8, 11])
def test_weights_of_every_width(name: str, bits: int) -> None:
    """Rows, a convolution and lists of targets, all spikes, with odd sizes that do not fill a word."""
    rng = np.random.default_rng(bits)
    top = (1 << bits - 1) - 1

    def whole(*shape: int) -> np.ndarray:
        return rng.integers(-top - 1, top, shape, endpoint=True)

    conv = Conv(whole(8, 2, 3, 2), (2, 5, 5), (1, 2), (1, 0, 1, 1))
    thin = to_sparse(Dense(np.where(rng.random((70, 13)) < 0.04, whole(70, 13), 0)))
    layers = {
        "c": (conv, lif(conv.out_shape, max(2, top))),
        "d": (Dense(whole(13, conv.out_size)), lif((13,), max(2, top))),
        "t": (thin, lif((70,), 1)),
    }
    network = chained(Source((2, 5, 5)), layers, "membrane")
    assert differences(network, chips.load(name), *inputs(network)) == []


@needs("cortex-m4")
def test_pairs_of_sums_are_right_at_the_ends_of_their_range() -> None:
    """Sums of -32768 and 32767 beside each other, in every kernel that adds pairs."""
    low, high = np.full(256, -128), np.concatenate([np.full(255, 127), [382 - 127 * 1]])
    weight = np.stack([low, high[:256], low, low, high[:256], high[:256]]).clip(-128, 127)
    for name, bits in product(("cortex-m0plus", "cortex-m4"), (8, 4)):
        rows = weight if bits == 8 else weight.clip(-8, 7)
        network = chained(Source((256,)), {"h": (Dense(rows), lif((6,), 1 << 15))}, "membrane")
        x = np.stack([np.ones((2, 256), np.int64), np.eye(2, 256, dtype=np.int64)])
        assert differences(network, chips.load(name), x) == []


def fan(source: Source, count: int, *, negative: bool = True) -> Network:
    """From the input to a population for each width of weights and of sums, all weights at an end of their range."""
    rng = np.random.default_rng(3)
    size = source.shape[0]
    ops: dict[str, IntOp] = {"input": source}
    edges: list[Edge] = []
    for bits, few in product((2, 3, 4, 5, 8), (False, True)):
        name = f"h{bits}_{few}"
        ends = (-(1 << bits - 1), (1 << bits - 1) - 1) if negative else (0, (1 << bits) - 1)
        weight = rng.choice(ends, (13, size))
        weight[:2] = np.array(ends)[:, None]
        weight[:, 3 if few else count :] = 0
        quiet = replace(lif((13,)), fire=None)
        ops |= {f"to {name}": Synapse(Dense(weight), 2 * (bits == 5 and not few)), name: quiet}
        ops[f"out {name}"] = Output("membrane", "after", "last")
        edges += [Edge("input", f"to {name}"), Edge(f"to {name}", name), Edge(name, f"out {name}")]
    return Graph(ops, edges)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(name)) for name in ("cortex-m4", "cortex-m0plus", "riscv32")]
)
@pytest.mark.parametrize(("bits", "signed", "count"), [(8, False, 43), (8, True, 43), (1, False, 300)])
def test_rows_of_every_width_at_the_ends_of_their_range(name: str, bits: int, signed: bool, count: int) -> None:
    """Sums of 16 and of 32 bits; batches that are full and not; sources that fill no word."""
    network = fan(Source((count,), bits, signed), count)
    (source,) = network.of_kind(Source).values()
    x = np.zeros((2, 6, count), np.int64)
    x[:, 0], x[:, 1], x[0, 2, :5], x[0, 3, 3:5] = source.highest, source.lowest, source.highest, source.lowest
    x[:, 4] = np.random.default_rng(4).integers(source.lowest, source.highest, (2, count), endpoint=True)
    x[1, 2:4, ::7] = x[1, 4, ::7]
    assert differences(network, chips.load(name), x) == []


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in ("cortex-m4", "riscv32", "avr")])
def test_weights_that_are_never_negative_have_no_sign(name: str) -> None:
    """Rows and lists of targets; 8 bits hold 255, and 4 bits 15."""
    network = fan(Source((90,)), 90, negative=False)
    weight = np.where(np.random.default_rng(6).random((13, 90)) < 0.1, 1, 0)
    named = {f"to l{top}": Synapse(to_sparse(Dense(weight * top))) for top in (15, 255, 65535)}
    ops, edges = {**network.ops, **named}, list(network.edges)
    for each, quiet in zip(named, ("h2_True", "h5_False", "h8_False"), strict=True):
        edges += [Edge("input", each), Edge(each, quiet)]
    x = np.zeros((2, 6, 90), np.int64)
    x[:, 0], x[0, 2, :5], x[0, 3, 3:5] = 1, 1, 1
    x[:, 4] = np.random.default_rng(4).integers(0, 1, (2, 90), endpoint=True)
    network = Graph(ops, edges)
    assert differences(network, chips.load(name), x) == []
    code = "".join(each.decode() for path, each in emitted(network, chips.load(name)).items() if path.endswith(".c"))
    rows, lists = (
        {int(each) for each in re.findall(text, code)}
        for text in (r"\[source\]\[target\], (\d+) bits each", r"weight of (\d+) bits")
    )
    assert lists == {4, 8, 16}
    assert name == "avr" or rows == {2, 3, 4, 8}


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in ("cortex-m4", "avr")])
def test_synapses_that_lead_to_their_own_place(name: str) -> None:
    """With one weight, one a channel and one each, beside a layer whose pairs of sums are there before."""
    rng = np.random.default_rng(5)
    conv = Conv(rng.integers(-4, 4, (3, 2, 2, 2)), (2, 4, 4), (1, 1), (0, 0, 0, 0))
    layers = {
        "c": (conv, lif(conv.out_shape, 3)),
        "s": (
            Conv(np.array([300, 200, 300]).reshape(3, 1, 1, 1), (3, 3, 3), (1, 1), (0,) * 4, groups=3),
            lif((3, 3, 3), 9),
        ),
        "moved": (to_sparse(Dense(np.eye(27, dtype=np.int64) * 7)), lif((27,), 5)),
        "e": (to_sparse(Dense(np.eye(27, dtype=np.int64) * 7)), lif((27,), 5)),
        "d": (to_sparse(Dense(np.diag(rng.integers(-9, 9, 27)))), lif((27,), 5)),
    }
    network = chained(Source((2, 4, 4)), layers, "membrane")
    program = emitted(network, chips.load(name))["network.c"].decode()
    assert len(re.findall(r"^    add_each_", program, re.MULTILINE)) == 3
    skip = {"around": Synapse(Dense(rng.integers(-8, 7, (27, 27))))}
    network = Graph({**network.ops, **skip}, [*network.edges, Edge("s", "around"), Edge("around", "d")])
    assert differences(network, chips.load(name), *inputs(network)) == []


@each_kind
def test_what_a_step_takes_is_counted(name: str) -> None:
    network = small()
    result = ran(network, chips.load(name), *inputs(network), record=False)
    populations = len(network.of_kind(Population))
    at = result.counts["at"].reshape(-1, 32)
    assert result.figures["counted"] > 100 * result.figures["steps"]
    assert len(at) == 1 + populations
    assert 0.9 < at.sum() / result.figures["counted"] <= 1
    assert 16 < result.peaks["stack"][0] < 256


@needs("cortex-m4")
def test_more_events_take_more_instructions() -> None:
    network = chained(Source((64,)), {"h": (Dense(np.ones((64, 64), np.int8)), lif((64,), 99))})
    chip = chips.load("cortex-m4")
    counts = [
        ran(network, chip, np.full((1, 4, 64), value), record=False).counts["at"].reshape(-1, 32) for value in (0, 1)
    ]
    synapses = [int(at[1, 1]) for at in counts]
    assert synapses[0] < 4 * 64 * 14
    assert synapses[1] > 4 * 64 * 64


@pytest.mark.parametrize("name", NAMES)
def test_missing_tools_are_said_with_the_command_that_installs_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chip, network = chips.load(name), small()
    assert chip.compiler
    assert chip.device
    with monkeypatch.context() as patched:
        patched.setattr("snncc.backends.c.building.shutil.which", lambda command: None)
        with pytest.raises(CompileError) as caught:
            ran(network, chip, *inputs(network))
    assert str(caught.value) == (
        f"error[no-compiler]: {name}: running this artefact needs the C compiler {chip.compiler.command!r}, which is "
        f"not installed\n  = hint: {chip.compiler.install}"
    )
    emulator = chip.device.emulator
    with monkeypatch.context() as patched:
        found = {emulator.command: None}
        patched.setattr("snncc.backends.c.building.shutil.which", lambda command: found.get(command, "/bin/true"))
        with pytest.raises(CompileError) as caught:
            ran(network, chip, *inputs(network))
    assert str(caught.value) == (
        f"error[no-emulator]: {name}: running this artefact needs the emulator {emulator.command!r}, which is not "
        f"installed\n  = hint: {emulator.install}"
    )


@needs("cortex-m4")
def test_a_board_that_the_emulator_does_not_know() -> None:
    chip, network = chips.load("cortex-m4"), small()
    assert chip.device
    emulator = replace(chip.device.emulator, arguments=("-M", "toaster"))
    other = replace(chip, device=replace(chip.device, emulator=emulator))
    with pytest.raises(CompileError) as caught:
        ran(network, other, *inputs(network))
    assert str(caught.value).startswith("error[program-failed]: network.c: the program ended with status 1 in the emu")
    assert "qemu-system-arm: unsupported machine type" in str(caught.value)


@needs("cortex-m4")
def test_a_core_that_the_compiler_does_not_know() -> None:
    chip, network = chips.load("cortex-m4"), small()
    other = replace(chip, compiler=chips.Compiler("arm-none-eabi-gcc", ("-mcpu=cortex-m99",)))
    with pytest.raises(CompileError, match=r"compiler-failed.*cortex-m99"):
        ran(network, other, *inputs(network))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(name)) for name in ("cortex-m4", "cortex-m0plus", "riscv32")]
)
def test_no_step_takes_more_than_the_worst_case(name: str, tmp_path: Path) -> None:
    """Inputs are all ones, and neurons fire at every step: what is counted nears the bound from below."""
    rng = np.random.default_rng(8)
    weights = [rng.integers(-20, 100, shape) for shape in ((40, 32), (64, 40), (10, 64))]
    layers = {f"h{n}": (Dense(each), replace(lif((len(each),), 9))) for n, each in enumerate(weights)}
    network, chip = chained(Source((32,)), layers), chips.load(name)
    x = np.ones((1, 6, 32), np.int64)
    place(emitted(network, chip), tmp_path)
    result = BACKEND.run(tmp_path, network, chip, Batch(x, np.array([6])), True)
    assert np.mean([spikes.mean() for spikes in result.trace.spikes.values()]) > 0.8
    bound = worst_step(tmp_path, network, prove(network, 12), chip)
    assert bound is not None
    assert 0.6 * bound < result.peaks["worst"][0] <= bound


@needs("cortex-m4")
def test_the_worst_case_holds_where_neurons_send_several_spikes(tmp_path: Path) -> None:
    many = Fire(np.int64(9), True, max_spikes=7)
    neurons = replace(lif((40,)), fire=many, reset=SoftReset(np.int64(9)))
    network, chip = chained(Source((8,)), {"h": (Dense(np.full((40, 8), 50)), neurons)}), chips.load("cortex-m4")
    place(emitted(network, chip), tmp_path)
    result = BACKEND.run(tmp_path, network, chip, Batch(np.ones((1, 3, 8), np.int64), np.array([3])), True)
    assert result.trace.spikes["h"].min() == 7
    assert result.peaks["worst"][0] <= (worst_step(tmp_path, network, prove(network, 12), chip) or 0)


@each_device
def test_the_stack_stays_within_what_was_computed(name: str) -> None:
    network, chip = small() if name == "avr" else rich(), chips.load(name)
    taken = footprint(Job("a model", network, prove(network, 12), chip))
    computed = next(each.bytes for each in taken.sections if each.name == "stack")
    (source,) = network.of_kind(Source).values()
    result = ran(network, chip, np.full((1, 6, *source.shape), source.highest))
    assert 16 < result.peaks["stack"][0] <= computed + MARGIN
