"""Measures synaptic events per second on one core: of generated C kernels, and of the reference semantics.

The networks are emitted, built with the flags of `targets/host.toml` and driven by a small C loop that links the
generated `network.c` and `weights.c` as they are. The C figure counts a whole step, as a user gets it: finding the
events, adding the weights, updating the neurons. An event of a neuron with n nonzero synapses counts n.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.backends.base import Job
from snncc.backends.c import BACKEND
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, HardReset, Membrane, Network, Output, Population, Register, Source, Synapse
from snncc.linear import Conv, Dense, LinearMap, Sparse, to_sparse
from snncc.semantics import run

FRAMES = 32  # different frames of events, shown in turn

DRIVER = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "network.h"
static snn_state state;
static snn_input frames[%(frames)d][SNN_INPUTS];
int main(int argc, char **argv)
{
    FILE *file = fopen(argv[1], "rb");
    if (argc != 3 || !file || fread(frames, sizeof frames[0], %(frames)d, file) != %(frames)d)
        return 2;
    %(load)s
    const long steps = atol(argv[2]);
    struct timespec begin, end;
    snn_reset(&state);
    for (long step = 0; step < steps / 10; step++)
        snn_step(&state, frames[step %% %(frames)d]);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    for (long step = 0; step < steps; step++)
        snn_step(&state, frames[step %% %(frames)d]);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    long sum = 0;
    for (unsigned k = 0; k < %(outputs)d; k++)
        sum += snn_output_y(&state)[k];
    printf("%%.9f %%ld\\n", (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec), sum);
    return 0;
}
"""

LOAD = """static unsigned char content[SNN_WEIGHTS_BYTES];
    FILE *weights = fopen("weights.bin", "rb");
    if (!weights || fread(content, 1, sizeof content, weights) != sizeof content)
        return 2;
    if (snn_load_weights(content, sizeof content))
        return 2;"""


def network(shape: tuple[int, ...], linear: LinearMap) -> Network:
    """One layer of leaky neurons with a threshold that few of them reach."""
    register = Register(-(1 << 23), (1 << 23) - 1)
    membrane = Membrane(Decay(np.int64(400), 12, "nearest"), register)
    population = Population((linear.out_size,), membrane, Fire(np.int64(2000), True), HardReset())
    ops = {"x": Source(shape), "fc": Synapse(linear), "hidden": population, "y": Output("spikes", "after", "count")}
    return Graph(ops, [Edge("x", "fc"), Edge("fc", "hidden"), Edge("hidden", "y")])


