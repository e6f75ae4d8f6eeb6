"""The nodes of NIR that keep a state, as populations in the normal form of `layers.Neuron`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncc import layers
from snncc.arrays import Floats, Shape
from snncc.diagnostics import fault
from snncc.frontends.nir.stored import OURS, Stored
from snncc.frontends.nir.styles import NAMES, Style, named
from snncc.frontends.nir.values import fitted, parameters

NEEDS: Mapping[str, Mapping[str, float | None]] = {
    "Threshold": {"threshold": None},
    "I": {"r": None},
    "IF": {"r": None, "v_threshold": None, "v_reset": 0.0},
    "LI": {"tau": None, "r": None, "v_leak": None},
    "LIF": {"tau": None, "r": None, "v_leak": None, "v_threshold": None, "v_reset": 0.0},
    "CubaLI": {"tau_syn": None, "tau_mem": None, "r": None, "v_leak": None, "w_in": 1.0},
    "CubaLIF": {
        "tau_syn": None,
        "tau_mem": None,
        "r": None,
        "v_leak": None,
        "w_in": 1.0,
        "v_threshold": None,
        "v_reset": 0.0,
    },
}
GRADED = ("I", "LI", "CubaLI")  # hand on their membranes; the others, spikes
_ONE = 1e-9  # a gain that is 1 but for this came out of divisions of float32 numbers


@dataclass(frozen=True, eq=False)
class Setting:
    """What is said beside the nodes: the style, for those that have none of their own, and the seconds of a step."""

    style: Style | None = None
    dt: float | None = None


@dataclass(frozen=True, eq=False)
class Population:
    """A neuron, and what its input is multiplied by before it comes in."""

    neuron: layers.Neuron
    gain: Floats


def population(name: str, node: Stored, shape: Shape | None, setting: Setting) -> Population:
    """The node's equation in steps.

    Raises CompileError: `bad-nir`, `no-nir-style`, `no-dt`, `step-too-long`.
    """
    joined = {"threshold": None} if "threshold" in node.values else {}
    found, shape = fitted(name, parameters(name, node, {**NEEDS[node.kind], **joined}), shape)
    style = own_style(name, node) or setting.style
    if style is None:
        message = f"its {node.kind} leaves open how it integrates, fires and resets, and the file does not say"
        raise fault("no-nir-style", name, message, f"say who wrote the file: --nir-style {NAMES.replace(', ', '|')}")
    if node.kind == "Threshold":
        zero = np.zeros(())
        neuron = layers.Neuron(shape, zero, found["threshold"], style.fires == "at")
        return Population(neuron, np.ones(()))
    if joined:
        found["v_threshold"] = found.pop("threshold")
    with np.errstate(all="ignore"):  # what is not finite then is refused by the contract of imported graphs
        return _integrated(name, node.kind, found, shape, style, setting.dt)


def _integrated(
    name: str, kind: str, found: Mapping[str, Floats], shape: Shape, style: Style, dt: float | None
) -> Population:
    current, bias, minimum = None, np.zeros(()), None
    if kind in ("I", "IF"):
        decay = np.ones(())
        gain = found["r"] * (seconds(name, dt, "integrates over seconds") if style.integrate == "euler" else 1.0)
        if style.floor == "threshold" and kind == "IF":
            minimum = -found["v_threshold"]
    else:
        tau = found["tau" if "tau" in found else "tau_mem"]
        dt = seconds(name, dt, "has time constants")
        decay = _kept(name, style, tau, dt)
        gain = _taken(style.gain, tau, found["r"], dt)
        bias = (1 - decay) * found["v_leak"]
        if "tau_syn" in found:
            current = layers.Current(_kept(name, style, found["tau_syn"], dt))
            gain = gain * _taken(style.current_gain, found["tau_syn"], found["w_in"], dt)
    fires = "v_threshold" in found
    neuron = layers.Neuron(
        shape,
        decay,
        found["v_threshold"] if fires else None,
        style.fires == "at",
        _reset(style, found) if "v_reset" in found else None,
        bias,
        current,
        minimum,
        max_spikes=style.spikes if fires else 1,
        initial=_start(style, found),
    )
    return Population(neuron, np.asarray(np.where(np.abs(gain - 1) <= _ONE, 1.0, gain)))


def seconds(name: str, dt: float | None, why: str) -> float:
    """The length of a step, for a node that needs it. Raises CompileError (`no-dt`)."""
    if dt is None:
        hint = "give --dt: 1e-4 for files of snnTorch and SpikingJelly, 1 for Sinabs's; docs/nir.md has the others"
        raise fault("no-dt", name, f"{why}, and the file does not say how long a step is", hint)
    return dt


def _kept(name: str, style: Style, tau: Floats, dt: float) -> Floats:
    """The part of a state that is left after a step."""
    if (tau <= 0).any():
        raise fault("bad-nir", name, f"has a time constant of {float(tau.min()):g}; it must be positive")
    if style.decay == "exponential":
        return np.exp(-dt / tau)
    if (tau < dt * (1 - _ONE)).any():
        message = f"has a time constant of {float(tau.min()):g}, less than the step of {dt:g}"
        raise fault("step-too-long", name, message, "give a smaller --dt, in the unit of the file's time constants")
    return np.maximum(1 - dt / tau, 0.0)


def _taken(gain: str, tau: Floats, factor: Floats, dt: float) -> Floats:
    """What a step adds to a state for an input of 1."""
    if gain == "euler":
        return factor * (dt / tau)
    if gain == "exponential":
        return factor * -np.expm1(-dt / tau)
    return factor if gain == "step" else np.ones(())


def _reset(style: Style, found: Mapping[str, Floats]) -> layers.SoftReset | layers.HardReset:
    if style.reset == "subtract":
        return layers.SoftReset(found["v_threshold"] - found["v_reset"], style.reset_delay)
    return layers.HardReset(found["v_reset"], style.reset_delay)


def _start(style: Style, found: Mapping[str, Floats]) -> Floats:
    value = {"zero": None, "leak": found.get("v_leak"), "reset": found.get("v_reset")}[style.start]
    return np.zeros(()) if value is None else value


def own_style(name: str, node: Stored) -> Style | None:
    """The style that the file gives a node, where snncc wrote it."""
    text = node.metadata.get(f"{OURS}style")
    return named(text, "bad-nir", name) if isinstance(text, str) else None
