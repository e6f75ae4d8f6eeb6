"""Learns synapse by synapse and neuron by neuron in plain Python integers, to check `plasticity`.

Written from docs/learning.md and the docstrings of `integers`, not from `plasticity`: a synapse is a number in a list
of lists, every synapse is looked at in every step, and nothing is skipped because nothing triggers it.
"""

from __future__ import annotations

from snncc.integers import Factor, Plasticity, SpikeTrace, Term
from tests.reference.neuron import shrink

WORD = 2**32


def scrambled(x: int) -> int:
    """Five steps on a word of 32 bits."""
    x ^= x >> 16
    x = x * 2146121005 % WORD
    x ^= x >> 15
    x = x * 2221713035 % WORD
    return x ^ (x >> 16)


def drawn(seed: int, moment: int, index: int, bits: int) -> int:
    """The highest bits of what is drawn for a synapse; `moment` is twice the steps so far, and 1 more to normalise."""
    key = scrambled(seed ^ scrambled(moment % WORD))
    return scrambled((index * 2654435769 + key) % WORD) // 2 ** (32 - bits)


class Side:
    """The traces of the neurons on one side."""

    def __init__(self, traces: tuple[SpikeTrace, ...], size: int) -> None:
        self.traces = traces
        self.values = [[0] * size for _ in traces]

    def decay(self) -> None:
        for trace, values in zip(self.traces, self.values, strict=True):
            values[:] = [shrink(value, int(trace.decay.amount), trace.decay) for value in values]

    def jump(self, spikes: list[int]) -> None:
        for trace, values in zip(self.traces, self.values, strict=True):
            for at, count in enumerate(spikes):
                if count and trace.latest:
                    values[at] = trace.jump
                elif count:
                    values[at] = min(trace.highest, values[at] + count * trace.jump)

    def clear(self) -> None:
        for trace, values in zip(self.traces, self.values, strict=True):
            if trace.cleared:
                values[:] = [0] * len(values)

    def copy(self) -> list[list[int]]:
        return [list(values) for values in self.values]


class Learner:
    """One plastic synapse group: `weights[target][source]` as they are stored."""

    def __init__(self, rule: Plasticity, weights: list[list[int]]) -> None:
        self.rule, self.weights = rule, weights
        self.start()

    def start(self) -> None:
        """Before a sample."""
        self.pre = Side(self.rule.pre, len(self.weights[0]))
        self.post = Side(self.rule.post, len(self.weights))
        self.marked: set[int] = set()  # targets that spiked since the last normalisation
        self.now = 0

    def visible(self, target: int, source: int) -> int:
        step = 2**self.rule.guard
        quotient, remainder = divmod(self.weights[target][source], step)
        return quotient + (2 * remainder >= step)

    def step(self, x: list[int], s: list[int], count: int, reward: int) -> None:
        rule = self.rule
        self.pre.decay()
        self.post.decay()
        self.pre.jump(x)
        earlier = self.post.copy()
        self.post.jump(s)
        self.marked |= {target for target, count in enumerate(s) if count}
        self.now += 1
        due = self.now % rule.period == 0
        old = [list(row) for row in self.weights]
        for target, row in enumerate(old):
            for source, weight in enumerate(row):
                total = 0
                for term in rule.terms:
                    happens = {"pre": x[source] > 0, "post": s[target] > 0, "period": due}[term.when]
                    if happens:
                        posts = self.post.values if term.when == "period" else earlier
                        total += self.product(term, posts, target, source, weight, reward)
                rest = 2**rule.shift // 2
                if rule.stochastic and rule.shift:
                    rest = drawn(rule.seed, 2 * count, target * len(row) + source, rule.shift)
                self.weights[target][source] = self.held(weight + (total + rest) // 2**rule.shift)
        if rule.normalisation and rule.normalisation.every and self.now % rule.normalisation.every == 0:
            self.normalise(count)
        if due:
            self.pre.clear()
            self.post.clear()

    def held(self, weight: int) -> int:
        low, high = self.rule.lowest * 2**self.rule.guard, self.rule.highest * 2**self.rule.guard
        return min(max(weight, low), high)

    def product(self, term: Term, posts: list[list[int]], target: int, source: int, weight: int, reward: int) -> int:
        def value(factor: Factor) -> int:
            found = {
                "weight": weight,
                "reward": reward,
                "pre": self.pre.values[factor.trace][source] if factor.variable == "pre" else 0,
                "post": posts[factor.trace][target] if factor.variable == "post" else 0,
                "most pre": max(self.pre.values[factor.trace]) if factor.variable == "most pre" else 0,
                "most post": max(posts[factor.trace]) if factor.variable == "most post" else 0,
            }[factor.variable]
            quotient, remainder = divmod(found, factor.divisor)
            return factor.gain * (quotient + (remainder > 0)) + factor.offset

        result = term.rate
        for factor in term.factors:
            result *= value(factor)
        return result // max(value(term.per), 1) if term.per else result

    def finish(self, count: int) -> None:
        """After a sample."""
        if self.rule.normalisation and not self.rule.normalisation.every:
            self.normalise(count)

    def normalise(self, count: int) -> None:
        rule = self.rule
        assert rule.normalisation
        for target, row in enumerate(self.weights):
            if sum(row) > 0 and (target in self.marked or not rule.normalisation.spiking):
                scale = min(rule.normalisation.total * 4096 // sum(row), 65535)
                for source, weight in enumerate(row):
                    index = target * len(row) + source
                    rest = drawn(rule.seed, 2 * count + 1, index, 12) if rule.stochastic else 2048
                    row[source] = self.held((weight * scale + rest) // 4096)
        self.marked.clear()
