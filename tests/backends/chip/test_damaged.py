"""A damaged program is refused, or runs to its end: the machine never looks up what is not there."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snncc
from snncc import classics
from snncc.analysis.proof import prove
from snncc.arrays import Array
from snncc.backends.base import Batch, Job
from snncc.backends.chip.emit import emit
from snncc.backends.chip.image import ARRAYS, STRUCTURE, Contents, parsed
from snncc.backends.chip.run import run
from snncc.diagnostics import CompileError
from snncc.passes.route import route
from tests.backends.chip.random_chips import Setup, lessons_on_chips, setups

ODD = (
    -(1 << 63),
    -(1 << 31),
    -129,
    -2,
    -1,
    0,
    1,
    2,
    3,
    7,
    100,
    127,
    255,
    1 << 15,
    (1 << 31) - 1,
    1 << 40,
    (1 << 63) - 1,
)


def program(setup: Setup) -> dict[str, bytes]:
    mapping = route(setup.network, setup.placement)
    return dict(emit(Job("random", setup.network, prove(setup.network), setup.chip, mapping)))


def attempt(setup: Setup, files: dict[str, bytes]) -> str:
    """The rule that refuses it, or nothing if it runs."""
    with TemporaryDirectory() as scratch:
        for name, content in files.items():
            (Path(scratch) / name).write_bytes(content)
        try:
            run(Path(scratch), setup.network, setup.chip, Batch(setup.x, setup.lengths), False)
        except CompileError as error:
            return error.diagnostics[0].rule
    return ""


def places(plain: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the numbers of a JSON document are."""
    if isinstance(plain, (dict, list)):
        items = plain.items() if isinstance(plain, dict) else enumerate(plain)
        return [place for key, each in items for place in places(each, (*path, key))]
    return [path] if type(plain) is int else []


def arrays(plain: Any) -> list[dict[str, Any]]:
    """The descriptions of arrays in a JSON document."""
    if isinstance(plain, dict) and set(plain) == {"dtype", "shape", "offset"}:
        return [plain]
    inner = plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ()
    return [each for part in inner for each in arrays(part)]


def damage(files: dict[str, bytes], random: random.Random) -> dict[str, bytes]:
    """A few numbers changed, in the structure or in the arrays; the digest is right again."""
    document, blob = json.loads(files[STRUCTURE]), bytearray(files[ARRAYS])
    for _ in range(random.choice((1, 1, 2, 5))):
        if random.random() < 0.3:
            *way, last = random.choice(places(document["program"]))
            target = document["program"]
            for key in way:
                target = target[key]
            target[last] = random.choice(ODD)
        else:
            _change(blob, random.choice(arrays(document["program"])), random)
    document["sha256"] = hashlib.sha256(blob).hexdigest()
    return {**files, STRUCTURE: json.dumps(document).encode(), ARRAYS: bytes(blob)}


def _change(blob: bytearray, array: dict[str, Any], random: random.Random) -> None:
    kind = np.dtype(array["dtype"]).newbyteorder("<")
    count, offset = int(np.prod(array["shape"])), array["offset"]
    if count > 0 and 0 <= offset <= len(blob) - count * kind.itemsize and count < 1 << 20:
        values = np.frombuffer(blob, kind, count, offset).copy()
        at = random.randrange(count)
        near = int(values[at]) + random.choice((-2, -1, 1, 2, 64))
        limits = np.iinfo(kind)
        values[at] = min(max(random.choice((near, random.choice(ODD))), limits.min), limits.max)
        blob[offset : offset + values.nbytes] = values.tobytes()


def held(examples: int) -> list[str]:
    found: list[str] = []

    @settings(max_examples=examples)
    @given(setups() | lessons_on_chips(), st.integers(0, 1 << 32))
    def survives(setup: Setup, seed: int) -> None:
        files, chance = program(setup), random.Random(seed)
        for _ in range(20):
            with np.errstate(all="ignore"):  # parameters that are possible, though wrong, may overflow int64
                found.append(attempt(setup, damage(files, chance)))

    survives()
    return found


def test_damage_is_refused_or_harmless() -> None:
    found = held(15)
    assert set(found) == {"damaged-artefact", ""}
    assert found.count("damaged-artefact") > len(found) / 4


@pytest.mark.slow
def test_much_damage_is_refused_or_harmless() -> None:
    held(400)


