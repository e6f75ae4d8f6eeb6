"""Exports the zoo's NIR files by each framework's own exporter: `python -m tests.zoo.make_nir [--only FRAMEWORK]`.

An .npz file holds the bytes of the NIR file, what the framework itself put out over 100 random steps, and the style to
read it in. snnTorch and SpikingJelly want a newer nir than Norse and Sinabs: see requirements-nir.txt.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

from .nets import HIDDEN, IN, OUT, dense, spread

FOLDER = Path(__file__).parent / "nir"
STEPS = 100
DT = 1e-4
IMAGE = (1, 6, 6)


def last_dense(inputs: int = HIDDEN, scale: float = 2.0) -> nn.Linear:
    """A last layer that is more often excited than inhibited."""
    made = dense(inputs, OUT, scale)
    with torch.no_grad():
        made.weight += 0.1 * scale
    return made


@dataclass(frozen=True)
class Case:
    """A network, its graph for NIR, what it puts out for x (steps, ...), and how to read the file."""

    name: str
    graph: Callable[[], Any]
    run: Callable[[Tensor], Tensor]
    style: str
    dt: float | None = DT
    shape: tuple[int, ...] = (IN,)
    scale: float = 1.0


# --- snnTorch: every layer keeps its states, and a step is a call


def _snntorch() -> Iterator[Case]:
    import snntorch as snn
    from snntorch import utils
    from snntorch.export_nir import export_to_nir

    own = {"init_hidden": True}
    late, now = {**own}, {**own, "reset_mechanism": "zero", "reset_delay": False}
    every = {"beta": spread(0.5, 0.95), "threshold": spread(0.6, 1.4)}
    last = {"beta": spread(0.7, 0.9, OUT), "threshold": torch.ones(OUT)}
    syn, syn_last = {"alpha": spread(0.3, 0.8), **every}, {"alpha": spread(0.4, 0.6, OUT), **last}

    def image(**more: Any) -> nn.Module:
        maps = {"beta": torch.full((3, 6, 6), 0.9), "threshold": torch.ones(3, 6, 6)}
        first = snn.Leaky(**maps, **more)
        return nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            first,
            nn.AvgPool2d(2),
            nn.Flatten(),
            last_dense(27, 4.0),
            snn.Leaky(**last, **more),
        )

    layers = {
        "leaky_zero": ((IN,), lambda: (dense(), snn.Leaky(**every, **now), last_dense(), snn.Leaky(**last, **now))),
        "leaky": ((IN,), lambda: (dense(), snn.Leaky(**every, **late), last_dense(), snn.Leaky(**last, **late))),
        "synaptic": (
            (IN,),
            lambda: (dense(), snn.Synaptic(**syn, **late), last_dense(), snn.Synaptic(**syn_last, **late)),
        ),
        "rleaky": (
            (IN,),
            lambda: (
                dense(), snn.RLeaky(**every, linear_features=HIDDEN, **late), last_dense(), snn.Leaky(**last, **late)
            ),
        ),
        "rsynaptic": (
            (IN,),
            lambda: (
                dense(), snn.RSynaptic(**syn, linear_features=HIDDEN, **late), last_dense(), snn.Leaky(**last, **late)
            ),
        ),
        "conv": (IMAGE, lambda: tuple(image(**late))),
    }  # fmt: skip
    for name, (shape, make) in layers.items():
        torch.manual_seed(sum(map(ord, name)))
        net = nn.Sequential(*make())

        def run(x: Tensor, net: nn.Module = net) -> Tensor:
            utils.reset(net)
            found = [net(frame[None]) for frame in x]
            return torch.stack([each[0] if isinstance(each, tuple) else each for each in found])[:, 0]

        style = "snntorch" if name.endswith("zero") else "snntorch,reset=subtract,reset_delay=1"

        def graph(net: nn.Module = net, shape: tuple[int, ...] = shape) -> Any:
            utils.reset(net)
            return export_to_nir(net, torch.ones(1, *shape), ignore_dims=[0])

        yield Case(f"snntorch_{name}", graph, run, style, shape=shape)


# --- SpikingJelly: all steps at once


def _jelly() -> Iterator[Case]:
    from spikingjelly.activation_based import functional, layer
    from spikingjelly.activation_based import neuron as jelly
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    def linear(plain: nn.Linear) -> nn.Module:
        made = layer.Linear(plain.in_features, plain.out_features)
        made.load_state_dict(plain.state_dict())
        return made

    def pair(hidden: nn.Module, out: nn.Module, scale: float = 2.0) -> tuple[nn.Module, ...]:
        return linear(dense(scale=scale)), hidden, linear(last_dense(scale=scale)), out

    nets: dict[str, tuple[tuple[int, ...], Callable[[], tuple[nn.Module, ...]]]] = {
        "if": ((IN,), lambda: pair(jelly.IFNode(), jelly.IFNode(v_threshold=1.5))),
        "lif": ((IN,), lambda: pair(jelly.LIFNode(tau=2.0), jelly.LIFNode(tau=4.0, decay_input=False), 4.0)),
        "reset": ((IN,), lambda: pair(jelly.LIFNode(tau=3.0, v_reset=-0.25), jelly.LIFNode(v_reset=0.2), 5.0)),
        "plif": ((IN,), lambda: pair(jelly.ParametricLIFNode(3.0), jelly.ParametricLIFNode(1.5), 4.0)),
        "cuba": ((IN,), lambda: pair(jelly.CUBALIFNode(0.5, 0.75), jelly.CUBALIFNode(0.3, 0.9))),
        "conv": (
            IMAGE,
            lambda: (
                layer.Conv2d(1, 3, 3, padding=1), jelly.IFNode(v_threshold=0.3), layer.AvgPool2d(2), layer.Flatten(),
                linear(last_dense(27, 4.0)), jelly.LIFNode(),
            ),
        ),
    }  # fmt: skip
    for name, (shape, make) in nets.items():
        torch.manual_seed(sum(map(ord, name)))
        net = nn.Sequential(*make())
        functional.set_step_mode(net, "m")

        def run(x: Tensor, net: nn.Module = net) -> Tensor:
            functional.reset_net(net)
            return net(x[:, None])[:, 0]

        def graph(net: nn.Module = net, shape: tuple[int, ...] = shape) -> Any:
            functional.reset_net(net)
            return export_to_nir(net, torch.zeros(3, 1, *shape), dt=DT)

        yield Case(f"jelly_{name}", graph, run, "spikingjelly", shape=shape)


# --- Norse: cells with their states beside them


def _norse() -> Iterator[Case]:
    import norse.torch as norse
    from norse.torch.utils.export_nir import to_nir

    def params(kind: Any, **more: Any) -> Any:
        return kind(**{name: torch.as_tensor(value) for name, value in more.items()})

    own = {
        "tau_mem_inv": spread(60.0, 200.0),
        "v_leak": torch.zeros(HIDDEN),
        "v_th": spread(0.5, 1.2),
        "v_reset": torch.zeros(HIDDEN),
    }
    out = {
        "tau_mem_inv": torch.full((OUT,), 100.0),
        "v_leak": torch.full((OUT,), 0.1),
        "v_th": torch.full((OUT,), 0.6),
        "v_reset": torch.zeros(OUT),
    }
    leak = {name: out[name] for name in ("tau_mem_inv", "v_leak")}
    currents = ({"tau_syn_inv": torch.full((HIDDEN,), 200.0)}, {"tau_syn_inv": torch.full((OUT,), 150.0)})
    box, lif = norse.LIFBoxParameters, norse.LIFParameters
    made = {
        "box": lambda: (norse.LIFBoxCell(params(box, **own)), norse.LIFBoxCell(params(box, **out))),
        "box_li": lambda: (
            norse.LIFBoxCell(params(box, **own)),
            norse.LIBoxCell(params(norse.LIBoxParameters, **leak)),
        ),
        "iaf": lambda: (
            norse.IAFCell(norse.IAFParameters(v_th=own["v_th"], v_reset=own["v_reset"])),
            norse.IAFCell(norse.IAFParameters(v_th=out["v_th"], v_reset=out["v_reset"])),
        ),
        "lif": lambda: (
            norse.LIFCell(params(lif, **own, **currents[0])),
            norse.LIFCell(params(lif, **out, **currents[1])),
        ),
    }
    for name, make in made.items():
        torch.manual_seed(sum(map(ord, name)))
        hidden, last = make()
        scale = 3.0 if name == "iaf" else 20.0
        net = norse.SequentialState(dense(scale=scale), hidden, last_dense(scale=scale), last)

        def run(x: Tensor, net: nn.Module = net) -> Tensor:
            state, found = None, list[Tensor]()
            for frame in x:
                y, state = net(frame[None], state)
                found.append(y[0])
            return torch.stack(found)

        style = "norse,current_gain=step" if name == "lif" else "norse"
        yield Case(f"norse_{name}", lambda net=net: to_nir(net, torch.zeros(1, IN), dt=1.0), run, style, 1e-3)


# --- Sinabs: (batch, steps, ...), or both in one axis


def _sinabs() -> Iterator[Case]:
    import sinabs.layers as sinabs
    from sinabs.nir import to_nir

    one = {"batch_size": 1}
    plain = {"norm_input": False, **one}
    tau = spread(4.0, 20.0)
    image = lambda: (  # noqa: E731
        nn.Conv2d(1, 3, 3, padding=1), sinabs.IAFSqueeze(min_v_mem=-1.0, **one), sinabs.SumPool2d(2), nn.Flatten(),
        last_dense(27), sinabs.IAFSqueeze(min_v_mem=-1.0, **one),
    )  # fmt: skip

    def pair(hidden: nn.Module, out: nn.Module, scale: float) -> tuple[nn.Module, ...]:
        return dense(scale=scale), hidden, last_dense(scale=scale), out

    def lif(norm: bool, scale: float) -> tuple[nn.Module, ...]:
        more = {"norm_input": norm, **one}
        each = {"tau_mem": tau, "spike_threshold": spread(0.6, 1.4)}  # the last layer's are numbers
        return pair(sinabs.LIFSqueeze(**each, **more), sinabs.LIFSqueeze(tau_mem=10.0, **more), scale)

    nets: dict[str, tuple[tuple[int, ...], str, float | None, Callable[[], tuple[nn.Module, ...]]]] = {
        "iaf": (
            (IN,), "sinabs", None,
            lambda: pair(sinabs.IAFSqueeze(min_v_mem=-1.0, **one), sinabs.IAFSqueeze(min_v_mem=-1.0, **one), 2.0),
        ),
        "lif": ((IN,), "sinabs", 1.0, lambda: lif(norm=False, scale=2.0)),
        "lif_norm": ((IN,), "sinabs,gain=exponential", 1.0, lambda: lif(norm=True, scale=30.0)),
        "leak": (
            (IN,), "sinabs", 1.0,
            lambda: pair(sinabs.LIFSqueeze(tau_mem=5.0, **plain), sinabs.ExpLeakSqueeze(tau_mem=10.0, **plain), 2.0),
        ),
        "conv": (IMAGE, "sinabs", None, image),
    }  # fmt: skip
    for name, (shape, style, dt, make) in nets.items():
        torch.manual_seed(sum(map(ord, name)))
        net = nn.Sequential(*make())

        def reset(net: nn.Module) -> None:
            for each in net.modules():
                if isinstance(each, sinabs.StatefulLayer):
                    each.reset_states()

        def run(x: Tensor, net: nn.Module = net) -> Tensor:
            reset(net)
            return net(x)

        def graph(net: nn.Module = net, shape: tuple[int, ...] = shape) -> Any:
            reset(net)
            found = to_nir(net, torch.zeros(1, *shape))
            found.infer_types()
            return found

        yield Case(f"sinabs_{name}", graph, run, style, dt, shape)


MAKERS = {"snntorch": _snntorch, "jelly": _jelly, "norse": _norse, "sinabs": _sinabs}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=FOLDER)
    options.add_argument("--only", choices=MAKERS, action="append")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for framework in given.only or MAKERS:
        for case in MAKERS[framework]():
            x = np.random.default_rng(7).normal(0.6, 1.1, (STEPS, *case.shape)).astype(np.float32)
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                y = case.run(torch.from_numpy(x)).numpy().reshape(STEPS, -1)
                with tempfile.TemporaryDirectory() as scratch:
                    path = Path(scratch, "net.nir")
                    nir.write(path, case.graph())
                    written = np.frombuffer(path.read_bytes(), np.uint8)
            if np.count_nonzero(y) < STEPS // 10 or np.ptp(y) == 0:
                raise ValueError(f"{case.name}: its output is nearly always the same")
            path = given.out / f"{case.name}.npz"
            np.savez_compressed(path, nir=written, x=x, y=y, style=case.style, dt=case.dt or 0.0)
            print(f"{path.name}: {path.stat().st_size} bytes, {np.count_nonzero(y)} of {y.size} outputs are not 0")


if __name__ == "__main__":
    main()
