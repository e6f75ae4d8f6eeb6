"""What a search found: the points that no other one beats, the one to take, and which limits cannot be met and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from snncc.diagnostics import Diagnostic
from snncc.exploring.budget import MORE, Limit, shown
from snncc.exploring.evaluate import MEASURED
from snncc.exploring.study import Found

_RULE = "impossible-budget"


@dataclass(frozen=True)
class Front:
    """The points that were measured and that none beats in all limited quantities at once, most accurate first.

    `best` is the most accurate one within the budget, and the leanest of these; None if none is, and then `closest` is
    the one whose limits are exceeded by the least part in all; if none was measured, of those that were given up once
    they were compiled.
    """

    points: tuple[Found, ...]
    best: Found | None
    closest: Found | None


def front(found: Sequence[Found], limits: Sequence[Limit]) -> Front:
    """The front of all points found."""
    whole = [each for each in found if each.outcome.stage == MEASURED]
    kept = [each for each in whole if not any(_beats(other, each, limits) for other in whole)]
    distinct = {_values(each, limits): each for each in reversed(kept)}
    points = sorted(distinct.values(), key=lambda each: _rank(each, limits))
    within = [each for each in points if excess(each, limits) == 0]
    known = points or [each for each in found if each.outcome.quantities]
    closest = min(known, key=lambda each: (excess(each, limits), each.number), default=None)
    return Front(tuple(points), within[0] if within else None, closest)


def excess(each: Found, limits: Sequence[Limit]) -> float:
    """By what parts of its limits a point is beyond them, in all that is known of it."""
    known = each.outcome.quantities
    return sum(max(0.0, limit.violation(known[limit.quantity])) for limit in limits if limit.quantity in known)


def _values(each: Found, limits: Sequence[Limit]) -> tuple[float, ...]:
    """The limited quantities, each so that less is better."""
    found = each.outcome.quantities
    return tuple(-found[MORE] if limit.quantity == MORE else found[limit.quantity] for limit in limits)


def _rank(each: Found, limits: Sequence[Limit]) -> tuple[float, ...]:
    return (-each.outcome.quantities[MORE], *_values(each, limits), float(each.number))


def _beats(one: Found, other: Found, limits: Sequence[Limit]) -> bool:
    mine, theirs = _values(one, limits), _values(other, limits)
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def impossible(
    found: Sequence[Found], limits: Sequence[Limit], usual: float | None, words: Mapping[int, Sequence[str]]
) -> Iterator[Diagnostic]:
    """Which limits no point met, and why; `usual` is the accuracy of the model as trained, None if it is to learn.

    `words` are the options of each point, by number.
    """
    closest = front(found, limits).closest
    for limit in limits:
        known = [each for each in found if limit.quantity in each.outcome.quantities]
        if not known:
            continue
        least = min(known, key=lambda each: limit.violation(each.outcome.quantities[limit.quantity]))
        if limit.violation(least.outcome.quantities[limit.quantity]) > 0:
            choices = " ".join(words[least.number])
            yield Diagnostic(_RULE, limit.text, *_never(limit, least, len(known), usual, choices))
        elif closest and limit.violation(closest.outcome.quantities.get(limit.quantity, limit.value)) > 0:
            own = shown(limit.quantity, closest.outcome.quantities[limit.quantity])
            message = f"is met by some points, but by none that meets the others; the closest has {own}"
            yield Diagnostic(_RULE, limit.text, message, "allow more of one, or search on: --trials N")


def _never(limit: Limit, best: Found, count: int, usual: float | None, words: str) -> tuple[str, str]:
    value = shown(limit.quantity, best.outcome.quantities[limit.quantity])
    if limit.quantity == MORE:
        message = f"of {count} measured points none has more than {value}"
        if usual is None:
            return message, "allow more memory, energy or time, learn more samples, or let more neurons learn"
        message += f"; the model as trained {shown(MORE, usual)}"
        return message, "allow more memory, energy or time, or train a more accurate model"
    return (
        f"the least of {count} compiled points is {value}: point {best.number}" + (f", {words}" if words else ""),
        "choose a larger budget, search on with --trials N, or train a smaller network",
    )
