"""Runs the fast machine and the naive chip on the same setup, and finds the first thing in which they differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snncc.analysis.costs import spent
from snncc.analysis.proof import prove
from snncc.backends.base import Batch, Job
from snncc.backends.chip.counts import counts, peaks
from snncc.backends.chip.emit import emit
from snncc.backends.chip.machine import Events, Machine, run
from snncc.backends.chip.run import load
from snncc.chip import Chip
from snncc.integers import Learnt, Population, Source, learns
from snncc.mapping import cores_of
from snncc.passes.route import route
from snncc.runner import Trace
from tests.backends.chip.naive import NaiveChip, Seen
from tests.backends.chip.naive_learning import COUNTED
from tests.backends.chip.naive_mesh import EAST, NORTH, SOUTH, WEST
from tests.backends.chip.random_chips import Setup
from tests.reference.interpreter import wires_of

Moment = tuple[int, str]  # the cycle within the step, and what happened where


@dataclass(eq=False)
class Fast:
    """What was seen of the fast machine: moments by (sample, step), and what each step of all samples took."""

    machine: Machine
    trace: Trace
    moments: dict[tuple[int, int], list[Moment]]
    cycles: list[int]


def first_difference(setup: Setup) -> tuple[str, list[Seen]]:
    """What differs first, if anything does, and what the naive chip has seen of every sample."""
    chip = NaiveChip(setup.network, setup.chip, setup.placement)
    rewards = [()] * len(setup.x) if setup.reward is None else setup.reward.tolist()
    own = zip(setup.x, setup.lengths.tolist(), rewards, strict=True)
    seen = [chip.run(x[:length].tolist(), reward) for x, length, reward in own]
    with TemporaryDirectory() as scratch:
        mapping = route(setup.network, setup.placement)
        files = emit(Job("random", setup.network, prove(setup.network), setup.chip, mapping))
        for name, content in files.items():
            (Path(scratch) / name).write_bytes(content)
        together, apart = (load(Path(scratch), setup.network, setup.chip) for _ in range(2))
    everything = _watched(together, setup, slice(None), setup.x.shape[1], None)
    found = [*_of_all(chip, seen, everything, setup)]
    known: Learnt | None = None
    for sample, length in enumerate(setup.lengths.tolist()):
        alone = _watched(apart, setup, slice(sample, sample + 1), length, known)
        known = alone.trace.learnt
        differences = [*_of_sample(chip, seen[sample], alone, 0), *_of_cycles(seen[sample : sample + 1], alone)]
        found += [f"sample {sample} alone: {each}" for each in differences]
    return (found[0] if found else ""), seen


def _watched(machine: Machine, setup: Setup, rows: slice, steps: int, known: Learnt | None) -> Fast:
    """Run some samples, of at most so many steps, by a machine that knows something."""
    lengths, reward = setup.lengths[rows], None if setup.reward is None else setup.reward[rows]
    moments: dict[tuple[int, int], list[Moment]] = {}
    totals, cycles = [int(machine.cycles[0])], Counter[int]()
    at_once = 1 if machine.learner.taught else len(lengths)

    def watch(events: Events) -> None:
        totals.append(int(machine.cycles[0]))
        cycles[events.step] += totals[-1] - totals[-2]
        for sample in range(at_once):
            delivered = events.deliveries[events.deliveries["sample"] == sample]
            moved = events.moves[events.moves["sample"] == sample]
            happened = sorted((*_deliveries(machine, delivered), *_moves(machine, moved)))
            moments[events.first + sample, events.step] = happened

    trace = run(machine, Batch(setup.x[rows, :steps], lengths, known, reward), True, watch)
    return Fast(machine, trace, moments, [cycles[step] for step in sorted(cycles)])


def _deliveries(machine: Machine, records: np.ndarray) -> Iterator[Moment]:
    for record in records:
        way = machine.loaded.tables.routes[record["route"]]
        core = int(way["core"])
        axon = int(way["axon"]) - int(machine.image.axons[core])
        yield from _journey(core, axon, int(record["inserted"]), int(record["delivered"]), int(record["done"]))


def _moves(machine: Machine, records: np.ndarray) -> Iterator[Moment]:
    for record in records:
        yield _move(int(record["cycle"]), *divmod(int(record["port"]), machine.numbers.ports))


def _journey(core: int, axon: int, put: int, delivered: int, done: int) -> Iterator[Moment]:
    yield put, f"a packet for axon {axon} of core {core} is put into its first buffer"
    yield delivered, f"the synapse unit of core {core} takes a packet for axon {axon}"
    yield done, f"the synapse unit of core {core} is done with axon {axon}"


def _move(cycle: int, tile: int, port: int) -> Moment:
    return cycle, f"a packet leaves the router of tile {tile} through port {port}"


def _naive_moments(seen: Seen, step: int) -> list[Moment]:
    journeys = zip(seen.deliveries[step], seen.times[step], strict=True)
    moments = [each for (at, core, axon), (put, done) in journeys for each in _journey(core, axon, put, at, done)]
    return sorted([*moments, *(_move(*move) for move in seen.steps[step].moves)])


def _of_all(chip: NaiveChip, seen: list[Seen], fast: Fast, setup: Setup) -> Iterator[str]:
    for sample, each in enumerate(seen):
        yield from (f"sample {sample}: {found}" for found in _of_sample(chip, each, fast, sample))
    yield from _of_cycles(seen, fast)
    yield from _of_counts(_naive_counts(chip, seen, setup), counts(fast.machine))
    yield from _of_counts(_naive_peaks(seen, setup), peaks(fast.machine))
    yield from _of_costs(seen, fast, setup)
    yield from _of_lessons(chip, fast.trace.learnt)


def _of_lessons(chip: NaiveChip, learnt: Learnt | None) -> Iterator[str]:
    """What is known after all samples."""
    for name, unit in chip.units.items():
        if learnt is None or learnt.weights[name].tolist() != unit.learner.weights:
            yield f"{name} has learnt other weights"
    for name, op in chip.populations.items():
        if op.adapt and op.adapt.learnt:
            own = [neuron.a for neuron in chip.neurons[name]]
            if learnt is None or learnt.adaptations[name].reshape(-1).tolist() != own:
                yield f"{name} has learnt other thresholds"


def _of_sample(chip: NaiveChip, seen: Seen, fast: Fast, sample: int) -> Iterator[str]:
    """Step by step: neurons, then what travels, cycle by cycle."""
    for step in range(len(seen.cycles)):
        for name, op in chip.populations.items():
            if op.start <= step < op.start + len(seen.spikes[name]):
                at = sample, step - op.start
                yield from _of_values(step, f"spikes of {name}", seen.spikes[name][at[1]], fast.trace.spikes[name][at])
                membranes = fast.trace.membranes[name][at]
                yield from _of_values(step, f"membranes of {name}", seen.membranes[name][at[1]], membranes)
        yield from _of_moments(step, _naive_moments(seen, step), fast.moments[sample, step])


def _of_values(step: int, what: str, expected: list[int], found: np.ndarray) -> Iterator[str]:
    for index, (ours, theirs) in enumerate(zip(expected, found.tolist(), strict=True)):
        if ours != theirs:
            yield f"step {step}: {what}: neuron {index} has {theirs}, naively {ours}"


def _of_moments(step: int, naive: list[Moment], fast: list[Moment]) -> Iterator[str]:
    for place in range(max(len(naive), len(fast))):
        ours, theirs = naive[place : place + 1], fast[place : place + 1]
        if ours != theirs:
            first = min([*ours, *theirs])
            yield f"step {step}, cycle {first[0]}: {first[1]}, but only {'naively' if [first] == ours else 'fast'}"
            return


def _of_cycles(seen: list[Seen], fast: Fast) -> Iterator[str]:
    """How long each step took, all samples together."""
    for step, cycles in enumerate(fast.cycles):
        expected = sum(each.cycles[step] for each in seen if step < len(each.cycles))
        if cycles != expected:
            yield f"step {step}: takes {cycles} cycles, naively {expected}"


def _of_counts(expected: Mapping[str, object], found: Mapping[str, np.ndarray]) -> Iterator[str]:
    for name in sorted({*expected, *found}):
        if name not in expected or name not in found:
            yield f"{name} is counted by one of the machines only"
        elif not np.array_equal(np.asarray(expected[name]), found[name]):
            yield f"{name}: {found[name].tolist()}, naively {np.asarray(expected[name]).tolist()}"


def _of_costs(seen: list[Seen], fast: Fast, setup: Setup) -> Iterator[str]:
    """Time and energy of an inference, from the costs of the chip's file."""
    chip, samples = setup.chip, len(seen)
    assert chip.timing
    found = spent(setup.network, chip, counts(fast.machine), peaks(fast.machine), samples, int(setup.lengths.sum()))
    nanoseconds = sum(sum(each.cycles) for each in seen) * chip.timing.clock_ns.value / samples
    if not math.isclose(found.seconds.value, nanoseconds * 1e-9):
        yield f"takes {found.seconds.value} s, naively {nanoseconds * 1e-9}"
    if chip.energy is None or found.joules is None:
        if chip.energy is not found.joules:
            yield "has energies, or shows them, but not both"
        return
    events = sum((each.counts() for each in seen), Counter())
    picojoules = sum(count * _cost(chip, name) for name, count in events.items()) / samples
    if not math.isclose(found.joules.value, picojoules * 1e-12, abs_tol=1e-18):
        yield f"takes {found.joules.value} J, naively {picojoules * 1e-12}"


