"""What the zoo holds: one line a file, by framework, network, shape of file and exporter."""

from __future__ import annotations

from typing import Any

import norse.torch as norse
import sinabs.activation as activation
import sinabs.layers as sinabs
import snntorch as snn
import torch
from norse.torch.module.lif_refrac import LIFRefracCell
from spikingjelly.activation_based import layer
from spikingjelly.activation_based import neuron as jelly
from torch import nn

from . import idioms, nets
from .nets import HIDDEN, SINGLE, spread

BOTH = ("ts", "dyn")
CASES: list[dict[str, Any]] = []


def add(framework: str, name: str, make: Any, **forms: Any) -> None:
    """`forms` gives for each shape of file the exporters, or a dict with those and more."""
    for form, given in forms.items():
        how = given if isinstance(given, dict) else {"exporters": given}
        for exporter in how.get("exporters", BOTH):
            more = {key: value for key, value in how.items() if key != "exporters"}
            CASES.append(
                {
                    "framework": framework,
                    "name": name,
                    "make": make,
                    "form": form.rstrip("_"),
                    "exporter": exporter,
                    **more,
                }
            )


def leaky(beta: Any = 0.9, **more: Any) -> Any:
    return snn.Leaky(beta, **more)


# --- snnTorch
add(
    "snntorch",
    "leaky",
    lambda: nets.SnnTorch(leaky(), leaky(0.8)),
    step=BOTH,
    unrolled=BOTH,
    scan={"exporters": ["ts"], "steps": 0},
    loop={"exporters": ["dyn"], "steps": 6},
    functions={"exporters": ["ts"], "options": ("/lif1/", "/lif2/")},
)
add(
    "snntorch",
    "zero",
    lambda: nets.SnnTorch(leaky(reset_mechanism="zero"), leaky(0.8, reset_mechanism="zero")),
    unrolled=BOTH,
)
add(
    "snntorch",
    "channels",
    lambda: nets.SnnTorch(leaky(spread(0.3, 0.98), threshold=spread(0.5, 1.5)), leaky(0.7)),
    step=["dyn"],
    unrolled=BOTH,
)
add(
    "snntorch",
    "synaptic",
    lambda: nets.SnnTorch(snn.Synaptic(0.7, 0.9), snn.Synaptic(0.5, 0.8, reset_mechanism="zero"), (2, 2)),
    step=["ts"],
    unrolled=BOTH,
    scan={"exporters": ["dyn"], "steps": 7},
)
add(
    "snntorch",
    "readout",
    lambda: nets.SnnTorchReadout(leaky(), leaky(0.8, reset_mechanism="none")),
    unrolled={"readout": "mean"},
)
add(
    "snntorch",
    "last",
    lambda: nets.SnnTorchReadout(leaky(), leaky(0.8, reset_mechanism="none")),
    unrolled={"readout": "last"},
)
add("snntorch", "membrane", lambda: nets.SnnTorchReadout(leaky(), leaky(0.8)), step=BOTH, unrolled={"readout": "max"})
add(
    "snntorch",
    "current",
    lambda: nets.SnnTorchReadout(snn.Synaptic(0.7, 0.9), snn.Synaptic(0.5, 0.8), (2, 2)),
    step=["ts"],
    unrolled={"exporters": ["dyn"], "readout": "mean"},
)
add("snntorch", "count", lambda: nets.SnnTorch(leaky(), leaky(0.8)), unrolled={"readout": "sum"})
add("snntorch", "static", lambda: nets.SnnTorch(leaky(), leaky(0.8)), unrolled={"static": True, "readout": "sum"})
add(
    "snntorch",
    "rleaky",
    lambda: nets.SnnTorchRecurrent(snn.RLeaky(0.8, linear_features=HIDDEN), leaky(0.8), (2, 1)),
    step=["dyn"],
    unrolled=BOTH,
)

