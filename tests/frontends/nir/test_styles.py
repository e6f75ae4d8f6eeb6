"""Styles by name: every preset, options on top of them, their text, and what is no style."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from snncc.diagnostics import CompileError
from snncc.frontends.nir.styles import PRESETS, Style, named


@pytest.mark.parametrize("name", PRESETS)
def test_a_style_and_its_text(name: str) -> None:
    assert named(name) == PRESETS[name]
    assert named(PRESETS[name].text()) == PRESETS[name]


def test_options_on_top_of_a_preset() -> None:
    assert named("norse,reset=subtract,reset_delay=1") == replace(PRESETS["norse"], reset="subtract", reset_delay=1)
    assert named("sinabs,spikes=1").spikes == 1


OPTIONS = ", ".join(each.name for each in fields(Style))
BAD = {
    "nest": "'nest' is no style\n  = hint: styles are exact, lava, norse, rockpool, sinabs, snntorch, spikingjelly",
    "": "'' is no style\n  = hint: styles are exact, lava, norse, rockpool, sinabs, snntorch, spikingjelly",
    "lava,": f"'nothing' is no option of a style\n  = hint: options are {OPTIONS}",
    "lava,leak=0": f"'leak' is no option of a style\n  = hint: options are {OPTIONS}",
    "lava,reset=hard": "'reset=hard' is none of value, subtract",
    "lava,reset_delay=2": "'reset_delay=2' is none of 0, 1",
    "lava,spikes=0": "'spikes=0' is no number of 1 to 65,536",
    "lava,spikes=²": "'spikes=²' is no number of 1 to 65,536",
    "gain=one": "'gain=one' leaves decay, current_gain, integrate, fires, reset, reset_delay, "
    "spikes, floor, start open\n"
    "  = hint: start with a preset: exact, lava, norse, rockpool, sinabs, snntorch, spikingjelly",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_style(text: str) -> None:
    with pytest.raises(CompileError) as caught:
        named(text)
    assert str(caught.value) == f"error[bad-option]: --nir-style: {BAD[text]}"
