"""What the zoo holds: one line a file, by framework, network, shape of file and exporter."""

from __future__ import annotations

from typing import Any

import norse.torch as norse
import sinabs.layers as sinabs
import snntorch as snn
import torch
from spikingjelly.activation_based import neuron as jelly

from . import nets
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
