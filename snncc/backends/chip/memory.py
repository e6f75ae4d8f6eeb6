"""What a network takes of the memories of a chip of many cores: the words of its synapses, and its registers."""

from __future__ import annotations

from collections.abc import Iterator

from snncc.analysis.reports import report
from snncc.analysis.usage import words_of
from snncc.backends.base import Footprint, Job, Section
from snncc.chip import Chip
from snncc.integers import Network, Synapse
from snncc.mapping import cores_of


def footprint(job: Job) -> Footprint:
    """The synapses of each group, in whole words on all cores together; and the registers of all neurons.

    Of the latter a chip's file says how many neurons have room, not how many bytes.
    """
    chip, mapping = job.chip, job.mapping
    assert mapping is not None, "a network that is not mapped"
    assert chip.packing is not None, "a chip without cores"
    assert chip.core is not None
    assert chip.mesh is not None
    there = cores_of(chip.mesh) * int(chip.core.synapse_words.value) * chip.packing.word_bits // 8
    groups = tuple(
        Section("synapses", name, _bytes(int(words_of(job.network, chip, mapping, name).sum()), chip), "exact", learns)
        for name, op in job.network.of_kind(Synapse).items()
        for learns in [op.plasticity is not None]
    )
    state = report(job.network, job.proof).state_bytes
    registers = Section("state", "registers", state, "exact"), *_traces(job.network)
    return Footprint((*groups, *registers), {"synapses": there})


def _traces(network: Network) -> Iterator[Section]:
    """The traces of targets; those of sources are stored in front of weights."""
    for name, op in network.of_kind(Synapse).items():
        bits = op.plasticity.target_bits if op.plasticity else 0
        if bits:
            yield Section("state", f"traces of {name}", -(-bits * op.map.out_size // 8), "exact", plastic=True)


def _bytes(words: int, chip: Chip) -> int:
    assert chip.packing is not None
    return -(-words * chip.packing.word_bits // 8)
