"""The pipeline, from a model's file to a program, in one straight line: every stage is a call, checked after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snncc import artefact, contracts, rules
from snncc import chip as chips
from snncc import data as datasets
from snncc.analysis.metrics import Fidelity
from snncc.analysis.proof import diagnostics as proof_diagnostics
from snncc.analysis.proof import doubtful, margins, prove
from snncc.arrays import Ints
from snncc.backends.base import Backend, EventBackend, unteachable
from snncc.backends.known import backend_named
from snncc.capabilities import WAYS_OUT
from snncc.chip import Chip
from snncc.data import Data, DataLike
from snncc.diagnostics import CompileError, Diagnostic, check, errors, fault
from snncc.event_program import EventProgram
from snncc.events.ops import EventNetwork
from snncc.exits import refusals
from snncc.frontends import Model
from snncc.graph import Graph
from snncc.importing import Path_, import_model
from snncc.integers import Kept, Network, Population, Source
from snncc.integers import Output as IntOutput
from snncc.layers import Decoder, Layer, size
from snncc.mapping import Mapping as Mapping_
from snncc.mapping import Method
from snncc.pace import FewerSteps
from snncc.passes import registers
from snncc.passes.express import express
from snncc.passes.host import on_the_host
from snncc.passes.precision import parsed, stored_width
from snncc.passes.prune import NEURONS, SYNAPSES, pruned, recorded, shares
from snncc.passes.quantise import Options, Samples, quantise
from snncc.passes.registers import DECAY_BITS, STATE_BITS
from snncc.passes.retime import retime
from snncc.passes.savings import Gone, between, populations_gone, total
from snncc.passes.shrink import shrunk_by
from snncc.passes.steps import OPTION, Found
from snncc.passes.teach import Lessons, lessons, other_widths, taught, taught_twice, widened
from snncc.passes.thresholds import shortfalls
from snncc.preparation import Choices, Stage, no_stage, prepared
from snncc.program import Program

_TESTED = 2, 4  # samples, and steps of each, with which a target tests itself


def compile(  # noqa: A001  the word of the field, and `snncc.compile` reads well
    model: Path_ | Model,
    target: Path_ = "host",
    *,
    samples: DataLike | None = None,
    weight_bits: int | str | None = None,
    steps: int | str | None = None,
    loss: float | None = None,
    decoder: Decoder | None = None,
    states: Sequence[tuple[str, str]] = (),
    backend: str | None = None,
    require_proof: bool = False,
    stock_only: bool = False,
    allow_hard_reset: bool = False,
    partition: Method = "auto",
    seed: int = 0,
    prune: float | str | None = None,
    prune_neurons: float | str | None = None,
    learn: Sequence[tuple[str, str | rules.Rule]] = (),
    early_exit: bool = False,
    state_bits: int | str | None = None,
    decay_bits: int | str | None = None,
    stage: Stage = no_stage,
) -> Program | EventProgram:
    """Compile a trained model for a target: a name from `targets/`, or the path of a chip's TOML file.

    `model` is a file's path, or what `import_model` made of it, which can say what a .nir file leaves open.
    `samples` (a data file or an array) choose the scales. `weight_bits` may name synapses or populations that get other
    weights, "4,fc2=8,rec=ternary". `steps` and `decoder` default to what the model's metadata say; steps "auto" are as
    few as lose at most `loss` points of accuracy (2 if None) on the samples, "auto:N" are N, with neurons adapted.
    `states` pairs state inputs with outputs where that is ambiguous. `require_proof` refuses a network whose registers
    may overflow.
    `partition` cuts a network into cores, where the target has many; the same `seed`, 0 to 2^32 - 1, gives the same
    cut, and the same draws in learning. `stock_only` refuses neurons that the target does not have of its own;
    `allow_hard_reset` replaces soft resets by those it has.
    `prune` is the share of synapses that go, `prune_neurons` that of neurons or channels, 0.75 or "0.75,fc2=0.5".
    With `early_exit` samples end as soon as no step to come can change their class, where spikes are counted.
    `state_bits` and `decay_bits` are the most that states and their decays get, 16 or "16,lif1=12".
    `learn` pairs synapse groups with learning rules, names from `rules/`, paths or rules that were read, beside those
    that the model brings.

    Raises CompileError with everything that is wrong with the model, the target or the samples.
    """
    how = weight_bits, steps, decoder, backend, require_proof, stock_only, allow_hard_reset, partition, seed
    less = prune, prune_neurons
    chip = chips.load(Path(target))
    stage("read")
    choices = Choices(*how, *less, tuple(learn), loss, early_exit, state_bits, decay_bits)
    return compiled(_imported(model, states), chip, choices, samples, stage)


def compiled(
    model: Model, chip: Chip, choices: Choices, samples: DataLike | None = None, stage: Stage = no_stage
) -> Program | EventProgram:
    """The program of an imported model for a chip: `compile`, for those who make many."""
    machine = _machine(chip, choices.backend or chip.backend)
    begun = prepared(model, choices, samples, stage)
    legal, chosen = begun.graph, begun.samples
    less = shares(choices.prune, SYNAPSES), shares(choices.prune_neurons, NEURONS)
    kept: Mapping[str, Kept] | None = None
    weights: artefact.Pruned | None = None
    gone = populations_gone("relays, or is read by no output", model.graph, legal)
    if any(each.any for each in less):
        stage("prune")
        less_ = pruned(legal, chip, *less, chosen and Samples(chosen.x, chosen.lengths), chosen and chosen.steps)
        gone += between("was pruned", legal, less_.graph)
        legal, kept, weights = less_.graph, less_.kept, less_.weights
    options = Options(*parsed(choices.weight_bits, chip.weight.bits), decoder=begun.decoder, steps=begun.steps)
    narrow = registers.parsed(choices.state_bits, STATE_BITS), registers.parsed(choices.decay_bits, DECAY_BITS)
    options = replace(options, registers=registers.Registers(*narrow))
    own = {layer: rules.parsed(text, f"{model.name}: the rule of {layer}") for layer, text in model.learn.items()}
    learn = {**own, **{layer: _read(rule) for layer, rule in choices.learn}}
    given = _Legal(
        model, legal, chip, choices, options, chosen, begun.warnings, kept, begun.found, gone=gone, pruned=weights
    )
    given = _with_lessons(given, learn) if learn else given
    if isinstance(machine, EventBackend):
        return _on_events(given, machine, stage)
    if choices.stock_only and machine.notes is None:
        raise fault("bad-option", "--stock-only", f"the {machine.name} backend knows no stock neurons")
    return _on_steps(given, machine, stage)


def _read(rule: str | rules.Rule) -> rules.Rule:
    return rule if isinstance(rule, rules.Rule) else rules.load(rule)


@dataclass(frozen=True, eq=False)
class _Legal:
    """A model in legal form, with what all kinds of targets go on from."""

    model: Model
    graph: Graph[Layer]
    chip: Chip
    choices: Choices
    options: Options
    samples: Data | None
    warnings: tuple[Diagnostic, ...]
    kept: Mapping[str, Kept] | None = None  # of a pruned one
    found: Found | None = None  # of one that takes fewer steps
    lessons: Lessons | None = None
    gone: tuple[Gone, ...] = ()
    pruned: artefact.Pruned | None = None  # what is left of the trained weights

    @property
    def fewer(self) -> FewerSteps | None:
        return self.found and self.found.fewer

    @property
    def fidelity(self) -> tuple[Fidelity, ...]:
        return (*self.model.fidelity, *(self.found.stages() if self.found else ()))


def _no_exits(backend: str, exits: bool, network: Network) -> Iterator[Diagnostic]:
    """Why samples cannot end early."""
    if not exits:
        message = f"the {backend} backend runs every sample to its end"
        yield Diagnostic("bad-option", "--early-exit", message, "leave it out, or choose another target or --backend")
    yield from refusals(network)


def _with_lessons(given: _Legal, learn: Mapping[str, rules.Rule]) -> _Legal:
    if given.found:
        message = "adapts a trained network to fewer steps; this one is still to learn"
        raise fault("bad-option", OPTION, message, "give a number of steps")
    found = lessons(given.graph, learn)
    width, own = parsed(given.choices.weight_bits, 0)
    other = other_widths(given.graph, found, width or None, own)
    kept = check((*taught_twice(given.graph, given.choices.learn), *other))
    return replace(given, lessons=found, warnings=(*given.warnings, *found.warnings, *kept))


def _imported(model: Path_ | Model, states: Sequence[tuple[str, str]]) -> Model:
    if not isinstance(model, Model):
        return import_model(model, states)
    if states:
        raise fault("bad-option", "states", "is given beside a model that is imported already", "give its file's path")
    return model


def _machine(chip: Chip, name: str) -> Backend | EventBackend:
    """The backend of a name; raises CompileError (`wrong-backend`) if it is for chips of another kind."""
    machine = backend_named(name)
    if isinstance(machine, EventBackend) != (chip.crossbar is not None):
        kinds = ("event by event", "step by step")
        theirs, own = kinds if isinstance(machine, EventBackend) else kinds[::-1]
        message = f"runs networks {theirs}; {chip.name} works {own}"
        raise fault("wrong-backend", name, message, f"leave out --backend: {chip.name} has {chip.backend}")
    return machine


def _on_events(given: _Legal, machine: EventBackend, stage: Stage) -> EventProgram:
    """For a chip that acts event by event."""
    if given.options.registers != registers.Registers():
        message = f"{given.chip.name} has states of one width"
        raise fault("bad-option", f"{STATE_BITS}, {DECAY_BITS}", message, "leave them out")
    if given.choices.early_exit:
        raise fault("bad-option", "--early-exit", f"{given.chip.name} runs every sample to its end", "leave it out")
    if given.lessons:
        message = f"would learn, which {given.chip.name} cannot do with its synapses"
        check(Diagnostic("cannot-learn", name, message, WAYS_OUT["learning"]) for name in given.lessons.rules)
    stage("events")
    lowered = machine.lower(given.graph, given.chip, given.options, given.samples)
    network, fidelity = lowered.network, lowered.fidelity
    warnings = (
        *given.warnings,
        *check((*lowered.warnings, *machine.validate(network, given.chip, given.choices.require_proof))),
    )
    texts = _texts(given.model.graph, given.graph, network)
    base = given.model.name, given.chip, given.options.steps, warnings, texts
    made = EventProgram(*base, network=network, backend=machine, fidelity=(*given.fidelity, *fidelity))
    return replace(made, fewer=given.fewer, gone=given.gone, pruned=given.pruned)


def _on_steps(given: _Legal, machine: Backend, stage: Stage) -> Program:
    """For all that computes in steps, by way of an integer network."""
    legal, chip, options, chosen, choices = given.graph, given.chip, given.options, given.samples, given.choices
    stage("quantise")
    tuned = replace(chip, capabilities=tuple(each for each in chip.capabilities if each not in machine.shuns))
    changed = given.lessons or given.kept is not None or given.fewer or options.registers != registers.Registers()
    network, gone = (None, ()) if changed else _own(given.model, chip, options)
    if network is None:
        network, gone = _quantised(given, tuned)
        network = express(retime(network, chip), chip)

    seen = tuple(shortfalls(network, given.lessons.thresholds, chip)) if given.lessons else ()
    made = settled(given.model.name, network, chip, machine, choices, options.steps, chosen, stage, seen)
    return replace(
        made,
        warnings=(*given.warnings, *made.warnings),
        stages=_texts(given.model.graph, legal, network),
        fidelity=given.fidelity,
        fewer=given.fewer,
        gone=total(given.gone + gone),
        pruned=given.pruned,
    )


def settled(
    title: str,
    network: Network,
    chip: Chip,
    machine: Backend,
    choices: Choices,
    steps: int | None,
    samples: Data | None,
    stage: Stage,
    known: tuple[Diagnostic, ...] = (),
) -> Program:
    """The program of an integer network in the chip's own words: proved, checked, and put on its cores.

    Of the choices those are heeded that are about proofs, stock neurons, early exits and cores. `known` is what was
    found out about the network before.
    """
    stage("prove")
    proof = prove(network, steps)
    faults = *contracts.quantised(network, chip, proof), *unteachable(machine, network), *known
    faults += tuple(_no_exits(machine.name, machine.exits, network)) if choices.early_exit else ()
    faults += tuple(machine.validate(network, chip))
    faults += tuple(machine.notes(network, proof, chip, choices.stock_only)) if machine.notes else ()
    faults += tuple(machine.fits(network, proof, chip)) if machine.fits and not errors(faults) else ()
    if errors(faults) and machine.mapped:
        faults += _limits(network, chip, choices)
    seen = _margins(network, samples) if samples and doubtful(proof) else None
    warnings = check((*faults, *proof_diagnostics(proof, choices.require_proof, seen)))

    stage("map")
    mapping = _mapped(network, chip, samples, choices.partition, choices.seed) if machine.mapped else None
    warnings += tuple(on_the_host(network, chip)) if mapping else ()
    made = Program(title, chip, steps, warnings, network=network, proof=proof, backend=machine, mapping=mapping)
    return replace(made, vectors=_vectors(network, samples), early_exit=choices.early_exit)


def _vectors(network: Network, samples: Data | None) -> Ints | None:
    """The first steps of the first samples, with which a target can test itself."""
    if samples is None or not len(samples.x):
        return None
    (source,) = network.of_kind(Source).values()
    x = datasets.to_integers(source, samples.x[: _TESTED[0]])
    if x.ndim == 1 + len(source.shape):
        return x.reshape(len(x), 1, -1)
    return x[:, : min(_TESTED[1], int(samples.lengths[: len(x)].min()))].reshape(len(x), -1, size(source.shape))


def _quantised(given: _Legal, chip: Chip) -> tuple[Network, tuple[Gone, ...]]:
    """The network in integers, and plastic where it is to learn; and what went by the way."""
    samples = given.samples and Samples(given.samples.x, given.samples.lengths)
    if given.lessons is None:
        network = quantise(given.graph, chip, given.options, samples)
        return shrunk_by(network if given.kept is None else recorded(network, given.kept))
    options = replace(given.options, learnt=given.lessons.widths, grown=given.lessons.grown)
    network = quantise(widened(given.graph, given.lessons), chip, options, samples)
    network = taught(network, given.lessons, chip, given.choices.seed)
    return (network if given.kept is None else recorded(network, given.kept)), ()


def _own(model: Model, chip: Chip, options: Options) -> tuple[Network | None, tuple[Gone, ...]]:
    """The model's own integer network, where it has one, the chip its arithmetic, and no fewer bits are asked for."""
    if model.network is None or options.own_bits or stored_width(options.weight_bits) < chip.weight.bits:
        return None, ()
    network, gone = shrunk_by(model.network)
    network = express(retime(network, chip), chip)
    if errors(contracts.quantised(network, chip, prove(network, options.steps))):
        return None, ()
    decoder = options.decoder
    ops = {
        name: replace(op, decoder=decoder) if decoder and isinstance(op, IntOutput) else op
        for name, op in network.ops.items()
    }
    return Graph(ops, network.edges), gone


