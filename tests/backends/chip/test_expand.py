"""What a shared kernel adds, written out as runs, is what the convolution's synapses add."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snncc.arrays import Array
from snncc.backends.chip.expand import expand
from snncc.backends.chip.layout import lanes, places
from snncc.linear import Conv, conv_triples, with_weight

CORES = 5


@st.composite
def convolutions(draw: Any) -> Conv:
    """Any geometry that leaves a window; one weight in three is 0."""
    groups, per_group = draw(st.sampled_from((1, 1, 2, 3))), draw(st.integers(1, 2))
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    kernel, dilation = [], []
    for size in (height + padding[0] + padding[2], width + padding[1] + padding[3]):
        kernel.append(draw(st.integers(1, min(4, size))))
        dilation.append(draw(st.integers(1, max(1, (size - 1) // max(kernel[-1] - 1, 1)))))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    shape = groups * draw(st.integers(1, 3)), per_group, *kernel
    weight = random.integers(-5, 6, shape).astype(np.int8) * (random.random(shape) < 2 / 3)
    return Conv(weight, (groups * per_group, height, width), stride, padding, (dilation[0], dilation[1]), groups)


@st.composite
def placed(draw: Any) -> tuple[Conv, Array]:
    """A convolution, and the core of each of its targets: thrown about, in tiles, or by channel."""
    conv = draw(convolutions())
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    channels, height, width = conv.out_shape
    kind = draw(st.sampled_from(("anywhere", "rows", "channels", "one")))
    home = {
        "anywhere": random.integers(0, CORES, conv.out_size),
        "rows": np.broadcast_to(np.arange(height)[:, None] % CORES, conv.out_shape).reshape(-1),
        "channels": np.repeat(np.arange(channels) % CORES, height * width),
        "one": np.full(conv.out_size, 3),
    }
    return conv, home[kind].astype(np.int32)


@given(placed(), st.integers(0, 100))
def test_runs_hold_the_synapses_of_the_convolution(case: tuple[Conv, Array], offset: int) -> None:
    conv, home = case
    (place,) = places([home], CORES)
    assert place is not None
    own = lanes(place, conv.out_shape)
    sources, targets, weights = conv_triples(conv)
    blocks = sorted({(int(home[target]), int(source)) for source, target in zip(sources, targets, strict=True)})
    cores, senders = (np.array([block[part] for block in blocks], np.int64) for part in (0, 1))
    found = expand(conv, senders, cores, place, own, offset)
    expected: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for source, target, weight in zip(sources.tolist(), targets.tolist(), weights.tolist(), strict=True):
        expected[int(home[target]), source][int(own[target])] = weight
    assert len(found.starts) == len(blocks) + 1
    for number, block in enumerate(blocks):
        added: dict[int, int] = {}
        for run in found.runs[found.starts[number] : found.starts[number + 1]]:
            for k in range(run["count"]):
                assert run["lane"] + k not in added
                added[run["lane"] + k] = int(found.weights[run["first"] + k - offset])
        assert {lane: weight for lane, weight in added.items() if weight} == expected[block]
        assert {int(home[np.flatnonzero(own == lane)[0]]) for lane in added} <= {block[0]}


def test_a_row_of_the_kernel_is_one_run_where_its_targets_are_together() -> None:
    conv = Conv(np.ones((8, 3, 5, 5), np.int8), (3, 9, 9), padding=(2, 2, 2, 2))
    (place,) = places([np.zeros(conv.out_size, np.int32)], 1)
    assert place is not None
    middle = np.array([4 * 9 + 4])
    found = expand(conv, middle, np.zeros(1, np.int64), place, lanes(place, conv.out_shape), 0)
    assert found.runs["count"].tolist() == [40] * 5


def test_cores_with_the_same_channels_share_their_weights() -> None:
    conv = Conv(np.arange(4 * 9, dtype=np.int8).reshape(4, 1, 3, 3), (1, 6, 6))
    rows = np.broadcast_to(np.arange(4)[:, None] % 2, (4, 4, 4)).reshape(-1).astype(np.int32)
    channels = np.repeat([0, 0, 1, 1], 16).astype(np.int32)
    for home, kernels in ((rows, 1), (channels, 1)):
        (place,) = places([home], 2)
        assert place is not None
        cores = np.repeat([0, 1], 36)
        found = expand(conv, np.tile(np.arange(36), 2), cores, place, lanes(place, conv.out_shape), 0)
        assert len(found.weights) == kernels * conv.weight.size
    assert with_weight(conv, conv.weight).out_size == 64
