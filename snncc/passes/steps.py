"""Looks for the fewest time steps in which a network still decides as it should, its neurons adapted to them.

As in TopSpark (R. V. W. Putra and M. Shafique, IROS 2023) thresholds and decays are adapted to fewer steps, here
without training: population by population those are kept with which scores agree best with those of all steps.

All that decides is the same on every machine: weights and inputs are rounded so far that floating point adds them
exactly, in whatever order, and scores are compared as whole numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from snncc import data as datasets
from snncc.analysis.metrics import Fidelity, mislabelled
from snncc.arrays import Array, Ints
from snncc.data import Data
from snncc.describe import count_of
from snncc.diagnostics import Diagnostic, check, fault
from snncc.graph import Graph
from snncc.layers import Decoder, Input, Layer, Linear, Neuron, Output, default_decoder, size
from snncc.linear import LinearMap, synapse_count, with_weight
from snncc.pace import Adapted, FewerSteps, Pace
from snncc.passes.fewer_steps import with_fewer_steps
from snncc.semantics import decode, run_float

RULE, FEW, OPTION = "fewer-steps", "few-samples", "--steps"
LOSS = 2.0  # points of accuracy
MOST_STEPS = 1_000_000
_AUTO = re.compile(r"auto(?::([0-9]+))?", re.ASCII)

_WEIGHT_BITS, _INPUT_BITS, _SCORE_BITS = 20, 12, 20  # 2^20 products of the first two add up below 2^53
_GAINS = tuple(1.25**power for power in range(-4, 10))  # that a population tries
_FIRST = _GAINS[4::2]  # and all together
_FORGETTING = 0.0, 0.5, 1.0  # decays to the power of speed to the power of these
_ROUNDS = 3
_WORK = 1 << 30  # multiplications of one trial on samples
_FEWEST = 48  # samples, whatever they take


@dataclass(frozen=True)
class Wanted:
    """What a user asks for: `steps`, or as few as can be (None), to which the neurons are adapted."""

    steps: int | None


@dataclass(frozen=True, eq=False)
class Found:
    """Fewer steps, None where there are none to be had, and what was lost by them on the samples.

    `accuracy` is that in floats with all steps and with fewer, where samples are labelled; `changed` the share of
    samples whose class is another one. `loss` is what was allowed.
    """

    fewer: FewerSteps | None
    accuracy: tuple[float, float] | None
    changed: float
    of: int
    loss: float

    def stages(self) -> tuple[Fidelity, ...]:
        """What is left of the accuracy, before and after."""
        if self.fewer is None:
            return ()
        before, after = self.accuracy or (None, None)
        names = [f"in floats, {count_of(each, 'step')}" for each in (self.of, self.fewer.steps)]
        return Fidelity(names[0], before, 0.0), Fidelity(names[1], after, self.changed)

    def warnings(self) -> Iterator[Diagnostic]:
        if self.fewer is None:
            what = f"every number tried below {self.of:,} loses more than {self.loss:g} points on the samples"
            hint = "allow more with --loss POINTS, or train with fewer steps"
            yield Diagnostic(RULE, OPTION, f"{what}: all are taken", hint, "warning")


Steps = int | str | Found | None


def wanted(value: Steps) -> int | Wanted | Found | None:
    """What `--steps` says: a number, "auto", or "auto:N" for N steps to which the neurons are adapted.

    Raises CompileError (`fewer-steps`).
    """
    if value is None or isinstance(value, Found):
        return value
    text = str(value).strip()
    match = _AUTO.fullmatch(text)
    number = match[1] if match else text if text.isascii() and text.isdigit() else "0"
    number = number and (number.lstrip("0") or "0")[:8]
    if number is not None and not 1 <= int(number) <= MOST_STEPS:
        hint = "give a number of steps; or auto, for as few as samples allow; or auto:N, for N with adapted neurons"
        raise fault(RULE, OPTION, f"is {value!r}; a number of steps lies in 1..{MOST_STEPS:,}", hint)
    return Wanted(None if number is None else int(number)) if match else int(number or 0)


def allowed(loss: object, asked: int | Wanted | Found | None) -> float:
    """The loss that a user allows, in points, `LOSS` if it is None.

    Raises CompileError: `fewer-steps` for what is no loss, `bad-option` where nothing looks for the fewest steps.
    """
    if loss is None:
        return LOSS
    if isinstance(loss, bool) or not isinstance(loss, (int, float)) or not 0 <= loss < 100:
        shown = f"{loss:g}" if isinstance(loss, float) else repr(loss)
        raise fault(RULE, "--loss", f"is {shown}; points of accuracy lie in 0..100", "give 2, say")
    if not isinstance(asked, Found) and asked != Wanted(None):
        raise fault("bad-option", "--loss", "is for --steps auto, which is not given", "leave it out, or give that")
    return float(loss)


@dataclass(eq=False)
class _Trials:
    """Runs a network on samples in fewer steps; remembers what came out. Private to this module."""

    graph: Graph[Layer]
    data: Data
    decoder: Decoder
    of: int
    reference: Ints
    known: dict[FewerSteps, float] = field(default_factory=dict[FewerSteps, float])

    @property
    def static(self) -> bool:
        (layer,) = self.graph.of_kind(Input).values()
        return self.data.x.shape[1:] == layer.shape

    def scores(self, fewer: FewerSteps) -> Ints:
        return _scores(with_fewer_steps(self.graph, fewer), taking(self.data, self.graph, fewer), self.decoder)

    def agreement(self, fewer: FewerSteps) -> float:
        """The correlation of the scores with those of all steps."""
        if fewer not in self.known:
            self.known[fewer] = _correlation(self.scores(fewer), self.reference)
        return self.known[fewer]

    def part(self, most: int) -> _Trials:
        """The same on fewer samples, spread over all."""
        if len(self.data.x) <= most:
            return self
        chosen = np.arange(most) * len(self.data.x) // most
        labels = None if self.data.y is None else self.data.y[chosen]
        data = replace(self.data, x=self.data.x[chosen], lengths=self.data.lengths[chosen], y=labels)
        return _Trials(self.graph, data, self.decoder, self.of, self.reference[chosen])


def fewer_steps(
    graph: Graph[Layer], data: Data, decoder: Decoder | None, of: int, asked: Wanted, loss: float = LOSS
) -> Found:
    """The network of a legal graph in as few steps as it takes to lose at most `loss` points of accuracy on samples.

    `of` is the number of steps it was trained with. Without labels, it is the share of classes that may change. If a
    number of steps is asked for, the neurons are adapted to it, whatever is lost.

    Raises CompileError: `fewer-steps` for more steps than there are, `bad-data` for labels that the output has no
    neuron for, `few-samples` where no loss could be seen.
    """
    if asked.steps is not None and asked.steps > of:
        raise fault(RULE, OPTION, f"asks for {asked.steps:,} steps; the model has {of:,}", "ask for fewer")
    trials = _trials(graph, data, decoder, of)
    if data.y is not None:
        check(mislabelled(data.y, next(iter(graph.of_kind(Output))), trials.reference.shape[1]))
    if asked.steps is not None:
        return _found(trials, _adapted(trials, asked.steps), loss)
    check(_unseen(trials, loss))
    tried: dict[int, FewerSteps] = {}

    def stays(make: Callable[[int], FewerSteps]) -> Callable[[int], bool]:
        def good(steps: int) -> bool:
            tried[steps] = make(steps)
            return _loss(trials, tried[steps]) <= loss

        return good

    best: list[FewerSteps] = []
    for counts, make in _ways(trials):
        steps = _fewest(counts, stays(make))
        best += [] if steps is None else [tried[steps]]
    return _found(trials, min(best, key=lambda each: _taken(trials, each), default=None), loss)


def _unseen(trials: _Trials, loss: float) -> Iterator[Diagnostic]:
    """Why samples cannot show a loss: one of them is more than that; or a network that sees nothing does as well."""
    count, needed = len(trials.data.x), math.ceil(100 / max(1.0, loss))
    if count < needed:
        message = f"a loss of {loss:g} points cannot be seen on {count_of(count, 'sample')}: it takes {needed:,}"
        more = f"allow more with --loss {math.ceil(100 / count)}, " if count > 1 else ""
        hint = f"give more samples, {more}or say how many steps: --steps auto:N"
        yield Diagnostic(FEW, OPTION, message, hint)
    classes, labels = _classes(trials.reference), trials.data.y
    hint = "give samples of all classes, with their labels in y, scaled as in training; or --steps auto:N"
    if labels is None:
        if len(np.unique(classes)) < 2:
            message = f"the model decides the class {int(classes[0])} for all samples, which takes no steps to tell"
            yield Diagnostic(FEW, OPTION, message, hint)
        return
    right, most = int(np.count_nonzero(classes == labels)), np.bincount(labels)
    if right <= most.max():
        message = f"the model is right on {right:,} of {count_of(count, 'sample')}, and class {int(most.argmax())} for "
        yield Diagnostic(FEW, OPTION, f"{message}all would be on {int(most.max()):,}: no loss shows on them", hint)


def _ways(trials: _Trials) -> Iterator[tuple[Sequence[int], Callable[[int], FewerSteps]]]:
    """Numbers of steps from the most on, and how to make do with so many: first with adapted neurons.

    Samples with steps of their own may also be read to no more than a part: neurons then stay as they are.
    """
    of = trials.of
    if trials.static:
        yield range(of - 1, 0, -1), lambda steps: _adapted(trials, steps)
        return
    yield list(dict.fromkeys(-(-of // every) for every in range(2, of + 1))), lambda steps: _adapted(trials, steps)
    yield range(of - 1, 0, -1), lambda steps: FewerSteps(of, steps, pace=Pace(most=steps))


def _fewest(counts: Sequence[int], good: Callable[[int], bool]) -> int | None:
    """The last of descending counts that is good, if all before it are and none after it; else one that is good."""
    known, bad = -1, len(counts)
    while bad - known > 1:
        middle = (known + bad) // 2
        known, bad = (middle, bad) if good(counts[middle]) else (known, middle)
    return None if known < 0 else counts[known]


def _taken(trials: _Trials, fewer: FewerSteps) -> tuple[float, float]:
    """How many steps samples take, on average; of equal ones, those with the better scores."""
    read = taking(trials.data, trials.graph, fewer)
    return float(read.lengths.sum()), -trials.agreement(fewer)


def _adapted(trials: _Trials, steps: int) -> FewerSteps:
    """So many steps, with the neurons of which scores agree best with those of all steps."""
    speed = trials.of / steps if trials.static else float(-(-trials.of // steps))
    names = [name for name, op in trials.graph.of_kind(Neuron).items() if op.threshold is not None]
    trials = trials.part(_affordable(trials, steps))
    best: list[FewerSteps] = []
    for pace in _paces(trials, int(speed)):
        count = steps if trials.static else -(-trials.of // pace.every)
        plain = FewerSteps(trials.of, count, speed, pace)
        together = [_with(plain, dict.fromkeys(names, (gain, 0.0))) for gain in _FIRST]
        best.append(max(together, key=trials.agreement))
    return _climbed(trials, max(best, key=trials.agreement))


def _paces(trials: _Trials, every: int) -> list[Pace]:
    if trials.static:
        return [Pace()]
    return [Pace(every, "first"), Pace(every, "largest")] if every > 1 else [Pace()]


Settings = Mapping[str, tuple[float, float]]  # of each population: its gain, and the power of the speed


def _with(base: FewerSteps, settings: Settings) -> FewerSteps:
    neurons = [Adapted(name, gain, base.speed**power) for name, (gain, power) in settings.items()]
    return replace(base, neurons=tuple(each for each in neurons if each != Adapted(each.name)))


def _climbed(trials: _Trials, start: FewerSteps) -> FewerSteps:
    """One population after the other takes the best of its settings, until none has a better one."""
    gains = {each.name: each.gain for each in start.neurons}
    at = {name: (gains.get(name, 1.0), 0.0) for name in trials.graph.of_kind(Neuron)}

    def worth(name: str, setting: tuple[float, float]) -> float:
        return trials.agreement(_with(start, {**at, name: setting}))

    for _ in range(_ROUNDS):
        before = dict(at)
        for name, setting in before.items():
            at[name] = _settled(trials.graph, name, setting, worth)
        if at == before:
            break
    return _with(start, at)


def _settled(
    graph: Graph[Layer], name: str, at: tuple[float, float], worth: Callable[[str, tuple[float, float]], float]
) -> tuple[float, float]:
    """The best power for a population's decays, then the best gain, then the power again."""
    neuron = graph[name]
    assert isinstance(neuron, Neuron)
    powers = sorted({at[1], *_FORGETTING}) if _decays(neuron) else [at[1]]
    gains = [at[0]] if neuron.threshold is None else _GAINS
    best = max((at, *((at[0], power) for power in powers)), key=lambda each: worth(name, each))
    best = max((best, *((gain, best[1]) for gain in gains)), key=lambda each: worth(name, each))
    return max((best, *((best[0], power) for power in powers)), key=lambda each: worth(name, each))


