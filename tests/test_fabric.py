"""Chip files of many cores: what is missing or cannot be is said with its line, and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from snncc import chip as chips
from snncc.diagnostics import CompileError
from snncc.fabric import Mesh
from snncc.records import Place

MESH = (chips.folder() / "mesh64.toml").read_text(encoding="utf-8")


def faults(folder: Path, text: str) -> list[str]:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    try:
        chips.load(path)
    except CompileError as error:
        return [str(each).replace(str(path), "mine.toml") for each in error.diagnostics]
    return []


def line_of(start: str) -> int:
    return next(number for number, line in enumerate(MESH.splitlines(), 1) if line.startswith(start))


def test_the_parts_of_a_fabric_are_read_together() -> None:
    assert chips.load("host").fabric is None
    fabric = chips.load("mesh64").fabric
    assert fabric is not None
    assert (fabric.mesh.columns, fabric.mesh.rows, fabric.mesh.cores) == (8, 8, 1)
    assert fabric.core.neurons.value == 1024
    assert fabric.timing.barrier == ((0, 20), (2, 40), (17, 60))
    assert fabric.energy is not None


@pytest.mark.parametrize("table", ["mesh", "core", "packing", "timing"])
def test_a_missing_table(tmp_path: Path, table: str) -> None:
    begin = MESH.index(f"[{table}]")
    without = MESH[:begin] + MESH[MESH.index("\n[", begin) + 1 :]
    found = faults(tmp_path, without)
    assert found == [
        f"error[bad-chip-file]: mine.toml: {table}: is missing\n"
        "  = hint: a chip of many cores has the tables mesh, core, packing, timing"
    ]


def test_the_host_may_be_at_any_tile(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MESH.replace("host = [0, 0]", "host = [7, 2]"), encoding="utf-8")
    assert chips.load(path).mesh == Mesh(8, 8, 1, Place((7, 2)))


def test_energies_are_optional(tmp_path: Path) -> None:
    assert not faults(tmp_path, MESH[: MESH.index("[energy]")])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "host = [0, 0]",
            "host = [8, 0]",
            "mesh.host: is outside the mesh of 8 columns and 8 rows\n  = hint: columns and rows count from 0",
        ),
        (
            "host = [0, 0]",
            "host = [0, -1]",
            "mesh.host: must be [column, row], two whole numbers from 0 on, not [0, -1]",
        ),
        (
            "cores = 1",
            "cores = 59",
            "mesh.cores: must be at most 58\n  = hint: make more tiles of fewer cores",
        ),
        (
            "neurons = { value = 1024, assumed = true }",
            "neurons = { value = 0, assumed = true }",
            "core.neurons.value: must be at least 1",
        ),
        (
            "axons_in = { value = 4096, assumed = true }",
            "axons_in = { value = 4096.5, assumed = true }",
            "core.axons_in.value: must be a whole number, not 4096.5",
        ),
        (
            "axons_in = { value = 4096, assumed = true }",
            "axons_in = { value = 4096 }",
            "core.axons_in: has no source\n  = hint: give its source, or assumed = true",
        ),
        (
            "axons_in = { value = 4096, assumed = true }",
            'axons_in = { value = 4096, assumed = true, source = "a paper" }',
            "core.axons_in: has a source and is assumed\n  = hint: give its source, or assumed = true",
        ),
        (
            "axons_in = { value = 4096, assumed = true }",
            "axon_in = { value = 4096, assumed = true }",
            "core.axon_in: unknown key\n  = hint: did you mean axons_in?",
        ),
        (
            "link = { value = 1, assumed = true }",
            "link = { value = 0, assumed = true }",
            "timing.link.value: must be at least 1",
        ),
        (
            "link = { value = 1, assumed = true }",
            "link = { value = -1, assumed = true }",
            "timing.link.value: must be a number of 0 or more, not -1",
        ),
        (
            "link = { value = 1, assumed = true }",
            "link = { value = 1e12, assumed = true }",
            "timing.link.value: must be at most 1,073,741,824",
        ),
        (
            "link = { value = 1, assumed = true }",
            'link = "1 ns"',
            "timing.link: must be a table, not '1 ns'\n  = hint: its keys: value, source, assumed",
        ),
        (
            "clock_ns = { value = 2, assumed = true }",
            "clock_ns = { value = 0, assumed = true }",
            "timing.clock_ns.value: must be more than 0",
        ),
        (
            "buffer = { value = 4, assumed = true }",
            "buffer = { value = 5000, assumed = true }",
            "timing.buffer.value: must be at most 4,096",
        ),
        (
            "barrier = [[0, 20], [2, 40], [17, 60]]",
            "barrier = [[2, 40], [0, 20]]",
            "timing.barrier: must be a list of pairs of whole numbers, the first of each pair rising, "
            "not [[2, 40], [0, 20]]",
        ),
        (
            "barrier = [[0, 20], [2, 40], [17, 60]]",
            "barrier = [[0, 9999999999]]",
            "timing.barrier: must be at most 1,073,741,824 cycles",
        ),
    ],
)
def test_one_wrong_value(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert MESH.count(old) == 1
    where = line_of(old.split("=", maxsplit=1)[0])
    assert faults(tmp_path, MESH.replace(old, new))[0] == f"error[bad-chip-file]: mine.toml:{where}: {said}"


def test_spikes_cannot_arrive_in_the_step_in_which_they_are_sent(tmp_path: Path) -> None:
    found = faults(tmp_path, MESH.replace("steps = [1, 63]", "steps = [0, 63]"))
    assert found[0].endswith(
        "delay.steps: must be at least 1 on a chip of many cores\n"
        "  = hint: what a core sends reaches another one in the next step at the earliest"
    )


def test_energies_are_figures_too(tmp_path: Path) -> None:
    begin = MESH.index("[energy]")
    found = faults(tmp_path, MESH[:begin] + MESH[begin:].replace("{ value = 50, assumed = true }", "{ value = 1e13 }"))
    assert [each.split(": ", 2)[2] for each in found] == [
        "energy.neuron.value: must be at most 1,000,000,000,000",
        "energy.neuron: has no source\n  = hint: give its source, or assumed = true",
    ]
    assert not faults(tmp_path, MESH[:begin] + MESH[begin:].replace("value = 50,", "value = 0.25,"))


def test_impossible_values_are_said_together_with_unknown_and_wrong_keys(tmp_path: Path) -> None:
    text = MESH.replace("clock_ns =", "clock_us =").replace("host = [0, 0]", "host = [8, 0]")
    text = text.replace("neurons = { value = 1024, assumed = true }", "neurons = 1024")
    text = text.replace("{ value = 8192, assumed = true }", "{ value = 0.5, sorce = 1 }")
    text = text.replace("cores = 1", 'cores = "one"')
    words = f":{line_of('synapse_words = ')}: core.synapse_words"
    assert [each.removeprefix("error[bad-chip-file]: mine.toml") for each in faults(tmp_path, text)] == [
        f":{line_of('cores = 1')}: mesh.cores: must be a whole number from 1 to 64, not 'one'",
        f":{line_of('neurons = ')}: core.neurons: must be a table, not 1024\n"
        "  = hint: its keys: value, source, assumed",
        f"{words}.sorce: unknown key\n  = hint: did you mean source?",
        f":{line_of('clock_ns = ')}: timing.clock_us: unknown key\n  = hint: did you mean clock_ns?",
        f":{line_of('[timing]')}: timing.clock_ns: is missing",
        f":{line_of('host = ')}: mesh.host: is outside the mesh of 8 columns and 8 rows\n"
        "  = hint: columns and rows count from 0",
        f"{words}.value: must be a whole number, not 0.5",
        f"{words}: has no source\n  = hint: give its source, or assumed = true",
        f"{words}.value: must be at least 1",
    ]


@pytest.mark.parametrize("target", ["mesh64", "cortex-m4", "tinyodin"])
def test_no_key_that_cannot_be_read_hides_or_invents_a_fault(tmp_path: Path, target: str) -> None:
    """Each line of a file spoilt in turn: what it makes unreadable is said, and one impossible value elsewhere."""
    text = (chips.folder() / f"{target}.toml").read_text(encoding="utf-8")
    text = text.replace("exponent = [0, 15]", "exponent = [0, 33]").replace("exponent = [0, 0]", "exponent = [0, 33]")
    lines = text.splitlines()
    known = "weight.exponent: must be at most 32"
    assert [each.split(": ", 2)[2] for each in faults(tmp_path, text)] == [known]
    for number, line in enumerate(lines):
        key = line.split("=")[0].strip()
        if "=" not in line or not key.isidentifier() or key == "exponent":
            continue
        end = number if line.count("[") <= line.count("]") else lines.index("]", number)
        for spoilt in (f"{key} = [[]]", f"{key}_x = 1", ""):
            said = faults(tmp_path, "\n".join([*lines[:number], spoilt, *lines[end + 1 :]]))
            found = [each.split(": ", 2)[2] for each in said]
            assert known in found
            assert not any("nan" in each or "'?'" in each for each in found), found
            assert all(key in each or each == known for each in found), found


def test_a_chip_that_learns_says_what_that_takes(tmp_path: Path) -> None:
    learning = chips.load("mesh64").learning
    assert learning
    assert learning.energy
    assert learning.cycles.word.value == 2
    begin = MESH.index("[learning]")
    missing = MESH[:begin] + MESH[MESH.index("[energy]") : MESH.index("[learning.energy]")]
    hint = "\n  = hint: a chip of many cores learns with the capability and the table `learning`, both"
    assert faults(tmp_path, missing) == [f"error[bad-chip-file]: mine.toml: learning: is missing{hint}"]
    mute = MESH.replace(', "learning",', ",")
    line = line_of("[learning]")
    assert faults(tmp_path, mute) == [
        f"error[bad-chip-file]: mine.toml:{line}: learning: says nothing without the capability{hint}"
    ]
    no_energy = MESH[: MESH.index("[learning.energy]")]
    assert faults(tmp_path, no_energy) == [
        f"error[bad-chip-file]: mine.toml:{line_of('[learning]')}: learning.energy: is missing\n"
        "  = hint: the chip has the table `energy`"
    ]
    half = MESH.replace("change = { value = 0, assumed = true } #", "change = { value = 0.5, assumed = true } #")
    where = line_of("change = { value = 0")
    assert faults(tmp_path, half) == [
        f"error[bad-chip-file]: mine.toml:{where}: learning.cycles.change.value: must be a whole number, not 0.5"
    ]


def test_a_chip_that_learns_in_simulation_only_has_no_table_of_it(tmp_path: Path) -> None:
    loihi = chips.load("loihi2")
    assert loihi.lava
    assert loihi.lava.simulated_learning
    assert loihi.learning is None
    text = (chips.folder() / "loihi2.toml").read_text()
    assert faults(tmp_path, text.replace("simulated_learning = true", "simulated_learning = false")) == [
        "error[bad-chip-file]: mine.toml: learning: is missing\n"
        "  = hint: a chip of many cores learns with the capability and the table `learning`, both"
    ]
    mute = text.replace('    "learning",', "    #")
    number = next(n for n, row in enumerate(mute.splitlines(), 1) if row.startswith("simulated_learning"))
    assert faults(tmp_path, mute) == [
        f"error[bad-chip-file]: mine.toml:{number}: lava.simulated_learning: "
        "says nothing without the capability `learning`"
    ]
