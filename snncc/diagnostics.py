"""What the compiler says when something is wrong: one record per fault, and the one exception users see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Diagnostic:
    """One fault: `rule` is its stable kebab-case name, `where` the user's own node, file or option."""

    rule: str
    where: str
    message: str
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        head = f"{self.severity}[{self.rule}]: {printable(self.where)}: {printable(self.message, lines=True)}"
        return f"{head}\n  = hint: {printable(self.hint, lines=True)}" if self.hint else head


def printable(text: str, *, lines: bool = False) -> str:
    """Text that may stem from a file, without what could drive a terminal: control characters, changes of direction.

    `lines` keeps line breaks; a name has none, so that it cannot pass for a message of its own.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or (lines and each == "\n") else "\N{REPLACEMENT CHARACTER}" for each in text
    )


class CompileError(Exception):
    """A fault of the input, never of the compiler; carries every diagnostic that was found, at least one."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        if not self.diagnostics:
            raise ValueError("a CompileError needs a diagnostic")
        super().__init__("\n".join(str(each) for each in self.diagnostics))

    def __reduce__(self) -> tuple[type[CompileError], tuple[tuple[Diagnostic, ...]]]:
        """Another process gets the diagnostics back; an exception's own way would make one of each letter."""
        return type(self), (self.diagnostics,)


def fault(rule: str, where: str, message: str, hint: str = "") -> CompileError:
    """The exception for a fault that leaves nothing else to check."""
    return CompileError([Diagnostic(rule, where, message, hint)])


def errors(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Those that forbid going on."""
    return tuple(each for each in diagnostics if each.severity == "error")


def warnings(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Those that the user should read, though the result stands."""
    return tuple(each for each in diagnostics if each.severity == "warning")


def check(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Raise `CompileError` with all diagnostics if one is an error; else return the warnings."""
    found = tuple(diagnostics)
    if errors(found):
        raise CompileError(found)
    return found