# --- SpikingJelly
add("jelly", "if", lambda: nets.Jelly(jelly.IFNode(v_reset=None), jelly.IFNode()), step=["dyn"], unrolled=["dyn"])
add(
    "jelly",
    "lif",
    lambda: nets.Jelly(jelly.LIFNode(tau=2.0), jelly.LIFNode(tau=3.0, v_reset=None, decay_input=False)),
    step=["dyn"],
    unrolled=["dyn"],
    scan={"exporters": ["dyn"], "steps": 0},
)
add(
    "jelly",
    "plif",
    lambda: nets.Jelly(jelly.ParametricLIFNode(init_tau=3.0), jelly.ParametricLIFNode(init_tau=1.5, v_reset=None)),
    unrolled=["dyn"],
    loop={"exporters": ["dyn"], "steps": 0},
)
add(
    "jelly",
    "simple",
    lambda: nets.Jelly(jelly.SimpleLIFNode(tau=2.0, decay_input=True), jelly.SimpleIFNode(v_reset=None)),
    step=["ts"],
    unrolled=["ts"],
    functions={"exporters": ["ts"], "options": ("/lif1/",)},
)
add("jelly", "multi", lambda: nets.JellyMulti(lambda **more: jelly.LIFNode(tau=2.0, **more)), unrolled=["dyn"])
add("jelly", "conv", nets.JellyConv, step=["dyn"], unrolled=["dyn"])
for gate in ("add", "and", "iand", "or"):
    add("jelly", f"sew_{gate}", lambda g=gate: nets.JellySew(g), step=["dyn"])
add("jelly", "sew_or", lambda: nets.JellySew("or"), unrolled=["dyn"])

# --- Norse
add(
    "norse",
    "lif",
    lambda: nets.Norse(norse.LIFCell(), norse.LIFCell()),
    step=BOTH,
    unrolled=BOTH,
    scan={"exporters": ["dyn"], "steps": 0},
    loop={"exporters": ["ts"], "steps": 5},
)
add("norse", "layers", nets.NorseLayers, unrolled={"readout": "max"})
add("norse", "recurrent", nets.NorseRecurrent, step=["ts"], unrolled=BOTH)
add(
    "norse",
    "lsnn",
    lambda: nets.Norse(norse.LSNNCell(), norse.LSNNCell(), ("v", "i", "b"), norse.LSNNFeedForwardState),
    step=BOTH,
    unrolled={"steps": 6},
)
add("norse", "refractory", nets.NorseRefractory, step=BOTH)

# --- Sinabs
tau = torch.tensor(8.0)
add("sinabs", "iaf", lambda: nets.Sinabs(sinabs.IAF(), sinabs.IAF()), step=BOTH, unrolled=BOTH)
add(
    "sinabs",
    "lif",
    lambda: nets.Sinabs(sinabs.LIF(tau, **SINGLE), sinabs.LIF(tau, tau_syn=torch.tensor(4.0), **SINGLE), 12.0),
    step=["dyn"],
    unrolled=BOTH,
    scan={"exporters": ["ts"], "steps": 0},
)
add(
    "sinabs",
    "alif",
    lambda: nets.Sinabs(sinabs.ALIF(tau, torch.tensor(10.0)), sinabs.LIF(tau, **SINGLE), 12.0),
    unrolled=["dyn"],
)
add("sinabs", "leak", lambda: nets.Sinabs(sinabs.LIF(tau, norm_input=False), sinabs.ExpLeak(tau)), unrolled=BOTH)
add("sinabs", "squeeze", nets.SinabsSqueeze, unrolled={"options": ("flat",)})

# --- plain PyTorch
add(
    "plain",
    "soft",
    nets.Plain,
    step=["dyn"],
    unrolled=BOTH,
    scan={"exporters": ["dyn"], "steps": 8},
    loop={"exporters": ["ts"], "steps": 0},
)
add("plain", "hard", lambda: nets.Plain(hard=True, tensors=True, strict=False), unrolled=BOTH)
add("plain", "adaptive", nets.PlainAdaptive, step=["dyn"], unrolled=BOTH)
add("plain", "stateless", nets.PlainStateless, step=BOTH, unrolled=["dyn"])
add("plain", "started", nets.PlainStarted, unrolled=BOTH)
add("plain", "recurrent", nets.PlainRecurrent, unrolled=BOTH, scan={"exporters": ["ts"], "steps": 0})
add("plain", "attention", nets.PlainAttention, step=["dyn"], unrolled=["dyn"])
add("plain", "listed", nets.PlainListed, script=["ts"])
add("plain", "refractory", nets.PlainRefractory, step=["dyn"], unrolled=["dyn"])

# --- as tutorials write them
OWN = {"init_hidden": True}
DYN, TS = ["dyn"], ["ts"]


def pair(first: Any, last: Any = None, **more: Any) -> Any:
    """A case of two layers of snnTorch, the last of them a Leaky."""
    return lambda: idioms.hidden_pair(first(), last() if last else snn.Leaky(0.9, **OWN, output=True), **more)