def cases() -> Mapping[str, tuple[tuple[int, ...], LinearMap, float]]:
    """By name: the shape of the input, the map, and the share of inputs that are events in a step."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        return rng.integers(-127, 128, shape).astype(np.int8)

    def sparse(sources: int, targets: int, fan_out: int) -> Sparse:
        chosen = np.sort(rng.integers(0, targets, (sources, fan_out)), axis=1)
        indptr = np.arange(sources + 1) * fan_out
        unique = Sparse(indptr, chosen.reshape(-1), weights(sources * fan_out), targets)
        return to_sparse(unique)

    return {
        "dense 1000x1000, 10 % events": ((1000,), Dense(weights(1000, 1000)), 0.1),
        "dense 1000x1000, 1 % events": ((1000,), Dense(weights(1000, 1000)), 0.01),
        "dense 128x128, 10 % events": ((128,), Dense(weights(128, 128)), 0.1),
        "dense 4096x2500 (10 M weights), 5 % events": ((4096,), Dense(weights(2500, 4096)), 0.05),
        "conv 3x3 16->32 on 28x28, 10 % events": (
            (16, 28, 28),
            Conv(weights(32, 16, 3, 3), (16, 28, 28), padding=(1,) * 4),
            0.1,
        ),
        "conv 5x5 2->16 stride 2 on 34x34, 5 % events": (
            (2, 34, 34),
            Conv(weights(16, 2, 5, 5), (2, 34, 34), (2, 2), (2,) * 4),
            0.05,
        ),
        "csr 10000 -> 65536, fan-out 512, 10 % events": ((10000,), sparse(10000, 65536, 512), 0.1),
        "csr 4096 -> 4096, fan-out 128, 10 % events": ((4096,), sparse(4096, 4096, 128), 0.1),
    }


def fan_out(linear: LinearMap) -> Array:
    """Synapses per source neuron; zero weights of dense and convolutional maps count, as they are computed."""
    if isinstance(linear, Sparse):
        return np.diff(linear.indptr)
    if isinstance(linear, Dense):
        return np.full(linear.in_size, linear.out_size)
    ones = Conv(
        np.ones_like(linear.weight), linear.in_shape, linear.stride, linear.padding, linear.dilation, linear.groups
    )
    return np.diff(to_sparse(ones).indptr)


def measure_c(net: Network, frames: Array, events: float, runs: int) -> tuple[list[float], Mapping[str, float]]:
    """Synaptic events per second of each run, and how long emission and the C compiler took."""
    host = chips.load("host")
    assert host.compiler
    began = time.perf_counter()
    files = BACKEND.emit(Job("throughput", net, prove(net, 100), host))
    emitted = time.perf_counter() - began
    outputs = next(iter(net.of_kind(Population).values())).size
    loaded = "weights.bin" in files
    fill = {"frames": FRAMES, "outputs": outputs, "load": LOAD * loaded}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, content in files.items():
            folder.joinpath(name).write_bytes(content)
        folder.joinpath("driver.c").write_text(DRIVER % fill)
        folder.joinpath("frames.bin").write_bytes(frames.astype(np.uint8).tobytes())
        began = time.perf_counter()
        flags = [flag if flag != "-std=c99" else "-std=gnu99" for flag in host.compiler.flags]
        command = [host.compiler.command, *flags, "-o", "driver", "driver.c", "network.c", "weights.c"]
        subprocess.run(command, cwd=folder, check=True)
        compiled = time.perf_counter() - began
        rates: list[float] = []
        steps = FRAMES
        while len(rates) < runs:
            done = subprocess.run(["./driver", "frames.bin", str(steps)], cwd=folder, check=True, capture_output=True)
            seconds = float(done.stdout.split()[0])
            if seconds < 0.2:
                steps *= max(2, min(64, int(0.4 / max(seconds, 1e-6))))
                continue
            rates.append(events * steps / FRAMES / seconds)
    return rates, {"emit_seconds": round(emitted, 3), "cc_seconds": round(compiled, 3)}


def measure_reference(net: Network, frames: Array, events: float, runs: int) -> list[float]:
    """The same frames, as 16 samples at once, through `semantics.run`."""
    (source,) = net.of_kind(Source).values()
    x = np.broadcast_to(frames.reshape(1, FRAMES, *source.shape), (16, FRAMES, *source.shape))
    rates: list[float] = []
    for _ in range(runs):
        began = time.process_time()
        run(net, x)
        rates.append(16 * events / (time.process_time() - began))
    return rates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--only", default="", help="a part of the names of the cases to run")
    options = parser.parse_args()
    result: dict[str, Mapping[str, float]] = {}
    for name, (shape, linear, share) in cases().items():
        if options.only not in name:
            continue
        net = network(shape, linear)
        frames = np.random.default_rng(1).random((FRAMES, linear.in_size)) < share
        events = float((frames * fan_out(linear)).sum())
        rates, times = measure_c(net, frames, events, options.runs)
        figures = {"c_million_per_second": round(statistics.median(rates) / 1e6, 1), **times}
        if not options.no_reference:
            reference = measure_reference(net, frames, events, min(3, options.runs))
            figures["reference_million_per_second"] = round(statistics.median(reference) / 1e6, 1)
        result[name] = figures
        print(name, figures, file=sys.stderr)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
