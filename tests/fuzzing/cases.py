"""What is damaged, and which commands are then run: a case is a kind and a seed, and is the same every time.

The next command of a case is asked for only if the last one succeeded.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from onnx import ModelProto

import snncc
from snncc.frontends.onnx.dialect.write import onnx_bytes

from ..frontends.onnx.ann_graphs import branched, pooled
from .damage import NAMES, bad_bytes
from .models import vandalise
from .nets import bad_net
from .nirs import STYLES, bad_nir
from .texts import bad_json, bad_npz, bad_toml

ROOT = Path(__file__).parents[2]
CELLS = sorted((ROOT / "tests" / "data" / "onnx_cells").glob("*.onnx"))
ZOO = sorted((ROOT / "tests" / "zoo" / "files").glob("*.onnx"))
MODELS = sorted((ROOT / "models").glob("*.onnx"))
TARGETS = sorted(each.stem for each in (ROOT / "targets").glob("*.toml"))
SMALL = [each for each in MODELS if each.stat().st_size < 1 << 17]
_KNOWN = (
    *("net_conv2d_ts", "net_matmul_ts", "net_residual_dyn", "net_recurrent_ts", "sj_if_soft_dyn"),
    *("snn_leaky_subtract_ts", "snn_leaky_none_ts", "snn_synaptic_zero_ts", "snn_rsynaptic_none_ts"),
)
COMPILED = [*SMALL, *(each for each in CELLS if each.stem in _KNOWN)]  # those that are sound
RESETTING = [each for each in CELLS if each.stem in ("snn_leaky_zero_dyn", "sj_lif_hard_dyn", "sj_simple_if_hard_ts")]
Command = Sequence[str]


def model(folder: Path, rng: random.Random) -> Iterator[Command]:
    """A damaged ONNX file, checked, compiled or run."""
    source = rng.choice([*CELLS, *ZOO, *SMALL] if rng.random() < 0.97 else MODELS)
    path = folder / "net.onnx"
    data = source.read_bytes()
    if rng.random() < 0.15:
        path.write_bytes(bad_bytes(data, rng.choice(CELLS).read_bytes(), rng))
    else:
        proto = ModelProto.FromString(data)
        vandalise(proto, rng)
        path.write_bytes(proto.SerializeToString())
    _beside(folder, source, rng)
    samples = source.with_name(f"{source.stem}.samples.npz")
    options = ["--samples", str(samples)] if samples.exists() and rng.random() < 0.2 else []
    options += rng.choice([[], ["--weight-bits", _widths(rng)], ["--steps", "9"], ["--require-proof"]])
    options += rng.choice(
        [*[[]] * 5, ["--steps", "1000000"], ["--decoder", rng.choice(["count", "last", "max", "mean"])]]
    )
    options += rng.choice([[], [], ["--dump", str(folder / "dump")], ["--json"]])
    target = rng.choice(["host"] * 6 + TARGETS)
    options += ["-t", target]
    chosen = rng.randrange(10)
    if chosen == 0:
        yield ["check", str(path), "-t", target, *rng.choice([[], ["--json"]])]
    elif chosen == 1:
        shape = (2, *rng.choice([(4,), (1, 5), (16, 64)]))
        np.savez(folder / "data.npz", x=np.ones(shape, np.float32))
        yield ["simulate", str(path), "-i", str(folder / "data.npz")]
    else:
        yield ["compile", str(path), "-o", str(folder / "out"), *options]
        if rng.random() < 0.1 and target != "loihi2":  # whose simulator is not installed everywhere
            yield _verify(folder, rng)


def _widths(rng: random.Random) -> str:
    """What --weight-bits may be given: mostly a number, else with names that are there or not, or no width at all."""
    width = [str(rng.randrange(2, 9)), "ternary", rng.choice(["0", "", "-1", "99", "x"])]
    name = rng.choice(["fc", "fc1", "rec", "conv", "lif1", "v", *NAMES])
    parts = [rng.choices(width, (6, 3, 1))[0], f"{name}={rng.choices(width, (6, 3, 1))[0]}"]
    return ",".join(parts[: rng.randrange(1, 3)]).replace("\0", "")


def _verify(folder: Path, rng: random.Random) -> Command:
    """What was just compiled gives the reference's bits."""
    shape = snncc.open_program(folder / "out").source.shape
    np.savez(folder / "data.npz", **_data(shape, 4, rng))
    return ["verify", str(folder / "out"), "-i", str(folder / "data.npz")]


