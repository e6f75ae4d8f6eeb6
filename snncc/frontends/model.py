"""What every frontend gives: the network as a graph of layers, what else the file says, and what was recognised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from snncc.analysis.metrics import Fidelity
from snncc.arrays import Shape
from snncc.describe import details, kind
from snncc.diagnostics import Diagnostic
from snncc.graph import Graph
from snncc.integers import Network
from snncc.layers import Decoder, Layer


@dataclass(frozen=True, eq=False)
class Model:
    """An imported network.

    `steps` and `decoder` are what the file asks for, None where it does not. `spike_tensors` names, for each
    population, the tensor of the file that holds its spikes; `fits` is the worst relative error of each population
    against the file's own arithmetic. `network` is the file's own integer network, where it holds one; it needs no
    quantising on a target of its arithmetic. `fidelity` is what a conversion left of the network, on samples.
    `learn` has the text of the learning rules that the file brings, by synapse group.
    """

    name: str
    graph: Graph[Layer]
    steps: int | None = None
    decoder: Decoder | None = None
    spike_tensors: Mapping[str, str] = field(default_factory=dict[str, str])
    fits: Mapping[str, float] = field(default_factory=dict[str, float])
    warnings: tuple[Diagnostic, ...] = ()
    network: Network | None = None
    fidelity: tuple[Fidelity, ...] = ()
    learn: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Finding:
    """What a node of a file was recognised as: a layer or a population, with what it reads and its parameters.

    `kind` is empty where it was not recognised, and `why` says why not, for the fault with the name `rule`.
    """

    node: str
    kind: str
    shape: Shape | None = None
    reads: tuple[str, ...] = ()
    parameters: str = ""
    fit_error: float | None = None
    rule: str = ""
    why: str = ""


def findings(model: Model) -> tuple[Finding, ...]:
    """What each layer of a model was recognised as."""
    return tuple(rows(model.graph, model.fits))


def rows(graph: Graph[Layer], fits: Mapping[str, float]) -> Iterator[Finding]:
    """The layers of a graph; `fits` are those of `Model`."""
    for name, op in graph.ops.items():
        reads = tuple(
            edge.source
            + (f" (step t-{edge.delay})" if edge.delay else "")
            + (f" * {edge.gain:g}" if edge.gain != 1 else "")
            for edge in graph.incoming(name)
        )
        yield Finding(name, kind(op), op.shape, reads, details(op), fits.get(name))
