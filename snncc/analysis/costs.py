"""What a run took: time and energy from what was counted; on a chip of many cores, the busiest cores and links."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snncc.analysis.learning import EVENTS as LESSONS
from snncc.analysis.neurobench import NeuroBench, neurobench
from snncc.arrays import Ints
from snncc.chip import Chip, Figure, Mesh, Timing
from snncc.fabric import Fabric, figures
from snncc.integers import Network
from snncc.mapping import tile_of

SHOWN = 5  # cores, and links, that are called the busiest
DIRECTIONS = ("north", "east", "south", "west")
FORMS = ("sparse", "dense", "shared")
LEARNING = "learning_"  # before the events of learning
Counts = Mapping[str, Ints]


@dataclass(frozen=True)
class Estimate:
    """A figure per sample, its parts, and of how many published and how many assumed numbers it is made."""

    value: float
    parts: Mapping[str, float]
    published: int
    assumed: int

    @property
    def origin(self) -> str:
        """Where the numbers behind it come from."""
        return f"of {self.published} published and {self.assumed} assumed numbers"

    def resting_on(self, figures: Iterable[Figure]) -> Estimate:
        """The same, whose value is made of these numbers, too."""
        published, assumed = _sources(figures)
        return replace(self, published=self.published + published, assumed=self.assumed + assumed)

    def quantity(self, unit: str) -> str:
        """Its value with a prefix that leaves one to three digits before the point."""
        for factor, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")):
            if self.value >= factor:
                return f"{self.value / factor:.3g} {prefix}{unit}"
        return f"{self.value * 1e12:.3g} p{unit}"


@dataclass(frozen=True)
class CoreLoad:
    """How busy a core was, as shares of all cycles: its neuron unit at work and waiting, its synapse unit, learning."""

    core: int
    tile: tuple[int, int]
    neurons: float
    waiting: float
    synapses: float
    learning: float = 0.0


@dataclass(frozen=True)
class LinkLoad:
    """How many packets a link took per sample, from a tile in a direction, and its share of all cycles."""

    tile: tuple[int, int]
    direction: str
    packets: float
    busy: float


@dataclass(frozen=True)
class Spent:
    """Per sample, on average: steps, cycles, spikes of neurons on cores, packets, hops, synapses read.

    `seconds`, and `joules` where the chip's file has energies. `buffer` and `queue` are the most packets that were in
    one of each at once. `changes` are weights that were computed anew, where a program learns.
    """

    steps: float
    cycles: float
    spikes: float
    packets: float
    hops: float
    synapses: float
    seconds: Estimate
    joules: Estimate | None
    cores: tuple[CoreLoad, ...]
    links: tuple[LinkLoad, ...]
    buffer: int
    queue: int
    bench: NeuroBench
    changes: float | None = None


@dataclass(frozen=True)
class Took:
    """What some samples took together; nothing is counted where a target does not say it."""

    seconds: float = 0.0
    joules: float = 0.0
    samples: int = 0

    def __add__(self, other: Took) -> Took:
        return Took(self.seconds + other.seconds, self.joules + other.joules, self.samples + other.samples)


def taken(chip: Chip, counts: Counts, samples: int) -> Took:
    """What samples took of a chip of many cores, from its counters."""
    fabric = chip.fabric
    if fabric is None or not counts:
        return Took()
    energy = joules(events_of(counts), fabric, 1).value if fabric.energy else 0.0
    return Took(seconds(float(counts["cycles"].sum()), fabric, 1).value, energy, samples)


def spent(network: Network, chip: Chip, counts: Counts, peaks: Counts, samples: int, model_steps: int) -> Spent:
    """What samples took, `samples` of them, which had `model_steps` steps in all.

    The counters are named as `backends/chip/counts.py` says.
    """
    fabric = chip.fabric
    assert fabric is not None, "a chip without cores"
    total = {name: float(values.sum()) for name, values in counts.items()}
    return Spent(
        total["steps"] / samples,
        total["cycles"] / samples,
        total["spikes"] / samples,
        total["packets"] / samples,
        total["hops"] / samples,
        total["synapses"] / samples,
        seconds(float(counts["cycles"].sum()), fabric, samples, learnt="learning" in counts),
        None if fabric.energy is None else joules(events_of(counts), fabric, samples),
        _busiest_cores(counts, fabric.mesh),
        _busiest_links(counts, fabric.mesh, fabric.timing, samples),
        int(peaks["buffers"].max(initial=0)),
        int(peaks["queues"].max(initial=0)),
        neurobench(network, counts["fired"], counts["operations"], samples, model_steps),
        changed(counts, samples),
    )


def changed(counts: Counts, samples: int) -> float | None:
    """How many weights were computed anew a sample; None for a program that does not learn."""
    return float(counts["learning"][:, LESSONS.index("change")].sum()) / samples if "learning" in counts else None


def added(parts: Sequence[Counts]) -> Counts:
    """The counters of consecutive parts of a run."""
    return {name: np.sum([each[name] for each in parts], axis=0) for name in (parts[0] if parts else ())}


def greatest(parts: Sequence[Counts]) -> Counts:
    """The peaks of consecutive parts of a run."""
    return {name: np.max([each[name] for each in parts], axis=0) for name in (parts[0] if parts else ())}


def seconds(cycles: float, fabric: Fabric, samples: int, *, learnt: bool = False) -> Estimate:
    """The time of a sample, of the `cycles` that `samples` samples took, which were `learnt` or only answered."""
    timing = fabric.timing
    known = [*figures(timing), *(figures(fabric.learning.cycles) if learnt and fabric.learning else ())]
    published, assumed = _sources(each for _, each in known)
    barrier = bool(timing.barrier_source)
    value = cycles * timing.clock_ns.value * 1e-9 / samples
    return Estimate(value, {}, published + barrier, assumed + (not barrier))


def events_of(counts: Counts) -> Mapping[str, float]:
    """How often each event that costs energy happened, by its key in a chip's file."""
    synapses = counts["synapses"].sum(axis=0)
    hops = dict(zip(DIRECTIONS, counts["hops"].sum(axis=0).tolist(), strict=True))
    return {
        **{name: float(counts[f"{name}s"].sum()) for name in ("neuron", "spike", "packet")},
        "delivery": float(counts["deliveries"].sum()),
        **{f"synapse_{form}": float(synapses[index]) for index, form in enumerate(FORMS)},
        "hop_horizontal": hops["east"] + hops["west"],
        "hop_vertical": hops["north"] + hops["south"],
        **_lessons(counts),
    }