def _beside(folder: Path, source: Path, rng: random.Random) -> None:
    """What external data may name: the real weights, whole or damaged, and things that are no file of the model's."""
    for path in source.parent.glob(f"{source.stem}.weights"):
        data = path.read_bytes()
        (folder / path.name).write_bytes(bad_bytes(data, data, rng) if rng.random() < 0.3 else data)
    (folder / "weights").write_bytes(rng.randbytes(rng.choice([0, 64, 1 << 14])))
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to("loop")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")


@cache
def _compiled(source: Path, target: str = "host") -> Path:
    """The artefact of a sound model, in a folder that lasts as long as this process."""
    folder = tempfile.mkdtemp(prefix="snncc-fuzz-")
    atexit.register(shutil.rmtree, folder)
    snncc.compile(source, target).write(Path(folder, "out"))
    return Path(folder, "out")


def _data(shape: tuple[int, ...], steps: int, rng: random.Random) -> dict[str, np.ndarray]:
    own = np.random.default_rng(rng.randrange(1 << 30))
    return {
        "x": own.normal(size=(3, steps, *shape)).astype(np.float32),
        "y": np.arange(3),
        "lengths": np.array([steps, 1, steps]),
    }


def artefact(folder: Path, rng: random.Random) -> Iterator[Command]:
    """An artefact with a damaged reference, whose digest is put right, or with other files damaged."""
    target = rng.choice(["host", "host", "mesh64", "tinyodin"])
    source = _compiled(rng.choice(RESETTING if target == "tinyodin" else COMPILED), target)
    place = folder / "out"
    shutil.copytree(source, place)
    shape = snncc.open_program(place).source.shape
    files = sorted(each for each in place.rglob("*.*") if each.suffix not in (".md", ".txt"))
    stored = [each for each in files if each.suffix not in (".c", ".h")]
    path = rng.choice(stored if rng.random() < 0.95 else files)  # each other C program is built anew
    if path.suffix == ".json" and rng.random() < 0.85:
        path.write_text(bad_json(path.read_text(), rng))
    else:
        path.write_bytes(bad_bytes(path.read_bytes(), rng.choice(files).read_bytes(), rng))
    _repair(place, source, rng)
    np.savez(folder / "data.npz", **_data(shape, 3, rng))
    values = str(folder / "data.npz")
    commands = [
        *(["simulate", str(place), "-i", values], ["verify", str(place), "-i", values]),
        *(["explain", str(place), "--model", str(rng.choice(COMPILED)), "-d", values],),
        *(["estimate", str(place), "--samples", values],),
    ]
    yield [*rng.choice([*commands[:2] * 3, *commands[2:]]), *rng.choice([[], ["--json"]])]


def _repair(place: Path, source: Path, rng: random.Random) -> None:
    """Give the manifest the digest of what is there, and the compiler that it had: a made-up one is never called."""
    good = json.loads((source / "reference/artefact.json").read_text())
    try:
        manifest = json.loads((place / "reference/artefact.json").read_text())
    except (ValueError, RecursionError):
        return
    if not isinstance(manifest, dict):
        return
    if rng.random() < 0.95:
        content = (place / "reference/network.json").read_bytes() + (place / "reference/network.bin").read_bytes()
        manifest["sha256"] = hashlib.sha256(content).hexdigest()
    if isinstance(manifest.get("chip"), dict):
        manifest["chip"]["compiler"] = rng.choice([good["chip"]["compiler"], good["chip"]["compiler"], None])
    (place / "reference/artefact.json").write_text(json.dumps(manifest))


def data(folder: Path, rng: random.Random) -> Iterator[Command]:
    """Damaged .npz files, given to every command that reads one."""
    source = rng.choice(COMPILED)
    place = _compiled(source)
    arrays = _data(snncc.open_program(place).source.shape, rng.choice([1, 2, 5]), rng)
    path = folder / "data.npz"
    if rng.random() < 0.6:
        path.write_bytes(bad_npz(arrays, rng))
    else:
        rng.choice([np.savez, np.savez_compressed])(path, **arrays)
        path.write_bytes(bad_bytes(path.read_bytes(), path.read_bytes(), rng))
    given = ["-i", str(path), *rng.choice([[], ["--steps", "2"], ["--limit", "2"], ["--json"]])]
    record = rng.choice([[], ["--record", str(folder / "trace.npz"), "--record-all"]])
    yield rng.choice(
        [
            ["simulate", str(place), *given, *record],
            ["simulate", str(source), *given, *record],
            ["verify", str(place), *given],
            ["explain", str(place), "--model", str(source), "-d", *given[1:]],
            ["estimate", str(place), "--samples", *given[1:]],
            ["compile", str(source), "-o", str(folder / "out"), "--samples", str(path)],
        ]
    )


