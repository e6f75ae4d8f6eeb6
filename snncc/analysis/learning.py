"""What learning takes of the cores of a chip: counted from spikes and traces, as `targets/README.md` says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Ints
from snncc.chip import Chip
from snncc.fabric import LearningCosts
from snncc.integers import Network, Plasticity, Population, SpikeTrace, Synapse, Term, source_of
from snncc.mapping import cores_of
from snncc.packing import form_of
from snncc.plasticity import Moment, Plastic, Traces, begun, left, normalises, traced
from snncc.states import decayed, fit

EVENTS = ("trace", "axon", "word", "change", "row", "merge")
TRACE, _AXON, _WORD, _CHANGE, _ROW, _MERGE = range(len(EVENTS))


@dataclass(frozen=True, eq=False)
class Home:
    """Where a plastic group lies: the `cores` that hold targets, and which targets each holds, by index.

    A block has `header` bits in front of its weights of `width` bits each, in words of `word_bits`.
    """

    rule: Plasticity
    sources: int
    cores: Ints
    rows: tuple[Ints, ...]
    width: int
    header: int
    word_bits: int


def home_of(synapse: Synapse, chip: Chip, cores: Array) -> Home:
    """Where a group that learns lies, from the core of each target."""
    assert synapse.plasticity
    form = form_of(synapse, chip)
    used = np.unique(cores).astype(np.int64)
    rows = tuple(np.flatnonzero(cores == core) for core in used)
    return Home(synapse.plasticity, synapse.map.in_size, used, rows, form.width, form.header_bits, form.word_bits)


def counted(home: Home, old: Plastic, moved: Traces, x: Ints, s: Ints, at: Moment, *, last: bool) -> Ints:
    """The events of a step (cores of the group, EVENTS); `old` are the traces before it, `last` the sample's last."""
    rule, found = home.rule, np.zeros((len(home.cores), len(EVENTS)), np.int64)
    due = (at.now + 1) % rule.period == 0
    found[:, TRACE] += sum(int(each.sum()) for each in _computed(rule.pre, old.pre, moved.pre, x, due=due))
    for each in _computed(rule.post, old.post, moved.post, s, due=due):
        found[:, TRACE] += [int(each[rows].sum()) for rows in home.rows]
    if _asks_all(rule, due=due):
        found[0, _MERGE] = len(home.cores) - 1
    active = [term for term in rule.terms if (term.when != "period" or due) and not _idle(term, moved, at.reward)]
    if active:
        sources = np.stack([_side(term, "pre", moved, x) for term in active])
        targets = np.stack([_side(term, "post", moved, s) for term in active])
        _looked_at(home, found, active, x, targets)
        _changed(home, found, sources, targets)
    _normalised(home, found, moved, s, due=normalises(rule, at.now, last=last))
    return found


def cycles(found: Ints, costs: LearningCosts) -> int:
    """How long a step learns, from the events (cores, EVENTS) of all its groups."""
    merging = int(found[:, _MERGE].sum()) * int(costs.merge.value)
    return merging + int(busy(found, costs).max(initial=0))


def busy(found: Ints, costs: LearningCosts) -> Ints:
    """The cycles in which the learning unit of each core worked, (cores,), for events (cores, EVENTS)."""
    each = np.array([int(getattr(costs, name).value) for name in EVENTS[:_MERGE]])
    return found[:, :_MERGE] @ each


def _computed(
    traces: tuple[SpikeTrace, ...], before: tuple[Ints, ...], after: tuple[Ints, ...], spikes: Ints, *, due: bool
) -> Iterator[Ints]:
    """How often each neuron's traces are computed in a step, trace by trace: 0, 1, or 2 if they are cleared as well."""
    for trace, old, new in zip(traces, before, after, strict=True):
        fades = bool(trace.decay.amount)
        yield ((spikes > 0) | ((old != 0) & fades)) + ((new != 0) & (due and trace.cleared)).astype(np.int64)


def _asks_all(rule: Plasticity, *, due: bool) -> bool:
    """Whether the greatest of all targets' traces is asked for in a step."""
    return any(
        each.variable == "most post"
        for term in rule.terms
        if term.when != "period" or due
        for each in (*term.factors, *([term.per] if term.per else ()))
    )