add("snntorch", "tutorial", idioms.tutorial, whole=BOTH)
add("snntorch", "lapicque", pair(lambda: snn.Lapicque(beta=0.9, **OWN), scale=20.0), whole=DYN)
add("snntorch", "rsynaptic", pair(lambda: snn.RSynaptic(0.7, 0.9, linear_features=HIDDEN, **OWN)), whole=BOTH)
add("snntorch", "diagonal", pair(lambda: snn.RLeaky(0.9, all_to_all=False, V=0.5, **OWN)), whole=TS)
add("snntorch", "graded", pair(lambda: snn.Leaky(0.9, graded_spikes_factor=2.0, **OWN)), whole=DYN)
add(
    "snntorch",
    "learnt",
    pair(lambda: snn.Leaky(0.9, learn_beta=True, learn_threshold=True, threshold=spread(0.6, 1.4), **OWN)),
    whole=DYN,
)
add("snntorch", "currents", pair(lambda: snn.Synaptic(spread(0.2, 0.9), spread(0.5, 0.95), **OWN)), whole=TS)
add("snntorch", "recorded", idioms.Recorded, whole=BOTH)
add("snntorch", "batch", lambda: idioms.Recorded(7), whole=DYN)
for how in ("last", "max", "mean"):
    for synaptic in (True, False):
        name = f"{'synaptic' if synaptic else 'current'}_{how}"
        add("snntorch", name, lambda h=how, s=synaptic: idioms.CurrentReadOut(h, synaptic=s), whole=DYN)
add("snntorch", "current_sum", lambda: idioms.CurrentReadOut("sum", synaptic=False), whole=TS)
add("snntorch", "leaky", lambda: nets.SnnTorch(leaky(), leaky(0.8)), modules=TS)


def multi(first: Any, **more: Any) -> Any:
    """A case of two layers of SpikingJelly, the last of them a LIF."""
    return lambda: idioms.Multi(
        layer.Linear(nets.IN, HIDDEN), first(), layer.Linear(HIDDEN, nets.OUT), jelly.LIFNode(), **more
    )


def image() -> idioms.Multi:
    """SpikingJelly's convolutional classifier of its tutorials, much smaller."""
    block = lambda maps: (  # noqa: E731
        layer.Conv2d(maps, 3, 3, padding=1, bias=False), layer.BatchNorm2d(3), jelly.IFNode(), layer.MaxPool2d(2, 2)
    )  # fmt: skip
    dense = layer.Linear(12, 8, bias=False), jelly.IFNode(), layer.Linear(8, nets.OUT, bias=False), jelly.IFNode()
    return idioms.Multi(
        *block(1), *block(3), layer.Flatten(), *dense, shape=(1, 1, 8, 8), repeat=4, how="mean", scale=4.0
    )


add("jelly", "tutorial", image, whole=DYN)
add("jelly", "klif", multi(jelly.KLIFNode, scale=6.0), whole=DYN)
add("jelly", "cuba", multi(lambda: jelly.CUBALIFNode(0.5, 0.75)), whole=DYN)
add("jelly", "dsr", multi(jelly.DSRIFNode), whole=DYN)
add("jelly", "half", multi(jelly.HalfThresholdIFNode, scale=6.0), whole=DYN)
add(
    "jelly",
    "recurrent",
    multi(lambda: layer.LinearRecurrentContainer(jelly.IFNode(), HIDDEN, HIDDEN), mode="s", scale=4.0),
    whole=DYN,
)
add(
    "jelly",
    "feedback",
    multi(lambda: layer.ElementWiseRecurrentContainer(jelly.IFNode(), torch.add), mode="s", scale=6.0),
    whole=DYN,
)
add(
    "jelly",
    "current",
    lambda: idioms.Multi(layer.Linear(nets.IN, HIDDEN), jelly.LIFNode(), layer.Linear(HIDDEN, nets.OUT), how="mean"),
    whole=DYN,
)
add(
    "jelly",
    "voting",
    lambda: idioms.Multi(
        layer.Linear(nets.IN, 20), jelly.LIFNode(), layer.Linear(20, 20), jelly.LIFNode(), layer.VotingLayer(10),
        how="mean", scale=5.0,
    ),
    whole=DYN,
)  # fmt: skip
add(
    "jelly",
    "containers",
    lambda: idioms.Multi(
        layer.SeqToANNContainer(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)), jelly.IFNode(),
        layer.SeqToANNContainer(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, nets.OUT)), jelly.LIFNode(),
        shape=(5, 1, 1, 8, 8), scale=5.0,
    ),
    whole=DYN,
)  # fmt: skip
add(
    "jelly",
    "normed",
    lambda: idioms.Multi(
        layer.Conv2d(1, 3, 3), layer.ThresholdDependentBatchNorm2d(1.0, 1.0, 3), jelly.IFNode(), layer.Flatten(),
        layer.Linear(108, nets.OUT), jelly.LIFNode(), shape=(5, 1, 1, 8, 8),
    ),
    whole=DYN,
)  # fmt: skip
add(
    "jelly",
    "transformer",
    lambda: idioms.Multi(layer.SpikeDrivenSelfAttention(8), shape=(4, 1, 8, 2, 2)),
    whole=DYN,
)

