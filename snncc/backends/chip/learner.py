"""Lets a loaded program learn: its learning units, between what the neurons of a step do and what they send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from snncc.analysis.learning import EVENTS, TRACE, Home, counted, cycles, home_of
from snncc.arrays import Array, Ints
from snncc.backends.chip.image import Image, damaged
from snncc.backends.chip.layout import places
from snncc.backends.chip.load import Loaded
from snncc.chip import Chip
from snncc.fabric import LearningCosts
from snncc.integers import Adapt, Learnt, Network, Population, Synapse
from snncc.mapping import cores_of
from snncc.plasticity import Moment, Plastic, begun, learnt_step, normalised, seen, trace_names, traced
from snncc.runner import State
from snncc.states import decayed

Values = Sequence[Array]  # by sender
Neurons = Mapping[int, State]  # by the number of a population among the senders


@dataclass(frozen=True, eq=False)
class Group:
    """A synapse group that learns, from the sender `source` to `target`, and what its weights begin with.

    `cells` (targets, sources) is where the machine keeps what neurons see of each weight.
    """

    name: str
    source: int
    target: int
    start: int
    home: Home
    cells: Ints
    initial: Ints


@dataclass(frozen=True, eq=False)
class Threshold:
    """A population, by its number among the senders, whose threshold learns."""

    name: str
    number: int
    op: Population
    adapt: Adapt
    cores: Array


@dataclass(eq=False)
class Learner:
    """What a machine learns; `counts` (cores, EVENTS) and `busy` (cores,) go on from run to run, as its counters do.

    `weights` are those of the machine, which are written. `kept` has the traces of all samples of a run, (samples,
    steps, size), where they are recorded.
    """

    groups: tuple[Group, ...]
    thresholds: tuple[Threshold, ...]
    costs: LearningCosts | None
    weights: Array
    counts: Ints
    known: Learnt = field(default_factory=lambda: Learnt(0, {}, {}))
    state: dict[str, Plastic] = field(default_factory=dict[str, Plastic])
    frozen: bool = False
    kept: dict[str, Ints] | None = None
    sample: int = 0

    @property
    def learns(self) -> bool:
        """Whether the next step may change something."""
        return self.taught and not self.frozen

    @property
    def taught(self) -> bool:
        """Whether there is anything that a program knows."""
        return bool(self.groups or self.thresholds)

    def stilled(self, op: Population) -> Population:
        """A population as it runs: what is frozen has learnt thresholds that stay."""
        if not (self.frozen and op.adapt and op.adapt.learnt):
            return op
        return replace(op, adapt=replace(op.adapt, jump=np.zeros((), np.int64)))

    def begin(self, learnt: Learnt | None, *, frozen: bool, room: tuple[int, int] | None = None) -> None:
        """Before the first sample of a run; traces of so many samples and steps are recorded if there is `room`."""
        self.frozen, self.sample, self.kept = frozen, 0, None
        if room is not None and not frozen:
            self.kept = {}
            for group in self.groups:
                rule, (targets, sources) = group.home.rule, group.cells.shape
                sizes = [sources] * len(rule.pre) + [targets] * len(rule.post)
                names = zip(trace_names(group.name, rule), sizes, strict=True)
                self.kept |= {each: np.zeros((*room, size), np.int64) for each, size in names}
        self.known = learnt or Learnt(
            0,
            {each.name: each.initial for each in self.groups},
            {
                each.name: np.broadcast_to(each.adapt.initial, each.op.shape).astype(np.int64)
                for each in self.thresholds
            },
        )
        for group in self.groups:
            self._show(group, self.known.weights[group.name])

    def _show(self, group: Group, weight: Ints) -> None:
        self.weights[group.cells] = seen(group.home.rule, weight)

    def start(self, neurons: dict[int, State]) -> None:
        """Before a sample, or several that learn nothing; `neurons` get the thresholds that are known."""
        self.state = {each.name: begun(each.home.rule, self.known.weights[each.name]) for each in self.groups}
        for each in self.thresholds:
            state = neurons[each.number]
            a = np.broadcast_to(self.known.adaptations[each.name], state["v"].shape)
            neurons[each.number] = {**state, "a": a}

    def step(self, now: int, length: int, read: Values, sent: Values, neurons: Neurons, reward: Sequence[int]) -> int:
        """Learn from a step of a sample of so many steps; returns the cycles that this takes.

        `read` and `sent` are what each sender sent in the step before and in this one, (size,); `reward` has one number
        for each step of the sample.
        """
        found = np.zeros_like(self.counts)
        for group in self.groups:
            model_step = now - group.start
            if 0 <= model_step < length:
                at = Moment(model_step, self.known.steps + model_step, int(reward[model_step]))
                x, s = read[group.source].astype(np.int64), sent[group.target].astype(np.int64)
                found[group.home.cores] += self._taught(group, x, s, at, last=model_step == length - 1)
        for each in self.thresholds:
            if now - each.op.start == length - 1:
                fades = (neurons[each.number]["a"] != 0).reshape(-1) & bool(each.adapt.decay.amount.any())
                found[:, TRACE] += np.bincount(each.cores[fades], minlength=len(found))
        self.counts += found
        return 0 if self.costs is None else cycles(found, self.costs)

    def _taught(self, group: Group, x: Ints, s: Ints, at: Moment, *, last: bool) -> Ints:
        rule, old = group.home.rule, self.state[group.name]
        found = counted(group.home, old, traced(rule, old, x, s), x, s, at, last=last)
        new = learnt_step(rule, old, x, s, at)
        if new.weight is not old.weight:
            self._show(group, new.weight)
        self.state[group.name] = new
        if self.kept is not None:
            for each, values in zip(trace_names(group.name, rule), (*new.pre, *new.post), strict=True):
                self.kept[each][self.sample, at.now] = values
        return found

    def finish(self, length: int, neurons: Neurons) -> None:
        """After a sample: weights are normalised, thresholds fade."""
        steps = self.known.steps + length
        weights: dict[str, Array] = {}
        for group in self.groups:
            weight, whole = self.state[group.name].weight, group.home.rule.normalisation
            if whole and not whole.every:
                weight = normalised(group.home.rule, weight, self.state[group.name].spiked, steps)
                self._show(group, weight)
            weights[group.name] = weight
        adaptations = {each.name: decayed(neurons[each.number]["a"][0], each.adapt.decay) for each in self.thresholds}
        self.known = Learnt(steps, weights, adaptations)
        self.sample += 1


def learner_of(image: Image, loaded: Loaded, network: Network, chip: Chip) -> Learner:
    """The learning units of a program that `check` has passed. Raises CompileError (`damaged-artefact`)."""
    cores = cores_of(image.mesh)
    groups: list[Group] = []
    for number, group in enumerate(image.groups):
        op, target = network[group.name], image.senders[group.target]
        if group.plasticity is None:
            continue
        assert isinstance(op, Synapse)
        assert isinstance(target.op, Population)
        cells = _cells(image, loaded, number)
        assert target.cores is not None, "a group that learns on the host"
        home = home_of(op, chip, target.cores)
        initial = loaded.tables.weights[cells].astype(np.int64)
        if not group.plasticity.lowest <= initial.min() <= initial.max() <= group.plasticity.highest:
            raise damaged(f"has weights of {group.name} that its rule does not allow")
        initial <<= group.plasticity.guard
        groups.append(Group(group.name, group.source, group.target, target.op.start, home, cells, initial))
    thresholds = [
        Threshold(each.name, number, each.op, each.op.adapt, each.cores)
        for number, each in enumerate(image.senders)
        if isinstance(each.op, Population) and each.op.adapt and each.op.adapt.learnt and each.cores is not None
    ]
    costs = chip.learning.cycles if chip.learning else None
    counts = np.zeros((cores, len(EVENTS)), np.int64)
    return Learner(tuple(groups), tuple(thresholds), costs, loaded.tables.weights, counts)


def _cells(image: Image, loaded: Loaded, number: int) -> Ints:
    """Where the machine keeps the weights of a group, (targets, sources)."""
    group, blocks = image.groups[number], image.blocks
    sender, place = image.senders[group.source], places(image.homes(), cores_of(image.mesh) + 1)[group.target]
    assert place is not None, "a group that leads nowhere"
    source = np.full(len(image.starts) - 1, -1, np.int64)
    source[image.axons[sender.core] + sender.axon] = np.repeat(np.arange(len(sender.start) - 1), np.diff(sender.start))
    axon = np.repeat(np.arange(len(image.starts) - 1), np.diff(image.starts))
    core = np.searchsorted(image.axons, axon, side="right") - 1
    cells = np.full((len(place.order), len(sender.start) - 1), -1, np.int64)
    for block in np.flatnonzero(blocks.group == number).tolist():
        targets = place.order[place.first[core[block]] : place.first[core[block] + 1]]
        first = int(loaded.tables.blocks["first"][block])
        if source[axon[block]] < 0 or len(targets) != blocks.count[block]:
            raise damaged(f"has blocks of {group.name} that nothing leads to")
        cells[targets, source[axon[block]]] = first + np.arange(len(targets))
    if (cells < 0).any():
        raise damaged(f"has not all synapses of {group.name}, which learns")
    return cells
