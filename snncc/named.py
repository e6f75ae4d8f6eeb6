"""Which class each neuron of an output was named for, and the class that their spikes say: what learning without labels
answers with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Ints
from snncc.integers import Network, Synapse, learns

_MOST = 1 << 62
_MOST_CLASSES = 1 << 14


@dataclass(frozen=True)
class Named:
    """The class of each neuron, -1 for those without one, and all classes that were shown, the lowest first.

    Without classes nothing is known of what the neurons stand for.
    """

    neurons: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()

    def answers(self, scores: Ints) -> Ints | None:
        """The class of each sample, (samples,), by the scores (samples, neurons); None where nothing is known."""
        return classified(scores, np.array(self.neurons), np.array(self.classes)) if self.classes else None

    def faults(self, size: int) -> Iterator[str]:
        """Why the neurons of an output of such a size cannot be named so."""
        if self.neurons and not self.classes:
            yield "names neurons, and has no classes"
        elif self.classes and len(self.neurons) != size:
            yield f"names {len(self.neurons):,} neurons; the first output has {size:,}"
        if len(self.classes) > _MOST_CLASSES:
            yield f"has {len(self.classes):,} classes; {_MOST_CLASSES:,} are possible"
        if list(self.classes) != sorted(set(self.classes)) or not all(0 <= each < _MOST for each in self.classes):
            yield "has classes that are not in order"
        if not {-1, *self.classes}.issuperset(self.neurons):
            yield "names neurons for classes that there are not"


UNNAMED = Named()


def unlabelled(network: Network) -> bool:
    """Whether neurons find out by themselves what they answer to, as no reward tells all rules what is right."""
    found = [op.plasticity.reward for op in network.of_kind(Synapse).values() if op.plasticity]
    return learns(network) and not (found and all(found))


def neuron_classes(answers: Ints, labels: Ints, classes: Ints) -> Ints:
    """The class that each neuron answers most to, (neurons,); -1 for silent ones. Ties go to the lowest class."""
    means = np.stack([answers[labels == each].mean(axis=0) for each in classes])
    return np.where(means.max(axis=0) > 0, classes[means.argmax(axis=0)], -1)


def classified(scores: Ints, names: Ints, classes: Ints) -> Ints:
    """The class whose neurons spike most on average, for each sample; ties, and silence, go to the lowest class."""
    silent = np.zeros(len(scores))
    votes = [scores[:, names == each].mean(axis=1) if (names == each).any() else silent for each in classes]
    return classes[np.stack(votes, axis=1).argmax(axis=1)]
