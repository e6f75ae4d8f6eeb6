"""From a trained model to the network that is to be quantised: in legal form, its resets replaced, in fewer steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from snncc import contracts
from snncc.data import Data, DataLike, as_data
from snncc.diagnostics import Diagnostic, check, fault
from snncc.encoding import becomes_spikes, shown, source_for
from snncc.frontends import Model
from snncc.graph import Graph
from snncc.layers import Decoder, Input, Layer
from snncc.mapping import Method
from snncc.passes.fewer_steps import with_fewer_steps
from snncc.passes.legalise import legalise
from snncc.passes.resets import cost, hardly_reset, softly_reset
from snncc.passes.steps import OPTION, Found, Steps, Wanted, allowed, fewer_steps, taking, wanted
from snncc.rules import Rule, seed_faults

Stage = Callable[[str], None]


def no_stage(name: str) -> None:
    """Shows nothing; the stage of that name begins."""


@dataclass(frozen=True)
class Choices:
    """What a user may choose about a compilation, beside the model, the target and the samples; as in `compile`."""

    weight_bits: int | str | None = None
    steps: Steps = None
    decoder: Decoder | None = None
    backend: str | None = None
    require_proof: bool = False
    stock_only: bool = False
    allow_hard_reset: bool = False
    partition: Method = "auto"
    seed: int = 0
    prune: float | str | None = None
    prune_neurons: float | str | None = None
    learn: tuple[tuple[str, str | Rule], ...] = ()
    loss: float | None = None
    early_exit: bool = False
    state_bits: int | str | None = None
    decay_bits: int | str | None = None
    rate: float | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model in legal form as it is to be run, before anything is left out of it: `steps` are those that it takes."""

    graph: Graph[Layer]
    samples: Data | None
    decoder: Decoder | None
    steps: int | None
    warnings: tuple[Diagnostic, ...]
    found: Found | None


def prepared(model: Model, choices: Choices, samples: DataLike | None, stage: Stage) -> Prepared:
    """Legalise, replace resets, and make do with fewer steps, where that is asked for.

    Raises CompileError: what is wrong with the model or the samples, `samples-needed`, `fewer-steps`, `few-samples`.
    """
    check(seed_faults(choices.seed))
    decoder, asked = choices.decoder or model.decoder, wanted(choices.steps)
    loss = allowed(choices.loss, asked)
    steps = asked if isinstance(asked, int) else model.steps
    stage("legalise")
    legal = legalise(model.graph, {*model.learn, *(layer for layer, _ in choices.learn)})
    warnings = (*model.warnings, *check(contracts.legal(legal)))
    chosen = None if samples is None else _samples(samples, model, choices, steps)
    if choices.allow_hard_reset and softly_reset(legal):
        warnings += (cost(legal, chosen, decoder),)
        legal = hardly_reset(legal)
    if asked is None or isinstance(asked, int):
        return Prepared(legal, chosen, decoder, steps, warnings, None)
    if chosen is None:
        hint = "give inputs from the training data: --samples FILE.npz"
        raise fault("samples-needed", OPTION, "neurons are adapted to fewer steps on samples, and there are none", hint)
    stage("steps")
    if isinstance(asked, Wanted):
        asked = fewer_steps(legal, chosen, decoder, steps or chosen.steps, asked, loss)
    warnings += tuple(asked.warnings())
    fewer = asked.fewer
    if fewer is None:
        return Prepared(legal, chosen, decoder, steps, warnings, asked)
    return Prepared(with_fewer_steps(legal, fewer), taking(chosen, legal, fewer), decoder, fewer.steps, warnings, asked)


def settled(model: Model, choices: Choices, samples: DataLike | None, stage: Stage = no_stage) -> Choices:
    """The same choices, whose fewer steps have been found, for those who compile more than once."""
    if not isinstance(wanted(choices.steps), Wanted):
        return choices
    return replace(choices, steps=prepared(model, choices, samples, stage).found)


def _samples(samples: DataLike, model: Model, choices: Choices, steps: int | None) -> Data:
    """The samples as the network is to read them."""
    layer = next(iter(model.graph.of_kind(Input).values()))
    data = as_data(samples, layer.shape, usual=steps)
    learning = bool(model.learn or choices.learn)
    if choices.rate is None and not (learning and layer.events):
        return data  # quantisation says what is wrong with it
    source = source_for(layer)
    how = steps or data.steps, choices.rate, choices.seed if becomes_spikes(source, data) else None
    return shown(data, source, *how, learning=learning, where="--samples").spiking()
