"""What a device takes of time and energy, worked out from spikes: the emulator does not run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snncc.analysis.costs import Estimate, product
from snncc.arrays import Ints
from snncc.backends.base import Job, Spending
from snncc.backends.c.mcu.artefact import device_of
from snncc.backends.c.mcu.emit import plan_for
from snncc.backends.c.mcu.profile import fan_out
from snncc.backends.c.mcu.synapses import PackedKernel
from snncc.backends.c.plan import Link
from snncc.device import Device
from snncc.fabric import figures
from snncc.integers import Synapse, learns, source_of
from snncc.linear import Conv

_WHOLE = 8  # bits of weights that need no unpacking
_NARROW = 16  # bits of sums up to which an event takes less


def spending(job: Job, active: Mapping[str, Ints], steps: int, samples: int) -> Spending | None:
    """What each of `samples` samples takes, None if the device's file has no costs, or the network learns.

    `active` are the times that each value of a source or population was not 0, of all samples, which took `steps`
    steps together.
    """
    device = device_of(job.chip)
    if device.costs is None or learns(job.network):
        return None
    found = dict.fromkeys((name for name, _ in figures(device.costs)), 0.0)
    for each in events(job, active, steps).values():
        found |= {name: found[name] + count / samples for name, count in each.items()}
    counted = sum(count * getattr(device.costs, name).value for name, count in found.items())
    costs = [figure for _, figure in figures(device.costs)]
    time, energy = (each and each.resting_on(costs) for each in (seconds(counted, device), joules(counted, device)))
    return Spending(found, counted, device.emulator.counts, time, energy)


def seconds(counted: float, device: Device) -> Estimate | None:
    """The time of an inference, from its cycles, or from its instructions and their mean cycles."""
    each, clock = device.cycles_per_instruction, device.clock_mhz
    if each is None and device.emulator.counts == "instructions":
        return None
    return product(counted, (*([each] if each else []), replace(clock, value=1e-6 / clock.value)))


def joules(counted: float, device: Device) -> Estimate | None:
    """The energy of an inference, likewise, where the file has that of a cycle."""
    each = device.cycles_per_instruction
    return device.cycle_pj and product(counted * 1e-12, (*([each] if each else []), device.cycle_pj))


def events(job: Job, active: Mapping[str, Ints], steps: int) -> Mapping[str, Mapping[str, float]]:
    """How often what costs happens, by the key of its cost, for each synapse and for each population by its name."""
    found: dict[str, Mapping[str, float]] = {}
    for step in plan_for(job.network, job.proof, job.chip).steps:
        for link in step.links:
            op = job.network[link.name]
            assert isinstance(op, Synapse)
            times = active[source_of(job.network, link.name)[0]]
            wide = "wide_" * (step.neurons.kind.acc.bits > _NARROW)
            reached = float((times * fan_out(op.map)).sum())
            found[link.name] = {
                "stretch": float((times * _stretches(link, op)).sum()),
                f"{wide}{'graded' if link.sender.graded else 'spike'}": reached,
                "packed": reached * (_stored(link) < _WHOLE),
            }
        found[step.name] = {"neuron": float(steps * step.op.size)}
    return found


def _stretches(link: Link, op: Synapse) -> Ints:
    """How many stretches of sums each source adds to, (in_size,): a convolution's lie apart."""
    tables = link.compiled.tables
    if not isinstance(op.map, Conv) or "run" not in tables:
        return np.ones(op.map.in_size, np.int64)
    rows, runs = np.diff(tables["row"].values), np.diff(tables["run"].values)
    return np.broadcast_to(rows[:, None] * runs, op.map.in_shape).reshape(-1)


def _stored(link: Link) -> int:
    """The bits in which a synapse's weights lie there, 8 where there is one for all."""
    kernel = link.compiled.kernel
    return kernel.stored if isinstance(kernel, PackedKernel) else _WHOLE
