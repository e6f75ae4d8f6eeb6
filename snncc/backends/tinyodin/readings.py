"""What a run on tinyODIN took, in words and numbers: spikes, cycles, time, energy, and what each figure rests on."""

from __future__ import annotations

from collections.abc import Sequence

from snncc.analysis.metrics import Reading
from snncc.backends.base import Result
from snncc.chip import Chip, Figure


def readings(results: Sequence[Result], chip: Chip, samples: int) -> tuple[Reading, ...]:
    """The sum over consecutive parts of a data set; all but the first three are means a sample."""
    assert chip.crossbar
    limits = chip.crossbar
    spikes, lost, events, synaptic, cycles, reset = (
        sum(each.figures[name] for each in results)
        for name in ("spikes", "lost", "events", "synaptic", "cycles", "reset_cycles")
    )
    fullest = max((int(each.peaks["fullest"].max()) for each in results), default=0)
    microseconds = cycles / samples / limits.clock_mhz.value
    nanojoules = synaptic / samples * limits.operation_pj.value / 1000
    rows = (
        ("spikes", spikes, "spikes", f"{spikes:,.0f}, {spikes / samples:,.1f} a sample"),
        ("lost_spikes", lost, "lost spikes", f"{lost:,.0f}"),
        ("fullest_queue", fullest, "fullest queue", f"{fullest:,} of {limits.queue.value:,.0f} words"),
        ("events", events / samples, "events sent", f"{events / samples:,.1f} a sample"),
        ("cycles", cycles / samples, "cycles", f"{cycles / samples:,.0f} a sample"),
        ("reset_cycles", reset / samples, "cycles between", f"{reset / samples:,.0f} to reset the membranes"),
        (
            "microseconds",
            microseconds,
            "time",
            f"{microseconds:,.1f} µs a sample at {_given(limits.clock_mhz, 'MHz')}",
        ),
        ("synaptic_operations", synaptic / samples, "synaptic operations", f"{synaptic / samples:,.0f} a sample"),
        (
            "nanojoules",
            nanojoules,
            "energy, estimated",
            f"{nanojoules:,.1f} nJ a sample at {_given(limits.operation_pj, 'pJ an operation')}",
        ),
    )
    return tuple(Reading(*row) for row in rows)


def _given(figure: Figure, unit: str) -> str:
    return f"{figure.value:g} {unit} ({'assumed' if figure.assumed else figure.source})"
