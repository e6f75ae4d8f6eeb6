"""A compiled model: it can be written as an artefact, run on its target, and proved equal to the reference."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from snncc import artefact, files, verify
from snncc import data as datasets
from snncc.analysis.costs import Spent, added, greatest, spent
from snncc.analysis.metrics import Fidelity, Profile, Reading, Run, joined, summarise
from snncc.analysis.proof import Proof
from snncc.arrays import Array, Ints
from snncc.backends.base import Backend, Batch, Footprint, Job, Result, Timeline
from snncc.chip import Chip
from snncc.data import Data, DataLike, as_data
from snncc.diagnostics import Diagnostic, check, fault
from snncc.encoding import shown
from snncc.integers import Learnt, Network, Output, Population, Source, learns, own_number, whole
from snncc.layers import Decoder, size
from snncc.mapping import Mapping as Mapping_
from snncc.named import UNNAMED, Named, unlabelled
from snncc.pace import FewerSteps
from snncc.passes.savings import Gone
from snncc.plasticity import reward_faults, trace_sizes
from snncc.runner import Trace
from snncc.semantics import run

Progress = Callable[[int, int], None]
C = TypeVar("C", bound="CompiledModel")


def no_progress(done: int, of: int) -> None:
    """Shows nothing; `done` of `of` samples are through."""


@dataclass(frozen=True, eq=False)
class CompiledModel(ABC):
    """What every compiled model can do, of whatever kind its network is.

    `steps` is the number of time steps for static input, None where only the data can say. `stages` has the graph's
    text after each stage of the compiler. `folder` is where the artefact lies, if it was written or read. `fewer` is
    set where it takes fewer steps than the model: samples with steps of their own are then read at its pace. `gone` is
    what compiling has taken out, if it was just compiled. `pruned` has, by layer of the legal graph, the weights in
    floats that pruning left, None where nothing was pruned. `named` is what the first output's neurons stand for.
    """

    title: str
    chip: Chip
    steps: int | None = None
    warnings: tuple[Diagnostic, ...] = ()
    stages: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path | None = None
    fewer: FewerSteps | None = None
    gone: tuple[Gone, ...] = ()
    pruned: artefact.Pruned | None = None
    named: Named | None = None

    @property
    @abstractmethod
    def source(self) -> Source:
        """The network's input."""

    @property
    @abstractmethod
    def decoders(self) -> Mapping[str, Decoder]:
        """How each output's values become scores; the first output classifies."""

    @property
    @abstractmethod
    def read(self) -> Collection[str]:
        """The populations that the outputs read."""

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """The neurons of each population, in the order in which a step is computed."""

    @abstractmethod
    def files(self) -> Mapping[str, bytes]:
        """The artefact, by relative path."""

    @abstractmethod
    def expected(self, x: Array, lengths: Array, learnt: Learnt | None = None, reward: Array | None = None) -> Trace:
        """What the reference gives for integers `x` (samples, steps, *shape), everything recorded.

        A network that learns goes on from `learnt`; `reward` (samples, steps) is for rules that ask for one.
        """

    @abstractmethod
    def found(self, folder: Path, batch: Batch, record: bool) -> Result:
        """What the artefact in `folder` gives on the target's own machine."""

    def traced(self, folder: Path, batch: Batch) -> Timeline:  # noqa: ARG002
        """When which core and link worked on the batch's only sample, on targets that tell."""
        raise fault("no-timeline", self.chip.name, "has no cores and links to trace", "choose a target with many cores")

    def write(self: C, folder: str | os.PathLike[str]) -> C:
        """Write the artefact, whole or not at all, and return the program that lies there.

        Raises CompileError: `output-exists`, `cannot-write`.
        """
        artefact.write(Path(folder), self.files())
        return replace(self, folder=Path(folder))

    def profile(self, data: DataLike) -> Profile:  # noqa: ARG002
        """Where the target's instructions (or cycles) go, by synapse and population: means over samples.

        Raises CompileError: `no-profile` for targets that do not count them.
        """
        message = "does not count what each layer takes"
        raise fault("no-profile", self.chip.name, message, "choose a microcontroller")

    def laid_out(self: C, layout: str) -> C:
        """The same program, whose artefact is laid out in another way: "arduino", a library for the Arduino IDE.

        Raises CompileError (`bad-option`) for targets that have no such layout.
        """
        raise fault("bad-option", f"--{layout}", f"{self.chip.name} has no such layout", "it is for microcontrollers")

    def dump(self, folder: str | os.PathLike[str]) -> None:
        """Write the graph after each stage as text, one file a stage. Raises CompileError (`cannot-write`)."""
        files.make_folder(Path(folder))
        for name, text in self.stages.items():
            files.replace_file(Path(folder, f"{name}.txt"), text.encode())

    def data(
        self,
        x: DataLike,
        *,
        lengths: npt.ArrayLike | None = None,
        y: npt.ArrayLike | None = None,
        reward: npt.ArrayLike | None = None,
        steps: int | None = None,
        limit: int | None = None,
        rate: float | None = None,
        seed: int | None = None,
    ) -> Data:
        """Data for this program, from a file's path or from arrays; as `snncc.data.Data` describes them.

        A `reward` may be (samples,), of all steps of a sample, as well. Static values for a network that reads spikes
        become spikes as `encoding.shown` has it, at a `rate` and with draws of a `seed`.
        """
        own = {"lengths": lengths, "y": y, "reward": reward}
        data = as_data(x, self.source.shape, steps, usual=self.steps, own=own, limit=limit)
        count = data.steps if isinstance(x, Data) else steps or self.steps or data.steps
        where = str(x) if isinstance(x, (str, os.PathLike)) else "x"
        return self.read_at_pace(shown(data, self.source, count, rate, seed, learning=self.learning, where=where))

    @property
    def learning(self) -> bool:
        """Whether the network learns while it runs."""
        return False

    @property
    def remembered(self) -> int:
        """The values of all traces of rules."""
        return 0

    @property
    def judging(self) -> Named | None:
        """What neurons stand for; None where their numbers are classes."""
        return self.named

    def read_at_pace(self, data: Data) -> Data:
        """The data as this program reads them."""
        data = shown(data, self.source, data.steps, learning=self.learning, where="x")
        return data if self.fewer is None else datasets.paced(data, self.source.shape, self.fewer.pace)

    def simulate(self, data: DataLike, *, record: bool = False, progress: Progress = no_progress) -> Run:
        """Run on the target's own machine: scores and classes; with `record` every spike and membrane too."""
        data = self.read_at_pace(data) if isinstance(data, Data) else self.data(data)
        results: list[Result] = []
        with self.placed() as folder:
            for done, result in self._results(folder, data, record):
                results.append(result)
                progress(done, len(data.x))
        seconds = sum(each.figures.get("seconds", 0.0) for each in results)
        traces = [self.whole(each.trace) for each in results]
        run = summarise(traces, data.lengths, data.y, self.decoders, seconds, self.judging)
        own = self.readings(results, run.samples)
        return replace(run, readings=own, spent=self.spent(results, data), counts=added([e.counts for e in results]))

    def whole(self, trace: Trace) -> Trace:
        """A trace by the neurons that the model has, also where the compiled network has fewer."""
        return trace

    def spent(self, results: Sequence[Result], data: Data) -> Spent | None:  # noqa: ARG002
        """What the target took for a run, where it counts that."""
        return None

    def timeline(self, data: DataLike) -> Timeline:
        """When which core and link of the chip worked on the first sample.

        Raises CompileError: `no-timeline` for targets that have none, `bad-data`.
        """
        data = (self.read_at_pace(data) if isinstance(data, Data) else self.data(data)).part(0, 1)
        with self.placed() as folder:
            return self.traced(folder, next(self._batches(data, record=False)))

    def readings(self, results: Sequence[Result], samples: int) -> tuple[Reading, ...]:  # noqa: ARG002
        """What the target measured while it ran `samples` samples, for people and machines."""
        return ()

    def verify(self, data: DataLike, *, progress: Progress = no_progress) -> verify.Verification:
        """Compare the target with the reference: every spike, membrane and output of every step.

        Of a network that learns, as many samples at a time as one batch holds, what it has learnt as well; and every
        trace of every step, if the target gives them.
        """
        data = self.read_at_pace(data) if isinstance(data, Data) else self.data(data)
        ordered = tuple(self.sizes)
        verdicts: list[verify.Verification] = []
        first, learnt = 0, None
        with self.placed() as folder:
            batches = self._batches(data, record=True, traces=True)
            for batch, (done, result) in zip(batches, self._results(folder, data, True, traces=True), strict=True):
                x = batch.x.reshape(*batch.x.shape[:2], *self.source.shape)
                expected = self.expected(x, batch.lengths, learnt, batch.reward)
                learnt = expected.learnt
                verdicts.append(verify.compare(expected, result.trace, ordered, first))
                first = done
                progress(done, len(data.x))
        return verify.joined(verdicts)

    def _batches(self, data: Data, *, record: bool, traces: bool = False) -> Iterator[Batch]:
        kept = self.sizes if record else self.read
        per_step = size(self.source.shape) + sum(2 * self.sizes[name] for name in kept) + traces * self.remembered
        for part in datasets.parts(data, per_step):
            x = datasets.to_integers(self.source, part.x)
            steps = part.steps
            if x.ndim == 1 + len(self.source.shape):
                x = np.broadcast_to(x[:, None], (len(x), steps, *self.source.shape))
            reward = None if part.reward is None else part.reward[:, :steps]
            yield Batch(x.reshape(len(x), x.shape[1], -1)[:, :steps], part.lengths, reward=reward, traces=traces)

    def _results(self, folder: Path, data: Data, record: bool, *, traces: bool = False) -> Iterator[tuple[int, Result]]:
        """The target's results, batch after batch, each with the number of samples done so far."""
        done, learnt = 0, None
        for batch in self._batches(data, record=record, traces=traces):
            result = self.found(folder, replace(batch, learnt=learnt), record)
            learnt = result.trace.learnt
            done += len(next(iter(result.trace.outputs.values())))
            yield done, result

    @contextmanager
    def placed(self) -> Generator[Path]:
        """The artefact's folder; a program that was never written gets a temporary one."""
        if self.folder is not None:
            yield self.folder
            return
        with TemporaryDirectory(prefix="snncc-") as scratch:
            yield self.write(Path(scratch, "program")).folder or Path(scratch)


