"""What a run on a microcontroller's emulator took, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snncc.analysis.metrics import Reading
from snncc.backends.base import Result
from snncc.backends.c.mcu.artefact import device_of
from snncc.backends.c.mcu.costs import joules, seconds
from snncc.chip import Chip
from snncc.device import Device


def readings(results: Sequence[Result], chip: Chip, samples: int) -> tuple[Reading, ...]:
    """Over consecutive parts of a data set: means a sample and a step, time and energy, the worst step, the stack."""
    device = device_of(chip)
    unit = device.emulator.counts
    counted, steps = (sum(each.figures[name] for each in results) for name in ("counted", "steps"))
    worst, stack = (max(int(each.peaks[name].max()) for each in results) for name in ("worst", "stack"))
    rows = [(unit, counted / samples, unit, f"{counted / samples:,.0f} an inference, {counted / steps:,.0f} a step")]
    rows += _estimated(counted / samples, device)
    if worst:
        rows.append((f"worst_{unit}", worst, f"{unit} of the worst step", f"{worst:,}"))
    rows.append(("stack", stack, "stack of a step", f"{stack:,} bytes"))
    return tuple(Reading(*row) for row in rows)


def _estimated(counted: float, device: Device) -> Iterator[tuple[str, float, str, str]]:
    """Time and energy of an inference, from its cycles, or from its instructions and their mean cycles."""
    each, clock = device.cycles_per_instruction, device.clock_mhz
    time, energy = seconds(counted, device), joules(counted, device)
    if time:
        how = f" and {each.value:g} cycles an instruction" if each else ""
        text = f"{time.quantity('s')} an inference at {clock.value:g} MHz{how} ({time.origin})"
        yield "latency", time.value, "time", text
    if energy and device.cycle_pj:
        text = f"{energy.quantity('J')} an inference at {device.cycle_pj.value:g} pJ a cycle ({energy.origin})"
        yield "energy", energy.value, "energy", text
