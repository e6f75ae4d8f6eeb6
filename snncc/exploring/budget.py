"""Budgets as users write them, "flash<=64KiB,time<=5ms,accuracy>=0.95", and how far a program is from one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from snncc.diagnostics import Diagnostic, check, fault

RULE, OPTION = "budget", "--budget"
_FORM = 'give limits with commas between, as in "flash<=64KiB,time<=5ms,accuracy>=0.95"'
_NAME, _NUMBER = r"[a-z]+(?:-[a-z]+)?", r"[0-9]+(?:\.[0-9]*)?(?:e-?[0-9]+)?"
_LIMIT = re.compile(rf"({_NAME})\s*(<=|>=)\s*({_NUMBER})\s*([A-Za-z\u00b5%]*)", re.ASCII | re.IGNORECASE)
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}
_BYTES = {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "KiB": 1024.0, "MiB": 1024.0**2}
_JOULES = {f"{prefix}J": factor for prefix, factor in _PREFIXES.items()}
_SECONDS = {f"{prefix}s": factor for prefix, factor in _PREFIXES.items()}
_UNITS: Mapping[str, Mapping[str, float]] = {
    "bytes": _BYTES,
    "energy": _JOULES,
    "time": _SECONDS,
    "learning-energy": _JOULES,
    "learning-time": _SECONDS,
    "accuracy": {"": 1.0, "%": 0.01},
    "cores": {"": 1.0},
    "updates": {"": 1.0, "k": 1e3, "M": 1e6},
}
MORE = "accuracy"  # the one quantity of which more is better
_LEAST, _MOST = 1e-30, 1e30  # of a limit: parts of it are still numbers


@dataclass(frozen=True)
class Limit:
    """A bound of one quantity, in bytes, joules, seconds, cores, updates or as a share of samples.

    `text` is as it was written.
    """

    quantity: str
    sign: Literal["<=", ">="]
    value: float
    text: str

    def violation(self, found: float) -> float:
        """By what part of the bound a value is beyond it; 0 or less where it is not."""
        beyond = found - self.value if self.sign == "<=" else self.value - found
        return beyond / self.value if self.value else beyond


def parsed(text: str) -> tuple[Limit, ...]:
    """The limits of a budget. Raises CompileError (`budget`) with everything that is wrong with it."""
    parts = [each.strip() for each in text.split(",")]
    read = [_limit(each) for each in parts]
    found = tuple(each for each in read if isinstance(each, Limit))
    faults = [each for each in read if isinstance(each, Diagnostic)]
    names = [each.quantity for each in found]
    check((*faults, *(Diagnostic(RULE, OPTION, f"{name} is limited twice", _FORM) for name in _twice(names))))
    return found


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def _limit(part: str) -> Limit | Diagnostic:
    """A limit, or what is wrong with it."""
    match = _LIMIT.fullmatch(part)
    if match is None:
        return Diagnostic(RULE, OPTION, f"{part!r} is no limit", _FORM)
    name, sign, number, unit = match[1].lower(), match[2], float(match[3]), match[4].replace("\N{MICRO SIGN}", "u")
    units = _UNITS.get(name, _BYTES)
    if (sign == ">=") != (name == MORE):
        other = ">=" if name == MORE else "<="
        return Diagnostic(RULE, OPTION, f"{part!r} asks for the worse of two programs", f"write {name}{other}...")
    if unit not in units:
        known = ", ".join(each or "none" for each in units)
        return Diagnostic(RULE, OPTION, f"{part!r} has the unit {unit!r}", f"{name} takes {known}")
    value = number * units[unit]
    if name == MORE and value > 1:
        hint = "an accuracy lies between 0 and 1; 95% is 0.95"
        return Diagnostic(RULE, OPTION, f"{part!r} asks for more than all samples", hint)
    if name != MORE and not _LEAST <= value <= _MOST:
        hint = f"a limit lies between {_LEAST:g} and {_MOST:g}"
        return Diagnostic(RULE, OPTION, f"{part!r} is {value:g}: a limit that no program or every one meets", hint)
    return Limit(name, ">=" if sign == ">=" else "<=", value, part)


def known_limits(text: str, known: Sequence[str], target: str) -> tuple[Limit, ...]:
    """The limits of a budget for a target whose programs have these quantities; accuracy is always among them.

    Raises CompileError (`budget`): as `parsed`, for what the target does not have, and if nothing is to be saved.
    """
    limits = parsed(text)
    check(_unknown(limits, known, target))
    if all(each.quantity == MORE for each in limits):
        hint = f"add one of {', '.join(each for each in known if each != MORE)}: {known[0]}<=64KiB,{text}"
        raise fault(RULE, OPTION, "limits nothing that a program takes", hint)
    if MORE not in [each.quantity for each in limits]:
        limits += (Limit(MORE, ">=", 0.0, f"{MORE}>=0"),)
    return limits


def _unknown(limits: Sequence[Limit], known: Collection[str], target: str) -> Iterator[Diagnostic]:
    for each in limits:
        if each.quantity not in known:
            close = difflib.get_close_matches(each.quantity, known, n=1, cutoff=0.5)
            guess = f"did you mean {close[0]}? " if close else ""
            hint = f"{guess}there are {', '.join(known)}"
            yield Diagnostic(RULE, OPTION, f"{target} has no {each.quantity} that a search could limit", hint)


def shown(quantity: str, value: float) -> str:
    """A value of a quantity, for people."""
    if quantity == MORE:
        return f"{value:.2%}"
    unit = {"energy": "J", "time": "s"}.get(quantity.removeprefix("learning-"))
    if unit:
        for prefix, factor in _PREFIXES.items():
            if value >= factor:
                return f"{value / factor:.3g} {prefix}{unit}"
        return f"{value:.3g} {unit}"
    return f"{value:,.0f}" if quantity in ("cores", "updates") else f"{value:,.0f} bytes"