@dataclass(frozen=True, eq=False, kw_only=True)
class Program(CompiledModel):
    """An integer network, the proof about it, and the target that it is compiled for.

    `mapping` says where the network lies on a chip of many cores; an artefact that is opened keeps it to its target.
    `fidelity` is what was left of a converted network after each stage, on samples; `vectors` are the inputs among them
    with which the target can test itself. With `early_exit`, `simulate` ends samples once they are decided, unless it
    is to record everything.
    """

    network: Network
    proof: Proof
    backend: Backend
    mapping: Mapping_ | None = None
    fidelity: tuple[Fidelity, ...] = ()
    layout: str | None = None
    vectors: Ints | None = None
    early_exit: bool = False

    @property
    def source(self) -> Source:
        return next(iter(self.network.of_kind(Source).values()))

    @property
    def decoders(self) -> Mapping[str, Decoder]:
        return {name: op.decoder for name, op in self.network.of_kind(Output).items()}

    @property
    def sizes(self) -> Mapping[str, int]:
        return {name: op.size for name in self.network.order() if isinstance(op := self.network[name], Population)}

    @property
    def read(self) -> Collection[str]:
        return [self.network.incoming(name)[0].source for name in self.network.of_kind(Output)]

    @property
    def learning(self) -> bool:
        return learns(self.network)

    @property
    def judging(self) -> Named | None:
        return UNNAMED if unlabelled(self.network) else self.named

    @property
    def remembered(self) -> int:
        return sum(trace_sizes(self.network).values())

    @property
    def job(self) -> Job:
        """What the backend emits."""
        given = self.title, self.network, self.proof, self.chip, self.mapping, self.layout, self.vectors
        return Job(*given, self.fewer, self.early_exit, self.judging is None)

    def laid_out(self, layout: str) -> Program:
        return replace(self, layout=layout) if layout in self.backend.layouts else super().laid_out(layout)

    def footprint(self) -> Footprint | None:
        """What the program takes of the target's memories, where the target says what it has."""
        return self.backend.footprint(self.job) if self.backend.footprint else None

    def profile(self, data: DataLike) -> Profile:
        if self.backend.profile is None:
            return super().profile(data)
        data = self.read_at_pace(data) if isinstance(data, Data) else self.data(data)
        with self.placed() as folder:
            batches = list(self._batches(data, record=True))
            results = [result for _, result in self._results(folder, data, record=True)]
            source = next(iter(self.network.of_kind(Source)))
            spikes = joined([each.trace for each in results]).spikes
            sent = {source: np.concatenate([batch.x for batch in batches]), **spikes}
            return self.backend.profile(self.job, results, sent, folder, len(data.x))

    def files(self) -> Mapping[str, bytes]:
        given = self.title, self.backend.name, self.chip, self.steps, self.network, self.fewer, self.early_exit
        reference = artefact.reference_files(*given, self.pruned, self.named)
        return {**self.backend.emit(self.job), **reference}

    def expected(self, x: Array, lengths: Array, learnt: Learnt | None = None, reward: Array | None = None) -> Trace:
        names = tuple(self.sizes)
        return run(self.network, x, lengths=lengths, record=names, learnt=learnt, reward=reward, traces=True)

    def read_at_pace(self, data: Data) -> Data:
        check(reward_faults(self.network, data.reward))
        return super().read_at_pace(data)

    def placement(self) -> Mapping_ | None:
        """Where the network lies on a chip of many cores, also if the program was opened; None on other chips."""
        from snncc.passes.route import route  # with its compiled loops, which other programs need not wait for

        if self.mapping is None and self.backend.placed is not None and self.folder is not None:
            return route(self.network, self.backend.placed(self.folder))
        return self.mapping

    def traced(self, folder: Path, batch: Batch) -> Timeline:
        if self.backend.timeline is None:
            return super().traced(folder, batch)
        return self.backend.timeline(folder, self.network, self.chip, batch)

    def readings(self, results: Sequence[Result], samples: int) -> tuple[Reading, ...]:
        own = self.backend.readings(results, self.chip, samples) if self.backend.readings else ()
        ended = [each.taken for each in results if each.taken is not None]
        if not ended:
            return own
        mean = float(np.concatenate(ended).mean())
        return (Reading("steps_taken", mean, "steps until decided", f"{mean:.2f} a sample"), *own)

    def whole(self, trace: Trace) -> Trace:
        kept = {name: op.kept for name, op in self.network.of_kind(Population).items()}
        spikes = {name: whole(values, kept[name]) for name, values in trace.spikes.items()}
        membranes = {name: whole(values, kept[name]) for name, values in trace.membranes.items()}
        return replace(trace, spikes=spikes, membranes=membranes)

    def verify(self, data: DataLike, *, progress: Progress = no_progress) -> verify.Verification:
        verdict = super().verify(data, progress=progress)
        first = verdict.difference
        op = self.network.ops.get(first.name) if first else None
        if first is None or not isinstance(op, Population):  # an output, a synapse, a trace
            return verdict
        return replace(verdict, difference=replace(first, neuron=own_number(first.neuron, op.kept)))

    def found(self, folder: Path, batch: Batch, record: bool) -> Result:
        early = self.early_exit and not record
        return self.backend.run(folder, self.network, self.chip, replace(batch, early=early), record)

    def spent(self, results: Sequence[Result], data: Data) -> Spent | None:
        if not results[0].counts or self.chip.fabric is None:
            return None
        counts, peaks = added([each.counts for each in results]), greatest([each.peaks for each in results])
        taken = sum(int(each.taken.sum()) for each in results if each.taken is not None)
        return spent(self.network, self.chip, counts, peaks, len(data.x), taken or int(data.lengths.sum()))