def _margins(network: Network, samples: Data) -> dict[str, tuple[int, int]]:
    """What each population's membrane held on the samples."""
    (source,) = network.of_kind(Source).values()
    per_step = size(source.shape) + sum(3 * each.size for each in network.of_kind(Population).values())
    found: dict[str, tuple[int, int]] = {}
    for part in datasets.parts(samples, per_step):
        x = datasets.to_integers(source, part.x)
        for name, (low, high) in margins(network, x, part.steps, part.lengths).items():
            least, most = found.get(name, (low, high))
            found[name] = min(least, low), max(most, high)
    return found


def _texts(imported: Graph[Layer], legal: Graph[Layer], network: Graph[Any]) -> dict[str, str]:
    return {"1-imported": imported.text(), "2-legal": legal.text(), "3-integer": network.text()}


def _mapped(network: Network, chip: Chip, samples: Data | None, method: Method, seed: int) -> Mapping_:
    """Where the network lies on the chip's cores, by how often its neurons fire on samples."""
    from snncc.passes.activity import activity
    from snncc.passes.map import map_network

    return map_network(network, chip, samples and activity(network, samples), method, seed)


def _limits(network: Network, chip: Chip, choices: Choices) -> tuple[Diagnostic, ...]:
    """The limits of cores that a refused network breaks as well: where it lies does not depend on what its neurons do.

    It is cut in search of less traffic only if it does not fit cores that are filled in order.
    """
    if chip.mesh is None or any(contracts.ops_are_joined(network)):
        return ()  # there is nothing to put it on, or nothing that could be put there
    in_order = _refusal(network, chip, "sequential", choices.seed)
    return in_order and _refusal(network, chip, choices.partition, choices.seed)


