"""tinyODIN's memory words and the SPI writes that fill them, and back again.

The layouts are those of the chip's documentation (ChFrenkel/tinyODIN, doc/README.md v1.0, sections 2.1, 3 and 4). A
write is 20 bits of address and 20 bits of data, the most significant first. While memories are written the chip is
gated, and SPI_OPEN_LOOP is set: a neuron whose half-written word has its membrane at its threshold would otherwise
leave a spike in the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from snncc.arrays import Array, Ints
from snncc.backends.tinyodin.config import NEURONS, Config, Neurons, Registers

Write = tuple[int, int]  # address and data

GATE_ACTIVITY, OPEN_LOOP, SOURCE_CONTROL, LAST_NEURON = range(4)  # addresses of the configuration registers
_WRITE, _NEURON, _SYNAPSE = 1 << 18, 1 << 16, 2 << 16
SYNAPSE_WORDS = NEURONS * NEURONS // 8
BITS_OF_A_WRITE = 40


def neuron_words(neurons: Neurons) -> Ints:
    """(256,) words: disable in bit 31, leak in 30..24, threshold in 23..12, membrane in 11..0."""
    disabled = neurons.disabled.astype(np.int64)
    return disabled << 31 | neurons.leak << 24 | neurons.threshold << 12 | neurons.membrane & 0xFFF


def synapse_words(weights: Array) -> Ints:
    """(8192,) words of eight weights each; word pre * 32 + post // 8, field post % 8 from the least significant."""
    fields = (weights.astype(np.int64) & 0xF).reshape(SYNAPSE_WORDS, 8)
    return (fields << 4 * np.arange(8)).sum(axis=1)


def write_register(register: int, value: int) -> Write:
    """A configuration register."""
    return register, value


def write_neuron(neuron: int, byte: int, value: int, masked: int = 0) -> Write:
    """A byte of a neuron's word; bits of `masked` stay as they are."""
    return _WRITE | _NEURON | byte << 8 | neuron, masked << 8 | value


def write_synapses(word: int, byte: int, value: int) -> Write:
    """Two synapses."""
    return _WRITE | _SYNAPSE | byte << 13 | word, value


def gated(writes: Iterable[Write]) -> Iterator[Write]:
    """Writes to the memories, with the chip held still meanwhile."""
    yield write_register(GATE_ACTIVITY, 1)
    yield write_register(OPEN_LOOP, 1)
    yield from writes
    yield write_register(GATE_ACTIVITY, 0)
    yield write_register(OPEN_LOOP, 0)


def program(config: Config) -> tuple[Write, ...]:
    """Everything, as the registers and memories hold nothing known after power-up; OPEN_LOOP ends up cleared."""
    assert not config.registers.open_loop
    writes = [
        write_register(SOURCE_CONTROL, int(config.registers.source_control)),
        write_register(LAST_NEURON, config.registers.last_neuron),
    ]
    for neuron, word in enumerate(neuron_words(config.neurons).tolist()):
        writes += [write_neuron(neuron, byte, word >> 8 * byte & 0xFF) for byte in range(4)]
    for address, word in enumerate(synapse_words(config.weights).tolist()):
        writes += [write_synapses(address, byte, word >> 8 * byte & 0xFF) for byte in range(4)]
    return tuple(gated(writes))


class Memories:
    """The chip's memories and registers while it is programmed."""

    def __init__(self) -> None:
        self.registers = [0, 0, 0, 0]
        self.neurons = [0] * NEURONS
        self.synapses = [0] * SYNAPSE_WORDS

    @staticmethod
    def of(config: Config) -> Memories:
        """Those of a chip that is programmed."""
        memories, registers = Memories(), config.registers
        memories.registers = [0, registers.open_loop, registers.source_control, registers.last_neuron]
        memories.neurons = neuron_words(config.neurons).tolist()
        memories.synapses = synapse_words(config.weights).tolist()
        return memories

    def write(self, write: Write) -> None:
        """What one write does; one that does nothing on the chip, or one while it is not gated, is a ValueError."""
        address, data = write
        if not (0 <= address < 1 << 20 and 0 <= data < 1 << 20):
            raise ValueError(f"{address:X} {data:X} has more than 20 bits")
        target, low = address >> 16, address & 0xFFFF
        if target & 3 == 0 and low < 4:
            self.registers[low] = data & (0xFF if low == LAST_NEURON else 1)
        elif target == (_WRITE | _NEURON) >> 16 and self._open(address):
            _store(self.neurons, low & 0xFF, low >> 8, data)
        elif target == (_WRITE | _SYNAPSE) >> 16 and self._open(address):
            _store(self.synapses, low & 0x1FFF, low >> 13, data)
        else:
            raise ValueError(f"{address:05X} is no address to write to")

    def _open(self, address: int) -> bool:
        if not (self.registers[GATE_ACTIVITY] and self.registers[OPEN_LOOP]):
            raise ValueError(f"{address:05X} is written while the chip is not gated, or not in open loop")
        return True

    def config(self) -> Config:
        """What is programmed; a ValueError if the chip is still gated."""
        if self.registers[GATE_ACTIVITY]:
            raise ValueError("the chip is left gated")
        words = np.array(self.neurons)
        membrane = (words & 0xFFF ^ 0x800) - 0x800
        fields = np.array(self.synapses)[:, None] >> 4 * np.arange(8) & 0xF
        return Config(
            Registers(
                self.registers[LAST_NEURON], bool(self.registers[OPEN_LOOP]), bool(self.registers[SOURCE_CONTROL])
            ),
            Neurons(words >> 12 & 0xFFF, words >> 24 & 0x7F, words >> 31 > 0, membrane),
            ((fields ^ 8) - 8).reshape(NEURONS, NEURONS).astype(np.int8),
        )


def _store(words: list[int], index: int, byte: int, data: int) -> None:
    if byte > 3:
        raise ValueError(f"a word has no byte {byte}")
    keep, value = data >> 8 & 0xFF, data & 0xFF
    shift = 8 * byte
    old = words[index] >> shift & 0xFF
    words[index] ^= (old ^ (value & ~keep | old & keep)) << shift