def chip(folder: Path, rng: random.Random) -> Iterator[Command]:
    """A damaged chip file; what compiles for it must then verify."""
    path = folder / "chip.toml"
    text = (ROOT / "targets" / "host.toml").read_text()
    if rng.random() < 0.2:
        path.write_bytes(bad_bytes(text.encode(), text.encode(), rng))
    else:
        path.write_text(bad_toml(text, rng))
    source = rng.choice(COMPILED)
    yield ["compile", str(source), "-t", str(path), "-o", str(folder / "out")]
    if b'command = "cc"\n# not -O3' in path.read_bytes() and rng.random() < 0.2:
        yield _verify(folder, rng)


def ann(folder: Path, rng: random.Random) -> Iterator[Command]:
    """A damaged ordinary network, converted to rates on samples that may be damaged too."""
    path, samples = folder / "ann.onnx", folder / "samples.npz"
    proto = rng.choice([pooled, branched])(rng.randrange(9)).model()
    if rng.random() < 0.8:
        vandalise(proto, rng)
    path.write_bytes(proto.SerializeToString())
    x = np.random.default_rng(rng.randrange(99)).normal(size=rng.choice([(4, 2, 7, 6), (4, 2, 7, 6), (4, 3, 2, 7, 6)]))
    labels = {"y": np.array([0, 1, rng.choice([2, 2, -1, 99]), 0])} if rng.random() < 0.5 else {}
    np.savez(samples, x=x.astype(np.float32), **labels)
    if rng.random() < 0.1:
        samples.write_bytes(bad_bytes(samples.read_bytes(), b"", rng))
    options = ["--convert", rng.choice(["rate"] * 5 + ["time"]), "--samples", str(samples)]
    options += rng.choice([["--steps", "4"], ["--steps", "4"], [], ["--target-accuracy", rng.choice(["0.3", "nan"])]])
    command = rng.choice(["check", "compile", "simulate", "convert"])
    written = folder / rng.choice(["out.onnx", "out.nir"])
    given = {"compile": ["-o", str(folder / "out")], "simulate": ["-i", str(samples)], "convert": [str(written)]}
    yield [command, str(path), *given.get(command, []), *options]


def dialect(folder: Path, rng: random.Random) -> Iterator[Command]:
    """A damaged file of snncc's own dialect."""
    path = folder / "net.onnx"
    proto = ModelProto.FromString(onnx_bytes(snncc.import_model(rng.choice(COMPILED))))
    vandalise(proto, rng)
    path.write_bytes(proto.SerializeToString())
    yield rng.choice([["check", str(path)], ["convert", str(path), str(folder / "again.onnx")]])


def net(folder: Path, rng: random.Random) -> Iterator[Command]:
    """A damaged file of lava-dl's."""
    path = folder / "net.net"
    bad_net(path, rng)
    command = rng.choice([["check", str(path)], ["compile", str(path), "-o", str(folder / "out")]])
    yield [*command, *rng.choice([[], ["-t", "loihi2"], ["--json"]])]
    if command[0] == "compile" and rng.random() < 0.03 and "loihi2" not in command:
        yield _verify(folder, rng)


def nir(folder: Path, rng: random.Random) -> Iterator[Command]:
    """A damaged NIR file, checked, compiled, or written anew and then read."""
    path, fresh = folder / "net.nir", folder / "fresh.nir"
    bad_nir(path, rng)
    said = ["--nir-style", rng.choice(STYLES), "--dt", rng.choice(["1e-3", "1e-3", "1", "1e-300"])]
    options = said if rng.random() < 0.9 else []
    chosen = rng.randrange(4)
    if chosen == 0:
        yield ["check", str(path), *options, *rng.choice([[], ["-t", "loihi2"], ["--json"]])]
    elif chosen == 1:
        yield ["convert", str(path), str(fresh), *options]
        yield ["compile", str(fresh), "-o", str(folder / "out")]
    else:
        yield ["compile", str(path), "-o", str(folder / "out"), *options]
        if rng.random() < 0.03:
            yield _verify(folder, rng)


KINDS: dict[str, Callable[[Path, random.Random], Iterator[Command]]] = {
    "model": model,
    "artefact": artefact,
    "data": data,
    "chip": chip,
    "net": net,
    "nir": nir,
    "ann": ann,
    "dialect": dialect,
}
