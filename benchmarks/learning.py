"""Measures learning without labels: accuracy, classes one after another, operations, and speed beside BindsNET.

    python benchmarks/learning.py static ../shared/data/mnist
    python benchmarks/learning.py static FOLDER --rate 0.1           with train-*.gz and t10k-*.gz of Fashion-MNIST
    python benchmarks/learning.py dynamic ../shared/data/mnist       one class after another
    python benchmarks/learning.py mechanisms ../shared/data/mnist --bits 8
    python benchmarks/learning.py emulated ../shared/data/mnist --train 600 --neurons 100    instructions on a Cortex-M4
    python benchmarks/learning.py speed ../shared/data/mnist --bindsnet PYTHON

Each prints one line of JSON a run, and one for all seeds of a network. `mechanisms` goes from the baseline to SpikeDyn,
one change a row. Of MNIST's ten thousand test images 8,000 are learnt and 1,000 tested; 1,000 others are for choosing
numbers (learning_tune.py). Programs run as C on this computer. `speed` runs both in turn, and divides samples by CPU
seconds, those of child processes included.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from snncc import classics, compiler, rules, training
from snncc.analysis.costs import Took
from snncc.arrays import Array
from snncc.backends.base import Batch
from snncc.courses import Course
from snncc.data import Data
from snncc.plasticity import untaught
from snncc.program import Program
from snncc.runner import Trace
from snncc.spike_draws import encoded
from snncc.training import Progress, learn
from snncc.workload import Work

STEPS = 100
BINDSNET = Path(__file__).with_name("learning_bindsnet.py")


@dataclass(frozen=True)
class Row:
    """What learns: a kind of network, its rule's text, and the strength of its inhibition if it is not the usual."""

    label: str
    kind: str
    rule: str
    inhibition: float | None = None


def text_of(name: str, *changes: tuple[str, str]) -> str:
    """A shipped rule with parts of its text replaced."""
    text = rules.text_of(name)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


BASELINE = Row("Diehl and Cook", "diehl-cook", text_of("diehl-cook"))
PAIRS = Row("Diehl and Cook, pair STDP and numbers as BindsNET's", "diehl-cook", text_of("pair-stdp"), 1.35)
SPIKEDYN = Row("SpikeDyn's arrangement", "spikedyn", text_of("spikedyn"))
NETWORKS = (SPIKEDYN, BASELINE, PAIRS)
ALL = ('normalise_targets = "spiking"\n', "")
SLOW = (("jump = 0.024", "jump = 0.0088"), ("decay = 0.00013", "decay = 0.00012"), ALL)
KEPT = ('[term.decay]\non = "period"\ndown = 0.01\nfactors = ["fired", "w"]\n\n', "")
UNCOUNTED = ((', "ceil(most posts / 8)"', ""), ('[trace.posts]\nof = "post"\nkind = "count"\n\n', ""))
DEPRESS = (
    "[threshold]",
    '[trace.y]\nof = "post"\nkind = "latest"\ntime_constant = 20.0\n\n'
    '[trace.pres]\nof = "pre"\nkind = "count"\n\n'
    '[term.depression]\non = "period"\ndown = 0.0001\nfactors = ["y", "1 - fired", "most posts"]\nper = "most pres"\n\n'
    "[threshold]",
)
FAST = text_of("diehl-cook", ("jump = 0.0088 ", "jump = 0.024 "))
MECHANISMS = (
    BASELINE,
    replace(BASELINE, label="direct lateral inhibition, as strong", kind="spikedyn", inhibition=3.5),
    replace(BASELINE, label="and of 2.7 thresholds", kind="spikedyn"),
    Row("and an update every 5 steps", "spikedyn", text_of("spikedyn", *SLOW, KEPT, *UNCOUNTED)),
    Row("and rates that follow the activity", "spikedyn", text_of("spikedyn", *SLOW, KEPT)),
    Row("and decay of weights into neurons that spiked", "spikedyn", text_of("spikedyn", *SLOW)),
    Row("and thresholds that grow 2.7 times as fast", "spikedyn", text_of("spikedyn", ALL)),
    replace(SPIKEDYN, label="and only weights into neurons that spiked are normalised: as shipped"),
    Row("as shipped, without decay of weights", "spikedyn", text_of("spikedyn", KEPT)),
    Row("as shipped, with depression of silent targets", "spikedyn", text_of("spikedyn", DEPRESS)),
    replace(BASELINE, label="baseline with thresholds that grow as fast as SpikeDyn's", rule=FAST),
    replace(BASELINE, label="baseline with inhibition as BindsNET's", inhibition=1.35),
    PAIRS,
)


