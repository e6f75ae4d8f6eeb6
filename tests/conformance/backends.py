"""The list of backends that must give the reference's bits, and the comparison that holds each one to it.

A later backend joins by one line in CANDIDATES.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.backends.base import Backend, Batch, Job, Result
from snncc.backends.c import BACKEND as C
from snncc.backends.c.mcu import BACKEND as MCU
from snncc.backends.chip import BACKEND as CHIP
from snncc.backends.lava import BACKEND as LAVA
from snncc.chip import Chip, Compiler, Delay
from snncc.integers import Network, Population
from snncc.mapping import Mapping, cores_of, frozen_cores
from snncc.passes.retime import retime
from snncc.passes.route import route
from snncc.runner import Trace
from snncc.semantics import run
from snncc.verify import compare
from tests.backends.mcu.devices import needs
from tests.chips import mesh_chip
from tests.reference.interpreter import interpret

STRICT = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic")
SANITISED = (*STRICT, "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


@dataclass(frozen=True)
class Candidate:
    """A backend, a chip to compile for, and whether it is so slow that the tables are thinned out for it.

    `every` n takes each n-th population of a table only: a backend may have to start something for each of them.

    On a chip that delivers a spike in a later step, networks run retimed, and give the same bits all the same.
    """

    label: str
    backend: Backend
    chip: Chip
    slow: bool = False
    every: int = 1


def _interpreted(folder: Path, network: Network, chip: Chip, batch: Batch, record: bool) -> Result:
    names = tuple(network.of_kind(Population)) if record else ()
    return Result(interpret(network, batch.x, batch.lengths, names))


def _built_with(chip: Chip, flags: tuple[str, ...]) -> Chip:
    return replace(chip, compiler=Compiler("cc", flags))


def _with_room(chip: Chip) -> Chip:
    """With the memories of the emulator's board, which hold whole tables of neurons."""
    assert chip.device
    flash, ram = (replace(each, value=4 << 20) for each in (chip.device.flash, chip.device.ram))
    return replace(chip, device=replace(chip.device, flash=flash, ram=ram))


def _thumb1() -> Chip:
    """Code for a Cortex-M0+ on a board that holds whole tables: its Cortex-M3 executes the same instructions."""
    chip = _with_room(chips.load("cortex-m0plus"))
    assert chip.device
    arguments = tuple(each.replace("microbit", "mps2-an385") for each in chip.device.emulator.arguments)
    return replace(chip, device=replace(chip.device, emulator=replace(chip.device.emulator, arguments=arguments)))


def _larger_avr() -> Chip:
    """An ATmega1284P, which has room for a table's neurons; its serial port and timer are those of the shipped one."""
    chip = chips.load("avr")
    assert chip.device
    assert chip.compiler

    def renamed(words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each.replace("atmega328p", "atmega1284p") for each in words)

    emulator = replace(chip.device.emulator, arguments=renamed(chip.device.emulator.arguments))
    flash, ram = replace(chip.device.flash, value=61440), replace(chip.device.ram, value=16384)
    device = replace(chip.device, emulator=emulator, flash=flash, ram=ram)
    return replace(chip, device=device, compiler=replace(chip.compiler, flags=renamed(chip.compiler.flags)))


HOST = chips.load("host")
LATE = replace(HOST, delay=Delay((1, 64)))
INTERPRETER = Backend("interpreter", lambda network, chip: (), lambda job: {"README": b"nothing"}, _interpreted)
CANDIDATES = (
    Candidate("interpreter", INTERPRETER, HOST, slow=True),
    Candidate("c", C, _built_with(HOST, STRICT)),
    Candidate("chip", CHIP, mesh_chip(3, 2, 2, host=(1, 1))),
    Candidate("mcu", MCU, _with_room(chips.load("cortex-m4"))),
    Candidate("lava", LAVA, LATE, slow=True, every=8),
)
SLOWLY_BUILT = (
    Candidate("c as shipped", C, HOST),
    Candidate("c under sanitisers", C, _built_with(HOST, SANITISED)),
    Candidate("mcu without simd16", MCU, _with_room(chips.load("riscv32"))),
    Candidate("mcu with Thumb-1", MCU, _thumb1()),
    Candidate("mcu on a Cortex-M7", MCU, _with_room(chips.load("cortex-m7"))),
)
SMALL = Candidate("mcu of 8 bits", MCU, _larger_avr(), slow=True, every=6)


def _each(candidates: Iterable[Candidate]) -> pytest.MarkDecorator:
    marked = [
        pytest.param(each, id=each.label, marks=needs(each.chip.name) if each.chip.device else ())
        for each in candidates
    ]
    return pytest.mark.parametrize("candidate", marked)


each_candidate = _each(CANDIDATES)
each_on_this_computer = _each(each for each in CANDIDATES if not each.chip.device)
each_variant = _each([*CANDIDATES, *SLOWLY_BUILT])
on_a_small_device = _each([SMALL])


def expect(network: Network, x: Array, lengths: Array | None = None) -> Trace:
    """The reference's spikes, membranes and outputs; `x` is (samples, steps, *shape)."""
    return run(network, x, lengths=lengths, record=tuple(network.of_kind(Population)))


def assert_conforms(
    candidate: Candidate, network: Network, x: Array, lengths: Array | None = None, expected: Trace | None = None
) -> None:
    """Emit, run and compare; the message of a failure names the first value that differs, and its neuron's kind."""
    expected = expected or expect(network, x, lengths)
    own = np.full(len(x), x.shape[1], np.int64) if lengths is None else lengths
    found = result_of(candidate, network, Batch(x.reshape(*x.shape[:2], -1), own)).trace
    for kind in ("outputs", "spikes", "membranes"):
        ours, theirs = getattr(expected, kind), getattr(found, kind)
        assert set(ours) == set(theirs), f"{candidate.label} gives other {kind}"
        for name, values in theirs.items():
            assert values.shape == ours[name].shape, f"{candidate.label}: the shape of {kind} of {name}"
    ordered = [name for name in network.order() if isinstance(network[name], Population)]
    difference = compare(expected, found, ordered).difference
    if difference:
        lines = network.text().splitlines()
        about = [line for line in lines if line.startswith(f"{difference.name} = ")]
        pytest.fail("\n".join([f"{candidate.label}: {difference}", *about]), pytrace=False)


def result_of(candidate: Candidate, network: Network, batch: Batch) -> Result:
    """What the backend gives: everything, or only what is needed to decide where samples may end `early`."""
    backend, chip = candidate.backend, candidate.chip
    network = retime(network, chip)
    refused = list(backend.validate(network, chip))
    assert not refused, refused
    mapping = dealt(network, chip) if backend.mapped else None
    files = backend.emit(Job("conformance", network, prove(network), chip, mapping, early_exit=batch.early))
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return backend.run(folder, network, chip, batch, not batch.early)


def dealt(network: Network, chip: Chip) -> Mapping:
    """Neurons dealt out to all cores, so that almost every synapse leads from one core to another."""
    assert chip.mesh
    homes = {name: np.arange(op.size) % cores_of(chip.mesh) for name, op in network.of_kind(Population).items()}
    return route(network, frozen_cores({name: home.astype(np.int32) for name, home in homes.items()}))
