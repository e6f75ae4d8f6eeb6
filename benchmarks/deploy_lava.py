"""What `snncc deploy` costs beside Lava itself: 100 digits, against a program with the same processes written by hand.

    python benchmarks/deploy_lava.py [--samples 100] [--runs 3]

The program by hand (`BY_HAND`, below) is what a user of Lava would write: a source, Dense, LIFReset, Dense, LIFReset
and a sink, all of Lava's own, in one run. It is timed as a process, from its start to its end, in the environment that
snncc made; so is `snncc deploy`, whose artefact does the same and checks, aligns and reports besides. The two take
turns; the figures are medians. Beside wall time there is the processors' time of all processes, which a busy machine
disturbs less, and `load`: how many processes ran or waited to, on average over the last minute.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

import snncc
from snncc.backends.lava.environment import environment

ROOT = Path(__file__).parents[1]
MODEL, DATA = ROOT / "models" / "digits_stock.onnx", ROOT / "models" / "digits_stock.npz"
SAMPLES = ROOT / "models" / "digits_stock.samples.npz"

BY_HAND = """
import sys
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIFReset

folder, steps = Path(sys.argv[1]), int(sys.argv[2])
x, first, second = (np.load(folder / name) for name in ("x.npy", "w0.npy", "w1.npy"))
p = {name: int(value) for name, value in (each.split("=") for each in sys.argv[3:])}
total = x.shape[1]
source, sink = Source(data=x), Sink(shape=(len(second),), buffer=total)
fc1 = Dense(weights=first, weight_exp=p["e0"], num_message_bits=8)
lif1 = LIFReset(
    shape=(len(first),), du=4095, dv=p["dv0"], vth=p["vth0"], reset_interval=steps, reset_offset=2
)
fc2 = Dense(weights=second, weight_exp=p["e1"])
lif2 = LIFReset(
    shape=(len(second),), du=4095, dv=p["dv1"], vth=p["vth1"], reset_interval=steps, reset_offset=3
)
source.s_out.connect(fc1.s_in)
fc1.a_out.connect(lif1.a_in)
lif1.s_out.connect(fc2.s_in)
fc2.a_out.connect(lif2.a_in)
lif2.s_out.connect(sink.a_in)
try:
    lif2.run(condition=RunSteps(num_steps=total), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    np.save(folder / "out.npy", sink.data.get())
finally:
    lif2.stop()
"""


def parameters(program: snncc.Program, folder: Path, samples: int) -> tuple[list[str], int]:
    """What the program by hand needs, and the steps of a sample; its input has two steps more, as spikes are late."""
    from snncc.backends.lava.plan import Plan

    plan, found = Plan(program.network, program.proof), list[str]()
    for number, (connection, cells) in enumerate(zip(plan.connections, plan.cells, strict=True)):
        assert cells.stock
        np.save(folder / f"w{number}.npy", connection.arrays["weights"].astype(np.int32))
        found += [
            f"e{number}={connection.weight_exp}",
            f"dv{number}={cells.stock.dv}",
            f"vth{number}={cells.stock.vth}",
        ]
    data = program.data(DATA, limit=samples)
    x = np.clip(np.rint(data.x.reshape(len(data.x), -1) / program.source.scale), 0, program.source.highest)
    steps = data.steps
    frames = np.repeat(x.astype(np.int32), steps, axis=0)
    np.save(folder / "x.npy", np.concatenate([frames, np.zeros((2, frames.shape[1]), np.int32)]).T)
    return [str(steps), *found], steps


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds of wall time, and of all processors."""
    begun, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begun, busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    python = str(environment(notice=print).python)
    command = shutil.which("snncc", path=str(Path(sys.executable).parent)) or "snncc"
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        program = snncc.compile(MODEL, "loihi2", samples=SAMPLES, stock_only=True)
        program.write(folder / "program")
        arguments, steps = parameters(program, folder, options.samples)
        (folder / "by_hand.py").write_text(BY_HAND)
        hand = [python, str(folder / "by_hand.py"), str(folder), *arguments]
        ours = [command, "deploy", str(folder / "program"), "--input", str(DATA), "--limit", str(options.samples)]
        pairs = [(timed(hand), timed([*ours, "--record", str(folder / "ours.npz")])) for _ in range(options.runs)]
        out = np.load(folder / "out.npy")[:, 2:].T.reshape(options.samples, steps, -1)
        with np.load(folder / "ours.npz") as kept:
            same = bool(np.array_equal(out, kept[kept.files[0]]))
    result: dict[str, float] = {"samples": options.samples, "same": same, "load": os.getloadavg()[0]}
    for index, kind in enumerate(("wall", "processor")):
        by_hand, deployed = (median(each[index] for each in runs) for runs in zip(*pairs, strict=True))
        result |= {f"by_hand_{kind}": by_hand, f"deploy_{kind}": deployed, f"ratio_{kind}": deployed / by_hand}
    print(json.dumps({name: round(value, 3) for name, value in result.items()}))


if __name__ == "__main__":
    main()
