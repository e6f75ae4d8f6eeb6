"""A model compiled for an event-driven chip: written, run and verified like any other, by a reference of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snncc import artefact
from snncc.analysis.metrics import Fidelity, Reading
from snncc.arrays import Array
from snncc.backends.base import Batch, EventBackend, Result
from snncc.events.ops import EventNetwork
from snncc.events.reference import run
from snncc.integers import Learnt, Output, Source
from snncc.layers import Decoder
from snncc.program import CompiledModel
from snncc.runner import Trace


@dataclass(frozen=True, eq=False, kw_only=True)
class EventProgram(CompiledModel):
    """An event-driven network and its target; `fidelity` is what was left of the model after each stage, on samples."""

    network: EventNetwork
    backend: EventBackend
    fidelity: tuple[Fidelity, ...] = ()

    @property
    def source(self) -> Source:
        return self.network.source

    @property
    def decoders(self) -> Mapping[str, Decoder]:
        return {name: op.decoder for name, op in self.network.of_kind(Output).items()}

    @property
    def read(self) -> Collection[str]:
        return [self.network.incoming(name)[0].source for name in self.network.of_kind(Output)]

    @property
    def sizes(self) -> Mapping[str, int]:
        return {name: op.size for name, op in self.network.populations.items()}

    def files(self) -> Mapping[str, bytes]:
        reference = artefact.reference_files(
            self.title, self.backend.name, self.chip, self.steps, self.network, self.fewer, pruned=self.pruned
        )
        return {**self.backend.emit(self.title, self.network, self.chip, self.steps), **reference}

    def expected(
        self,
        x: Array,
        lengths: Array,
        learnt: Learnt | None = None,  # noqa: ARG002
        reward: Array | None = None,  # noqa: ARG002
    ) -> Trace:
        return run(self.network, x, lengths, record=tuple(self.sizes))

    def found(self, folder: Path, batch: Batch, record: bool) -> Result:
        return self.backend.run(folder, self.network, batch, record)

    def readings(self, results: Sequence[Result], samples: int) -> tuple[Reading, ...]:
        return self.backend.readings(results, self.chip, samples)
