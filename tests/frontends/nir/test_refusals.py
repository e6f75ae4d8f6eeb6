"""What is wrong with a file, in words: exact texts, all faults at once; and hostile files."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snncc.diagnostics import CompileError
from snncc.frontends import read_model
from tests.frontends.nir.files import DT, Nodes, chain, graph, lif, linear, node, packed_zeros, put, write


def failure(path: Path, style: str | None = "lava", dt: float | None = DT) -> str:
    with pytest.raises(CompileError) as caught:
        read_model(path, nir_style=style, dt=dt)
    return str(caught.value)


def one(kind: str, **values: Any) -> Nodes:
    return {"n": node(kind, **values)}


STATES = {"tau": 5e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0}
CONV = {"weight": np.ones((1, 1, 3, 3)), "bias": [0.0], "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
POOL = {"kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]}
BAD: dict[str, Nodes] = {
    "error[bad-nir]: n: has no tau, which a LIF needs\n  = hint: write it with nir.write": one(
        "LIF", r=1.0, v_leak=0.0, v_threshold=1.0
    ),
    "error[bad-nir]: n: its tau has 1 of 2 values that are NaN or infinite": one(
        "LIF", **{**STATES, "tau": [1, np.nan]}
    ),
    "error[bad-nir]: n: its r is no number": one("LIF", **{**STATES, "r": "much"}),
    "error[bad-nir]: n: its r is empty": one("LIF", **{**STATES, "r": np.zeros(0)}),
    "error[bad-nir]: n: its r has values beyond 1e+15": one("LIF", **{**STATES, "r": 1e30}),
    "error[bad-nir]: n: has refractory, which a LIF of NIR has not\n  = hint: write it with nir.write": one(
        "LIF", **STATES, refractory=2.0
    ),
    "error[unsupported-node]: n: is a Sinusoid; read are Threshold, I, IF, LI, LIF, CubaLI, CubaLIF, Affine, Linear, "
    "Scale, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten, Input, Output, Delay": one("Sinusoid"),
    "error[bad-nir]: n: has a time constant of -0.1; it must be positive": one("LIF", **{**STATES, "tau": -0.1}),
    "error[step-too-long]: n: has a time constant of 0.0001, less than the step of 0.001\n"
    "  = hint: give a smaller --dt, in the unit of the file's time constants": one("LIF", **{**STATES, "tau": 1e-4}),
    "error[bad-nir]: n: has tau for 3 neurons, and reads 2 values\n"
    "  = hint: give every neuron its value, or all of them one": one("LIF", **{**STATES, "tau": np.ones(3)}),
    "error[bad-nir]: n: its weight has 3 axes; read are two\n  = hint: use one node for each matrix": one(
        "Linear", weight=np.ones((2, 2, 2))
    ),
    "error[bad-nir]: n: has 3 biases for 2 outputs": one("Affine", weight=np.ones((2, 2)), bias=np.ones(3)),
    "error[bad-nir]: n: its weight has 4 axes; a Conv1d has 3": one("Conv1d", **CONV),
    "error[bad-nir]: n: reads 2; a Conv2d reads channels and 2 axes\n  = hint: give the node its input_shape": one(
        "Conv2d", **CONV
    ),
    "error[bad-nir]: n: states an input of 1×9×9, and reads 2\n"
    "  = hint: write the file again: input_shape is what NIR keeps it for": one("Conv2d", **CONV, input_shape=[9, 9]),
    "error[bad-nir]: n: a convolution's kernel fits its padded input; its weight is (1, 1, 3, 3) "
    "and its input (1, 1, 2)": one("Conv2d", **CONV, input_shape=[1, 2]),
    "error[bad-nir]: n: its stride is no pair of 1 to 65,536": one(
        "Conv2d", **{**CONV, "stride": [1, 0]}, input_shape=[1, 2]
    ),
    "error[bad-nir]: n: its padding is 'full'; words are 'same' and 'valid'\n  = hint: write it with nir.write": one(
        "Conv2d", **{**CONV, "padding": "full"}, input_shape=[1, 2]
    ),
    "error[bad-nir]: n: has the padding 'same' and a stride\n"
    "  = hint: give the padding in numbers: frameworks differ in what 'same' means with a stride": one(
        "Conv2d", **{**CONV, "padding": "same", "stride": 2}, input_shape=[1, 2]
    ),
    "error[bad-nir]: n: gives 17,179,738,112 values; read are 67,108,864": one(
        "Conv2d", **{**CONV, "padding": 1 << 16}, input_shape=[1, 2]
    ),
    "error[bad-nir]: n: reads 2; a SumPool2d reads channels, height and width": one("SumPool2d", **POOL),
    "error[bad-nir]: n: flattens axes 1 to 0 of values of 1 axes\n"
    "  = hint: count the axes without that of the batch": one("Flatten", start_dim=1, end_dim=-1),
    "error[fractional-delay]: n: delays by 1.5 steps of 0.001 s; a delay is a whole number of steps\n"
    "  = hint: round the delays, or give a smaller --dt": one("Delay", delay=[0.0, 1.5e-3]),
    "error[bad-nir]: n: delays by -1 s; read are 0 to 4,096 steps of 0.001 s\n  = hint: give another --dt": one(
        "Delay", delay=-1.0
    ),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_nodes(tmp_path: Path, said: str) -> None:
    assert failure(write(tmp_path / "bad.nir", *chain(2, BAD[said], 2))) == said


def test_all_faults_at_once(tmp_path: Path) -> None:
    """What reads only what is wrong is not complained about."""
    nodes, edges = chain(2, {"a": lif(3), "b": linear(np.ones((2, 2))), "c": node("IF", r=1.0)}, 2)
    nodes["d"] = lif(5)
    said = failure(write(tmp_path / "bad.nir", nodes, [*edges, ("in", "d"), ("d", "out")]))
    assert said.count("error[") == 3
    assert "c: has no v_threshold" in said


def test_choices_are_not_guessed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nir", *chain(2, {"lif": lif(2)}, 2))
    assert failure(path, None, None) == (
        "error[no-nir-style]: lif: its LIF leaves open how it integrates, fires and resets, and the file does not say\n"
        "  = hint: say who wrote the file: --nir-style exact|lava|norse|rockpool|sinabs|snntorch|spikingjelly"
    )
    assert failure(path, "lava", None) == (
        "error[no-dt]: lif: has time constants, and the file does not say how long a step is\n"
        "  = hint: give --dt: 1e-4 for files of snnTorch and SpikingJelly, 1 for Sinabs's; docs/nir.md has the others"
    )
    assert failure(path, "lava", float("nan")) == "error[bad-option]: --dt: is nan; a step takes a positive time"
    (warning,) = read_model(path, nir_style="snntorch", dt=DT).warnings
    assert str(warning) == (
        "warning[assumed-reset]: lif: is read with a reset to v_reset, as snnTorch reads it; its export stores no "
        "reset_mechanism\n"
        "  = hint: for networks trained with snnTorch's default: --nir-style snntorch,reset=subtract,reset_delay=1"
    )
    assert not read_model(path, nir_style="snntorch,reset=value", dt=DT).warnings


def test_membranes_between_layers(tmp_path: Path) -> None:
    li = node("LI", tau=5e-3, r=1.0, v_leak=0.0)
    said = failure(write(tmp_path / "a.nir", *chain(2, {"li": li, "w": linear(np.ones((2, 2)))}, 2)))
    assert said == (
        "error[graded-membrane]: li: hands its membrane on to w; between layers, neurons hand on spikes\n"
        "  = hint: let an Output or one Threshold of its own read it, or use an IF, a LIF or a CubaLIF"
    )
    nodes, edges = chain(2, {"li": li, "a": node("Threshold", threshold=1.0)}, 2)
    nodes["b"] = node("Threshold", threshold=2.0)
    said = failure(write(tmp_path / "b.nir", nodes, [*edges, ("li", "b"), ("b", "out")]))
    assert said == (
        "error[graded-membrane]: li: hands its membrane on to 2 thresholds, a, b\n  = hint: use one integrator for each"
    )


def test_a_way_back_that_leads_on_too(tmp_path: Path) -> None:
    nodes, edges = chain(2, {"a": lif(2), "w": linear(np.eye(2)), "b": lif(2)}, 2)
    said = failure(write(tmp_path / "a.nir", nodes, [*edges, ("w", "a"), ("b", "a")]))
    assert said == (
        "error[unclear-recurrence]: a: feeds w, which leads back to a and on to b\n"
        "  = hint: use one node for each, or put a Delay between a and what reads its previous step"
    )


STRUCTURE: dict[str, tuple[Nodes, Any]] = {
    "error[bad-nir]: the network: has an edge in -> lif, but no node lif; its nodes are in, lif1, out\n"
    "  = hint: nothing is joined to lif1: it may be what the edges call lif; rename one\n"
    "error[bad-nir]: the network: has an edge lif -> out, but no node lif; its nodes are in, lif1, out\n"
    "  = hint: nothing is joined to lif1: it may be what the edges call lif; rename one": (
        {"in": node("Input", shape=[2]), "lif1": lif(2), "out": node("Output", shape=[2])},
        [("in", "lif"), ("lif", "out")],
    ),
    "error[bad-nir]: in: is joined to out twice\n"
    "  = hint: give the edge once, and a Scale of 2 if it should count twice": (
        {"in": node("Input", shape=[2]), "out": node("Output", shape=[2])},
        [("in", "out"), ("in", "out")],
    ),
    "error[bad-nir]: edges: is no list of pairs of names\n  = hint: write it with nir.write": (
        {"in": node("Input", shape=[2])},
        np.zeros((2, 3)),
    ),
    "error[bad-nir]: g: has 2 nodes Output; a graph within a graph has one\n"
    "  = hint: join what they read, or flatten the graph": (
        {
            "in": node("Input", shape=[2]),
            "g": graph(
                {"i": node("Input", shape=[2]), "a": node("Output", shape=[2]), "b": node("Output", shape=[2])}, []
            ),
            "out": node("Output", shape=[2]),
        },
        [("in", "g"), ("g", "out")],
    ),
    "error[bad-nir]: in: has no shape, which an Input needs\n  = hint: write it with nir.write": (
        {"in": node("Input"), "out": node("Output", shape=[2])},
        [("in", "out")],
    ),
    "error[bad-nir]: in: its shape is no shape of 1 to 67,108,864 values": (
        {"in": node("Input", shape=[1 << 20, 1 << 20]), "out": node("Output", shape=[2])},
        [("in", "out")],
    ),
}


@pytest.mark.parametrize("said", STRUCTURE)
def test_bad_graphs(tmp_path: Path, said: str) -> None:
    assert failure(write(tmp_path / "bad.nir", *STRUCTURE[said])) == said


def test_files_that_are_no_networks(tmp_path: Path) -> None:
    (tmp_path / "text.nir").write_text("no HDF5")
    assert failure(tmp_path / "text.nir") == (
        "error[cannot-read]: text.nir: is no HDF5 file that can be read\n  = hint: write it with nir.write"
    )
    with h5py.File(tmp_path / "empty.nir", "w") as file:
        file["other"] = 1
    assert failure(tmp_path / "empty.nir") == (
        "error[bad-nir]: empty.nir: holds no NIR network: there is no group `node`\n  = hint: write it with nir.write"
    )
    with h5py.File(tmp_path / "single.nir", "w") as file:
        put(file, "node", lif(2))
    assert failure(tmp_path / "single.nir") == (
        "error[bad-nir]: single.nir: is a single LIF\n  = hint: wrap it: nir.NIRGraph.from_list(node)"
    )
    with h5py.File(tmp_path / "bare.nir", "w") as file:
        put(file, "node", node("NIRGraph"))
    assert failure(tmp_path / "bare.nir") == (
        "error[bad-nir]: the network: has no nodes and no edges\n  = hint: write it with nir.write"
    )


def test_options_of_other_formats(tmp_path: Path) -> None:
    assert failure(tmp_path / "a.onnx") == (
        "error[bad-option]: --nir-style: is for .nir files; a.onnx is none\n  = hint: leave it out"
    )
    assert failure(tmp_path / "a.net", None).startswith("error[bad-option]: --dt: is for .nir files; a.net is none")


def test_links_and_other_files_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "other.nir", *chain(2, {"lif": lif(2)}, 2))
    for link in (h5py.ExternalLink("other.nir", "/node/nodes/lif"), h5py.SoftLink("/node/nodes/lif")):
        path = write(tmp_path / "link.nir", *chain(2, {"lif": lif(2)}, 2))
        with h5py.File(path, "a") as file:
            file["node/nodes"]["copy"] = link
        assert failure(path) == (
            "error[bad-nir]: copy: is a link to somewhere else\n  = hint: export the network into one file"
        )
    path = write(tmp_path / "raw.nir", *chain(2, {"lif": lif(2)}, 2))
    with h5py.File(path, "a") as file:
        del file["node/nodes/lif/tau"]
        file["node/nodes/lif"].create_dataset("tau", (2,), "f8", external=[("/etc/passwd", 0, 16)])
    assert failure(path) == (
        "error[bad-nir]: lif.tau: lies in another file\n  = hint: export the network into one file"
    )


def test_links_that_lead_to_each_other_are_not_followed(tmp_path: Path) -> None:
    path = write(tmp_path / "link.nir", *chain(2, {"lif": lif(2)}, 2))
    with h5py.File(path, "a") as file:
        file["node/nodes/a"], file["node/nodes/b"] = h5py.SoftLink("/node/nodes/b"), h5py.SoftLink("/node/nodes/a")
    assert failure(path).startswith("error[bad-nir]: a: is a link to somewhere else\n")


def test_a_dataset_made_of_other_files_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "other.nir", *chain(2, {"lif": lif(2)}, 2))
    path = write(tmp_path / "virtual.nir", *chain(2, {"lif": lif(2)}, 2))
    with h5py.File(path, "a") as file:
        del file["node/nodes/lif/tau"]
        layout = h5py.VirtualLayout((2,), "f8")
        layout[:] = h5py.VirtualSource("other.nir", "node/nodes/lif/tau", (2,))
        file["node/nodes/lif"].create_virtual_dataset("tau", layout)
    assert failure(path).startswith("error[bad-nir]: lif.tau: lies in another file\n")


def test_few_values_out_of_a_huge_packed_piece_are_refused(tmp_path: Path) -> None:
    """HDF5 unpacks the whole piece for any value in it."""
    path = write(tmp_path / "bomb.nir", *chain(2, {"lif": lif(2)}, 2))
    with h5py.File(path, "a") as file:
        del file["node/nodes/lif/tau"]
        packed_zeros(file["node/nodes/lif"], "tau", (2,), (9 << 20,), "f8")
    said = "unpacks to more than a file of this size should hold\n  = hint: write it with nir.write"
    assert failure(path) == f"error[bad-nir]: lif.tau: {said}"
    for dtype, rule in (("S8", said), (h5py.string_dtype(), "is packed in larger pieces than HDF5 keeps unpacked\n")):
        path = write(tmp_path / "edges.nir", *chain(2, {"lif": lif(2)}, 2))
        with h5py.File(path, "a") as file:
            del file["node/edges"]
            if dtype == "S8":
                packed_zeros(file["node"], "edges", (2000, 2), (5 << 20, 2), dtype)
            else:
                more = {"chunks": (1 << 17, 2), "maxshape": (None, 2), "compression": "gzip"}
                file["node"].create_dataset("edges", (2000, 2), dtype, **more)
        assert failure(path).startswith(f"error[bad-nir]: edges: {rule}")


def test_code_is_not_loaded_to_unpack_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nir", *chain(2, {"lif": lif(2)}, 2))
    with h5py.File(path, "a") as file:
        del file["node/nodes/lif/tau"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((2,))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((2,))
        h5py.h5d.create(file["node/nodes/lif"].id, b"tau", h5py.h5t.IEEE_F64LE, space, plist)
    assert failure(path) == (
        "error[bad-nir]: lif.tau: is packed in a way that needs a plugin of HDF5's\n  = hint: write it with nir.write"
    )


def test_a_graph_that_holds_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nir", *chain(2, {"g": graph({}, [])}, 2))
    with h5py.File(path, "a") as file:
        for number in range(3):
            file[f"node/nodes/g/nodes/{number}"] = file["node/nodes/g"]
    assert failure(path).startswith("error[bad-nir]: g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0: lies within more than 16 graphs")


def test_a_small_file_never_takes_much_memory(tmp_path: Path) -> None:
    """Neither a packed dataset, nor many edges that share one long name."""
    path = write(tmp_path / "bomb.nir", *chain(2, {"w": linear(np.ones((2, 2)))}, 2))
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        file["node/nodes/w"].create_dataset("weight", (1 << 14, 1 << 14), "f4", chunks=True, compression="gzip")
    long = write(tmp_path / "long.nir", *chain(2, {"w": linear(np.ones((2, 2)))}, 2))
    with h5py.File(long, "a") as file:
        del file["node/edges"]
        pairs = np.array([["x" * 3000] * 2] * 2000, object)
        file["node"].create_dataset("edges", data=pairs, dtype=h5py.string_dtype(), compression="gzip")
    many = write(tmp_path / "many.nir", *chain(2, {"w": linear(np.ones((2, 2)))}, 2))
    with h5py.File(many, "a") as file:
        del file["node/edges"]
        file["node"].create_dataset("edges", (1 << 24, 2), h5py.string_dtype(), chunks=True, compression="gzip")
    tracemalloc.start()
    try:
        assert failure(path) == (
            "error[bad-nir]: w.weight: unpacks to more than a file of this size should hold\n"
            "  = hint: write it with nir.write"
        )
        assert failure(many) == (
            "error[bad-nir]: edges: makes more than 4,096 edges\n  = hint: a node stands for a layer"
        )
        assert failure(long) == "error[bad-nir]: edges: gives a name of 3,000 characters; read are 1,024"
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "../../x", "{{ 7 }}", '"', "*/", "ä", "x" * 900])
def test_hostile_names(tmp_path: Path, name: str) -> None:
    if "/" in name:
        name = name.replace("/", "\\")
    path = write(tmp_path / "a.nir", *chain(2, {name: lif(3)}, 2))
    said = failure(path)
    assert all(each.isprintable() or each == "\n" for each in said)
