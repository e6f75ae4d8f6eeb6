"""The generated program as a C program: strict compilers, sanitisers, hostile names, damaged files."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc.backends.base import Batch
from snncc.backends.c import BACKEND
from snncc.backends.c.names import identifiers, text
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import Network, Output, Population, Source, Synapse
from snncc.linear import Conv, Dense, to_sparse
from tests.backends.c_helpers import STRICT, chained, chip, differences, emitted, inputs, lif, placed, rich, small

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
SANITISERS = ("-g", "-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
HOSTILE = (
    "*/ int main(void) { return 1; } /*",
    "line\nbreak",
    "what??/",
    "back\\",
    '"; system("true"); "',
    *("int", "int_", "größe"),
    *("\u202eevil\u202c", "`code` <b>"),
    "{{ 7 * 7 }}",
    "",
    *("x" * 500, "9 lives"),
)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-O3"])
def test_strict_compilers_find_nothing_at_any_level(compiler: str, level: str) -> None:
    network = rich()
    assert differences(network, *inputs(network), chip(level, command=compiler)) == []


def test_sanitisers_find_nothing() -> None:
    network = rich()
    assert differences(network, *inputs(network), chip(*SANITISERS)) == []


def test_the_flags_of_the_shipped_target_give_the_same_bits() -> None:
    network = rich()
    assert differences(network, *inputs(network), chip("-O3", "-march=native")) == []


def test_every_kernel_is_in_the_rich_network() -> None:
    code = emitted(rich())["network.c"].decode()
    for form in ("add_rows_\\w+_times", "add_targets", "add_walk_\\w+_grouped", "add_walk_\\w+_times", "gather_"):
        assert re.search(f"{form}\\w*\\(", code), form


def test_network_files_need_three_headers_and_have_no_floats_and_no_heap() -> None:
    files = emitted(rich())
    code = b"".join(files[name] for name in ("network.h", "network.c", "weights.h", "weights.c")).decode()
    assert set(re.findall(r"#include <(.*)>", code)) == {"stdint.h", "stdbool.h", "string.h"}
    assert not re.search(r"\b(float|double|malloc|calloc|free)\b", code)


def test_no_state_outside_the_struct() -> None:
    with placed(emitted(rich())) as folder:
        subprocess.run(["cc", "-std=c99", "-fno-pie", "-c", "network.c", "weights.c"], cwd=folder, check=True)
        symbols = subprocess.run(
            ["nm", "network.o", "weights.o"], cwd=folder, check=True, capture_output=True, text=True
        )
    assert not re.findall(r" [BbDdCc] .*", symbols.stdout)


def test_hostile_names_compile_and_stay_names() -> None:
    names = {
        name: f"{HOSTILE[index % len(HOSTILE)]}{index // len(HOSTILE) or ''}" for index, name in enumerate(rich().ops)
    }
    ops = {names[name]: op for name, op in rich().ops.items()}
    edges = [Edge(names[edge.source], names[edge.target], edge.delay) for edge in rich().edges]
    network = Graph(ops, edges)
    assert differences(network, *inputs(network)) == []
    for title in HOSTILE:
        for content in emitted(network, title).values():
            assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in content)
            assert b"??" not in content
            assert b"\\\n" not in content


def test_identifiers_are_unique_short_and_plain() -> None:
    found = identifiers([*HOSTILE, "int__", "INT", "x" * 499, "fc.1", "fc/1", "fc_1", "fc_1_2"])
    assert len({each.lower() for each in found.values()}) == len(found)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,47}", each) for each in found.values())


def test_text_cannot_leave_a_comment() -> None:
    assert text("*/ ?? \\ \n `") == "_/ __ _ _ _"


def test_states_are_only_as_wide_as_the_proof_says() -> None:
    header = emitted(small())["network.h"].decode()
    assert "int16_t hidden_i[6];" in header
    assert "int16_t hidden_acc[6];" in header
    assert "uint8_t hidden_refractory[6];" in header
    code = emitted(chained(Source((4,)), {"h": (Dense(np.ones((2, 4), np.int8)), lif((2,), 3))}))["network.h"].decode()
    assert "int8_t h_v[2];" in code
    assert "int8_t h_acc[2];" in code


def test_fit_is_left_out_where_the_proof_allows() -> None:
    code = emitted(small())["network.c"].decode()
    assert code.count("saturate_i32(") == 2, "the function, and the current; the membrane is safe"


@pytest.mark.parametrize("targets", [70_000, 300])
def test_lists_of_targets_use_the_narrowest_index(targets: int) -> None:
    rng = np.random.default_rng(1)
    weight = np.where(rng.random((targets, 5)) < 0.02, rng.integers(-9, 10, (targets, 5)), 0)
    network = chained(Source((5,)), {"h": (to_sparse(Dense(weight)), lif((targets,), 5))})
    index = "uint32_t" if targets > 1 << 16 else "uint16_t"
    assert f"{index} snn_to_h_target" in emitted(network)["weights.h"].decode()
    assert differences(network, *inputs(network)) == []


def test_more_sources_than_16_bits_can_count() -> None:
    rng = np.random.default_rng(1)
    network = chained(Source((70_000,)), {"h": (Dense(rng.integers(-9, 10, (3, 70_000)).astype(np.int8)), lif((3,)))})
    assert differences(network, *inputs(network, 2, 3)) == []


@pytest.mark.parametrize("exponents", [(0, 0), (2, 2), (1, 4)])
def test_exponents_are_shared_or_folded_into_weights(exponents: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    one, two = (Synapse(Dense(rng.integers(-120, 121, (9, 7))), exponent) for exponent in exponents)
    ops = {"x": Source((7,)), "one": one, "two": two, "h": lif((9,)), "y": Output("spikes", "after", "count")}
    edges = [Edge(*pair) for pair in (("x", "one"), ("x", "two"), ("one", "h"), ("two", "h"), ("h", "y"))]
    network: Network = Graph(ops, edges)
    assert differences(network, *inputs(network)) == []


def test_two_convolutions_of_different_channels_into_one_population() -> None:
    rng = np.random.default_rng(2)
    first = Conv(rng.integers(-9, 10, (4, 2, 3, 3)), (2, 6, 6), padding=(1, 1, 1, 1))
    second = Conv(rng.integers(-9, 10, (1, 1, 1, 1)), (1, 12, 12))
    ops = {"x": Source((2, 6, 6)), "a": Synapse(first), "h": lif((4, 6, 6), 9), "b": Synapse(second)}
    more = {"k": lif((1, 12, 12), 3), "c": Synapse(first), "y": Output("membrane", "after", "last")}
    pairs = [("x", "a"), ("a", "h"), ("h", "b"), ("b", "k"), ("x", "c"), ("k", "y")]
    network: Network = Graph(
        {**ops, **more}, [Edge(*pair) for pair in [*pairs[:4], pairs[5]]] + [Edge("x", "c"), Edge("c", "k")]
    )
    assert differences(network, *inputs(network)) == []


def big() -> Network:
    rng = np.random.default_rng(7)
    weight = rng.integers(-127, 128, (600, 700)).astype(np.int8)
    return chained(
        Source((700,)), {"h": (Dense(weight), lif((600,), 300)), "o": (Dense(weight[:, :600] * 3), lif((600,)))}
    )


def test_large_weights_lie_in_a_file_beside_the_program() -> None:
    network = big()
    files = emitted(network)
    assert len(files["weights.bin"]) > 700 * 600
    assert max(len(content) for name, content in files.items() if name != "weights.bin") < 100_000
    assert differences(network, *inputs(network, 3, 5)) == []


def test_ten_million_weights_are_emitted_without_ado() -> None:
    weight = np.ones((2500, 4000), np.int8)
    network = chained(Source((4000,)), {"h": (Dense(weight), lif((2500,)))})
    assert len(emitted(network)["weights.bin"]) == 20 + weight.size


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built program that has a `weights.bin`, with an input of graded values within -7..7."""
    folder = tmp_path_factory.mktemp("program")
    network = big()
    network = Graph({**network.ops, "input": Source((700,), 4, signed=True)}, network.edges)
    for name, content in emitted(network).items():
        (folder / name).write_bytes(content)
    sources = ["main.c", "network.c", "weights.c"]
    subprocess.run(["cc", *STRICT, *SANITISERS, "-o", "network", *sources], cwd=folder, check=True)
    return folder