def images(folder: Path, part: str) -> tuple[Array, Array]:
    """Pictures (samples, 784) and labels of the files as Yann LeCun has them."""
    x, y = (
        gzip.decompress((folder / f"{part}-{kind}-ubyte.gz").read_bytes()) for kind in ("images-idx3", "labels-idx1")
    )
    return np.frombuffer(x, np.uint8, offset=16).reshape(-1, 784), np.frombuffer(y, np.uint8, offset=8).astype(np.int64)


def split(folder: Path, part: str, seed: int, train: int | None, test: int | None) -> tuple[Data, Data]:
    """Samples to learn, in an order by the seed, and those of the `part` that judges; which is which never changes.

    Of one file's ten thousand 8,000 are for training, 1,000 for validation and 1,000 for the test. Where there are two
    files, the test is the second; the first is for training, but for 1,000 while validation judges.
    """
    two = (folder / "train-images-idx3-ubyte.gz").exists()
    x, y = images(folder, "train" if two else "t10k")
    shuffled = np.random.default_rng(0).permutation(len(x))
    ends = (len(x) - 1000, len(x)) if two else (8000, 9000)
    taught, judging = shuffled[: ends[0]], _data(x, y, shuffled[ends[0] : ends[1]][:test])
    if part == "test" and two:
        taught, judging = shuffled, _data(*images(folder, "t10k"), np.arange(10_000)[:test])
    elif part == "test":
        judging = _data(x, y, shuffled[9000:][:test])
    return _data(x, y, np.random.default_rng([seed, 1]).permutation(taught)[:train]), judging


def _data(x: Array, y: Array, rows: Array) -> Data:
    return Data(x[rows], np.full(len(rows), STEPS), y[rows])


def program_of(row: Row, neurons: int, bits: int, seed: int, target: str = "host") -> Program:
    shape = classics.Shape(784, neurons, bits, seed, STEPS, inhibition=row.inhibition)
    text = re.sub(r"(?m)^bits = 8$", f"bits = {bits}", row.rule, count=1)
    made = compiler.compile(replace(classics.make(row.kind, shape), learn={"synapses": text}), target, seed=seed)
    assert isinstance(made, Program)
    return made


def uncounted(school: Any, batch: Batch) -> tuple[Trace, Work, Took]:
    """A batch of samples without their operations: what counts these reads every spike, and takes most of the time."""
    program = school.program
    return program.backend.run(school.artefact, program.network, program.chip, batch, False).trace, Work(), Took()


def learnt(row: Row, bits: int, given: argparse.Namespace, seed: int, dynamic: bool) -> Progress:
    """A seed is that of the first weights, of the order of samples, of spikes, and of how weights are rounded."""
    if not given.count:
        training._School.run = uncounted  # noqa: SLF001  the only way in; accuracies are the same
    train, test = split(given.folder, given.part, seed, given.train, given.test)
    course = Course(STEPS, given.rate, dynamic=dynamic, seed=seed)
    with TemporaryDirectory() as scratch:
        return learn(program_of(row, given.neurons, bits, seed), train, test, course, Path(scratch))