@pytest.fixture
def sound() -> tuple[Setup, dict[str, bytes]]:
    found: list[Setup] = []

    @settings(max_examples=30)
    @given(setups())
    def draw(setup: Setup) -> None:
        if not found and setup.network.edges and len(program(setup)[ARRAYS]) > 300:
            found.append(setup)

    draw()
    return found[0], program(found[0])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "must hold a digest and a program"),
        (b'{"sha256": "0", "program": {}}', "does not have the digest of program.bin"),
    ],
)
def test_files_that_are_no_program(sound: tuple[Setup, dict[str, bytes]], content: bytes, said: str) -> None:
    with pytest.raises(CompileError, match=said):
        parsed(Contents(content, sound[1][ARRAYS]))


def test_a_byte_of_the_arrays_that_changes_is_noticed(sound: tuple[Setup, dict[str, bytes]]) -> None:
    setup, files = sound
    blob = bytearray(files[ARRAYS])
    blob[-1] ^= 1
    assert attempt(setup, {**files, ARRAYS: bytes(blob)}) == "damaged-artefact"
    assert attempt(setup, {STRUCTURE: files[STRUCTURE]}) == "damaged-artefact"


def test_a_program_of_another_format_or_chip_is_refused(sound: tuple[Setup, dict[str, bytes]]) -> None:
    setup, files = sound
    document = json.loads(files[STRUCTURE])
    document["program"]["format"] = 3
    with pytest.raises(CompileError, match="is of format 3; this snncc reads format 2"):
        parsed(Contents(json.dumps(document).encode(), files[ARRAYS]))
    document["program"]["format"] = 2
    document["program"]["mesh"]["rows"] += 1
    assert attempt(setup, {**files, STRUCTURE: json.dumps(document).encode()}) == "damaged-artefact"


def set_array(files: dict[str, bytes], name: tuple[str, ...], change: Any) -> dict[str, bytes]:
    """The program with one of its arrays changed."""
    document, blob = json.loads(files[STRUCTURE]), bytearray(files[ARRAYS])
    array = document["program"]
    for key in name:
        array = array[key]
    kind = np.dtype(array["dtype"]).newbyteorder("<")
    values: Array = np.frombuffer(blob, kind, int(np.prod(array["shape"])), array["offset"]).copy()
    values = change(values)
    array["offset"], array["shape"] = len(blob), [len(values)]
    blob.extend(values.tobytes())
    document["sha256"] = hashlib.sha256(blob).hexdigest()
    return {**files, STRUCTURE: json.dumps(document).encode(), ARRAYS: bytes(blob)}


BLOCKS = ("group", "form", "delay", "words", "synapses", "first", "count", "neuron")


@pytest.mark.parametrize("name", [("axons",), ("starts",), ("targets",), *(("blocks", each) for each in BLOCKS)])
def test_lists_of_the_wrong_length_are_refused(sound: tuple[Setup, dict[str, bytes]], name: tuple[str, ...]) -> None:
    setup, files = sound
    for change in (lambda values: values[:-1], lambda values: np.append(values, values[-1:])):
        assert attempt(setup, set_array(files, name, change)) == "damaged-artefact"


@pytest.mark.parametrize("name", [("axons",), ("starts",), *(("blocks", each) for each in BLOCKS)])
def test_numbers_below_zero_are_refused(sound: tuple[Setup, dict[str, bytes]], name: tuple[str, ...]) -> None:
    setup, files = sound
    assert attempt(setup, set_array(files, name, lambda values: -1 - values)) == "damaged-artefact"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("plasticity", "period"), 3, "synapses learns by another rule"),
        (("plasticity", "normalisation", "spiking"), False, "synapses learns by another rule"),
        (("plasticity", "normalisation", "spiking"), 1, "normalisation.spiking: '1' does not belong there"),
        (("plasticity",), None, "does not let the same synapses learn as the network beside it"),
        (("width",), 3, "synapses has weights of 3 bits, which learn 8"),
        (("exponent",), 9, "synapses joins others than in the network beside it"),
        (("name",), "lateral", "has two groups of one name|does not let the same synapses learn"),
    ],
)
def test_what_learns_otherwise_than_the_network_is_refused(
    path: tuple[str, ...], value: Any, said: str, tmp_path: Path
) -> None:
    made = snncc.compile(classics.make("spikedyn", classics.Shape(9, 4, steps=40)), "mesh64").write(tmp_path / "p")
    document = json.loads((tmp_path / "p" / STRUCTURE).read_bytes())
    group = document["program"]["groups"][0]
    for key in path[:-1]:
        group = group[key]
    group[path[-1]] = value
    (tmp_path / "p" / STRUCTURE).write_text(json.dumps(document))
    with pytest.raises(CompileError, match=said):
        made.simulate(np.zeros((1, 5, 9), np.uint8))
