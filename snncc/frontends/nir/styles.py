"""The choices that NIR leaves open, as named options, and what each framework chose.

NIR gives a neuron's differential equation and its jump. How a step of time approximates the equation, what exactly
happens at the threshold, and whether the jump subtracts, differ among the tools that write and read NIR. A preset is
what the framework of that name computes when it reads a file itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args, get_type_hints

from snncc.diagnostics import fault
from snncc.passes.spikes import MOST

Integrator = Literal["euler", "exponential"]
Gain = Literal["euler", "exponential", "step", "one"]


@dataclass(frozen=True)
class Style:
    """How a step of length dt follows from a node's equation; a state has the time constant tau and the factor r.

    `decay`: a state keeps 1 - dt/tau of itself (euler) or exp(-dt/tau) (exponential).
    `gain`: the membrane takes r dt/tau of its input (euler), r (1 - exp(-dt/tau)) (exponential), r (step), or all of
    it, whatever r is (one); the leak potential always comes in as (1 - decay) v_leak.
    `current_gain`: the same for the synaptic current, with w_in for r.
    `integrate`: IF and I add r dt x (euler) or r x (step) to the membrane.
    `fires`: a spike is v > v_threshold (above) or v >= v_threshold (at).
    `reset`: to v_reset (value), or by v_threshold - v_reset (subtract).
    `reset_delay`: the reset comes with the spike (0), or in the next step after the decay (1).
    `spikes`: the most spikes of a neuron in one step.
    `floor`: an IF's membrane has no lower bound (none), or -v_threshold (threshold).
    `start`: the membrane before the first step is 0 (zero), v_leak (leak) or v_reset (reset).
    """

    decay: Integrator = "exponential"
    gain: Gain = "exponential"
    current_gain: Gain = "exponential"
    integrate: Literal["euler", "step"] = "euler"
    fires: Literal["above", "at"] = "above"
    reset: Literal["value", "subtract"] = "value"
    reset_delay: Literal[0, 1] = 0
    spikes: int = 1
    floor: Literal["none", "threshold"] = "none"
    start: Literal["zero", "leak", "reset"] = "zero"

    def text(self) -> str:
        """The style written out, as `named` reads it."""
        return ",".join(f"{each.name}={getattr(self, each.name)}" for each in fields(self))


EXACT = Style()
_EULER = Style("euler", "euler", "euler", "step")
PRESETS = {
    "exact": EXACT,
    "lava": _EULER,
    "norse": replace(_EULER, start="leak"),
    "rockpool": Style("exponential", "one", "one", "step", "at", "subtract", spikes=MOST),
    "sinabs": Style("exponential", "one", "one", "step", "at", "subtract", spikes=MOST, floor="threshold"),
    "snntorch": _EULER,
    "spikingjelly": Style("euler", "euler", "euler", "euler", "at", start="reset"),
}
NAMES = ", ".join(PRESETS)


def named(text: str, rule: str = "bad-option", where: str = "--nir-style") -> Style:
    """The style that a text names: a preset, then options with other values, as in `norse,reset=subtract`.

    A text without a preset gives every option. Raises CompileError (`rule`, about `where`).
    """
    try:
        return _named(text)
    except ValueError as error:
        message, _, hint = str(error).partition("\n")
        raise fault(rule, where, message, hint) from None


def _named(text: str) -> Style:
    first, *others = text.split(",")
    if "=" in first:
        others, found = [first, *others], EXACT
        missing = [each.name for each in fields(Style) if not any(one.startswith(f"{each.name}=") for one in others)]
        if missing:
            raise _bad(text, f"leaves {', '.join(missing)} open", f"start with a preset: {NAMES}")
    elif first in PRESETS:
        found = PRESETS[first]
    else:
        raise _bad(first, "is no style", f"styles are {NAMES}")
    for each in others:
        name, _, value = each.partition("=")
        found = _with(found, name, value)
    return found


def _with(found: Style, name: str, value: str) -> Style:
    """A style with one option set."""
    hints = get_type_hints(Style)
    if name not in hints:
        raise _bad(name or "nothing", "is no option of a style", f"options are {', '.join(hints)}")
    if name == "spikes":
        if not (value.isascii() and value.isdigit() and len(value) <= 6 and 1 <= int(value) <= MOST):
            raise _bad(f"{name}={value}", f"is no number of 1 to {MOST:,}", "")
        return replace(found, spikes=int(value))
    allowed = {str(each): each for each in get_args(hints[name])}
    if value not in allowed:
        raise _bad(f"{name}={value}", f"is none of {', '.join(allowed)}", "")
    return replace(found, **{name: allowed[value]})


def _bad(what: str, why: str, hint: str) -> ValueError:
    """What is wrong, and on a second line the way out."""
    return ValueError(f"{what!r} {why}\n{hint}")
