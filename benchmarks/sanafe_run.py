"""Runs a placed network in SANA-FE on its own Loihi cost file, and prints JSON; for `against_sanafe.py`.

Needs only `sanafe` and numpy: it runs in an environment of its own, and is told everything by one .npz file.
    thresholds   (neurons,)  a neuron fires when its potential is greater, and is then reset to 0; nothing leaks
    cores        (neurons,)  the core of each neuron: 4 a tile, tiles row by row, 8 a row
    kinds        (neurons,)  what its synapses count as: 0 dense, 1 sparse, 2 convolution
    source, target, weight   (synapses,)  source < 0 is input value -1 - source
    inputs       (steps, values)   input spikes
    host         ()          the tile on whose cores the input values lie

`seconds` are the processor's, all threads together, as other work may run beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import sanafe

KINDS = ("loihi_dense_synapse", "loihi_sparse_synapse", "loihi_conv_synapse")
CORES, COLUMNS, ROWS, HELD = 4, 8, 4, 1024
SHARED = {"leak_decay": 1.0, "reset_mode": "hard", "reset": 0.0, "force_update": True}


def core_of(architecture: Any, core: int) -> Any:
    """SANA-FE counts its tiles column by column, the file counts them row by row."""
    tile = core // CORES
    column, row = tile % COLUMNS, tile // COLUMNS
    return architecture.tiles[column * ROWS + row].cores[core % CORES]


def built(architecture: Any, given: Any) -> Any:
    """The network; input values lie on the cores of the tile where the host's port is."""
    network = sanafe.Network()
    values = given["inputs"].shape[1]
    assert values <= CORES * HELD, "a tile holds no more input values"
    inputs = network.create_neuron_group("inputs", values, {})
    for index in range(values):
        train = given["inputs"][:, index].astype(bool).tolist()
        unit = f"loihi_inputs[{index % HELD}]"
        inputs[index].set_attributes(soma_hw_name=unit, model_attributes={"spikes": train})
        inputs[index].map_to_core(core_of(architecture, int(given["host"]) * CORES + index // HELD))
    neurons = network.create_neuron_group("neurons", len(given["cores"]), SHARED, soma_hw_name="loihi_lif")
    each = zip(given["cores"].tolist(), given["thresholds"].tolist(), given["kinds"].tolist(), strict=True)
    for index, (core, threshold, kind) in enumerate(each):
        neurons[index].set_attributes(
            log_spikes=True,
            default_synapse_hw_name=KINDS[kind],
            dendrite_hw_name="loihi_dendrites",
            model_attributes={"threshold": float(threshold)},
        )
        neurons[index].map_to_core(core_of(architecture, core))
    for group, own in ((inputs, given["source"] < 0), (neurons, given["source"] >= 0)):
        source = given["source"][own]
        source = np.where(source < 0, -1 - source, source)
        pairs = list(zip(source.tolist(), given["target"][own].tolist(), strict=True))
        group.connect_neurons_sparse(neurons, {"weight": given["weight"][own].astype(float).tolist()}, pairs)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", help="the .npz file")
    parser.add_argument("--timing", choices=("simple", "detailed", "cycle"), default="simple")
    parser.add_argument("--spikes", help="write (steps, neurons) spikes to this .npy file")
    arguments = parser.parse_args()
    given = np.load(arguments.network)
    steps = len(given["inputs"])
    architecture = sanafe.load_loihi()
    chip = sanafe.SpikingChip(architecture)
    chip.load(built(architecture, given))
    start = time.process_time()
    result = chip.sim(steps, timing_model=arguments.timing, perf_trace=True, spike_trace=bool(arguments.spikes))
    seconds = time.process_time() - start
    if arguments.spikes:
        spikes = np.zeros((steps, len(given["cores"])), np.uint8)
        for step, fired in enumerate(result["spike_trace"]):
            for address in fired:
                if address.group_name == "neurons":
                    spikes[step, address.neuron_offset] = 1
        np.save(arguments.spikes, spikes)
    trace = result["perf_trace"]
    counts = {key: int(sum(trace[key])) for key in ("fired", "updated", "spikes", "hops")}
    counts |= {"packets": result["packets_sent"], "steps": steps}
    report = {"seconds": seconds, "simulated_seconds": result["sim_time"], "joules": result["energy"], "counts": counts}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