def static(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for number in given.rows or range(len(NETWORKS)):
        yield from by_seed(NETWORKS[number], given, dynamic=False)


def dynamic(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for number in given.rows or range(len(NETWORKS)):
        yield from by_seed(NETWORKS[number], given, dynamic=True)


def mechanisms(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for number in given.rows or range(len(MECHANISMS)):
        yield from by_seed(MECHANISMS[number], given, dynamic=True)


def by_seed(row: Row, given: argparse.Namespace, dynamic: bool) -> Iterator[dict[str, Any]]:
    """A run a seed, and after them what is common to them."""
    for bits in given.bits:
        found: list[dict[str, Any]] = []
        for seed in given.seeds:
            at = learnt(row, bits, given, seed, dynamic)
            found.append(one_after_another(at) if dynamic else {"accuracy": at.exams[-1].overall, **operations(at)})
            yield {"network": row.label, "bits": bits, "seed": seed, **found[-1]}
        yield {"network": row.label, "bits": bits, "seeds": len(found), **summary(found)}


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean over seeds of each accuracy, and the least and the greatest of them."""
    keys = [key for key, value in found[0].items() if isinstance(value, float)]
    columns = {key: [each[key] for each in found] for key in keys}
    return {key: {"mean": float(np.mean(c)), "least": min(c), "greatest": max(c)} for key, c in columns.items()}


def one_after_another(at: Progress) -> dict[str, Any]:
    """Accuracy of the newest class and of all earlier ones, means over the tests after each class, and in the end."""
    newest = [exam.accuracy[exam.newest] for exam in at.exams if exam.newest is not None]
    earlier = [exam.earlier for exam in at.exams[1:] if exam.earlier is not None]
    found = {"newest": float(np.mean(newest)), "earlier": float(np.mean(earlier)), "all": at.exams[-1].overall}
    return {**found, "newest of each": newest, "earlier of each": earlier, **operations(at)}


def operations(at: Progress) -> dict[str, Any]:
    """Per sample, by kind, if they were counted."""
    if not at.learning.samples:
        return {}
    return {"learning": per_sample(at.learning), "testing": per_sample(at.testing)}


def per_sample(work: Work) -> dict[str, float]:
    kinds = {key: value / work.samples for key, value in asdict(work).items() if key != "samples"}
    return {**kinds, "total": work.total / work.samples}


def emulated(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Instructions of a sample on a Cortex-M4, to learn it and to answer, after the host has learnt `train` samples."""
    for row in (SPIKEDYN, BASELINE, PAIRS):
        known = learnt(row, 4, given, 0, dynamic=False).learnt
        program = program_of(row, given.neurons, 4, 0, "cortex-m4")
        _, test = split(given.folder, given.part, 0, given.train, given.test)
        x = encoded(test.x[: given.emulated] / 255.0, np.arange(given.emulated), *Course(STEPS).draws)
        counts: dict[str, float] = {}
        with program.placed() as artefact:
            for name, frozen in (("learning", False), ("answering", True)):
                batch = Batch(x, np.full(len(x), STEPS), known, frozen=frozen)
                result = program.backend.run(artefact, program.network, program.chip, batch, False)
                counts[name] = result.figures["counted"] / len(x)
        yield {"network": row.label, "neurons": given.neurons, **counts}


def speed(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Samples learnt in a CPU second: by these programs and by BindsNET, in turns."""
    programs = {row.label: program_of(row, given.neurons, 8, 0) for row in (SPIKEDYN, BASELINE, PAIRS)}
    train, _ = split(given.folder, given.part, 0, given.train, given.test)
    spent: dict[str, float] = dict.fromkeys([*programs, "BindsNET"], 0.0)
    counts = dict.fromkeys(spent, 0)
    for turn in range(given.turns):
        for label, program in programs.items():
            seconds, samples = own_turn(program, train, 500, turn)
            spent[label], counts[label] = spent[label] + seconds, counts[label] + samples
        seconds, samples = their_turn(given, train, 40)
        spent["BindsNET"], counts["BindsNET"] = spent["BindsNET"] + seconds, counts["BindsNET"] + samples
    for label, seconds in spent.items():
        yield {"network": label, "neurons": given.neurons, "samples a CPU second": counts[label] / seconds}


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def own_turn(program: Program, train: Data, samples: int, turn: int) -> tuple[float, int]:
    """Encoding, and a run of the program, which is built before."""
    rows = np.arange(samples) + turn * samples
    known = untaught(program.network)
    with program.placed() as artefact:
        for timed in (slice(0, 1), slice(0, samples)):
            begun = cpu_seconds()
            x = encoded(train.x[rows[timed]] / 255.0, rows[timed], *Course(STEPS).draws)
            batch = Batch(x, np.full(len(x), STEPS), known)
            program.backend.run(artefact, program.network, program.chip, batch, False)
    return cpu_seconds() - begun, samples


def their_turn(given: argparse.Namespace, train: Data, samples: int) -> tuple[float, int]:
    with TemporaryDirectory() as scratch:
        path = Path(scratch, "x.npy")
        np.save(path, train.x[:samples])
        command = [given.bindsnet, str(BINDSNET), str(path), str(given.neurons), str(STEPS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1]), samples


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    measures = {each.__name__: each for each in (static, dynamic, mechanisms, emulated, speed)}
    parser.add_argument("measure", choices=measures)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--neurons", type=int, default=400)
    parser.add_argument("--train", type=int, help="samples, all if not given")
    parser.add_argument("--test", type=int, help="samples, all if not given")
    parser.add_argument("--part", choices=("validation", "test"), default="test", help="what judges")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--bits", type=int, nargs="*", default=[8, 4])
    parser.add_argument("--rate", type=float, default=0.25, help="how likely a white pixel spikes in a step")
    parser.add_argument("--emulated", type=int, default=5, help="samples in the emulator")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--count", action="store_true", help="operations, too: takes three times as long")
    parser.add_argument("--rows", type=int, nargs="*", help="of static, dynamic and mechanisms, from 0 on")
    parser.add_argument("--bindsnet", help="a Python that has BindsNET")
    given = parser.parse_args()
    for row in measures[given.measure](given):
        print(json.dumps({"measure": given.measure, "data": given.folder.name, **row}), flush=True)


if __name__ == "__main__":
    main()
