"""States and decays of fewer bits: what is asked for is what is made, and what cannot be is refused with a number."""

from __future__ import annotations

from pathlib import Path

import pytest

import snncc
from snncc import chip as chips
from snncc.diagnostics import CompileError
from snncc.estimation import estimate
from snncc.integers import Population
from snncc.passes.registers import DECAY_BITS, STATE_BITS, Bits, Registers, parsed
from snncc.program import Program

MODELS = Path(__file__).parents[2] / "models"
MODEL, SAMPLES = MODELS / "digits_dense.onnx", MODELS / "digits_dense.samples.npz"


def widths(program: Program) -> dict[str, tuple[int, int]]:
    populations = program.network.of_kind(Population)
    return {
        name: (op.membrane.register.hi.bit_length() + 1, op.membrane.decay.bits) for name, op in populations.items()
    }


def test_what_a_user_writes() -> None:
    assert parsed(None, STATE_BITS) == Bits()
    assert parsed(16, STATE_BITS) == parsed("16", STATE_BITS) == Bits(16)
    assert parsed("16, lif1=12", STATE_BITS) == Bits(16, {"lif1": 12})
    assert [parsed("lif1=12", STATE_BITS).of(name) for name in ("lif1", "lif2")] == [12, None]
    with pytest.raises(CompileError) as caught:
        parsed("wide,a=3,a=4,=2", DECAY_BITS)
    form = "\n  = hint: give BITS, NAME=BITS, or several with commas between, as in 16,lif1=12"
    assert str(caught.value).split("\nerror") == [
        f"error[decay-bits]: --decay-bits: 'wide' is no number of bits{form}",
        f"[decay-bits]: --decay-bits: a is given twice{form}",
        f"[decay-bits]: --decay-bits: '=2' is no number of bits{form}",
    ]


def test_a_chip_is_narrowed_for_those_that_are_named() -> None:
    host = chips.load("host")
    registers = Registers(Bits(16, {"a": 12}), Bits(None, {"b": 6}))
    assert Registers().chip_for("a", host) is host
    found = {name: registers.chip_for(name, host) for name in "abc"}
    assert {name: each.membrane.bits for name, each in found.items()} == {"a": 12, "b": 16, "c": 16}
    assert {name: each.current.decay_bits for name, each in found.items()} == {"a": (4, 15), "b": (4, 6), "c": (4, 15)}


def test_states_of_twelve_bits_halve_their_memory() -> None:
    """The accuracy of the whole test file stays within a point, and the program gives the reference's bits."""
    wide, narrow, mixed = (
        snncc.compile(MODEL, "host", samples=SAMPLES, **options)
        for options in ({}, {"state_bits": 12}, {"state_bits": "16,lif2=20", "decay_bits": "8,lif1=6"})
    )
    assert isinstance(wide, Program)
    assert isinstance(narrow, Program)
    assert isinstance(mixed, Program)
    assert {bits for bits, _ in widths(narrow).values()} == {12}
    assert widths(mixed) == {"lif1": (16, 6), "lif2": (20, 8)}
    test = MODELS / "digits_dense.npz"
    found = [estimate(each, test).quantities for each in (wide, narrow)]
    assert found[1]["accuracy"] > found[0]["accuracy"] - 0.01
    assert found[1]["state"] < 0.65 * found[0]["state"]
    for program in (narrow, mixed):
        assert program.verify(program.data(test, limit=20)).equal


REFUSED = [
    (
        "host",
        {"state_bits": 4},
        "error[state-bits]: lif1: its threshold needs a state of 7 bits, also with weights as coarse as they can be; "
        "--state-bits gives it 4\n  = hint: give it 7 bits: --state-bits lif1=7",
    ),
    ("host", {"state_bits": 1}, "error[state-bits]: --state-bits: 1 bits were asked for; host takes 2 to 24"),
    (
        "host",
        {"decay_bits": "lif1=30"},
        "error[decay-bits]: --decay-bits: 30 bits were asked for of lif1; host takes 4 to 15",
    ),
    (
        "host",
        {"state_bits": "16,lif3=12"},
        "error[state-bits]: --state-bits: there is no population called lif3\n"
        "  = hint: did you mean lif2? there are lif1, lif2; `snncc compile` lists them",
    ),
    (
        "loihi2",
        {"state_bits": 16},
        "error[state-bits]: --state-bits: 16 bits were asked for; loihi2 has states of 24 and decays of 12, no other\n"
        "  = hint: leave it out, or choose another target",
    ),
]


@pytest.mark.parametrize(("target", "options", "says"), REFUSED)
def test_what_cannot_be_is_refused_with_a_number(target: str, options: dict[str, int | str], says: str) -> None:
    with pytest.raises(CompileError) as caught:
        snncc.compile(MODEL, target, samples=SAMPLES, **options)  # type: ignore[arg-type]
    assert says in str(caught.value)


def test_an_event_driven_chip_has_one_width() -> None:
    with pytest.raises(CompileError) as caught:
        snncc.compile(MODELS / "digits_odin.onnx", "tinyodin", state_bits=6)
    assert str(caught.value) == (
        "error[bad-option]: --state-bits, --decay-bits: tinyodin has states of one width\n  = hint: leave them out"
    )
