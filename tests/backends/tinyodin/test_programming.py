"""Memory words and SPI writes, against the chip's documentation written out by hand, and against themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.backends.tinyodin.config import Config, Neurons, Registers
from snncc.backends.tinyodin.layout import reset_writes
from snncc.backends.tinyodin.programming import Memories, gated, neuron_words, program, synapse_words, write_neuron


@st.composite
def configs(draw: Any) -> Config:
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    neurons = Neurons(
        threshold=random.integers(0, 4096, 256),
        leak=random.integers(0, 128, 256),
        disabled=random.random(256) < 0.5,
        membrane=random.integers(-2048, 2048, 256),
    )
    registers = Registers(draw(st.integers(0, 255)), source_control=draw(st.booleans()))
    return Config(registers, neurons, random.integers(-8, 8, (256, 256), np.int8))


def same(a: Config, b: Config) -> bool:
    pairs = [(getattr(a.neurons, name), getattr(b.neurons, name)) for name in vars(a.neurons)]
    return a.registers == b.registers and all(map(np.array_equal, *zip(*pairs, (a.weights, b.weights), strict=True)))


@given(configs())
@settings(max_examples=15)
def test_what_is_programmed_reads_back(config: Config) -> None:
    memories = Memories()
    for write in program(config):
        memories.write(write)
    assert same(memories.config(), config)
    assert same(Memories.of(config).config(), config)


def test_words_by_hand() -> None:
    """A word of a neuron is {disable, leak, threshold, membrane}; of eight weights the first has the low bits."""
    zeros = np.zeros(256, np.int64)
    threshold, leak, membrane, disabled = zeros.copy(), zeros.copy(), zeros.copy(), zeros > 0
    threshold[3], leak[3], membrane[3], disabled[3] = 0xABC, 0x55, -2, True
    words = neuron_words(Neurons(threshold, leak, disabled, membrane))
    assert [f"{word:08X}" for word in words[2:5].tolist()] == ["00000000", "D5ABCFFE", "00000000"]
    weights = np.zeros((256, 256), np.int8)
    weights[200, 13], weights[200, 8] = -1, 7
    found = synapse_words(weights)
    assert np.flatnonzero(found).tolist() == [200 * 32 + 1]
    assert f"{found[200 * 32 + 1]:08X}" == "00F00007"


def test_writes_by_hand() -> None:
    """The chip's own test bench sends {0, 1, 01, byte, neuron} and {0, 1, 10, 0, byte, pre, post / 8}, then a byte."""
    zeros = np.zeros(256, np.int64)
    weights = np.zeros((256, 256), np.int8)
    weights[200, 13] = -1
    config = Config(Registers(199), Neurons(zeros + 0xABC, zeros, zeros > 0, zeros), weights)
    writes = program(config)
    assert writes[:4] == ((0, 1), (1, 1), (2, 0), (3, 199))
    assert writes[4:8] == ((0x50000, 0x00), (0x50100, 0xC0), (0x50200, 0xAB), (0x50300, 0x00))
    assert writes[-2:] == ((0, 0), (1, 0))
    assert len(writes) == 4 + 256 * 4 + 8192 * 4 + 2
    (nonzero,) = (write for write in writes if write[0] >> 16 == 6 and write[1])
    assert nonzero == (0x60000 | 2 << 13 | 200 << 5 | 13 >> 3, 0xF0)


def test_memories_are_written_while_the_chip_is_gated_and_in_open_loop() -> None:
    zeros = np.zeros(256, np.int64)
    config = Config(Registers(5), Neurons(zeros, zeros, zeros > 0, zeros), np.zeros((256, 256), np.int8))
    kinds = [address >> 16 for address, _ in program(config)]
    assert kinds.index(5) > 1
    assert program(config)[:2] == ((0, 1), (1, 1))
    last = max(index for index, kind in enumerate(kinds) if kind)
    assert program(config)[last + 1 :] == ((0, 0), (1, 0))


@given(configs(), st.integers(0, 1 << 32))
def test_a_reset_writes_membranes_and_nothing_else(config: Config, seed: int) -> None:
    random = np.random.default_rng(seed)
    wanted = random.integers(-2048, 2048, config.registers.last_neuron + 1)
    memories = Memories.of(config)
    for write in reset_writes(wanted):
        memories.write(write)
    found = memories.config()
    assert found.neurons.membrane[: len(wanted)].tolist() == wanted.tolist()
    assert found.neurons.membrane[len(wanted) :].tolist() == config.neurons.membrane[len(wanted) :].tolist()
    for name in ("threshold", "leak", "disabled"):
        assert np.array_equal(getattr(found.neurons, name), getattr(config.neurons, name))
    assert np.array_equal(found.weights, config.weights)


def test_masked_bits_stay() -> None:
    memories = Memories()
    for write in gated([write_neuron(9, 2, 0xFF), write_neuron(9, 2, 0x00, masked=0x0F)]):
        memories.write(write)
    assert memories.neurons[9] == 0x0F0000


@pytest.mark.parametrize(
    ("writes", "text"),
    [
        ([(0x50000, 1)], "50000 is written while the chip is not gated, or not in open loop"),
        ([(0, 1), (0x60000, 1)], "60000 is written while the chip is not gated, or not in open loop"),
        ([(1, 1), (0x50000, 1)], "50000 is written while the chip is not gated, or not in open loop"),
        ([(0, 1), (1, 1), (0x50400, 1)], "a word has no byte 4"),
        ([(4, 1)], "00004 is no address to write to"),
        ([(0x90000, 1)], "90000 is no address to write to"),
        ([(0x70000, 1)], "70000 is no address to write to"),
        ([(0x100000, 1)], "100000 1 has more than 20 bits"),
        ([(0, 0x100000)], "0 100000 has more than 20 bits"),
    ],
)
def test_writes_that_do_nothing_are_refused(writes: list[tuple[int, int]], text: str) -> None:
    memories = Memories()
    for write in writes[:-1]:
        memories.write(write)
    with pytest.raises(ValueError, match=f"^{text}$"):
        memories.write(writes[-1])


def test_a_chip_that_is_left_gated_does_nothing() -> None:
    memories = Memories()
    memories.write((0, 1))
    with pytest.raises(ValueError, match="the chip is left gated"):
        memories.config()