def ran(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def header(samples: int = 1, steps: int = 2, size: int = 700, width: int = 1) -> bytes:
    return struct.pack("<8s4I", b"SNNCCIN1", samples, steps, size, width)


SAMPLE = struct.pack("<I", 2) + bytes(1400)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header() + SAMPLE, ""),
        (header(0), ""),
        (b"", "ends too early"),
        (b"SNNCCXXX" + header()[8:] + SAMPLE, "does not begin with"),
        (header(size=701) + SAMPLE, "this network takes 700 values"),
        (header(width=2) + SAMPLE, "values of 1 bytes"),
        (header() + SAMPLE[:-1], "ends too early"),
        (header(1 << 31) + SAMPLE, "ends too early"),
        (header() + SAMPLE + b"x", "goes on after its end"),
        (header(steps=1) + SAMPLE, "more than the file's 1"),
        (header(steps=1 << 31) + SAMPLE, "this network takes"),
        (header() + SAMPLE[:-1] + b"\x08", "not within -7..7"),
        (header() + SAMPLE[:-1] + b"\x80", "not within -7..7"),
    ],
)
def test_input_files_are_checked(program: Path, content: bytes, said: str) -> None:
    (program / "in.bin").write_bytes(content)
    done = ran(program, ["./network", "in.bin", "out.bin"])
    assert done.returncode == (2 if said else 0), done.stderr
    assert said in done.stderr


