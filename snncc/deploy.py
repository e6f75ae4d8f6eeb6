"""Makes ready what running a program needs beyond snncc itself, and says what it runs on."""

from __future__ import annotations

from dataclasses import replace

from snncc.backends.base import Setting
from snncc.diagnostics import fault
from snncc.event_program import EventProgram
from snncc.program import Program

AnyProgram = Program | EventProgram


def prepared(program: AnyProgram, setting: Setting) -> AnyProgram:
    """The program, with its backend set up as asked for; a backend that needs nothing is left as it is.

    Raises CompileError: what the backend raises, and `not-deployable` where there is no hardware to look for.
    """
    ready = program.backend.ready if isinstance(program, Program) else None
    if isinstance(program, Program) and ready:
        return replace(program, backend=replace(program.backend, run=ready(setting)))
    if setting.hardware:
        name = program.backend.name
        hint = "snncc simulate runs it; compile with --target loihi2 for a program that can be deployed"
        raise fault("not-deployable", program.title, f"is a program of the {name} backend, which has no hardware", hint)
    return program
