"""Says where accuracy went: from the trained model to the compiled network, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snncc import data as datasets
from snncc.analysis.metrics import Fidelity, Run, summarise
from snncc.arrays import Array
from snncc.data import Data
from snncc.diagnostics import Diagnostic, check, fault
from snncc.event_program import EventProgram
from snncc.frontends import Model
from snncc.graph import Graph
from snncc.integers import Kept, Population, standing
from snncc.layers import Layer, Linear, Neuron, size
from snncc.linear import with_weight
from snncc.passes.fewer_steps import with_fewer_steps
from snncc.passes.legalise import legalise
from snncc.program import Program, Progress, no_progress
from snncc.runner import Trace
from snncc.semantics import run_float, run_mixed

_Runner = Callable[[Data], Trace]
_MODEL = "give the model that it was compiled from: --model FILE"


@dataclass(frozen=True)
class SpikeError:
    """How far a population's spikes are from those of the trained model, in the network as it was compiled.

    Of both are meant the neurons that are left, in as many steps as the program takes. `trained` and `compiled` are
    spikes per neuron and step, `error` the mean over neurons of how far the two rates of a neuron are apart;
    `differing` is the share of neurons and steps whose spikes differ. `alone` is the share of samples whose class
    changes if no other population is compiled, None where that cannot be.
    """

    name: str
    trained: float
    compiled: float
    error: float
    differing: float
    alone: float | None


@dataclass(frozen=True)
class Explanation:
    """What is left after each stage, and what happens to each population.

    Stages: the model as it was trained, in floats; in fewer steps, and pruned, where it is; then each with one more
    population compiled.
    """

    stages: tuple[Fidelity, ...]
    populations: tuple[SpikeError, ...]


def explain(
    program: Program | EventProgram,
    model: Model,
    data: Data,
    *,
    whole: Data | None = None,
    progress: Progress = no_progress,
) -> Explanation:
    """Run the model, and the network that was compiled from it, with more and more of its populations.

    `data` are as the program reads them, `whole` the same samples as the model does, where that is in more steps: then
    there is a stage for them, and what populations do is compared with the trained ones in fewer steps. Where it was
    pruned, there is a stage for the weights that were left, fitted as they were, but not yet rounded.
    On a chip that acts event by event, populations share one queue of events, so there is one stage for all of them.
    Raises CompileError: `another-model` if the network was compiled from another model; `no-explanation` for such a
    chip if neurons were pruned.
    """
    legal = legalise(model.graph)
    check(_strangers(program, legal))
    graph = with_fewer_steps(legal, program.fewer) if program.fewer else legal
    names = tuple(name for name in graph.order() if isinstance(graph[name], Neuron) and name in program.sizes)
    trained = floats = before = _Task(program, graph, data).run(_in_floats(graph, names))
    stages, alone = [_fidelity("float", trained, trained)], dict[str, float | None]()
    if whole is not None and int(whole.lengths.sum()) != int(data.lengths.sum()):
        before = _Task(program, legal, whole).run(_in_floats(legal))
        stages = [_fidelity("float", before, before), _fidelity("fewer steps", trained, before)]
    if program.pruned is not None:
        graph = _with_weights(graph, program.pruned)
        floats = _Task(program, graph, data).run(_in_floats(graph))
        stages.append(_fidelity("pruned", floats, before))
    task = _Task(program, graph, data)
    if isinstance(program, EventProgram):
        compiled = task.run(task.on_events)
        stages.append(_fidelity("event by event", compiled, before))
    else:
        compiled = trained
        for count, name in enumerate(names, 1):
            compiled = task.run(task.mixed(names[:count], names if count == len(names) else ()))
            stages.append(_fidelity(name, compiled, before))
            alone[name] = _changed(task.run(task.mixed((name,), ())), floats)
            progress(count, len(names))
    rows = (_spike_error(name, _left(program, name, trained), compiled, data, alone.get(name)) for name in names)
    return Explanation(tuple(stages), tuple(rows))


def _with_weights(graph: Graph[Layer], weights: Mapping[str, Array]) -> Graph[Layer]:
    """The graph with the weights that pruning left, which are those of the artefact: they have to fit the model."""
    ops = dict(graph.ops)
    for name, weight in weights.items():
        op = ops.get(name)
        if not isinstance(op, Linear) or op.map.weight.shape != weight.shape:
            message = f"has weights of shape {weight.shape} for {name[:60]!r}; the model has none such"
            raise fault("another-model", "reference/network.json", message, _MODEL)
        ops[name] = replace(op, map=with_weight(op.map, weight))
    return Graph(ops, graph.edges)


def _left(program: Program | EventProgram, name: str, trained: Run) -> Array:
    """The spikes of the trained model's neurons of which the program has one each."""
    spikes, kept = trained.trace.spikes[name], _kept(program, name)
    return spikes if kept is None else spikes[..., standing(kept)]


