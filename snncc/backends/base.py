"""What a backend is: a few functions over a network, and nothing else that the rest of the compiler must know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snncc.analysis.costs import Estimate
from snncc.analysis.metrics import Fidelity, Profile, Reading
from snncc.analysis.proof import Proof
from snncc.arrays import Array, Ints
from snncc.capabilities import WAYS_OUT, needs
from snncc.chip import Capability, Chip
from snncc.data import Data
from snncc.diagnostics import Diagnostic
from snncc.events.ops import EventNetwork
from snncc.graph import Graph
from snncc.integers import Learnt, Network, Synapse
from snncc.layers import Layer
from snncc.mapping import Mapping as Mapping_
from snncc.mapping import Placement
from snncc.pace import FewerSteps
from snncc.passes.quantise import Options
from snncc.runner import Trace


@dataclass(frozen=True)
class Job:
    """What to emit: `title` is the model's name, as the user knows it (not sanitised).

    `mapping` says where the network lies, for a backend that is `mapped`; `layout` is one of those that it knows
    besides its usual one. `vectors` are real inputs for a test of the target, (samples, frames, size) integers; of one
    frame where the input is static. `fewer` says how samples are read where the model has more steps; with `early_exit`
    the code says when a sample is decided. `classes` says that the number of an output's neuron is its class.
    """

    title: str
    network: Network
    proof: Proof
    chip: Chip
    mapping: Mapping_ | None = None
    layout: str | None = None
    vectors: Ints | None = None
    fewer: FewerSteps | None = None
    early_exit: bool = False
    classes: bool = True


@dataclass(frozen=True, eq=False)
class Batch:
    """What to run: integer `x` (samples, steps, size), and each sample's own number of steps (samples,).

    A network that learns goes on from `learnt`; `reward` (samples, steps) is for rules that take one. If `frozen`, it
    learns nothing more. If `early`, a sample may end as soon as its class is decided (`snncc.exits`): outputs are 0
    from there on. With `traces`, those of rules are recorded after each step, where the target can give them.
    """

    x: Array
    lengths: Array
    learnt: Learnt | None = None
    reward: Array | None = None
    frozen: bool = False
    early: bool = False
    traces: bool = False


@dataclass(frozen=True, eq=False)
class Result:
    """What the target gave. With `record`, the trace holds the spikes and membranes of every population.

    Over batches `figures` and `counts` add up, and of `peaks` the greatest stay. `taken` (samples,) are the steps of
    the model that were taken, if samples could end early.
    """

    trace: Trace
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    counts: Mapping[str, Ints] = field(default_factory=dict[str, Ints])
    peaks: Mapping[str, Ints] = field(default_factory=dict[str, Ints])
    taken: Ints | None = None


@dataclass(frozen=True, eq=False)
class Timeline:
    """A trace for Chrome or Perfetto; `steps` of `of` are in it, as a browser opens only so much."""

    content: bytes
    steps: int
    of: int


Run = Callable[[Path, Network, Chip, Batch, bool], Result]


def _unheard(_: str) -> None:
    """Takes no notice."""


@dataclass(frozen=True)
class Setting:
    """How to run: `python` is an interpreter that the user names, `hardware` asks for a chip where there is one.

    `notice` hears what is being made ready, `machine` what the program runs on.
    """

    python: str | None = None
    hardware: bool = False
    notice: Callable[[str], None] = _unheard
    machine: Callable[[str], None] = _unheard


@dataclass(frozen=True)
class Section:
    """Part of a memory: its bytes are `exact`, `measured` with the target's compiler, or `estimated`.

    `plastic` is there only because something learns: weights and thresholds that change, and traces.
    """

    memory: str
    name: str
    bytes: int
    how: str
    plastic: bool = False


@dataclass(frozen=True)
class Footprint:
    """What a program takes of each memory of its target, and how many bytes there are."""

    sections: tuple[Section, ...]
    there: Mapping[str, int]

    def needed(self, memory: str) -> int:
        """The bytes of all sections of a memory."""
        return sum(each.bytes for each in self.sections if each.memory == memory)


@dataclass(frozen=True)
class Spending:
    """What a sample is expected to take: `events` by the key of their cost, `counted` instructions or cycles (`unit`).

    Time and energy are None where the target's file has no figures for them.
    """

    events: Mapping[str, float]
    counted: float
    unit: str
    seconds: Estimate | None
    joules: Estimate | None


@dataclass(frozen=True)
class Backend:
    """`validate` yields what the backend cannot express; `emit` gives the artefact's files by relative path.

    `run(folder, network, chip, batch, record)` runs an emitted artefact on the target's own machine. One that is
    `mapped` needs to know on which core each neuron lies. `notes(network, proof, chip, strict)` says what the target's
    own neurons do not do, with errors if strict. Scales are chosen without the capabilities that it `shuns`.
    `ready(setting)` makes ready what running needs, and gives the `run` for it. `readings(results, chip, samples)` says
    what a run took. `footprint(job)` is what a program takes of the target's memories, `fits(network, proof, chip)`
    yields those that are too small, `profile(job, results, sent, folder, samples)` says where a run's
    instructions went; `spending(job, active, steps, samples)` is what a sample is expected to take, from how often each
    value was not 0.
    `saved(network, learnt)` is the save from which its programs load what was learnt.
    `layouts` are other ways to lay out the artefact. Only one that `learns` gets networks with plastic synapses or
    learnt thresholds. Only one that `exits` can end samples early.
    """

    name: str
    validate: Callable[[Network, Chip], Iterable[Diagnostic]]
    emit: Callable[[Job], Mapping[str, bytes]]
    run: Run
    mapped: bool = False
    placed: Callable[[Path], Placement] | None = None
    timeline: Callable[[Path, Network, Chip, Batch], Timeline] | None = None
    notes: Callable[[Network, Proof, Chip, bool], Iterable[Diagnostic]] | None = None
    shuns: tuple[Capability, ...] = ()
    ready: Callable[[Setting], Run] | None = None
    readings: Callable[[Sequence[Result], Chip, int], tuple[Reading, ...]] | None = None
    footprint: Callable[[Job], Footprint] | None = None
    profile: Callable[[Job, Sequence[Result], Mapping[str, Array], Path, int], Profile] | None = None
    spending: Callable[[Job, Mapping[str, Ints], int, int], Spending | None] | None = None
    fits: Callable[[Network, Proof, Chip], Iterable[Diagnostic]] | None = None
    saved: Callable[[Network, Learnt], bytes] | None = None
    layouts: tuple[str, ...] = ()
    learns: bool = False
    exits: bool = False


def unteachable(backend: Backend, network: Network) -> Iterator[Diagnostic]:
    """Every op that would learn, if the backend does not: whatever a chip's file says that the chip could."""
    for name, op in network.ops.items():
        if not backend.learns and "learning" in needs(op):
            what = "its weights" if isinstance(op, Synapse) else "its threshold"
            message = f"{what} would have to be learnt on the device, which the {backend.name} backend has no code for"
            yield Diagnostic("cannot-learn", name, message, WAYS_OUT["learning"])


@dataclass(frozen=True, eq=False)
class Lowered:
    """An event-driven network made for a chip, and what each stage on the way there cost on the samples."""

    network: EventNetwork
    fidelity: tuple[Fidelity, ...]
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class EventBackend:
    """A target without steps of its own, which reads an event-driven network instead of an integer network.

    `lower(graph, chip, options, samples)` makes that network from a legal graph. `validate(network, chip,
    require_proof)` yields why a network does not fit the chip, or is not proved to. `emit(title, network, chip, steps)`
    and `run(folder, network, batch, record)` are as a `Backend` has them; `readings(results, chip, samples)` says what
    a run took.
    """

    name: str
    lower: Callable[[Graph[Layer], Chip, Options, Data | None], Lowered]
    validate: Callable[[EventNetwork, Chip, bool], Iterable[Diagnostic]]
    emit: Callable[[str, EventNetwork, Chip, int | None], Mapping[str, bytes]]
    run: Callable[[Path, EventNetwork, Batch, bool], Result]
    readings: Callable[[Sequence[Result], Chip, int], tuple[Reading, ...]]
