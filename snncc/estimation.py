"""What a program takes of its target without running it there: memory to the byte, energy and time from spikes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from snncc import data as datasets
from snncc.analysis import costs
from snncc.analysis.costs import Estimate
from snncc.analysis.events import Events, events, paths
from snncc.analysis.learning import lessons
from snncc.analysis.metrics import summarise
from snncc.analysis.usage import cores_used
from snncc.arrays import Array, Ints
from snncc.backends.base import Batch, Footprint
from snncc.backends.known import backend_named
from snncc.chip import Chip
from snncc.data import Data, DataLike
from snncc.diagnostics import CompileError, fault
from snncc.event_program import EventProgram
from snncc.integers import Learnt, Network, Source, learns
from snncc.layers import size
from snncc.mapping import Mapping as Placed
from snncc.mapping import cores_of
from snncc.plasticity import untaught
from snncc.program import CompiledModel, Program, Progress, no_progress
from snncc.runner import Trace
from snncc.semantics import frozen_network, run
from snncc.workload import Work, work_of


@dataclass(frozen=True)
class Answered:
    """What a sample takes that is only answered, once samples were learnt: its events, energy and time."""

    events: Mapping[str, float]
    joules: Estimate | None
    seconds: Estimate | None


@dataclass(frozen=True)
class Estimation:
    """What a program takes: of each memory; of the cores, used and there; and a sample's `events`, energy and time.

    What follows from samples is of means over them, None where there are none or where the target's file has no costs;
    `counted` are instructions or cycles of a microcontroller, and which of both.
    `accuracy` is on them, where they are labelled: every target gives the bits that it follows from.
    Of a network that learns these are of samples that it learns, one after another, without an accuracy: its neurons
    have no classes yet. `updates` and `traces` are how many weights and traces one of them computes anew, `answered`
    what one takes that is only answered afterwards.
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
    updates: float | None = None
    traces: float | None = None
    answered: Answered | None = None

    @property
    def quantities(self) -> Mapping[str, float]:
        """Every figure by the name that a budget knows it by: bytes, cores, joules, seconds, a share of samples.

        Of a network that learns, energy and time are those of a sample that is only answered; there is no accuracy.
        """
        memories = dict.fromkeys(each.memory for each in self.footprint.sections)
        weights = sum(
            each.bytes for each in self.footprint.sections if each.memory == "synapses" or each.name == "weights"
        )
        found: dict[str, float | None] = {
            **{name: float(self.footprint.needed(name)) for name in memories},
            "weights": float(weights),
            "cores": self.cores and float(self.cores[0]),
            **(self._learning() if any(each.plastic for each in self.footprint.sections) else self._trained()),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _trained(self) -> Mapping[str, float | None]:
        return {
            "energy": self.joules and self.joules.value,
            "time": self.seconds and self.seconds.value,
            "accuracy": self.accuracy,
        }

    def _learning(self) -> Mapping[str, float | None]:
        answered = self.answered or Answered({}, None, None)
        return {
            "plastic": float(sum(each.bytes for each in self.footprint.sections if each.plastic)),
            "updates": self.updates,
            "energy": answered.joules and answered.joules.value,
            "time": answered.seconds and answered.seconds.value,
            "learning-energy": self.joules and self.joules.value,
            "learning-time": self.seconds and self.seconds.value,
        }


def quantities_of(chip: Chip, *, learning: bool = False) -> tuple[str, ...]:
    """The names of what can be said of a chip's programs, or of `learning` ones. Raises CompileError: `no-estimate`."""
    if chip.crossbar is not None:
        raise _by_events(chip)
    fabric = chip.fabric
    if learning and fabric is not None and fabric.learning is None:
        raise _only_simulated(chip)
    plastic = ("plastic", "updates") if learning else ()
    if fabric is not None:
        spent = (*["energy"] * bool(fabric.energy), "time")
        spent += tuple(f"learning-{name}" for name in spent) if learning else ()
        return ("synapses", "state", "weights", "cores", *plastic, *spent, "accuracy")
    device = chip.device
    if device is None:
        return ("constants", "state", "weights", *plastic, "accuracy")
    if learning:  # what each of its instructions takes was not fitted
        return ("flash", "ram", "weights", *plastic, "accuracy")
    timed = device.costs and (device.cycles_per_instruction or device.emulator.counts == "cycles")
    priced = timed and device.cycle_pj
    return ("flash", "ram", "weights", *["energy"] * bool(priced), *["time"] * bool(timed), "accuracy")


def _by_events(chip: Chip) -> CompileError:
    message = "acts event by event: what a sample takes is counted by running it"
    return fault("no-estimate", chip.name, message, "compile for it, and run `snncc simulate DIR --input DATA.npz`")


def _only_simulated(chip: Chip) -> CompileError:
    message = "learns in Lava's simulation only: its file says nothing of what learning takes of its cores"
    return fault("no-estimate", chip.name, message, "choose a target that says it, as mesh64 does")


def estimate(
    program: CompiledModel,
    samples: DataLike | None = None,
    progress: Progress = no_progress,
    learnt: Learnt | None = None,
) -> Estimation:
    """What a compiled program takes of its target, and, on samples, what one of them takes of energy and time.

    One that learns goes on from `learnt`, and learns the samples one after another.

    Raises CompileError: `no-estimate` for chips that act event by event, and for networks that learn on chips whose
    cores say nothing of that; `bad-data`; and why a network cannot be laid out on a chip of many cores, where it was
    compiled for another machine that runs it.
    """
    if not isinstance(program, Program):
        assert isinstance(program, EventProgram)
        raise _by_events(program.chip)
    if learns(program.network) and program.chip.fabric and program.chip.learning is None:
        raise _only_simulated(program.chip)
    data = None if samples is None else program.data(samples)
    mapping = _mapping(program, data)
    found = _footprint(program, mapping)
    mesh = program.chip.mesh
    cores = (cores_used(mapping), cores_of(mesh)) if mapping and mesh else None
    empty = Estimation(found, cores, 0, None, {}, {}, None, None)
    if data is None:
        return empty
    twice = 1 + learns(program.network)
    seen = _seen(program, program.network, mapping, data, lambda done: progress(done, twice * len(data.x)), learnt)
    known = _known(program, data, seen, empty)
    if seen.learnt is None:
        return known
    still = frozen_network(program.network, seen.learnt)
    again = _seen(program, still, mapping, data, lambda done: progress(len(data.x) + done, twice * len(data.x)))
    answered = _on_cores(program, empty, again, len(data.x)) if again.total else empty
    updates, traced = (seen.work.weight_changes, seen.work.trace_steps)
    if seen.total:  # the chip leaves out what cannot change
        updates, traced = (seen.total.counts[f"{costs.LEARNING}{each}"] for each in ("change", "trace"))
    count = len(data.x)
    return replace(
        known,
        accuracy=None,
        updates=updates / count,
        traces=traced / count,
        answered=Answered(answered.events, answered.joules, answered.seconds),
    )


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


@dataclass(frozen=True, eq=False)
class _Seen:
    """What samples did: their outputs, what they caused on a chip, how often each value was not 0, what was learnt."""

    traces: tuple[Trace, ...]
    total: Events | None
    active: Mapping[str, Ints]
    work: Work
    learnt: Learnt | None


def _seen(
    program: Program,
    network: Network,
    mapping: Placed | None,
    data: Data,
    progress: Callable[[int], None],
    learnt: Learnt | None = None,
) -> _Seen:
    """Run the reference: the program's network, or the same one frozen, which lies where it lay."""
    found = None if mapping is None else paths(program.network, program.chip, mapping)
    at = _Seen((), None, {}, Work(), learnt)
    per_step = size(program.source.shape) + 2 * sum(program.sizes.values())
    for part in datasets.parts(data, per_step):
        x = frames(program.source, part)
        trace = run(network, x, lengths=part.lengths, record=tuple(program.sizes), learnt=at.learnt, reward=part.reward)
        sent = {next(iter(network.of_kind(Source))): x.reshape(*x.shape[:2], -1), **trace.spikes}
        here = {name: np.count_nonzero(each, axis=(0, 1)) for name, each in sent.items()}
        total, work = at.total, at.work
        if found and mapping:
            caused = events(program.network, program.chip, found, sent, part.lengths)
            caused = _with_lessons(network, program.chip, mapping, sent, part, at.learnt, caused)
            total = caused if total is None else total + caused
        if learns(network):
            work += work_of(network, Batch(x, part.lengths), trace.spikes)
        active = {name: count + at.active[name] for name, count in here.items()} if at.active else here
        at = _Seen((*at.traces, Trace(trace.outputs, {}, {})), total, active, work, trace.learnt)
        progress(sum(len(next(iter(each.outputs.values()))) for each in at.traces))
    return at


def _known(program: Program, data: Data, seen: _Seen, empty: Estimation) -> Estimation:
    """What follows of what samples did."""
    found = summarise(seen.traces, data.lengths, data.y, program.decoders, 0.0, program.judging)
    steps = int(data.lengths.sum())
    rates = {name: int(seen.active[name].sum()) / (count * steps) for name, count in program.sizes.items()}
    known = replace(empty, samples=found.samples, accuracy=found.accuracy, rates=rates)
    if seen.total:
        return _on_cores(program, known, seen, found.samples)
    return _on_device(program, known, seen.active, steps)


def _with_lessons(
    network: Network,
    chip: Chip,
    mapping: Placed,
    sent: Mapping[str, Array],
    part: Data,
    learnt: Learnt | None,
    here: Events,
) -> Events:
    """What happens on a chip, with what it takes that the samples are learnt."""
    if not learns(network):
        return here
    known = (learnt or untaught(network)).adaptations
    found = lessons(network, chip, mapping.placement.cores, sent, part.lengths, known, part.reward)
    counts = {f"{costs.LEARNING}{name}": count for name, count in found.counts.items()}
    return Events({**here.counts, **counts}, here.cycles + found.cycles)


def _on_device(program: Program, found: Estimation, active: Mapping[str, Ints], steps: int) -> Estimation:
    spending = program.backend.spending
    taken = spending and spending(program.job, active, steps, found.samples)
    if not taken:
        return found
    counted = taken.counted, taken.unit
    return replace(found, events=taken.events, joules=taken.joules, seconds=taken.seconds, counted=counted)


def _on_cores(program: Program, found: Estimation, seen: _Seen, samples: int) -> Estimation:
    fabric, total = program.chip.fabric, seen.total
    assert fabric is not None
    assert total is not None
    return replace(
        found,
        events={name: count / samples for name, count in total.counts.items()},
        joules=fabric.energy and costs.joules(total.counts, fabric, samples),
        seconds=costs.seconds(total.cycles, fabric, samples, learnt=seen.learnt is not None),
    )


def frames(source: Source, part: Data) -> np.ndarray:
    """What the network reads, (samples, steps, *shape): 0 after a sample's end."""
    x = datasets.to_integers(source, part.x)
    if x.ndim == 1 + len(source.shape):
        x = np.broadcast_to(x[:, None], (len(x), part.steps, *source.shape))
    live = np.arange(x.shape[1]) < part.lengths[:, None]
    return x * live.reshape(*live.shape, *[1] * len(source.shape))
