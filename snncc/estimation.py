"""What a program takes of its target without running it there: memory to the byte, energy and time from spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from snncc import data as datasets
from snncc.analysis import costs
from snncc.analysis.costs import Estimate
from snncc.analysis.events import Events, events, paths
from snncc.analysis.learning import lessons
from snncc.analysis.metrics import Run, summarise
from snncc.analysis.usage import cores_used
from snncc.arrays import Array, Ints
from snncc.backends.base import Footprint
from snncc.backends.known import backend_named
from snncc.chip import Chip
from snncc.data import Data, DataLike
from snncc.diagnostics import CompileError, fault
from snncc.event_program import EventProgram
from snncc.integers import Learnt, Source, learns
from snncc.layers import size
from snncc.mapping import Mapping as Placed
from snncc.mapping import cores_of
from snncc.plasticity import untaught
from snncc.program import CompiledModel, Program, Progress, no_progress
from snncc.runner import Trace


@dataclass(frozen=True)
class Estimation:
    """What a program takes: of each memory; of the cores, used and there; and a sample's `events`, energy and time.

    What follows from samples is of means over them, None where there are none or where the target's file has no costs;
    `counted` are instructions or cycles of a microcontroller, and which of both.
    `accuracy` is on them, where they are labelled: every target gives the bits that it follows from.
    """

    footprint: Footprint
    cores: tuple[int, int] | None
    samples: int
    accuracy: float | None
    rates: Mapping[str, float]
    events: Mapping[str, float]
    joules: Estimate | None
    seconds: Estimate | None
    counted: tuple[float, str] | None = None

    @property
    def quantities(self) -> Mapping[str, float]:
        """Every figure by the name that a budget knows it by: bytes, cores, joules, seconds, a share of samples."""
        memories = dict.fromkeys(each.memory for each in self.footprint.sections)
        weights = sum(
            each.bytes for each in self.footprint.sections if each.memory == "synapses" or each.name == "weights"
        )
        found: dict[str, float | None] = {
            **{name: float(self.footprint.needed(name)) for name in memories},
            "weights": float(weights),
            "cores": self.cores and float(self.cores[0]),
            "energy": self.joules and self.joules.value,
            "time": self.seconds and self.seconds.value,
            "accuracy": self.accuracy,
        }
        return {name: value for name, value in found.items() if value is not None}


def quantities_of(chip: Chip) -> tuple[str, ...]:
    """The names of what can be said of a chip's programs. Raises CompileError: `no-estimate`."""
    if chip.crossbar is not None:
        raise _by_events(chip)
    fabric = chip.fabric
    if fabric is not None:
        return ("synapses", "state", "weights", "cores", *["energy"] * bool(fabric.energy), "time", "accuracy")
    device = chip.device
    if device is None:
        return ("constants", "state", "weights", "accuracy")
    timed = device.costs and (device.cycles_per_instruction or device.emulator.counts == "cycles")
    priced = timed and device.cycle_pj
    return ("flash", "ram", "weights", *["energy"] * bool(priced), *["time"] * bool(timed), "accuracy")


def _by_events(chip: Chip) -> CompileError:
    message = "acts event by event: what a sample takes is counted by running it"
    return fault("no-estimate", chip.name, message, "compile for it, and run `snncc simulate DIR --input DATA.npz`")


def estimate(program: CompiledModel, samples: DataLike | None = None, progress: Progress = no_progress) -> Estimation:
    """What a compiled program takes of its target, and, on samples, what one of them takes of energy and time.

    Raises CompileError: `no-estimate` for chips that act event by event, `bad-data`, and why a network cannot be
    laid out on a chip of many cores, where it was compiled for another machine that runs it.
    """
    if not isinstance(program, Program):
        assert isinstance(program, EventProgram)
        raise _by_events(program.chip)
    data = None if samples is None else program.data(samples)
    mapping = _mapping(program, data)
    found = _footprint(program, mapping)
    mesh = program.chip.mesh
    cores = (cores_used(mapping), cores_of(mesh)) if mapping and mesh else None
    empty = Estimation(found, cores, 0, None, {}, {}, None, None)
    return empty if data is None else _on_samples(program, mapping, data, empty, progress)