def _decays(neuron: Neuron) -> bool:
    decays = [neuron.decay, *([neuron.current.decay] if neuron.current else [])]
    decays += [neuron.adapt.decay] if neuron.adapt else []
    return bool(neuron.refractory) or any(((each > 0) & (each != 1)).any() for each in decays)


def _affordable(trials: _Trials, steps: int) -> int:
    maps = trials.graph.of_kind(Linear).values()
    work = steps * sum(synapse_count(each.map) for each in maps)
    return max(_FEWEST, _WORK // max(1, work))


def _trials(graph: Graph[Layer], data: Data, decoder: Decoder | None, of: int) -> _Trials:
    """The network and its samples rounded until floating point adds exactly."""
    (layer,) = graph.of_kind(Input).values()
    output = next(iter(graph.of_kind(Output).values()))
    own = decoder or output.decoder or default_decoder(output)
    ops: dict[str, Layer] = {
        name: replace(op, map=_rounded_map(op.map)) if isinstance(op, Linear) else op for name, op in graph.ops.items()
    }
    exact = Graph(ops, graph.edges)
    data = replace(data, x=_rounded(data.x, _INPUT_BITS))
    if data.x.shape[1:] == layer.shape:
        data = replace(data, lengths=np.full(len(data.x), of, np.int64))
    return _Trials(exact, data, own, of, _scores(exact, data, own))


def _rounded_map(linear: LinearMap) -> LinearMap:
    return with_weight(linear, _rounded(linear.weight, _WEIGHT_BITS))


def _rounded(values: Array, bits: int) -> Array:
    """Whole multiples of a power of two, of which the largest value takes so many bits."""
    values = values.astype(np.float64)
    largest = float(np.abs(values).max(initial=0.0))
    if not largest:
        return values
    step = math.ldexp(1.0, math.frexp(largest)[1] - bits)
    return np.rint(values / step) * step


def taking(data: Data, graph: Graph[Layer], fewer: FewerSteps) -> Data:
    """Samples for a network in so many steps."""
    (layer,) = graph.of_kind(Input).values()
    if data.x.shape[1:] == layer.shape:
        return replace(data, lengths=np.full(len(data.x), fewer.steps, np.int64))
    return datasets.paced(data, layer.shape, fewer.pace)


def _scores(graph: Graph[Layer], data: Data, decoder: Decoder) -> Ints:
    """Scores of the first output as whole numbers, in parts of the largest."""
    name = next(iter(graph.of_kind(Output)))
    per_step = sum(4 * size(each.shape) for each in graph.of_kind(Neuron).values())
    found: list[Array] = []
    for part in datasets.parts(data, per_step):
        trace = run_float(graph, part.x, part.steps, part.lengths)
        found.append(decode(trace.outputs[name], decoder, part.lengths))
    scores = np.concatenate(found)
    largest = float(np.abs(scores).max(initial=0.0)) or 1.0
    return np.rint(scores * ((1 << _SCORE_BITS) / largest)).astype(np.int64)


def _correlation(found: Ints, reference: Ints) -> float:
    """How well scores agree, apart from their scale and from what all scores of a sample have in common: up to 1."""
    one, other = (each - each.sum(axis=1, keepdims=True) // each.shape[1] for each in (found, reference))
    both, squares = _total(one * other), _total(one * one) * _total(other * other)
    return both / math.sqrt(squares) if squares else 0.0


def _total(values: Ints) -> int:
    return sum(values.sum(axis=1).tolist())


def _classes(scores: Ints) -> Ints:
    return scores.argmax(axis=1).astype(np.int64)


def _loss(trials: _Trials, fewer: FewerSteps) -> float:
    """In points: of accuracy, or of classes that change where samples have no labels."""
    found, reference = _classes(trials.scores(fewer)), _classes(trials.reference)
    if trials.data.y is None:
        return 100.0 * int(np.count_nonzero(found != reference)) / len(found)
    right = [int(np.count_nonzero(each == trials.data.y)) for each in (reference, found)]
    return 100.0 * (right[0] - right[1]) / len(found)


def _found(trials: _Trials, fewer: FewerSteps | None, loss: float) -> Found:
    if fewer is None:
        return Found(None, None, 0.0, trials.of, loss)
    found, reference = _classes(trials.scores(fewer)), _classes(trials.reference)
    labels = trials.data.y
    both = None if labels is None else (float(np.mean(reference == labels)), float(np.mean(found == labels)))
    return Found(fewer, both, float(np.mean(found != reference)), trials.of, loss)
