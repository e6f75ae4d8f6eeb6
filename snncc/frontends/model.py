"""What every frontend gives: the network as a graph of layers, and what the file says beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from snncc.analysis.metrics import Fidelity
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
