"""Mixed precision: which weights get how many bits, so that all of them fit a number of bytes with the least loss.

Every population is tried at every width alone, in the network that has the widest weights elsewhere. That needs no
compilation of its own: populations hand on spikes, which have no scale, so one of a network that was compiled with few
bits can stand in another one, unless it lost other neurons as dead or duplicate. Of all mixtures that fit, the one is
taken whose losses add up to the least.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from snncc import data as datasets
from snncc.analysis.proof import prove
from snncc.arrays import Floats
from snncc.chip import Chip
from snncc.compiler import compiled
from snncc.data import Data, DataLike
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.estimation import estimate
from snncc.frontends import Model
from snncc.graph import Graph
from snncc.integers import IntOp, Network, Population, source_of, synapses_of
from snncc.preparation import Choices, Stage, no_stage, settled
from snncc.program import Program
from snncc.semantics import decode, run

RULE, OPTION = "weight-bytes", "--weight-bytes"
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(B|kB|MB|KiB|MiB)?", re.ASCII)
_UNITS = {"": 1, "B": 1, "kB": 1000, "MB": 1000**2, "KiB": 1024, "MiB": 1024**2}
_WIDTHS = (8, 6, 5, 4, 3, 2, "ternary")
_LARGEST = 1 << 50  # bytes; no program is near it
_MOST = 4096  # mixtures that are kept side by side
_ROUNDS = 4  # of compiling with what was chosen, as weights that are rounded anew may take other bytes


@dataclass(frozen=True, eq=False)
class _Tried:
    """Of a population's weights at each width, from the widest on: the change of bytes, 0 or less, and the loss."""

    widths: tuple[int | str, ...]
    bytes: tuple[int, ...]
    losses: tuple[float, ...]


