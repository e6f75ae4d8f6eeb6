"""What a backend is: four functions over an integer network, and nothing that the rest of the compiler must know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from snncc.analysis.proof import Proof
from snncc.arrays import Array, Ints
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network
from snncc.mapping import Mapping as Mapping_
from snncc.runner import Trace


@dataclass(frozen=True)
class Job:
    """What to emit: `title` is the model's name, as the user knows it (not sanitised).

    `mapping` says where the network lies, for a backend that is `mapped`.
    """

    title: str
    network: Network
    proof: Proof
    chip: Chip
    mapping: Mapping_ | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """What to run: integer `x` (samples, steps, size), and each sample's own number of steps (samples,)."""

    x: Array
    lengths: Array


@dataclass(frozen=True, eq=False)
class Result:
    """What the target gave. With `record`, the trace holds the spikes and membranes of every population.

    Over batches `figures` and `counts` add up, and of `peaks` the greatest stay.
    """

    trace: Trace
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    counts: Mapping[str, Ints] = field(default_factory=dict[str, Ints])
    peaks: Mapping[str, Ints] = field(default_factory=dict[str, Ints])


@dataclass(frozen=True)
class Backend:
    """`validate` yields what the backend cannot express; `emit` gives the artefact's files by relative path.

    `run(folder, network, chip, batch, record)` runs an emitted artefact on the target's own machine. One that is
    `mapped` needs to know on which core each neuron lies.
    """

    name: str
    validate: Callable[[Network, Chip], Iterable[Diagnostic]]
    emit: Callable[[Job], Mapping[str, bytes]]
    run: Callable[[Path, Network, Chip, Batch, bool], Result]
    mapped: bool = False