def damaged(good: bytes) -> Iterator[tuple[bytes, str]]:
    yield good[:-1], "ends too early"
    yield good + b"x", "goes on"
    yield good[:100] + bytes([good[100] ^ 1]) + good[101:], "is damaged"
    yield good[:12] + struct.pack("<Q", 7) + good[20:], "is not the weights of this network"
    yield good[:8] + struct.pack("<I", 7) + good[12:], "is not the weights of this network"
    yield b"", "ends too early"


def test_weights_are_checked(program: Path) -> None:
    good = (program / "weights.bin").read_bytes()
    assert struct.unpack("<I", good[8:12])[0] == zlib.crc32(good[20:])
    (program / "in.bin").write_bytes(header() + SAMPLE)
    for content, said in damaged(good):
        (program / "bad.bin").write_bytes(content)
        command = ["./network", "-w", "bad.bin", "in.bin", "out.bin"]
        done = ran(program, command)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr


OWN_MAIN = """
#include <stdio.h>
#include "network.h"
static snn_state state;
static snn_input x[SNN_INPUTS];
static unsigned char memory[SNN_WEIGHTS_BYTES + 1];
static void report(const char *said)
{
    unsigned moved = 0;
    snn_reset(&state);
    for (unsigned n = 0; n < SNN_INPUTS; n++)
        x[n] = 7;
    snn_step(&state, x);
    for (unsigned n = 0; n < 600; n++)
        moved += state.h_v[n] != 0;
    printf("%s; %s\\n", said ? said : "loaded", moved ? "moved" : "at rest");
}
int main(void)
{
    unsigned char *const odd = memory + 1;
    FILE *file = fopen("weights.bin", "rb");
    if (!file || fread(odd, 1, SNN_WEIGHTS_BYTES, file) != SNN_WEIGHTS_BYTES)
        return 1;
    report("not called");
    report(snn_load_weights(odd, SNN_WEIGHTS_BYTES - 1));
    odd[8] ^= 1;
    report(snn_load_weights(odd, SNN_WEIGHTS_BYTES));
    odd[8] ^= 1;
    odd[SNN_WEIGHTS_BYTES - 1] ^= 1;
    report(snn_load_weights(odd, SNN_WEIGHTS_BYTES));
    odd[SNN_WEIGHTS_BYTES - 1] ^= 1;
    report(snn_load_weights(odd, SNN_WEIGHTS_BYTES));
    return 0;
}
"""


