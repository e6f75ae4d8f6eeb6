"""The page of a search: its front, every point that was measured, and the command that compiles each again."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from snncc.exploring.budget import MORE, Limit, shown
from snncc.exploring.search import Searched
from snncc.exploring.study import Found
from snncc.pages import figures
from snncc.pages.page import Section, Table, render

_UNITS = {
    "energy": ("uJ", 1e6),
    "time": ("us", 1e6),
    "learning-energy": ("uJ", 1e6),
    "learning-time": ("us", 1e6),
    "cores": ("", 1.0),
    "updates": ("a sample", 1.0),
}


def page(found: Searched) -> bytes:
    """The page, which holds all that it shows."""
    chosen = found.front.best or found.front.closest
    facts = [("points", f"{len(found.found):,}")]
    facts += [] if found.trained is None else [("accuracy as trained", shown(MORE, found.trained))]
    if chosen:
        word = "best" if found.front.best else "closest"
        known = chosen.outcome.quantities
        names = [each.quantity for each in found.limits if each.quantity in known]
        facts += [(f"{name} of the {word}", shown(name, known[name])) for name in names]
    title = f"{Path(found.search.model).name} within a budget"
    limits = ", ".join(each.text for each in found.limits)
    return render(title, f"{limits} on {found.search.target}", facts, list(_sections(found)))


def _sections(found: Searched) -> Iterator[Section]:
    for limit in found.limits:
        if limit.quantity != MORE:
            note = "Every point that was measured; no other one beats those of the front; the budget is shaded."
            yield Section(f"Accuracy and {limit.quantity}", note, _figure(found, limit), wide=True)
    names = [each.quantity for each in found.limits]
    rows = tuple(
        (
            str(each.number),
            *(shown(name, each.outcome.quantities[name]) for name in names),
            f"{found.commands[each.number]} -o DIR",
        )
        for each in found.front.points
    )
    note = "No point beats one of these in all limited quantities; each command gives the same bytes again."
    note += f" They learn as they did here with {found.lesson} -o RUN" if found.lesson else ""
    yield Section("Front", note, Table(("point", *names, "command"), rows), wide=True)


def _figure(found: Searched, limit: Limit) -> figures.Figure:
    measured = [each for each in found.found if each.outcome.stage == "measured"]
    others = [each for each in measured if each not in found.front.points]
    best = [each for each in (found.front.best,) if each]
    accuracy = next(each for each in found.limits if each.quantity == MORE)
    unit, factor = _UNITS.get(limit.quantity, ("bytes", 1.0))

    def series(points: list[Found], name: str, **style: object) -> dict[str, object]:
        return {
            "type": "scatter",
            "name": name,
            "mode": "markers",
            "x": [each.outcome.quantities[limit.quantity] * factor for each in points],
            "y": [each.outcome.quantities[MORE] for each in points],
            "text": [escape(f"{each.number}: {' '.join(found.words[each.number])}") for each in points],
            "hovertemplate": "%{text}<br>%{x:,.4g}, %{y:.2%}<extra></extra>",
            **style,
        }

    front = sorted(found.front.points, key=lambda each: each.outcome.quantities[limit.quantity])
    mode = "markers+lines" if len(found.limits) == 2 else "markers"  # a front of three quantities is no line
    lines = [
        series(others, "beaten", marker={"color": figures.LINE, "size": 8}),
        series(front, "front", mode=mode, line={"shape": "hv"}, marker={"color": figures.SEQUENCE[0], "size": 9}),
        series(best, "best", marker={"color": figures.SEQUENCE[1], "size": 15, "symbol": "star"}),
    ]
    return figures.within(lines, f"{limit.quantity}, {unit}".rstrip(", "), limit.value * factor, accuracy.value)