def _mapping(program: Program, data: Data | None) -> Placed | None:
    """Where the network lies, or would lie if the chip were emulated, which Lava's programs leave open."""
    if program.chip.fabric is None:
        return None
    from snncc.passes.activity import activity
    from snncc.passes.map import map_network

    own = program.placement()
    return own or map_network(program.network, program.chip, data and activity(program.network, data))


def _footprint(program: Program, mapping: Placed | None) -> Footprint:
    job = replace(program.job, mapping=mapping)
    own = backend_named("chip").footprint if mapping else program.backend.footprint  # type: ignore[union-attr]
    return own(job) if own else Footprint((), {})


def _on_samples(
    program: Program, mapping: Placed | None, data: Data, empty: Estimation, progress: Progress
) -> Estimation:
    found = None if mapping is None else paths(program.network, program.chip, mapping)
    traces: list[Trace] = []
    total: Events | None = None
    active: Mapping[str, Ints] = {}
    done, learnt = 0, None
    per_step = size(program.source.shape) + 2 * sum(program.sizes.values())
    for part in datasets.parts(data, per_step):
        x = frames(program.source, part)
        trace = program.expected(x, part.lengths, learnt, part.reward)
        sent = {next(iter(program.network.of_kind(Source))): x.reshape(*x.shape[:2], -1), **trace.spikes}
        here = {name: np.count_nonzero(each, axis=(0, 1)) for name, each in sent.items()}
        active = {name: count + active[name] for name, count in here.items()} if active else here
        if found:
            caused = events(program.network, program.chip, found, sent, part.lengths)
            caused = _with_lessons(program, mapping, sent, part, learnt, caused)
            total = caused if total is None else total + caused
        learnt = trace.learnt
        traces.append(Trace(trace.outputs, {}, {}))
        done += len(part.x)
        progress(done, len(data.x))
    run = summarise(traces, data.lengths, data.y, program.decoders, 0.0)
    steps = int(data.lengths.sum())
    rates = {name: int(active[name].sum()) / (count * steps) for name, count in program.sizes.items()}
    known = replace(empty, samples=run.samples, accuracy=run.accuracy, rates=rates)
    return _on_cores(program, known, run, total) if total else _on_device(program, known, active, steps)


def _with_lessons(
    program: Program, mapping: Placed | None, sent: Mapping[str, Array], part: Data, learnt: Learnt | None, here: Events
) -> Events:
    """What happens on a chip, with what it takes that the samples are learnt."""
    if mapping is None or not learns(program.network):
        return here
    known = (learnt or untaught(program.network)).adaptations
    found = lessons(program.network, program.chip, mapping.placement.cores, sent, part.lengths, known, part.reward)
    counts = {f"{costs.LEARNING}{name}": count for name, count in found.counts.items()}
    return Events({**here.counts, **counts}, here.cycles + found.cycles)


def _on_device(program: Program, found: Estimation, active: Mapping[str, Ints], steps: int) -> Estimation:
    spending = program.backend.spending
    taken = spending and spending(program.job, active, steps, found.samples)
    if not taken:
        return found
    counted = taken.counted, taken.unit
    return replace(found, events=taken.events, joules=taken.joules, seconds=taken.seconds, counted=counted)


def _on_cores(program: Program, found: Estimation, run: Run, total: Events) -> Estimation:
    fabric = program.chip.fabric
    assert fabric is not None
    return replace(
        found,
        events={name: count / run.samples for name, count in total.counts.items()},
        joules=fabric.energy and costs.joules(total.counts, fabric, run.samples),
        seconds=costs.seconds(total.cycles, fabric, run.samples, learnt=learns(program.network)),
    )


def frames(source: Source, part: Data) -> np.ndarray:
    """What the network reads, (samples, steps, *shape): 0 after a sample's end."""
    x = datasets.to_integers(source, part.x)
    if x.ndim == 1 + len(source.shape):
        x = np.broadcast_to(x[:, None], (len(x), part.steps, *source.shape))
    live = np.arange(x.shape[1]) < part.lengths[:, None]
    return x * live.reshape(*live.shape, *[1] * len(source.shape))