def test_a_program_of_the_users_own_loads_the_weights(program: Path) -> None:
    (program / "own.c").write_text(OWN_MAIN)
    subprocess.run(
        ["cc", *STRICT, *SANITISERS, "-o", "own", "own.c", "network.c", "weights.c"], cwd=program, check=True
    )
    assert ran(program, ["./own"]).stdout.splitlines() == [
        "not called; at rest",
        "has another size than this network's weights; at rest",
        "is not the weights of this network; at rest",
        "is damaged; at rest",
        "loaded; moved",
    ]


def test_a_file_of_weights_for_a_network_that_has_none(tmp_path: Path) -> None:
    for name, content in emitted(small()).items():
        (tmp_path / name).write_bytes(content)
    subprocess.run(["cc", *STRICT, "-o", "network", "main.c", "network.c", "weights.c"], cwd=tmp_path, check=True)
    done = ran(tmp_path, ["./network", "-w", "weights.bin", "in.bin", "out.bin"])
    assert (done.returncode, done.stderr) == (2, "-w: this network has no weights.bin; its weights are in weights.c\n")


@pytest.mark.parametrize(
    "arguments", [[], ["in.bin"], ["-x", "in.bin", "out.bin"], ["missing", "out"], ["in.bin", "no/out"]]
)
def test_bad_command_lines_end_with_status_two(program: Path, arguments: list[str]) -> None:
    (program / "in.bin").write_bytes(header() + SAMPLE)
    done = ran(program, ["./network", *arguments])
    assert done.returncode == 2
    assert done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is a thing of Linux")
def test_a_full_disk_is_noticed(program: Path) -> None:
    (program / "in.bin").write_bytes(header() + SAMPLE)
    done = ran(program, ["./network", "in.bin", "/dev/full"])
    assert (done.returncode, "cannot be written" in done.stderr) == (2, True)


def running(network: Network, on: Mapping[str, object]) -> None:
    with placed(emitted(network)) as folder:
        batch = Batch(np.zeros((1, 2, 8), np.int64), np.array([2]))
        BACKEND.run(folder, network, replace(chip(), **on), batch, False)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("compiler", [None, replace(chip(), name="x").compiler])
def test_no_compiler_is_said_with_the_command_that_installs_one(
    compiler: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CompileError, match="no-compiler") as caught:
        running(small(), {"compiler": compiler})
    assert "apt-get install gcc" in caught.value.diagnostics[0].hint


def test_a_compiler_that_fails_is_quoted() -> None:
    with pytest.raises(CompileError, match=r"compiler-failed.*unknown-flag"):
        running(small(), {"compiler": chip("-funknown-flag").compiler})


def test_running_leaves_the_artefact_as_it_was() -> None:
    network = small()
    x, lengths = inputs(network)
    with placed(emitted(network)) as folder:
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        result = BACKEND.run(folder, network, chip(), Batch(x, lengths), False)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert result.figures["seconds"] > 0
    assert set(result.trace.outputs) == {"scores"}
    assert not result.trace.spikes


def test_validate_names_what_c_cannot_express() -> None:
    plain = small()
    assert list(BACKEND.validate(plain, chip())) == []
    edges = [replace(edge, gain=2.0) if edge.source == "fc1" else edge for edge in plain.edges]
    twice = Graph({**plain.ops, "more": Source((1,))}, edges)
    assert {each.rule for each in BACKEND.validate(twice, chip())} == {"edge-gain", "one-input"}


def test_silence_is_fine() -> None:
    network = small()
    assert differences(network, np.zeros((2, 3, 8), np.int64)) == []


def test_emission_needs_no_random_order() -> None:
    """Another process, with another hash seed, writes the same bytes."""
    code = (
        "import hashlib; from tests.backends.c_helpers import *\n"
        "print(hashlib.sha256(b''.join(emitted(rich()).values())).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_populations_of_one_kind_share_their_code() -> None:
    ones = np.ones((4, 4), np.int8)
    network = chained(Source((4,)), {f"h{index}": (Dense(ones), lif((4,), 3 + index)) for index in range(3)})
    code = emitted(network)["network.c"].decode()
    assert len(re.findall(r"static void update_", code)) == 1
    assert len(re.findall(r"static void add_", code)) == 1
    assert isinstance(network["h0"], Population)