def _cost(chip: Chip, event: str) -> float:
    """The energy of an event."""
    if not event.startswith("learning "):
        return getattr(chip.energy, event).value
    assert chip.learning
    return getattr(chip.learning.energy, event.removeprefix("learning ")).value


def _naive_counts(chip: NaiveChip, seen: list[Seen], setup: Setup) -> dict[str, object]:
    """What the fast machine counts, by the names that it has for it."""
    assert setup.chip.mesh
    cores, tiles = cores_of(setup.chip.mesh), setup.chip.mesh.columns * setup.chip.mesh.rows
    busy = [0] * (cores + 1)
    hops = np.zeros((tiles, 4), np.int64)
    for each in seen:
        for step, done in enumerate(each.steps):
            for (at, core, _), (_, end) in zip(each.deliveries[step], each.times[step], strict=True):
                busy[core] += end - at
            for _, tile, port in done.moves:
                if port in (NORTH, EAST, SOUTH, WEST):
                    hops[tile, port] += 1

    def by_core(name: str) -> np.ndarray:
        return np.sum([each.of(name, cores) for each in seen], axis=0)

    steps = [step for each in seen for step in each.steps]
    return {
        "steps": [len(steps)],
        "cycles": [sum(sum(each.cycles) for each in seen)],
        "neurons": by_core("neuron"),
        "spikes": by_core("spike"),
        "packets": by_core("packet"),
        "deliveries": by_core("delivery"),
        "neuron_busy": np.sum([step.worked for step in steps], axis=0),
        "neuron_stalled": np.sum([step.stalled for step in steps], axis=0),
        "synapse_busy": busy,
        "synapses": np.stack([by_core(f"synapse_{form}") for form in ("sparse", "dense", "shared")], axis=1),
        "hops": hops,
        **(_naive_learning(chip, by_core) if learns(chip.network) and setup.chip.learning else {}),
        **_naive_firing(chip, seen),
    }


