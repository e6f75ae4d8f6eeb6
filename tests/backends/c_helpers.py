"""Networks that use every part of the C backend, and the steps from a network to the run of its program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.backends.base import Batch, Job
from snncc.backends.c import BACKEND
from snncc.chip import Chip
from snncc.graph import Edge, Graph
from snncc.integers import (
    Adapt,
    Current,
    Decay,
    Fire,
    HardReset,
    IntOp,
    Membrane,
    Network,
    Output,
    Population,
    Register,
    SoftReset,
    Source,
    Synapse,
)
from snncc.linear import Conv, Dense, LinearMap, to_sparse
from snncc.semantics import run

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
WIDE = Register(-(1 << 23), (1 << 23) - 1)


def chip(*flags: str, command: str = "cc") -> Chip:
    """The host, with strict warnings and flags of the test's own."""
    return replace(chips.load("host"), compiler=chips.Compiler(command, (*STRICT, *(flags or ("-O1",)))))


def emitted(network: Network, title: str = "a model") -> Mapping[str, bytes]:
    return BACKEND.emit(Job(title, network, prove(network, 12), chip()))


@contextmanager
def placed(files: Mapping[str, bytes]) -> Iterator[Path]:
    with TemporaryDirectory() as scratch:
        for name, content in files.items():
            Path(scratch, name).write_bytes(content)
        yield Path(scratch)


def differences(network: Network, x: Array, lengths: Array | None = None, on: Chip | None = None) -> list[str]:
    """The outputs and populations that differ from the reference; `x` is (samples, steps, *shape)."""
    own = np.full(len(x), x.shape[1]) if lengths is None else lengths
    expected = run(network, x, lengths=own, record=tuple(network.of_kind(Population)))
    with placed(emitted(network)) as folder:
        batch = Batch(x.reshape(*x.shape[:2], -1), own)
        found = BACKEND.run(folder, network, on or chip(), batch, True).trace
    wrong: list[str] = []
    for kind in ("outputs", "spikes", "membranes"):
        ours, theirs = getattr(found, kind), getattr(expected, kind)
        assert set(ours) == set(theirs)
        assert all(each.dtype == np.int64 for each in ours.values())
        wrong += [f"{kind} {name}" for name in theirs if not np.array_equal(ours[name], theirs[name])]
    return wrong


def chained(source: Source, layers: Mapping[str, tuple[LinearMap, Population]], output: str = "spikes") -> Network:
    """Each layer reads the one before; its synapse is called `to NAME`, and the last one has the output `out`."""
    ops: dict[str, IntOp] = {"input": source}
    edges: list[Edge] = []
    last = "input"
    for name, (linear, population) in layers.items():
        ops |= {f"to {name}": Synapse(linear), name: population}
        edges += [Edge(last, f"to {name}"), Edge(f"to {name}", name)]
        last = name
    ops["out"] = Output(output, "before", "count")  # pyright: ignore[reportArgumentType]
    return Graph(ops, [*edges, Edge(last, "out")])


def lif(shape: tuple[int, ...], threshold: int = 60) -> Population:
    return Population(shape, Membrane(Decay(np.int64(410), 12, "nearest"), WIDE), Fire(np.int64(threshold), True))


def small() -> Network:
    """The network of the golden files: a layer that adapts its code to many records, and a plain read-out."""
    rng = np.random.default_rng(3)
    hidden = replace(
        lif((6,)),
        reset=SoftReset(np.int64(60)),
        current=Current(Decay(np.int64(1024), 12, "zero"), Register(-200, 199)),
        refractory=1,
    )
    weights = [rng.integers(-40, 90, shape).astype(np.int8) for shape in ((6, 8), (6, 6), (3, 6))]
    ops: dict[str, IntOp] = {
        "input": Source((8,)),
        "fc1": Synapse(Dense(weights[0])),
        "hidden": hidden,
        "recurrent": Synapse(Dense(weights[1])),
        "fc2": Synapse(Dense(weights[2])),
        "readout": replace(lif((3,)), fire=None),
        "scores": Output("membrane", "after", "last"),
    }
    pairs = [("input", "fc1"), ("fc1", "hidden"), ("recurrent", "hidden"), ("hidden", "fc2"), ("fc2", "readout")]
    edges = [Edge(*pair) for pair in pairs]
    return Graph(ops, [*edges, Edge("hidden", "recurrent", 1), Edge("readout", "scores")])