def _refusal(network: Network, chip: Chip, method: Method, seed: int) -> tuple[Diagnostic, ...]:
    """Why a network cannot be mapped by a method, if it cannot."""
    try:
        _mapped(network, chip, None, method, seed)
    except CompileError as error:
        return error.diagnostics
    return ()


def open_program(folder: Path_) -> Program | EventProgram:
    """The program of an artefact that `snncc compile` wrote.

    Raises CompileError: `not-an-artefact`, `damaged-artefact`.
    """
    manifest, network, pruned, named = artefact.read(Path(folder))
    machine = _machine(manifest.chip, manifest.backend)
    base = manifest.title, manifest.chip, manifest.steps
    if isinstance(network, EventNetwork) and isinstance(machine, EventBackend):
        check(machine.validate(network, manifest.chip, False))
        opened = EventProgram(*base, folder=Path(folder), network=network, backend=machine)
        return replace(opened, fewer=manifest.fewer, pruned=pruned, named=named)
    if isinstance(network, EventNetwork) or isinstance(machine, EventBackend):
        message = f"is a network of another kind than {manifest.backend} runs"
        raise fault("damaged-artefact", "reference/network.json", message, "compile the model again")
    proof = prove(network, manifest.steps)
    exits = tuple(_no_exits(machine.name, machine.exits, network)) if manifest.early_exit else ()
    check((*contracts.quantised(network, manifest.chip, proof), *unteachable(machine, network), *exits))
    opened = Program(*base, folder=Path(folder), network=network, proof=proof, backend=machine)
    return replace(opened, fewer=manifest.fewer, early_exit=manifest.early_exit, pruned=pruned, named=named)