def _lessons(counts: Counts) -> Mapping[str, float]:
    """The events of learning, of a program that learns."""
    if "learning" not in counts:
        return {}
    total = counts["learning"].sum(axis=0).tolist()
    return {f"{LEARNING}{name}": float(count) for name, count in zip(LESSONS, total, strict=True)}


def joules(events: Mapping[str, float], fabric: Fabric, samples: int) -> Estimate:
    """The energy of a sample: the events of `samples` samples, by their keys in a chip's file, times their costs."""
    known = dict(figures(fabric.energy))
    if any(name.startswith(LEARNING) for name in events) and fabric.learning:
        known |= {f"{LEARNING}{name}": each for name, each in figures(fabric.learning.energy)}
    parts = {name: count * known[name].value * 1e-12 / samples for name, count in events.items()}
    return Estimate(sum(parts.values()), parts, *_sources(known.values()))


def product(amount: float, factors: Sequence[Figure]) -> Estimate:
    """What was counted of a sample, times figures of the target."""
    return Estimate(math.prod((amount, *(each.value for each in factors))), {}, *_sources(factors))


def _sources(factors: Iterable[Figure]) -> tuple[int, int]:
    """How many figures are published, and how many are assumed."""
    assumed = [each.assumed for each in factors]
    return assumed.count(False), assumed.count(True)


def _busiest_cores(counts: Counts, mesh: Mesh) -> tuple[CoreLoad, ...]:
    cycles = max(1, int(counts["cycles"].sum()))
    neurons, waiting, synapses = (counts[name][:-1] for name in ("neuron_busy", "neuron_stalled", "synapse_busy"))
    learning = counts.get("learning_busy", np.zeros_like(neurons))
    order = np.argsort(-(neurons + synapses + learning), kind="stable")[:SHOWN]
    return tuple(
        CoreLoad(
            core,
            tile_of(core, mesh),
            int(neurons[core]) / cycles,
            int(waiting[core]) / cycles,
            int(synapses[core]) / cycles,
            int(learning[core]) / cycles,
        )
        for core in order.tolist()
        if neurons[core] + synapses[core] + learning[core]
    )


def _busiest_links(counts: Counts, mesh: Mesh, timing: Timing, samples: int) -> tuple[LinkLoad, ...]:
    hops, cycles = counts["hops"].reshape(-1), max(1, int(counts["cycles"].sum()))
    order = np.argsort(-hops, kind="stable")[:SHOWN]
    return tuple(
        LinkLoad(
            tile_of(link // 4 * mesh.cores, mesh),
            DIRECTIONS[link % 4],
            int(hops[link]) / samples,
            int(hops[link]) * timing.link.value / cycles,
        )
        for link in order.tolist()
        if hops[link]
    )