def bytes_of(text: str) -> int:
    """The bytes of a size like 8KiB. Raises CompileError (`weight-bytes`)."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise fault(RULE, OPTION, f"{text!r} is no size", f"give bytes, or a number of {', '.join(list(_UNITS)[2:])}")
    size = float(match[1]) * _UNITS[match[2] or ""]
    if size > _LARGEST:
        raise fault(RULE, OPTION, f"{text.strip()[:20]!r} is more than {_LARGEST:,} bytes", "leave it out: all fits")
    return int(size)


def weight_bits(
    model: Model, chip: Chip, choices: Choices, samples: DataLike | None, most: int, stage: Stage = no_stage
) -> str:
    """The widths, as `--weight-bits` has them, with which all weights take at most so many bytes of the target.

    Raises CompileError: `samples-needed`, `weight-bytes` with the least that there is, and as `compile`.
    """
    if samples is None:
        hint = "give inputs from the training data: --samples FILE.npz"
        raise fault("samples-needed", OPTION, "what fewer bits lose is measured on samples, and there are none", hint)
    if choices.weight_bits is not None:
        raise fault("bad-option", OPTION, "is given beside --weight-bits, which it chooses", "leave one of them out")
    choices = settled(model, choices, samples, stage)
    programs = _programs(model, chip, choices, samples, stage)
    (widest, base), *_ = programs.items()
    data = base.data(samples)
    stage("compare")
    ways = _Ways(programs, model, chip, choices, samples)
    tried = {name: _tried(ways, base, name, data) for name in _weighted(base.network)}
    total, room = _bytes(base), most
    for _ in range(_ROUNDS):
        chosen = _chosen(tried, total, room)
        if chosen is None:
            break
        text = ",".join([str(widest), *(f"{name}={width}" for name, width in chosen.items())])
        program = compiled(model, chip, replace(choices, weight_bits=text), samples)
        assert isinstance(program, Program)
        excess = _bytes(program) - most
        if excess <= 0:
            return text
        room -= excess
    least = min(_bytes(each) for each in programs.values())
    hint = f"allow {least:,} bytes, or train a smaller network"
    raise fault(RULE, OPTION, f"{most:,} bytes are too few: the fewest bits take {least:,} on {chip.name}", hint)


def _programs(
    model: Model, chip: Chip, choices: Choices, samples: DataLike, stage: Stage
) -> Mapping[int | str, Program]:
    """The network at each width, from the widest on that the target can hold."""
    found: dict[int | str, Program] = {}
    refused: list[Diagnostic] = []
    for width in _WIDTHS:
        stage(f"{width} bits" if isinstance(width, int) else width)
        try:
            program = compiled(model, chip, replace(choices, weight_bits=width), samples)
        except CompileError as error:
            refused += error.diagnostics
            continue
        if not isinstance(program, Program):
            message = "stores weights of one width: there is nothing to choose"
            raise fault("bad-option", OPTION, f"{chip.name} {message}", "leave it out")
        found[width] = program
    if not found:
        raise CompileError(dict.fromkeys(refused))
    return found


def _weighted(network: Network) -> list[str]:
    return [name for name in network.of_kind(Population) if synapses_of(network, name)]


def _bytes(program: Program) -> int:
    return int(estimate(program).quantities["weights"])


@dataclass(frozen=True, eq=False)
class _Ways:
    """The networks at each width, and what they were compiled from."""

    programs: Mapping[int | str, Program]
    model: Model
    chip: Chip
    choices: Choices
    samples: DataLike

    def alone(self, base: Program, name: str, width: int | str) -> Program:
        """The base with one population of another width: mixed, or compiled where other neurons were taken out."""
        program = self.programs[width]
        if _alike(base.network, program.network, name):
            return _mixed(base, program, name)
        text = f"{next(iter(self.programs))},{name}={width}"
        found = compiled(self.model, self.chip, replace(self.choices, weight_bits=text), self.samples)
        assert isinstance(found, Program)
        return found


def _alike(one: Network, other: Network, name: str) -> bool:
    """Whether a population and those that it reads have the same neurons in two networks, joined in the same way."""
    names = {name, *(source_of(one, each)[0] for each in synapses_of(one, name))}
    if any(each not in other.ops for each in names) or set(one.incoming(name)) != set(other.incoming(name)):
        return False
    return all(_neurons(one[each]) == _neurons(other[each]) for each in names)


def _neurons(op: IntOp) -> object:
    """What tells which neurons of the model an op stands for."""
    if not isinstance(op, Population):
        return None
    return op.shape, None if op.kept is None else op.kept.place.tobytes()


def _tried(ways: _Ways, base: Program, name: str, data: Data) -> _Tried:
    """A population at every width, the others being those of the base; widths that save nothing are left out."""
    wanted, total = _scores(base, data), _bytes(base)
    widths, sizes, losses = [next(iter(ways.programs))], [0], [0.0]
    for width in ways.programs:
        mixed = ways.alone(base, name, width)
        saved = _bytes(mixed) - total
        if saved < sizes[-1]:
            widths.append(width)
            sizes.append(saved)
            losses.append(float(np.square(_scores(mixed, data) - wanted).mean()))
    return _Tried(tuple(widths), tuple(sizes), tuple(losses))


def _mixed(base: Program, other: Program, name: str) -> Program:
    """The base with one population, and what feeds it, of another network."""
    taken = {name, *synapses_of(base.network, name)}
    ops = {each: other.network[each] if each in taken else op for each, op in base.network.ops.items()}
    network: Network = Graph(ops, base.network.edges)
    mapping = base.mapping
    if mapping is not None:
        from snncc.passes.route import route  # with its compiled loops

        mapping = route(network, mapping.placement)
    return replace(base, network=network, proof=prove(network, base.steps), mapping=mapping)


def _scores(program: Program, data: Data) -> Floats:
    """The scores of the first output on samples, each network's own scale taken out."""
    name, decoder = next(iter(program.decoders.items()))
    found: list[Floats] = []
    for part in datasets.parts(data, 3 * sum(program.sizes.values())):
        x = datasets.to_integers(program.source, part.x)
        trace = run(program.network, x, part.steps, part.lengths)
        found.append(decode(trace.outputs[name], decoder, part.lengths).astype(np.float64))
    scores = np.concatenate(found)
    scores -= scores.mean(axis=1, keepdims=True)
    return scores / max(float(np.sqrt(np.square(scores).mean())), np.finfo(np.float64).tiny)


def _chosen(tried: Mapping[str, _Tried], total: int, most: int) -> Mapping[str, int | str] | None:
    """The width of each population that is not the widest; None if all together take more whatever they are.

    Losses are taken to add up, and the least sum of them is found that fits: of all choices for the populations so far,
    those are kept that no other beats in bytes and loss.
    """
    front: list[tuple[int, float, tuple[int, ...]]] = [(total, 0.0, ())]
    for each in tried.values():
        options = range(len(each.widths))
        grown = sorted(
            (size + each.bytes[k], loss + each.losses[k], (*at, k)) for size, loss, at in front for k in options
        )
        front, least = [], np.inf
        for point in grown:
            if point[1] < least:
                front, least = [*front, point], point[1]
        front = front[:: -(-len(front) // _MOST)]
    fitting = [point for point in front if point[0] <= most]
    if not fitting:
        return None
    pairs = zip(tried.items(), fitting[-1][2], strict=True)
    return {name: each.widths[k] for (name, each), k in pairs if k}
