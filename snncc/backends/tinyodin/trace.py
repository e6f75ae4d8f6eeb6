"""Reads recorded runs of the tinyODIN hardware ("golden traces", SPEC.md sections 9 and 10), which may be damaged.

A fault of the file is a CompileError `damaged-trace` that names the file and the field; so is a record that no run can
give, such as an output without an address. A record that merely differs from the machine is not a fault of the file.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from snncc.arrays import Array, Ints, frozen
from snncc.backends.tinyodin.config import (
    MOST_CYCLE,
    MOST_DELAY,
    NEURONS,
    V_MAX,
    V_MIN,
    Config,
    Events,
    Neurons,
    Registers,
    World,
)
from snncc.diagnostics import CompileError, fault

FORMAT = "tinyodin-trace-1"
_MOST_BYTES = 1 << 27  # uncompressed; recorded runs of a million cycles take one hundredth of it
_LABELS = {"name": str, "kind": str, "seed": int, "note": str, "info": dict}
_CYCLES = ("in_req", "in_ack", "in_ack_fall", "out_cycle", "pop_cycle", "idle_cycle")


@dataclass(frozen=True)
class Checkpoint:
    """The membranes in the cycle in which the acknowledgement of an event fell."""

    after_event: int
    cycle: int
    v: Ints


@dataclass(frozen=True)
class Record:
    """What the hardware did: `lists` by the names of SPEC.md, section 9."""

    lists: Mapping[str, Ints]
    end: Literal["idle", "cut"]
    end_cycle: int
    v_end: Ints
    checkpoints: tuple[Checkpoint, ...]


@dataclass(frozen=True)
class Trace:
    """A run of the hardware, from what it started and what it did."""

    config: Config
    events: Events
    world: World
    stop_cycle: int | None
    record: Record


def read(path: Path) -> Trace:
    """Read one `.json.gz` file."""
    return _Reader(str(path)).trace(_unpacked(path))


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            text = file.read(_MOST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise fault("damaged-trace", str(path), f"is no complete gzip file: {error}") from error
    except OSError as error:
        raise fault("cannot-read", str(path), error.strerror or str(error)) from error
    if not text:
        raise fault("damaged-trace", str(path), "is empty")
    if len(text) > _MOST_BYTES:
        raise fault("damaged-trace", str(path), f"unpacks to more than {_MOST_BYTES:,} bytes")
    return text


@dataclass(frozen=True)
class _Reader:
    """Checks every value on its way in; `where` is always the path of a field inside the file."""

    file: str

    def damaged(self, where: str, message: str) -> CompileError:
        return fault("damaged-trace", self.file, f"{where}: {message}" if where else message)

    def trace(self, text: bytes) -> Trace:
        try:
            plain = json.loads(text, object_pairs_hook=self._unique)
        except (ValueError, RecursionError) as error:
            raise self.damaged("", "is not JSON") from error
        if isinstance(plain, dict) and cast("dict[str, Any]", plain).get("format", FORMAT) != FORMAT:
            raise self.damaged("format", f"is {_shown(cast('Any', plain)['format'])}, not {FORMAT!r}")
        names = ("format", "config", "host", "receiver", "stop_cycle", "neurons", "weights", "in", "expect")
        top = self.fields(plain, "", names, optional=tuple(_LABELS))
        for name, kind in _LABELS.items():
            if name in top and type(top[name]) is not kind:
                raise self.damaged(name, f"is {_shown(top[name])}, not of the type {kind.__name__}")
        stop = top["stop_cycle"]
        events = self.events(top["in"])
        trace = Trace(
            config=self.config(top),
            events=events,
            world=self.world(top["host"], top["receiver"]),
            stop_cycle=None if stop is None else self.integer(stop, "stop_cycle", 0, MOST_CYCLE),
            record=self.record(top["expect"], events.words.size),
        )
        if trace.record.end == "cut" and stop is None:
            raise self.damaged("expect.end", "is 'cut', but stop_cycle is null")
        return trace

    def _unique(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise self.damaged(_shown(twice), "is there twice")
        return found

    def config(self, top: Mapping[str, Any]) -> Config:
        plain = self.fields(top["config"], "config", ("open_loop", "aer_src_ctrl", "max_neur"))
        neurons = self.fields(top["neurons"], "neurons", ("thr", "leak", "disable", "v0"))

        def each(name: str, lowest: int, highest: int) -> Ints:
            return self.integers(neurons[name], f"neurons.{name}", lowest, highest, NEURONS)

        return Config(
            Registers(
                last_neuron=self.integer(plain["max_neur"], "config.max_neur", 0, NEURONS - 1),
                open_loop=bool(self.integer(plain["open_loop"], "config.open_loop", 0, 1)),
                source_control=bool(self.integer(plain["aer_src_ctrl"], "config.aer_src_ctrl", 0, 1)),
            ),
            Neurons(
                threshold=each("thr", 0, 4095),
                leak=each("leak", 0, 127),
                disabled=each("disable", 0, 1),
                membrane=each("v0", V_MIN, V_MAX),
            ),
            self.weights(top["weights"]),
        )

    def world(self, host: Any, receiver: Any) -> World:
        host = self.fields(host, "host", ("gap", "drop"))
        receiver = self.fields(receiver, "receiver", ("k",))
        return World(
            gap=self.integer(host["gap"], "host.gap", 1, MOST_DELAY),
            drop=self.integer(host["drop"], "host.drop", 1, MOST_DELAY),
            delay=self.integer(receiver["k"], "receiver.k", 1, MOST_DELAY),
        )

    def events(self, plain: Any) -> Events:
        found = self.fields(plain, "in", ("addr",), optional=("not_before",))
        words = self.integers(found["addr"], "in.addr", 0, 1023)
        if "not_before" not in found:
            return Events(words)
        return Events(words, self.integers(found["not_before"], "in.not_before", 0, MOST_CYCLE, words.size))

    def weights(self, plain: Any) -> Array:
        found = self.fields(plain, "weights", ("encoding", "shape", "order", "data"))
        for name, value in (("encoding", "base64-int8"), ("shape", [NEURONS, NEURONS]), ("order", "[pre][post]")):
            if found[name] != value:
                raise self.damaged(f"weights.{name}", f"is {_shown(found[name])}, not {value!r}")
        if not isinstance(found["data"], str):
            raise self.damaged("weights.data", f"is {_shown(found['data'])}, not text")
        try:
            data = base64.b64decode(found["data"], validate=True)
        except ValueError as error:
            raise self.damaged("weights.data", "is not base64") from error
        if len(data) != NEURONS * NEURONS:
            raise self.damaged("weights.data", f"holds {len(data)} bytes, not {NEURONS * NEURONS}")
        weights = np.frombuffer(data, np.int8).reshape(NEURONS, NEURONS)
        if weights.min() < -8 or weights.max() > 7:
            pre, post = np.argwhere((weights < -8) | (weights > 7))[0]
            raise self.damaged(f"weights.data[{pre}][{post}]", f"is {weights[pre, post]}, not -8 to 7")
        return weights

    def record(self, plain: Any, events: int) -> Record:
        names = (*_CYCLES, "out_addr", "pop_word", "end", "end_cycle", "v_end", "checkpoints")
        found = self.fields(plain, "expect", names)
        if found["end"] not in ("idle", "cut"):
            raise self.damaged("expect.end", f"is {_shown(found['end'])}, not 'idle' or 'cut'")
        end_cycle = self.integer(found["end_cycle"], "expect.end_cycle", 0, MOST_CYCLE)
        lists = {name: self.cycles(found[name], f"expect.{name}", end_cycle) for name in _CYCLES}
        most = {"in_req": (events, "events"), "in_ack": (lists["in_req"].size, "entries of in_req")}
        most["in_ack_fall"] = (lists["in_ack"].size, "entries of in_ack")
        for name, (count, what) in most.items():
            if lists[name].size > count:
                raise self.damaged(f"expect.{name}", f"has {lists[name].size} entries for {count} {what}")
        for name, beside, highest in (("out_addr", "out_cycle", NEURONS - 1), ("pop_word", "pop_cycle", 0xFFF)):
            lists[name] = self.integers(found[name], f"expect.{name}", 0, highest, lists[beside].size)
        return Record(
            lists=lists,
            end=found["end"],
            end_cycle=end_cycle,
            v_end=self.integers(found["v_end"], "expect.v_end", V_MIN, V_MAX, NEURONS),
            checkpoints=self.checkpoints(found["checkpoints"], events, end_cycle),
        )

    def checkpoints(self, plain: Any, events: int, end_cycle: int) -> tuple[Checkpoint, ...]:
        read: list[Checkpoint] = []
        for index, each in enumerate(self.items(plain, "expect.checkpoints")):
            where = f"expect.checkpoints[{index}]"
            found = self.fields(each, where, ("after_event", "cycle", "v"))
            after = self.integer(found["after_event"], f"{where}.after_event", 0, events - 1)
            cycle = self.integer(found["cycle"], f"{where}.cycle", 0, end_cycle)
            read.append(Checkpoint(after, cycle, self.integers(found["v"], f"{where}.v", V_MIN, V_MAX, NEURONS)))
        return tuple(read)

    def fields(self, plain: Any, where: str, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
        """An object with these fields and no other."""
        if not isinstance(plain, dict):
            raise self.damaged(where, f"is {_shown(plain)}, not an object")
        found = cast("dict[str, Any]", plain)
        prefix = f"{where}." if where else ""
        for name in names:
            if name not in found:
                raise self.damaged(f"{prefix}{name}", "is missing")
        for name in found:
            if name not in names and name not in optional:
                raise self.damaged(f"{prefix}{_shown(name)}", "is not a field of the format")
        return found

    def items(self, plain: Any, where: str) -> list[Any]:
        if not isinstance(plain, list):
            raise self.damaged(where, f"is {_shown(plain)}, not a list")
        return cast("list[Any]", plain)

    def integer(self, plain: Any, where: str, lowest: int, highest: int) -> int:
        if type(plain) is not int or not lowest <= plain <= highest:  # JSON's true is no number here
            raise self.damaged(where, f"is {_shown(plain)}, not an integer of {lowest} to {highest}")
        return plain

    def integers(self, plain: Any, where: str, lowest: int, highest: int, count: int | None = None) -> Ints:
        found = self.items(plain, where)
        if count is not None and len(found) != count:
            raise self.damaged(where, f"has {len(found)} entries, not {count}")
        checked = (self.integer(each, f"{where}[{index}]", lowest, highest) for index, each in enumerate(found))
        return frozen(np.fromiter(checked, np.int64, len(found)))

    def cycles(self, plain: Any, where: str, end_cycle: int) -> Ints:
        """Cycles in which a line rose or fell: one after the other, and none after the end."""
        found = self.integers(plain, where, 0, MOST_CYCLE)
        for index in np.flatnonzero(found[1:] <= found[:-1])[:1] + 1:
            raise self.damaged(f"{where}[{index}]", f"is {found[index]}, not after {found[index - 1]}")
        if found.size and found[-1] > end_cycle:
            raise self.damaged(f"{where}[{found.size - 1}]", f"is {found[-1]}, after end_cycle {end_cycle}")
        return found


def _shown(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
