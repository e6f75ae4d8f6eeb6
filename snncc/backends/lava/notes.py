"""Says which populations Loihi runs as they are, with Lava's own neurons, which need microcode, and what learns."""

from __future__ import annotations

from collections.abc import Iterator

from snncc.analysis.proof import Proof
from snncc.backends.lava.plan import Cells, Plan
from snncc.chip import Chip
from snncc.diagnostics import Diagnostic
from snncc.integers import Network

_SIMULATED = "by a process model of snncc's own: in Lava's simulation on a computer, not on a Loihi's learning engine"
_FROZEN = "`snncc freeze` makes a program that no longer learns of what was learnt"
_WAYS_OUT = {
    "soft reset": "compile with --allow-hard-reset, or train with hard resets to 0",
    "reset acts a step later": "compile with --allow-hard-reset, or train with resets that act at once",
    "wrap in Lava's current": "compile with fewer --weight-bits",
    "forgotten at once": "train with a membrane that decays more slowly",
    "threshold differs": "train one threshold a layer",
    "decays differently": "train one decay a layer",
    "as biases of": "compile with fewer --weight-bits, so that a static input becomes biases",
}


def notes(network: Network, proof: Proof, chip: Chip, strict: bool) -> Iterator[Diagnostic]:
    """A warning for each population that is not stock; an error if `strict`, or if the chip has no microcode.

    What reads graded values, on a chip that takes none, is computed on the host, whatever it is. What learns is no
    chip's: a warning for each, an error if `strict`.
    """
    plan = Plan(network, proof, chip)
    learning = [(each.name, "weights learn") for each in plan.plastic]
    for name, what in (*learning, *((each.name, "threshold learns") for each in plan.learning)):
        rule, severity = ("not-stock", "error") if strict else ("simulated-learning", "warning")
        yield Diagnostic(rule, name, f"its {what} {_SIMULATED}", _FROZEN, severity)  # type: ignore[arg-type]  one of two
    strict = strict or (chip.lava is not None and not chip.lava.microcode)
    for each in plan.cells:
        if each.on_host:
            message = f"is computed on the host: {chip.name} takes spikes, and {'; '.join(each.why)}"
            yield Diagnostic("on-the-host", each.name, message, _hint(each), "warning")
        elif each.own:
            rule, severity = ("not-stock", "error") if strict else ("microcode", "warning")
            message = f"needs microcode on Loihi, as Lava's LIF has no such neuron: {'; '.join(each.why)}"
            yield Diagnostic(rule, each.name, message, _hint(each), severity)  # type: ignore[arg-type]  one of two


def _hint(cells: Cells) -> str:
    ways = [way for part, way in _WAYS_OUT.items() if any(part in reason for reason in cells.why)]
    return "; ".join(dict.fromkeys(ways))
