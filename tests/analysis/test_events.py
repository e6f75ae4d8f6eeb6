"""What happens on a chip is counted from spikes alone as the chip itself counts it, on random chips and networks."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings

from snncc.analysis.costs import FORMS
from snncc.analysis.events import Events, events, paths
from snncc.analysis.proof import prove
from snncc.backends.base import Batch, Job
from snncc.backends.chip.counts import counts
from snncc.backends.chip.emit import emit
from snncc.backends.chip.image import contents, parsed
from snncc.backends.chip.machine import run
from snncc.backends.chip.memory import footprint
from snncc.backends.chip.run import load
from snncc.integers import Population, Source
from snncc.mapping import Mapping
from snncc.passes.route import route
from snncc.semantics import run as reference
from tests.backends.chip.random_chips import Setup, setups


def forecast(setup: Setup, mapping: Mapping) -> Events:
    """From the spikes of the reference."""
    network, lengths = setup.network, setup.lengths
    ((name, source),) = network.of_kind(Source).items()
    live = np.arange(setup.x.shape[1]) < lengths[:, None]
    x = setup.x * live[:, :, None]
    trace = reference(
        network, x.reshape(*x.shape[:2], *source.shape), lengths=lengths, record=tuple(network.of_kind(Population))
    )
    return events(network, setup.chip, paths(network, setup.chip, mapping), {name: x, **trace.spikes}, lengths)


def agrees(examples: int) -> None:
    @settings(max_examples=examples)
    @given(setups())
    def same(setup: Setup) -> None:
        mapping = route(setup.network, setup.placement)
        job = Job("random", setup.network, prove(setup.network), setup.chip, mapping)
        with TemporaryDirectory() as scratch:
            for name, content in emit(job).items():
                (Path(scratch) / name).write_bytes(content)
            stored = stored_bytes(Path(scratch), setup)
            machine = load(Path(scratch), setup.network, setup.chip)
        assert {each.name: each.bytes for each in footprint(job).sections if each.memory == "synapses"} == stored
        run(machine, Batch(setup.x, setup.lengths), record=False)
        counted, found = counts(machine), forecast(setup, mapping)
        hops = counted["hops"].sum(axis=0)
        assert found.counts == {
            "neuron": counted["neurons"].sum(),
            "spike": counted["spikes"].sum(),
            "packet": counted["packets"].sum(),
            "delivery": counted["deliveries"].sum(),
            **{f"synapse_{form}": counted["synapses"][:, k].sum() for k, form in enumerate(FORMS)},
            "hop_horizontal": hops[1] + hops[3],
            "hop_vertical": hops[0] + hops[2],
        }
        assert found.cycles <= counted["cycles"][0]

    same()


def stored_bytes(folder: Path, setup: Setup) -> dict[str, int]:
    """The words of the blocks of an artefact by group, with the kernels that cores hold, in bytes."""
    image, packing = parsed(contents(folder)), setup.chip.packing
    assert packing
    shared = image.blocks.form == FORMS.index("shared")
    each = np.where(shared, int(packing.shared_axon_words.value), image.blocks.words)
    each[image.starts[image.axons[-2]] :] = 0  # what the host holds is not on the chip
    found: dict[str, int] = {}
    for number, group in enumerate(image.groups):
        target = image.senders[group.target]
        words = int(each[image.blocks.group == number].sum())
        if group.kernel is not None and target.cores is not None:
            by_channel = target.cores.reshape(len(group.kernel.weight), -1)
            for core in np.unique(target.cores):
                channels = int((by_channel == core).any(axis=1).sum())
                words += -(-channels * group.kernel.weight[0].size * group.width // packing.word_bits)
        found[group.name] = -(-words * packing.word_bits // 8)
    return found


def test_events_bytes_and_a_bound_of_time_are_those_of_the_chip() -> None:
    agrees(25)


@pytest.mark.slow
def test_events_are_those_of_many_random_chips() -> None:
    agrees(500)