def _naive_learning(chip: NaiveChip, by_core: Callable[[str], np.ndarray]) -> dict[str, object]:
    """What was counted of learning, on cores only, and how long each core's unit worked."""
    assert chip.chip.learning
    counted = np.stack([by_core(f"learning {name}")[:-1] for name in COUNTED], axis=1)
    costs = [getattr(chip.chip.learning.cycles, name).value for name in COUNTED]
    busy = [sum(int(n * cost) for n, cost in zip(row[:-1], costs, strict=False)) for row in counted.tolist()]
    return {"learning": counted, "learning_busy": busy}


def _naive_firing(chip: NaiveChip, seen: list[Seen]) -> dict[str, object]:
    """How often each sender sent something, and how many synapses that met, those on the host included."""
    wires = wires_of(chip.network)
    fired: list[int] = []
    operations: list[int] = []
    for name, op in chip.network.ops.items():
        if isinstance(op, (Source, Population)):
            own = [0] * len(wires[name])
            for values in (values[name] for each in seen for values in each.sent):
                for index, value in enumerate(values):
                    own[index] += value != 0
            fired += own
            plastic = sum(
                len(unit.cores) for group, unit in chip.units.items() if chip.network.incoming(group)[0].source == name
            )
            fans = [plastic + sum(wire.weight != 0 for wire in each) for each in wires[name]]
            operations.append(sum(count * fan for count, fan in zip(own, fans, strict=True)))
    return {"fired": fired, "operations": operations}


def _naive_peaks(seen: list[Seen], setup: Setup) -> dict[str, object]:
    assert setup.chip.mesh
    steps = [step for each in seen for step in each.steps]
    buffers = np.zeros((setup.chip.mesh.columns * setup.chip.mesh.rows, 5 + setup.chip.mesh.cores), np.int64)
    for step in steps:
        for place, peak in step.peaks.items():
            buffers[place] = max(buffers[place], peak)
    return {"buffers": buffers, "queues": np.max([step.queue_peaks for step in steps], axis=0)}
