"""What an integer network has to be before anything is computed with it: joined, shaped, of numbers that int64 holds.

The compiler makes sure of all this itself; an artefact that was damaged, or that a stranger made, may not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from snncc.arrays import Array, Shape
from snncc.diagnostics import CompileError
from snncc.integers import (
    Decay,
    Fire,
    HardReset,
    IntOp,
    Network,
    Output,
    Plasticity,
    Population,
    Register,
    Source,
    Synapse,
    Term,
    largest_reach,
)
from snncc.linear import Conv, Dense
from snncc.plasticity import largest_change

_MOST_BITS = 60  # of a parameter, a product or a sum: a few of them add up within int64
_MOST_STEPS = 1 << 20  # of a delay, a start or a refractory time
_MOST_VALUES = 1 << 28  # kept at once for one synapse: what was sent in the last steps, or its padded input


def malformed(network: Network) -> tuple[tuple[str, str], ...]:
    """Everything that keeps a network from being run at all, whatever the chip: where, and what."""
    found = [*misjoined(network)]
    for name, op in network.ops.items():
        message = _misfit(op) or (_too_much_kept(network, name, op) if isinstance(op, Synapse) else None)
        if message:
            found.append((name, message))
    return tuple(found) or tuple(_sums_too_wide(network))


def misjoined(network: Network) -> Iterator[tuple[str, str]]:
    """Ops that do not read or feed what they have to."""
    for name, op in network.ops.items():
        incoming, fed = network.incoming(name), [network[edge.target] for edge in network.outgoing(name)]
        read = [network[edge.source] for edge in incoming]
        plain = all(edge.gain == 1.0 for edge in incoming)
        if isinstance(op, Synapse):
            good = plain and len(read) == len(fed) == 1 and isinstance(read[0], (Source, Population))
            good = good and _size(read[0]) == op.map.in_size and isinstance(fed[0], Population)
            good = good and _size(fed[0]) == op.map.out_size and not network.outgoing(name)[0].delay
            good = good and op.map.weight.dtype.kind in "iu"
        elif isinstance(op, Output):
            good = plain and len(read) == 1 and isinstance(read[0], Population) and not fed and not incoming[0].delay
        else:
            undelayed = all(isinstance(each, Synapse) for each in read) and not any(edge.delay for edge in incoming)
            good = plain and (undelayed if isinstance(op, Population) else not read)
        if not good:
            yield name, f"is not joined as {type(op).__name__} has to be"
    if len(network.of_kind(Source)) != 1 or not network.of_kind(Output):
        yield "the network", "has no single source, or no output"
    try:
        network.order()
    except CompileError as error:
        yield from ((each.where, each.message) for each in error.diagnostics)


def _size(op: IntOp) -> int:
    return math.prod(op.shape) if isinstance(op, (Source, Population)) else 0


def _misfit(op: IntOp) -> str | None:
    """The first thing that is wrong with one op."""
    faults: Iterator[str]
    if isinstance(op, Source):
        faults = _source_faults(op)
    elif isinstance(op, Synapse):
        faults = _synapse_faults(op)
    elif isinstance(op, Population):
        faults = _population_faults(op)
    else:
        faults = iter(() if 0 <= op.latency <= _MOST_STEPS else (f"is {op.latency:,} steps late",))
    return next(faults, None)


def _source_faults(op: Source) -> Iterator[str]:
    yield from _shape_faults(op.shape)
    if not 1 + op.signed <= op.bits <= 32:
        yield f"has values of {op.bits:,} bits"
    if not (math.isfinite(op.scale) and op.scale > 0):
        yield f"has the scale {op.scale}"


def _shape_faults(shape: Shape) -> Iterator[str]:
    if not shape or min(shape) < 1:
        yield f"has the impossible shape {shape}"


def _synapse_faults(op: Synapse) -> Iterator[str]:
    if not 0 <= op.exponent <= _MOST_BITS:
        yield f"shifts its sums left by {op.exponent:,}"
    delays = op.axon_delays
    if delays is not None and delays.shape != (op.map.in_size,):
        yield f"has delays of the shape {delays.shape} for {op.map.in_size:,} sources"
    elif delays is not None and (delays.min(initial=0) < 0 or delays.max(initial=0) > _MOST_STEPS):
        yield f"has delays from {int(delays.min()):,} to {int(delays.max()):,} steps"
    if op.plasticity:
        yield from _plasticity_faults(op, op.plasticity)


def _plasticity_faults(op: Synapse, rule: Plasticity) -> Iterator[str]:
    """What of a rule cannot be computed, or not exactly."""
    if not isinstance(op.map, Dense) or op.axon_delays is not None:
        yield "learns, but is not dense, or its sources have delays of their own"
    elif op.map.weight.min(initial=rule.lowest) < rule.lowest or op.map.weight.max(initial=rule.highest) > rule.highest:
        yield f"learns weights of {rule.lowest:,} to {rule.highest:,}, but begins with others"
    if not (rule.lowest < rule.highest and 0 <= rule.guard <= 24 and max(map(abs, rule.stored)) < 1 << 24):
        yield f"learns weights from {rule.lowest:,} to {rule.highest:,} with {rule.guard:,} guard bits"
    if not (0 <= rule.shift <= 31 and 1 <= rule.period <= _MOST_STEPS and 0 <= rule.seed < 1 << 32):
        yield "learns with a shift, a period or a seed that cannot be"
    if not 0 <= rule.reward < 1 << 16:
        yield f"learns from rewards of up to {rule.reward:,}"
    for trace in (*rule.pre, *rule.post):
        if not (1 <= trace.jump <= trace.highest < 1 << 24 and trace.decay.amount.ndim == 0):
            yield f"has a trace that jumps by {trace.jump:,} of {trace.highest:,}"
        yield from _register_faults("trace", trace.decay, Register(0, max(trace.highest, 0)))
    for term in rule.terms:
        yield from _term_faults(rule, term)
    whole = rule.normalisation
    if whole and not (rule.lowest >= 0 and 0 < whole.total < 1 << 40 and 0 <= whole.every <= _MOST_STEPS):
        yield f"normalises weights of {rule.lowest:,} to {rule.highest:,} to {whole.total:,}"


def _term_faults(rule: Plasticity, term: Term) -> Iterator[str]:
    factors = (*term.factors, *([term.per] if term.per else []))
    for factor in factors:
        side = {"pre": rule.pre, "most pre": rule.pre, "post": rule.post, "most post": rule.post}
        traces = side.get(factor.variable)
        if traces is not None and not 0 <= factor.trace < len(traces):
            yield f"has a rule with the trace {factor.trace:,} of {len(traces):,}"
            return
        if factor.divisor < 1 or (factor.divisor > 1 and traces is None):
            yield f"has a rule that divides by {factor.divisor:,}"
    if term.per and term.per.variable not in ("most pre", "most post", "reward"):
        yield f"has a rule that divides by each {term.per.variable}"
    if largest_change(rule) >= 1 << _MOST_BITS:
        yield f"has a rule whose sums do not fit {_MOST_BITS} bits"


def _too_much_kept(network: Network, name: str, op: Synapse) -> str | None:
    """Why running this synapse would take absurd memory."""
    delay = max((edge.delay for edge in network.incoming(name)), default=0)
    if op.axon_delays is not None:
        delay += int(op.axon_delays.max(initial=0))
    if delay > _MOST_STEPS or op.map.in_size * delay > _MOST_VALUES:
        return f"keeps what {op.map.in_size:,} sources sent in {delay:,} steps"
    if isinstance(op.map, Conv):
        channels, height, width = op.map.in_shape
        top, left, bottom, right = op.map.padding
        padded = channels * (height + top + bottom) * (width + left + right)
        if padded > _MOST_VALUES:
            return f"pads its input to {padded:,} values"
    return None


def _population_faults(op: Population) -> Iterator[str]:
    yield from _shape_faults(op.shape)
    for what, value in (("refractory", op.refractory), ("start", op.start)):
        if not 0 <= value <= _MOST_STEPS:
            yield f"has a {what} of {value:,} steps"
    if not 0 <= op.input_shift <= _MOST_BITS:
        yield f"shifts its sums left by {op.input_shift:,}"
    for label, value in _parameters(op):
        yield from _parameter_faults(label, value, op.shape)
    for label, decay, register in _registers(op):
        yield from _register_faults(label, decay, register)
    yield from _option_faults(op)


def _parameters(op: Population) -> Iterator[tuple[str, Array]]:
    membrane, reset = op.membrane, op.reset
    yield from (("decay", membrane.decay.amount), ("bias", membrane.bias), ("initial state", membrane.initial))
    if membrane.minimum is not None:
        yield "minimum", membrane.minimum
    if op.fire:
        yield "threshold", op.fire.threshold
    if reset:
        yield ("reset value", reset.value) if isinstance(reset, HardReset) else ("reset amount", reset.amount)
    if op.current:
        yield from (("current decay", op.current.decay.amount), ("initial current", op.current.initial))
    if op.adapt:
        yield from (("adaptation decay", op.adapt.decay.amount), ("adaptation jump", op.adapt.jump))
        yield "initial adaptation", op.adapt.initial


def _parameter_faults(label: str, value: Array, shape: Shape) -> Iterator[str]:
    spread = len(value.shape) <= len(shape)
    pairs = zip(reversed(value.shape), reversed(shape), strict=False)
    if not spread or any(one not in (1, other) for one, other in pairs):
        yield f"its {label} of the shape {value.shape} does not spread over {shape}"
    elif max(-int(value.min()), int(value.max())) >= 1 << _MOST_BITS:
        yield f"its {label} does not fit {_MOST_BITS} bits"


def _registers(op: Population) -> Iterator[tuple[str, Decay, Register]]:
    yield "membrane", op.membrane.decay, op.membrane.register
    if op.current:
        yield "current", op.current.decay, op.current.register
    if op.adapt:
        yield "adaptation", op.adapt.decay, op.adapt.register


def _register_faults(label: str, decay: Decay, register: Register) -> Iterator[str]:
    if not register.lo <= 0 <= register.hi:
        yield f"its {label} has a register from {register.lo:,} to {register.hi:,}"
    widest = max((-register.lo).bit_length(), register.hi.bit_length())
    if decay.bits < 0 or widest + decay.bits > _MOST_BITS:
        yield f"its {label} of {widest:,} bits and its decay of {decay.bits:,} do not fit {_MOST_BITS} bits together"
    elif decay.amount.min() < 0 or decay.amount.max() > 1 << decay.bits:
        yield f"its {label} decays by less than nothing, or by more than all"


def _option_faults(op: Population) -> Iterator[str]:
    if op.fire is not None:
        if not 1 <= op.fire.max_spikes <= 1 << 16:
            yield f"fires up to {op.fire.max_spikes:,} spikes a step"
        if op.adapt and op.adapt.learnt and (op.adapt.jump.min() < 0 or op.adapt.initial.min() < 0):
            yield "learns a threshold that sinks"
        if op.fire.max_spikes > 1 and _least_threshold(op, op.fire) <= 0:
            yield "fires several spikes a step at a threshold that is not positive"
    if op.reset is not None:
        if op.reset.delay not in (0, 1):
            yield f"resets {op.reset.delay:,} steps after its spike"
        if op.reset.delay and op.refractory:
            yield "resets a step after its spike, in the middle of its refractory time"


def _least_threshold(op: Population, fire: Fire) -> int:
    """The threshold at the least adaptation that there can be."""
    adapt = op.adapt
    sinks = adapt is not None and min(int(adapt.jump.min()), int(adapt.initial.min())) < 0
    return int(fire.threshold.min()) + (adapt.register.lo if adapt and sinks else 0)


def _sums_too_wide(network: Network) -> Iterator[tuple[str, str]]:
    """The sums of a population; they are computed exactly only if all of them fit an integer."""
    for name, op in network.of_kind(Population).items():
        total = 0.0
        for edge in network.incoming(name):
            synapse = network[edge.source]
            if isinstance(synapse, Synapse):
                source = network[network.incoming(edge.source)[0].source]
                total += math.ldexp(largest_reach(synapse) * _largest_value(source), synapse.exponent)
        if not math.ldexp(total, op.input_shift) < 1 << _MOST_BITS:
            yield name, f"its sums do not fit {_MOST_BITS} bits"


def _largest_value(op: IntOp) -> int:
    if isinstance(op, Source):
        return op.highest
    return op.fire.max_spikes if isinstance(op, Population) and op.fire else 0