def _in_floats(graph: Graph[Layer], record: Collection[str] = ()) -> _Runner:
    return lambda part: run_float(graph, part.x, part.steps, part.lengths, record)


@dataclass(frozen=True, eq=False)
class _Task:
    program: Program | EventProgram
    graph: Graph[Layer]
    data: Data

    def run(self, runner: _Runner) -> Run:
        """All samples, as many at a time as memory holds."""
        per_step = sum(4 * size(each.shape) for each in self.graph.of_kind(Neuron).values())
        traces: Sequence[Trace] = [runner(part) for part in datasets.parts(self.data, per_step)]
        return summarise(traces, self.data.lengths, self.data.y, self.program.decoders, 0.0, self.program.judging)

    def mixed(self, chosen: Collection[str], record: Collection[str]) -> _Runner:
        """With the chosen populations in integers."""
        program = self.program
        assert isinstance(program, Program)

        def run(part: Data) -> Trace:
            inputs = part.x, datasets.to_integers(program.source, part.x)
            return run_mixed(self.graph, program.network, chosen, inputs, part.steps, part.lengths, record)

        return run

    def on_events(self, part: Data) -> Trace:
        x = datasets.to_integers(self.program.source, part.x)
        if x.ndim == 1 + len(self.program.source.shape):
            x = np.broadcast_to(x[:, None], (len(x), part.steps, *x.shape[1:]))
        return self.program.expected(x, part.lengths)


def _strangers(program: Program | EventProgram, graph: Graph[Layer]) -> Iterator[Diagnostic]:
    """Why a network cannot have been compiled from a model."""
    theirs = {name: size(op.shape) for name, op in graph.of_kind(Neuron).items()}
    own = {name: _trained(program, name, count) for name, count in program.sizes.items()}
    if {**theirs, **own} == theirs and own:
        return
    if isinstance(program, EventProgram) and program.pruned is not None and set(own) == set(theirs):
        message = "lost neurons to --prune-neurons, and on chips that act event by event it does not say which are left"
        yield Diagnostic("no-explanation", program.title, message, "compile without --prune-neurons; --prune may stay")
        return
    shown = [", ".join(f"{name} ({count:,})" for name, count in each.items()) for each in (own, theirs)]
    message = f"the program has the populations {shown[0]}; the model has {shown[1]}"
    yield Diagnostic("another-model", program.title, message, _MODEL)


def _trained(program: Program | EventProgram, name: str, count: int) -> int:
    """How many neurons a population of so many has in the model: some may have been taken out."""
    kept = _kept(program, name)
    return count if kept is None else len(kept.place)


def _kept(program: Program | EventProgram, name: str) -> Kept | None:
    return program.network.of_kind(Population)[name].kept if isinstance(program, Program) else None


def _fidelity(stage: str, run: Run, trained: Run) -> Fidelity:
    return Fidelity(stage, run.accuracy, _changed(run, trained))


def _changed(run: Run, trained: Run) -> float:
    return float(np.mean(run.classes != trained.classes))


def _spike_error(name: str, wanted: Array, compiled: Run, data: Data, alone: float | None) -> SpikeError:
    found = compiled.trace.spikes[name]
    steps = int(data.lengths.sum())
    before, after = (each.sum(axis=(0, 1), dtype=np.float64) / steps for each in (wanted, found))
    differing = float(np.count_nonzero(wanted != found)) / (steps * wanted.shape[2])
    error = float(np.abs(before - after).mean())
    return SpikeError(name, float(before.mean()), float(after.mean()), error, differing, alone)