def _idle(term: Term, moved: Traces, reward: int) -> bool:
    """Whether a term is 0 for all synapses because of what they have in common."""
    posts = moved.post if term.when == "period" else moved.faded
    for factor in term.factors:
        if factor.variable in ("most pre", "most post", "reward"):
            sides = {"most pre": moved.pre, "most post": posts}
            known = sides.get(factor.variable)
            value = reward if known is None else int(known[factor.trace].max())
            if factor.gain * -(-value // factor.divisor) + factor.offset == 0:
                return True
    return term.rate == 0


def _side(term: Term, side: str, moved: Traces, spikes: Ints) -> Array:
    """Which neurons of a side have a synapse that a term triggers, and no factor that is 0."""
    posts = moved.post if term.when == "period" else moved.faded
    known = moved.pre if side == "pre" else posts
    found = spikes > 0 if term.when == side else np.ones(len(spikes), bool)
    for factor in term.factors:
        if factor.variable == side:
            found &= factor.gain * -(-known[factor.trace] // factor.divisor) + factor.offset != 0
    return found


def _looked_at(home: Home, found: Ints, active: Sequence[Term], x: Ints, targets: Array) -> None:
    """Count the axons that each core looks at: none where all its targets, (terms, neurons), are passed over.

    `found` is written.
    """
    heard = int(np.count_nonzero(x))
    for row, rows in zip(found, home.rows, strict=True):
        kinds = {term.when for term, concerned in zip(active, targets[:, rows], strict=True) if concerned.any()}
        row[_AXON] += home.sources if kinds - {"pre"} else heard * bool(kinds)


def _changed(home: Home, found: Ints, sources: Array, targets: Array) -> None:
    """Count the weights that are computed, and their words, from the neurons that each term concerns.

    `found` is written; `sources` and `targets` are (terms, neurons).
    """
    patterns, counts = np.unique(sources, axis=1, return_counts=True)
    for pattern, count in zip(patterns.T, counts.tolist(), strict=True):
        if not pattern.any():
            continue
        chosen = np.logical_or.reduce(targets[pattern], axis=0)
        for row, rows in zip(found, home.rows, strict=True):
            row[_CHANGE] += count * int(chosen[rows].sum())
            row[_WORD] += count * _words(home, chosen[rows])


def _normalised(home: Home, found: Ints, moved: Traces, s: Ints, *, due: bool) -> None:
    """Count what normalising takes, and what the bits do that say which targets it concerns; `found` is written."""
    whole = home.rule.normalisation
    if whole is None:
        return
    for row, rows in zip(found, home.rows, strict=True):
        chosen = moved.spiked[rows] if whole.spiking else np.ones(len(rows), bool)
        count = int(np.count_nonzero(chosen))
        if whole.spiking:
            row[TRACE] += np.count_nonzero(s[rows]) + due * count
        if due and count:
            words = home.sources * _words(home, chosen)
            row[[_AXON, _WORD, _CHANGE, _ROW]] += 2 * home.sources, 2 * words, home.sources * count, count


def _words(home: Home, chosen: Array) -> int:
    """How many words of a block hold a bit of the chosen weights."""
    begin = home.header + np.flatnonzero(chosen) * home.width
    first, last = begin // home.word_bits, (begin + home.width - 1) // home.word_bits
    shared = np.count_nonzero(first[1:] == last[:-1])
    return int((last - first + 1).sum()) - int(shared)


@dataclass(frozen=True)
class Lessons:
    """What samples take that are learnt: events by name, and the cycles of all their learning phases."""

    counts: Mapping[str, float]
    cycles: float


def lessons(
    network: Network,
    chip: Chip,
    cores: Mapping[str, Array],
    sent: Mapping[str, Array],
    lengths: Ints,
    before: Mapping[str, Array],
    reward: Array | None = None,
) -> Lessons:
    """What learning takes of samples whose senders sent `sent` (samples, steps, size), with `reward` (samples, steps).

    `cores` are those of each population's neurons; `before` what the thresholds had learnt before the first sample.
    """
    assert chip.learning is not None, "a chip that does not learn"
    assert chip.mesh is not None
    starts = {name: op.start for name, op in network.of_kind(Population).items()}
    groups = {name: op for name, op in network.of_kind(Synapse).items() if op.plasticity}
    targets = {name: network.outgoing(name)[0].target for name in groups}
    homes = {name: home_of(op, chip, cores[targets[name]]) for name, op in groups.items()}
    total, spent, known = np.zeros(len(EVENTS), np.int64), 0, dict(before)
    for sample, length in enumerate(lengths.tolist()):
        found = np.zeros((length + max(starts.values()), cores_of(chip.mesh), len(EVENTS)), np.int64)
        for name, home in homes.items():
            source, delay = source_of(network, name)
            late = starts[targets[name]] - starts.get(source, 0) - delay
            own = found[starts[targets[name]] :, home.cores]
            rewards = [0] * length if reward is None else reward[sample, :length].tolist()
            own[:length] += _sample(home, sent[source][sample], late, sent[targets[name]][sample], rewards)
            found[starts[targets[name]] :, home.cores] = own
        for name, a in known.items():
            known[name], fading = _thresholds(network, name, a, sent[name][sample, :length])
            last = starts[name] + length - 1
            found[last, :, TRACE] += np.bincount(cores[name][fading], minlength=found.shape[1])
        total += found.sum(axis=(0, 1))
        spent += sum(cycles(step, chip.learning.cycles) for step in found)
    return Lessons({name: float(count) for name, count in zip(EVENTS, total.tolist(), strict=True)}, float(spent))


def _sample(home: Home, x: Array, late: int, s: Array, rewards: Sequence[int]) -> Ints:
    """The events of each rewarded step of a sample, (steps, cores of the group, EVENTS); weights are not looked at.

    In step t targets learn from what was sent in step t + `late` of the source's own.
    """
    still = np.zeros((len(s[0]), home.sources), np.int64)
    state, events = begun(home.rule, still), []
    for now, reward in enumerate(rewards):
        heard = x[now + late] if 0 <= now + late < len(rewards) else np.zeros(home.sources)
        step, at = (heard.astype(np.int64), s[now].astype(np.int64)), Moment(now, 0, reward)
        moved = traced(home.rule, state, *step)
        events.append(counted(home, state, moved, *step, at, last=now == len(rewards) - 1))
        state = left(home.rule, still, moved, at)
    return np.stack(events)


def _thresholds(network: Network, name: str, a: Array, spikes: Array) -> tuple[Array, Array]:
    """What a population's thresholds know after a sample, and which of its neurons forget some of it."""
    op = network[name]
    assert isinstance(op, Population)
    assert op.adapt
    for s in spikes:
        a = fit(a + op.adapt.jump * s.reshape(op.shape), op.adapt.register)
    return decayed(a, op.adapt.decay), (a.reshape(-1) != 0) & bool(op.adapt.decay.amount.any())
