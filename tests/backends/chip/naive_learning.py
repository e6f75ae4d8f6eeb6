"""What learning takes of a chip, by the section of that name in targets/README.md, one synapse at a time."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass

from snncc.chip import Chip
from snncc.integers import Factor, Plasticity, SpikeTrace, Synapse, Term
from tests.backends.chip.naive_layout import trace_bits, width_of
from tests.reference.learner import Learner

COUNTED = ("trace", "axon", "word", "change", "row", "merge")


@dataclass(eq=False)
class Unit:
    """The learning units of one plastic group; `cores` has the core of each target."""

    learner: Learner
    cores: list[int]
    synapse: Synapse
    chip: Chip

    @property
    def rule(self) -> Plasticity:
        return self.learner.rule

    def step(self, x: list[int], s: list[int], count: int, reward: int, last: bool) -> Counter[tuple[str, int]]:
        """Learn, and count by event and core."""
        before, moved = self.learner, deepcopy(self.learner)
        moved.pre.decay()
        moved.post.decay()
        moved.pre.jump(x)
        faded = moved.post.copy()
        moved.post.jump(s)
        due = (before.now + 1) % self.rule.period == 0
        events: Counter[tuple[str, int]] = Counter()
        for core in sorted(set(self.cores)):
            own = [target for target, home in enumerate(self.cores) if home == core]
            for trace, old, new in zip(self.rule.pre, before.pre.values, moved.pre.values, strict=True):
                events["trace", core] += sum(computed(trace, old[at], new[at], x[at], due) for at in range(len(x)))
            for trace, old, new in zip(self.rule.post, before.post.values, moved.post.values, strict=True):
                events["trace", core] += sum(computed(trace, old[at], new[at], s[at], due) for at in own)
            self.look(events, core, own, moved, faded, x, s, due, reward)
            whole, marked = self.rule.normalisation, set(own)
            if whole and whole.spiking:
                marked = {target for target in own if target in before.marked or s[target]}
                events["trace", core] += sum(s[target] > 0 for target in own)
            if self.normalises(before.now + 1, last) and marked:
                events["trace", core] += len(marked) if whole and whole.spiking else 0
                events["row", core] += len(marked)
                events["change", core] += len(marked) * len(x)
                events["axon", core] += 2 * len(x)
                events["word", core] += 2 * len(x) * self.words(own, marked)
        asked = [t for t in self.rule.terms if t.when != "period" or due]
        if any(f.variable == "most post" for t in asked for f in (*t.factors, *([t.per] if t.per else []))):
            events["merge", min(self.cores)] += len(set(self.cores)) - 1
        self.learner.step(x, s, count, reward)
        return events

    def normalises(self, steps: int, last: bool) -> bool:
        whole = self.rule.normalisation
        if whole is None:
            return False
        return steps % whole.every == 0 if whole.every else last

    def look(
        self,
        events: Counter[tuple[str, int]],
        core: int,
        own: list[int],
        moved: Learner,
        faded: list[list[int]],
        x: list[int],
        s: list[int],
        due: bool,
        reward: int,
    ) -> None:
        """What the unit of one core looks at and computes."""

        def value(factor: Factor, term: Term, source: int, target: int) -> int:
            posts = moved.post.values if term.when == "period" else faded
            found = {
                "pre": lambda: moved.pre.values[factor.trace][source],
                "post": lambda: posts[factor.trace][target],
                "most pre": lambda: max(moved.pre.values[factor.trace]),
                "most post": lambda: max(posts[factor.trace]),
                "reward": lambda: reward,
            }[factor.variable]()
            return factor.gain * ((found + factor.divisor - 1) // factor.divisor) + factor.offset

        common = ("most pre", "most post", "reward")
        working = [
            term
            for term in self.rule.terms
            if (due or term.when != "period")
            and term.rate
            and all(value(each, term, 0, 0) for each in term.factors if each.variable in common)
        ]
        kinds = {
            term.when
            for term in working
            for at in own
            if (s[at] or term.when != "post")
            and all(value(each, term, 0, at) for each in term.factors if each.variable == "post")
        }
        for source in range(len(x)):
            if "period" in kinds or "post" in kinds or ("pre" in kinds and x[source]):
                events["axon", core] += 1
            changed: set[int] = set()
            for target in own:
                for term in working:
                    if {"pre": x[source] > 0, "post": s[target] > 0, "period": True}[term.when] and all(
                        value(each, term, source, target) for each in term.factors if each.variable in ("pre", "post")
                    ):
                        changed.add(target)
            events["change", core] += len(changed)
            events["word", core] += self.words(own, changed)

    def words(self, own: list[int], changed: set[int]) -> int:
        packing = self.chip.packing
        assert packing
        width, found = width_of(self.synapse, self.chip), set[int]()
        first = int(packing.header_bits.value) + trace_bits(self.synapse)
        for place, target in enumerate(own):
            if target in changed:
                found |= {(first + place * width + bit) // packing.word_bits for bit in range(width)}
        return len(found)


def computed(trace: SpikeTrace, old: int, new: int, spikes: int, due: bool) -> int:
    """How often a trace is computed in a step; `new` is what it is before it may be cleared."""
    times = 1 if spikes > 0 or (old != 0 and int(trace.decay.amount) != 0) else 0
    return times + (1 if due and trace.cleared and new != 0 else 0)


def cycles(chip: Chip, events: Counter[tuple[str, int]]) -> int:
    """How long the learning phase of a step takes."""
    assert chip.learning
    busy: Counter[int] = Counter({0: 0})
    merging = 0
    for (name, core), count in events.items():
        cost = count * int(getattr(chip.learning.cycles, name).value)
        if name == "merge":
            merging += cost
        else:
            busy[core] += cost
    return merging + max(busy.values())
