"""How a core stores synapses: the forms of a block, and the words that it takes, as `targets/README.md` has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snncc.arrays import Array
from snncc.chip import Chip
from snncc.graph import Graph
from snncc.integers import IntOp, Network, Synapse
from snncc.linear import Conv, with_weight


@dataclass(frozen=True)
class Form:
    """How the blocks of one synapse group are stored; `width` bits a weight, `header_bits` in front of them.

    A shared group takes `axon_words` a block, and on each core the weights of the output channels that have neurons
    there: `channel_weights` each.
    """

    width: int
    shared: bool
    header_bits: int
    index_bits: int
    word_bits: int
    axon_words: int
    channel_weights: int


def form_of(synapse: Synapse, chip: Chip) -> Form:
    """How a chip of many cores stores a synapse group."""
    packing = chip.packing
    assert packing is not None, "a chip without cores"
    linear, rule = synapse.map, synapse.plasticity
    shared = isinstance(linear, Conv) and "convolution" in chip.capabilities
    return Form(
        stored_width(synapse, chip),
        shared,
        int(packing.header_bits.value) + sum(each.highest.bit_length() for each in (rule.pre if rule else ())),
        int(packing.index_bits.value),
        packing.word_bits,
        int(packing.shared_axon_words.value),
        int(linear.weight[0].size) if shared else 0,
    )


def stored_width(synapse: Synapse, chip: Chip) -> int:
    """The bits of a weight in a chip's memory; what needs a bit more than there are is never negative, and unsigned."""
    return own_width(synapse) if synapse.plasticity else min(own_width(synapse), chip.weight.bits)


def own_width(synapse: Synapse) -> int:
    """The bits that a weight needs; one that learns is stored with its guard bits, as what it is above the lowest."""
    if synapse.plasticity:
        low, high = synapse.plasticity.stored
        return (high - low).bit_length()
    return width_of(synapse.map.weight)


def filled(network: Network) -> Network:
    """The network as cores store it: of a group that learns every synapse is there, also one that begins with 0."""
    ops: dict[str, IntOp] = {
        name: replace(op, map=with_weight(op.map, np.ones(op.map.weight.shape, np.int8)))
        if isinstance(op, Synapse) and op.plasticity
        else op
        for name, op in network.ops.items()
    }
    return Graph(ops, network.edges)


def width_of(weight: Array) -> int:
    """The fewest bits that hold all weights as signed numbers."""
    least, most = int(weight.min(initial=0)), int(weight.max(initial=0))
    return max(most.bit_length(), (~least).bit_length() if least < 0 else 0) + 1


def stored_words(form: Form, synapses: Array, span: Array) -> Array:
    """Words of memory of blocks with so many synapses, over so many neurons from the first to the last."""
    if form.shared:
        return np.full(synapses.shape, form.axon_words, np.int64)
    wide = synapses.astype(np.int64), span.astype(np.int64)
    return block_words(*wide, form.width, form.header_bits, form.index_bits, form.word_bits)


def block_words(synapses: Any, span: Any, width: int, header_bits: int, index_bits: int, word_bits: int) -> Any:
    """Words of a block that is not shared, in the smaller of the sparse and the dense form; for arrays or numbers."""
    bits = header_bits + np.minimum(synapses * (width + index_bits), span * width)
    return (bits + (word_bits - 1)) // word_bits


def is_dense(form: Form, synapses: Array, span: Array) -> Array:
    """Whether a block that is not shared takes the dense form."""
    return span * np.int64(form.width) <= synapses * np.int64(form.width + form.index_bits)


def kernel_words(form: Form, channels: int) -> int:
    """Words that the shared weights of so many output channels take on a core."""
    return -(-channels * form.channel_weights * form.width // form.word_bits)
