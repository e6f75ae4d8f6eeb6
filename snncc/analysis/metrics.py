"""What a run achieved: the class of each sample, the accuracy, and how often each population fired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from snncc.analysis.costs import Spent
from snncc.arrays import Array, Ints
from snncc.diagnostics import Diagnostic, check
from snncc.layers import Decoder
from snncc.named import Named
from snncc.runner import Trace, joined
from snncc.semantics import decode


@dataclass(frozen=True)
class Reading:
    """A figure that a target gives of a run: `key` and `value` for machines, `label` and `text` for people."""

    key: str
    value: float
    label: str
    text: str


@dataclass(frozen=True)
class Fidelity:
    """What is left on the samples after a stage of compiling, each stage with one approximation more.

    `accuracy` where the samples have labels; `changed` is the share of them whose class is not the trained model's.
    """

    stage: str
    accuracy: float | None
    changed: float


@dataclass(frozen=True)
class Took:
    """What a synapse or a population took of a run, in means a sample; `counted` instructions or cycles, if known.

    `events` are active sources of a synapse (`synaptic` their synapses), or steps of neurons; `each` is what one of
    them (of the synapses) took, `bytes` what it has of memory. A synapse whose sources are active more often than
    `break_even` would take less with a kernel that multiplies and adds all of its inputs.
    """

    name: str
    kernel: str
    events: float
    synaptic: float | None
    counted: float | None
    each: float | None
    bytes: int
    break_even: float | None


@dataclass(frozen=True)
class Profile:
    """Where a run's `unit`, instructions or cycles, went; `worst` is what no step of any input exceeds, if known."""

    unit: str
    rows: tuple[Took, ...]
    worst: int | None


@dataclass(frozen=True, eq=False)
class Run:
    """The result of simulating a data set.

    `scores` (samples, neurons) and `classes` (samples,) are of the first output, as its decoder says, and its neurons'
    numbers where nothing is known of their classes: there is no `accuracy` then; `seconds` is
    the time on the target, 0 where that is not measured; `rates` is spikes per neuron and step, by population, where
    spikes were recorded; `trace` holds all outputs, and what else was recorded; `readings` are the target's
    own; `spent` is what a chip of many cores took, `counts` what it counted;
    `profile` is where a microcontroller's instructions went, if that was asked for.
    """

    samples: int
    scores: Array
    classes: Ints
    accuracy: float | None
    seconds: float
    rates: Mapping[str, float]
    trace: Trace
    readings: tuple[Reading, ...] = ()
    spent: Spent | None = None
    counts: Mapping[str, Ints] = field(default_factory=dict[str, Ints])
    profile: Profile | None = None


def mislabelled(labels: Ints, output: str, neurons: int) -> Iterator[Diagnostic]:
    """Whether there are labels (samples,) that an output of so many neurons has none for: `bad-data`."""
    if labels.max(initial=0) >= neurons:
        message = f"y holds the class {int(labels.max())}; the output {output} has {neurons} neurons"
        yield Diagnostic("bad-data", "y", message, "classes count from 0, one for each neuron of the output")


def summarise(
    traces: Sequence[Trace],
    lengths: Ints,
    labels: Ints | None,
    decoders: Mapping[str, Decoder],
    seconds: float,
    named: Named | None = None,
) -> Run:
    """The run whose consecutive parts left `traces`; `decoders` by output, the first one classifies.

    `lengths` and `labels` (samples,); without labels there is no accuracy. `named` says which classes the neurons of
    the first output stand for; None that a neuron's number is its class.

    Raises CompileError: `bad-data` for a label that the output has no neuron for.
    """
    trace = joined(traces)
    name, decoder = next(iter(decoders.items()))
    scores = decode(trace.outputs[name], decoder, lengths)
    if labels is not None and named is None:
        check(mislabelled(labels, name, scores.shape[1]))
    highest = scores.argmax(axis=1).astype(np.int64)
    answers = highest if named is None else named.answers(scores)
    classes = highest if answers is None else answers
    accuracy = None if labels is None or answers is None else float(np.mean(answers == labels))
    live = int(lengths.sum())
    rates = {each: float(s.sum(dtype=np.float64)) / (live * s.shape[2]) for each, s in trace.spikes.items()}
    return Run(len(classes), scores, classes, accuracy, seconds, rates, trace)
