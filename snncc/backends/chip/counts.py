"""What a machine has counted, by name: everything that costs time or energy, core by core and link by link."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snncc.analysis.learning import busy
from snncc.arrays import Ints
from snncc.backends.chip.machine import Machine
from snncc.mapping import cores_of


def counts(machine: Machine) -> Mapping[str, Ints]:
    """Counters that add up over batches; the arrays by core have the host as one more, at the end.

    `steps`, `cycles` (1,) of all samples together; by core `neurons` updated, `spikes` (neurons that sent something),
    `packets` sent, `deliveries`, cycles in which the neuron unit worked (`neuron_busy`) and waited (`neuron_stalled`),
    and the synapse unit worked (`synapse_busy`); `synapses` (cores, 3) read in sparse, dense and shared form; `hops`
    (tiles, 4) to the north, east, south and west; `fired` (values and neurons,) how often each sent something, in the
    order of the network; `operations` (input and populations,) synapses other than 0, or that learn, which what they
    sent has met. Of a program that learns `learning` (cores, EVENTS), and `learning_busy`, cycles of learning units.
    """
    image, loaded, state, timing = machine.image, machine.loaded, machine.state, machine.timing
    cores, tables = cores_of(image.mesh), loaded.tables
    used = np.repeat(state.fired, np.diff(tables.start))  # how often each route was taken
    axon = tables.routes["axon"]
    home = np.full(len(state.fired), cores, np.int64)
    for sender, position in zip(image.senders, loaded.positions, strict=True):
        if sender.cores is not None:
            home[position] = sender.cores
    neurons = np.zeros(cores + 1, np.int64)
    for sender, updates in zip(image.senders, machine.updates.tolist(), strict=True):
        if sender.cores is not None:
            neurons[:-1] += updates * np.bincount(sender.cores, minlength=cores)
    fired = [state.fired[position] for position in loaded.positions]
    spikes = _by(home, state.fired, cores)
    packets = _by(np.repeat(home, np.diff(tables.start)), used, cores)
    busy = neurons * int(timing.neuron.value) + spikes * int(timing.spike.value) + packets * int(timing.packet.value)
    busy[-1] = packets[-1] * int(timing.host.value)
    stalled = np.zeros(cores + 1, np.int64)
    stalled[loaded.units] = state.units["stalled"]
    spikes[-1] = 0
    by_form = [_by(tables.routes["core"], used * each[axon], cores) for each in loaded.reads.T]
    return {
        "steps": machine.steps.copy(),
        "cycles": machine.cycles.copy(),
        "neurons": neurons,
        "spikes": spikes,
        "packets": packets,
        "deliveries": np.append(state.cores["came"], 0),
        "neuron_busy": busy,
        "neuron_stalled": stalled,
        "synapse_busy": _by(tables.routes["core"], used * loaded.service[axon], cores),
        "synapses": np.stack(by_form, axis=1),
        **_learning(machine),
        "hops": state.ports["moves"].reshape(-1, machine.numbers.ports)[:, :4].copy(),
        "fired": np.concatenate(fired),
        "operations": np.array([_operations(machine, number, used) for number in range(len(image.senders))]),
    }


def _learning(machine: Machine) -> Mapping[str, Ints]:
    """What a program that learns has counted of it."""
    learner = machine.learner
    if not learner.taught or learner.costs is None:
        return {}
    return {"learning": learner.counts.copy(), "learning_busy": busy(learner.counts, learner.costs)}


def peaks(machine: Machine) -> Mapping[str, Ints]:
    """The most packets at once in `buffers` (tiles, ports) and in `queues` (cores,)."""
    buffers = machine.state.buffers["peak"].reshape(-1, machine.numbers.ports)
    return {"buffers": buffers.astype(np.int64), "queues": machine.state.cores["peak"].astype(np.int64)}


def _by(place: Ints, values: Ints, cores: int) -> Ints:
    """The sums of values by core, the host being one more; exact, as `bincount` is not."""
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(cores + 2))
    total = np.concatenate([[0], np.cumsum(values[order])])
    return total[ends[1:]] - total[ends[:-1]]


def _operations(machine: Machine, number: int, used: Ints) -> int:
    """How many synapses other than 0 the values of a sender have met, on the host as well."""
    sender, position = machine.image.senders[number], machine.loaded.positions[number]
    tables, useful = machine.loaded.tables, machine.loaded.useful
    routes = np.concatenate([[0], np.cumsum(used * useful[tables.routes["axon"]])])
    total = int((routes[tables.start[position + 1]] - routes[tables.start[position]]).sum())
    if sender.inner is not None:
        inner = sender.inner >= 0
        axons = machine.image.axons[-2] + sender.inner[inner]
        total += int((machine.state.fired[position[inner]] * useful[axons]).sum())
    return total
