"""Traces come from strangers: what is damaged or contradicts itself is refused, with the file and the field."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncc.backends.tinyodin import trace as traces
from snncc.backends.tinyodin.replay import first_difference, replay
from snncc.backends.tinyodin.trace import read
from snncc.diagnostics import CompileError
from tests.backends.tinyodin.files import plain, put, write

RANGE = f"0 to {1 << 60}"


def refusal(path: Path) -> str:
    """The message without the file's name, which it must begin with."""
    with pytest.raises(CompileError) as caught:
        read(path)
    head = f"error[damaged-trace]: {path}: "
    assert str(caught.value).startswith(head)
    return str(caught.value)[len(head) :]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", ..., "format: is missing"),
        ("format", "tinyodin-trace-2", "format: is 'tinyodin-trace-2', not 'tinyodin-trace-1'"),
        ("host", ..., "host: is missing"),
        ("host", [1, 1], "host: is a list, not an object"),
        ("host.gap", 0, "host.gap: is 0, not an integer of 1 to 16777216"),
        ("host.drop", True, "host.drop: is True, not an integer of 1 to 16777216"),
        ("receiver.k", 1 << 25, "receiver.k: is 33554432, not an integer of 1 to 16777216"),
        ("receiver.delay", 3, "receiver.'delay': is not a field of the format"),
        ("seed", "1", "seed: is '1', not of the type int"),
        ("spam", 1, "'spam': is not a field of the format"),
        ("stop_cycle", -1, f"stop_cycle: is -1, not an integer of {RANGE}"),
        ("stop_cycle", math.nan, f"stop_cycle: is nan, not an integer of {RANGE}"),
        ("config.max_neur", 256, "config.max_neur: is 256, not an integer of 0 to 255"),
        ("config.open_loop", None, "config.open_loop: is None, not an integer of 0 to 1"),
        ("config.aer_src_ctrl", ..., "config.aer_src_ctrl: is missing"),
        ("neurons.thr.3", 4096, "neurons.thr[3]: is 4096, not an integer of 0 to 4095"),
        ("neurons.leak.255", 1.0, "neurons.leak[255]: is 1.0, not an integer of 0 to 127"),
        ("neurons.disable", [0] * 255, "neurons.disable: has 255 entries, not 256"),
        ("neurons.v0.0", -2049, "neurons.v0[0]: is -2049, not an integer of -2048 to 2047"),
        ("weights.encoding", "raw", "weights.encoding: is 'raw', not 'base64-int8'"),
        ("weights.shape", [256], "weights.shape: is a list, not [256, 256]"),
        ("weights.order", "[post][pre]", "weights.order: is '[post][pre]', not '[pre][post]'"),
        ("weights.data", 5, "weights.data: is 5, not text"),
        ("weights.data", "AA*A", "weights.data: is not base64"),
        ("weights.data", "\u00e4AAA", "weights.data: is not base64"),
        ("weights.data", "AAAA", "weights.data: holds 3 bytes, not 65536"),
        (
            "weights.data",
            base64.b64encode(bytes(258) + b"\x08" + bytes(65277)).decode(),
            "weights.data[1][2]: is 8, not -8 to 7",
        ),
        ("in.addr", {}, "in.addr: is an object, not a list"),
        ("in.addr.1", 1024, "in.addr[1]: is 1024, not an integer of 0 to 1023"),
        ("in.not_before", [0], "in.not_before: has 1 entries, not 2"),
        ("in.not_before.0", 1e3, f"in.not_before[0]: is 1000.0, not an integer of {RANGE}"),
        ("expect.in_req", ..., "expect.in_req: is missing"),
        ("expect.in_req", [0, 60, 70], "expect.in_req: has 3 entries for 2 events"),
        ("expect.in_req", [0], "expect.in_ack: has 2 entries for 1 entries of in_req"),
        ("expect.in_ack", [4], "expect.in_ack_fall: has 2 entries for 1 entries of in_ack"),
        ("expect.out_cycle", [11, 11], "expect.out_cycle[1]: is 11, not after 11"),
        ("expect.out_cycle", [11, 99], "expect.out_cycle[1]: is 99, after end_cycle 71"),
        ("expect.out_addr", [0], "expect.out_addr: has 1 entries, not 2"),
        ("expect.out_addr.0", 256, "expect.out_addr[0]: is 256, not an integer of 0 to 255"),
        ("expect.pop_word", [], "expect.pop_word: has 0 entries, not 3"),
        ("expect.pop_word.2", "x" * 99, f"expect.pop_word[2]: is '{'x' * 36}..., not an integer of 0 to 4095"),
        ("expect.end", "stop", "expect.end: is 'stop', not 'idle' or 'cut'"),
        ("expect.end", "cut", "expect.end: is 'cut', but stop_cycle is null"),
        ("expect.end_cycle", 70, "expect.in_ack_fall[1]: is 71, after end_cycle 70"),
        ("expect.v_end.9", 2048, "expect.v_end[9]: is 2048, not an integer of -2048 to 2047"),
        ("expect.checkpoints.0.after_event", 2, "expect.checkpoints[0].after_event: is 2, not an integer of 0 to 1"),
        ("expect.checkpoints.0.cycle", 72, "expect.checkpoints[0].cycle: is 72, not an integer of 0 to 71"),
        ("expect.checkpoints.0.v", None, "expect.checkpoints[0].v: is None, not a list"),
        ("expect.checkpoints.0", 1, "expect.checkpoints[0]: is 1, not an object"),
    ],
)
def test_damaged_fields(tmp_path: Path, field: str, value: Any, message: str) -> None:
    content = plain()
    put(content, field, value)
    assert refusal(write(tmp_path, content)) == message