own, out = norse.LIFParameters(tau_mem_inv=spread(50, 300), v_th=spread(0.5, 1.5)), norse.LIFParameters()
add("norse", "box", lambda: idioms.Cells(norse.LIFBoxCell(), norse.LIBoxCell()), whole=BOTH)
add(
    "norse",
    "weighted",
    lambda: idioms.Cells(norse.LIFCell(), norse.LILinearCell(HIDDEN, nets.OUT), linear=False),
    whole=TS,
)
add("norse", "resting", lambda: idioms.Cells(LIFRefracCell(), norse.LICell(), steps=8), whole=DYN)
add(
    "norse",
    "neurons",
    lambda: idioms.Modules(nn.Linear(nets.IN, HIDDEN), norse.LIF(own), nn.Linear(HIDDEN, nets.OUT), norse.LIF(out)),
    whole=DYN,
)
add(
    "norse",
    "adaptive",
    lambda: idioms.Modules(nn.Linear(nets.IN, HIDDEN), norse.LSNN(), nn.Linear(HIDDEN, nets.OUT), norse.LI()),
    whole=DYN,
)
add(
    "norse",
    "iaf",
    lambda: idioms.Modules(nn.Linear(nets.IN, HIDDEN), norse.IAF(), nn.Linear(HIDDEN, nets.OUT), norse.LIF()),
    whole=DYN,
)

HARD = {**SINGLE, "reset_fn": activation.MembraneReset()}
add(
    "sinabs",
    "hard",
    lambda: idioms.Batched(
        nn.Linear(nets.IN, HIDDEN),
        sinabs.LIF(10.0, norm_input=False, **HARD),
        nn.Linear(HIDDEN, nets.OUT),
        sinabs.IAF(**HARD),
    ),
    whole=DYN,
)
add(
    "sinabs",
    "neurons",
    lambda: idioms.Batched(
        nn.Linear(nets.IN, HIDDEN),
        sinabs.LIF(spread(3, 20), spike_threshold=spread(0.5, 1.5), norm_input=False, min_v_mem=-1.0),
        nn.Linear(HIDDEN, nets.OUT),
        sinabs.IAF(spike_fn=activation.MaxSpike(3)),
    ),
    whole=BOTH,
)
add(
    "sinabs",
    "recurrent",
    lambda: idioms.Batched(
        nn.Linear(nets.IN, HIDDEN),
        sinabs.IAFRecurrent(nn.Linear(HIDDEN, HIDDEN)),
        nn.Linear(HIDDEN, nets.OUT),
        sinabs.IAF(),
    ),
    whole=BOTH,
)
add(
    "sinabs",
    "recurrent_lif",
    lambda: idioms.Batched(
        nn.Linear(nets.IN, HIDDEN),
        sinabs.LIFRecurrent(10.0, nn.Linear(HIDDEN, HIDDEN), norm_input=False, **SINGLE),
        nn.Linear(HIDDEN, nets.OUT),
        sinabs.IAF(),
    ),
    whole=DYN,
)
add("sinabs", "converted", idioms.converted, whole=TS)

add("plain", "scanned", lambda: idioms.Scanned(hoisted=False), whole=DYN)
add("plain", "hoisted", lambda: idioms.Scanned(hoisted=True), whole=DYN)
add("plain", "hoisted_image", lambda: idioms.Scanned(hoisted=True, image=True), whole=DYN)
add("plain", "hoisted_mean", lambda: idioms.Scanned(hoisted=True, mean=True, opened=False), whole=DYN)
add("plain", "hoisted_loop", idioms.Scripted, whole=TS)
add("plain", "custom", idioms.Custom, custom=DYN)