def rich() -> Network:
    """Graded signed images through every kernel, with delays, late starts and every record of a population."""
    rng = np.random.default_rng(5)

    def whole(low: int, high: int, *shape: int) -> Array:
        return rng.integers(low, high, shape, endpoint=True)

    narrow, wrapping = Register(-128, 127), Register(-300, 299, "wrap")
    conv = Conv(whole(-9, 9, 4, 3, 3, 3), (3, 7, 6), (2, 1), (1, 0, 1, 2))
    pool = Conv(whole(0, 3, 4, 1, 2, 2), conv.out_shape, (2, 2), (0, 0, 0, 0), (1, 2), groups=4)
    size, pooled = conv.out_size, pool.out_size
    thin = to_sparse(Dense(np.where(rng.random((300, pooled)) < 0.05, whole(-90, 90, 300, pooled), 0)))
    image = Population(
        conv.out_shape,
        Membrane(
            Decay(whole(0, 9, 4, 1, 1), 4, "floor"), narrow, whole(-3, 3, 4, 1, 1), np.int64(-70), whole(-9, 9, 4, 1, 1)
        ),
        Fire(whole(20, 50, *conv.out_shape), False, 3),
        SoftReset(whole(9, 20, 4, 1, 1), 1),
    )
    adapting = Population(
        pool.out_shape,
        Membrane(Decay(whole(0, 255, *pool.out_shape), 8, "zero"), wrapping),
        Fire(np.int64(15), True),
        SoftReset(np.int64(11), adaptive=True),
        Current(Decay(np.int64(77), 8, "nearest"), narrow, whole(-5, 5, *pool.out_shape)),
        Adapt(Decay(np.int64(9), 8, "floor"), Register(-64, 63, "wrap"), whole(-3, 9, *pool.out_shape)),
        start=1,
    )
    wide = Population(
        (300,),
        Membrane(Decay(np.int64(3), 30, "zero"), WIDE, np.int64(2)),
        Fire(np.int64(40), False),
        HardReset(np.int64(-4)),
        refractory=2,
        input_shift=3,
        start=3,
    )
    ops: dict[str, IntOp] = {
        "image": Source((3, 7, 6), 5, signed=True),
        "conv": Synapse(conv),
        "c": image,
        "pool": Synapse(pool, 1, whole(0, 2, size)),
        "p": adapting,
        "feedback": Synapse(Dense(whole(-9, 9, pooled, pooled))),
        "thin": Synapse(thin, 2),
        "skip": Synapse(Dense(whole(-2, 2, 300, 126)), 1),
        "w": wide,
        "spikes": Output("spikes", "after", "count", 3),
        "peak": Output("membrane", "before", "max", 1),
    }
    chain = ["image", "conv", "c", "pool", "p", "thin", "w", "spikes"]
    edges = [Edge(*pair, 1 if pair == ("c", "pool") else 0) for pair in pairwise(chain)]
    more = [
        Edge("p", "feedback", 2),
        Edge("feedback", "p"),
        Edge("image", "skip", 3),
        Edge("skip", "w"),
        Edge("p", "peak"),
    ]
    return Graph(ops, [*edges, *more])


def inputs(network: Network, samples: int = 4, steps: int = 8) -> tuple[Array, Array]:
    """Random frames, a third of them events, and the samples' own steps."""
    rng = np.random.default_rng(11)
    (source,) = network.of_kind(Source).values()
    shape = (samples, steps, *source.shape)
    x = rng.integers(source.lowest, source.highest, shape, endpoint=True)
    return np.where(rng.random(shape) < 0.3, x, 0), rng.integers(1, steps, samples, endpoint=True)