def test_labels_and_info_may_be_absent(tmp_path: Path) -> None:
    content = plain()
    for name in ("name", "kind", "seed", "note", "info"):
        del content[name]
    del content["in"]["not_before"]
    assert read(write(tmp_path, content)).events.not_before.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is empty"),
        (b"{}", "is no complete gzip file: Not a gzipped file (b'{}')"),
        (gzip.compress(b"{"), "is not JSON"),
        (gzip.compress(b"[" * 100000), "is not JSON"),
        (gzip.compress(b"\xff"), "is not JSON"),
        (gzip.compress(b"1" * 5000), "is not JSON"),
        (gzip.compress(b"[]"), "is a list, not an object"),
        (gzip.compress(b'{"a": {"b": 1, "b": 2}}'), "'b': is there twice"),
    ],
    ids=["empty", "no gzip", "open brace", "deep", "no UTF-8", "large", "list", "twice"],
)
def test_damaged_files(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "t.json.gz"
    path.write_bytes(raw)
    assert refusal(path) == message


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_MOST_BYTES", 1000)
    assert refusal(write(tmp_path, plain())) == "unpacks to more than 1,000 bytes"


def test_cut_short(tmp_path: Path) -> None:
    path = write(tmp_path, plain())
    path.write_bytes(path.read_bytes()[:-9])
    assert re.match("is no complete gzip file: ", refusal(path))


def test_unreadable(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(CompileError, match=re.escape(f"error[cannot-read]: {path}: {reason}")):
            read(path)


def _try(path: Path) -> None:
    """Whatever is in the file: a CompileError, or a trace that can be replayed."""
    try:
        trace = read(path)
    except CompileError as error:
        if f": {path}: " not in str(error):
            raise
        return
    str(first_difference(trace, replay(trace)))


_JSON = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 1100),
    st.integers(),
    st.sampled_from([1 << 60, (1 << 60) + 1, 1 << 24, 4095, "idle", "cut", math.inf, 0.5, "", [], {}, [[]], "\ud800"]),
    st.lists(st.integers(0, 300), max_size=5),
)


def _paths(node: Any, here: str = "") -> list[str]:
    inner = node.items() if isinstance(node, dict) else enumerate(node[:3]) if isinstance(node, list) else ()
    return [path for key, each in inner for path in (f"{here}{key}", *_paths(each, f"{here}{key}."))]


@given(changes=st.lists(st.tuples(st.sampled_from(_paths(plain())), st.one_of(_JSON, st.just(...))), max_size=3))
@settings(max_examples=300, deadline=None)
def test_changed_values(changes: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    content = plain()
    for field, value in changes:
        with suppress(KeyError, IndexError, TypeError):  # the one before took it away
            put(content, field, value)
    _try(write(tmp_path_factory.getbasetemp(), content))


@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), packed=st.booleans())
@settings(max_examples=200, deadline=None)
def test_changed_bytes(at: float, byte: int, packed: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = plain()
    content["weights"]["data"] = "AAAA"  # so that few of the bytes are weights
    raw = json.dumps(content).encode()
    raw = bytearray(gzip.compress(raw) if packed else raw)
    raw[int(at * len(raw))] = byte
    path = tmp_path_factory.getbasetemp() / "t.json.gz"
    path.write_bytes(raw if packed else gzip.compress(bytes(raw), compresslevel=1))
    _try(path)


def test_damage_behind_a_sound_checksum(tmp_path: Path) -> None:
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(b"")[:10] + zlib.compress(b"x")[2:-4] + bytes(8))
    assert "CRC check failed" in refusal(path)
