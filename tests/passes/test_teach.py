"""Rules on the grid of a group: weights that end at any whole number, and rates that no integers stand for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snncc import classics, compiler, rules
from snncc.diagnostics import CompileError
from snncc.integers import Population, Synapse
from snncc.passes.teach import integer_rule
from snncc.plasticity import largest_term, span, untaught
from snncc.program import Program

MODELS = Path(__file__).parents[2] / "models"
MODEL = classics.make("spikedyn", classics.Shape(25, 6, steps=40))


def taught(folder: Path, *changes: tuple[str, str], lateral: str = "", **more: int) -> Program:
    text = rules.text_of("diehl-cook")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "mine.toml").write_text(text)
    learn = [("synapses", str(folder / "mine.toml")), *([("lateral", lateral)] if lateral else [])]
    program = compiler.compile(MODEL, learn=learn, **more)
    assert isinstance(program, Program)
    return program


@pytest.mark.parametrize("bounds", [(0, 10), (2, 9), (0, 15)])
def test_weights_end_at_any_whole_number(bounds: tuple[int, int], tmp_path: Path) -> None:
    program = taught(tmp_path, ("bits = 8", f"bits = 4\nbounds = [{bounds[0]}, {bounds[1]}]"))
    synapse = program.network["synapses"]
    assert isinstance(synapse, Synapse)
    assert synapse.plasticity
    assert (synapse.plasticity.lowest, synapse.plasticity.highest) == bounds
    weight = np.random.default_rng(0).random((6, 25)) * 0.3  # what the model begins with, of at most 1
    np.testing.assert_array_equal(synapse.map.weight, np.clip(np.rint(weight * bounds[1]), *bounds))
    x = (np.random.default_rng(3).random((3, 40, 25)) < np.linspace(0, 0.6, 25)).astype(np.uint8)
    found = program.expected(x, np.full(3, 40)).learnt
    assert found
    weights = found.weights["synapses"]
    assert (weights != untaught(program.network).weights["synapses"]).any()
    assert bounds[0] <= weights.min() <= weights.max() <= bounds[1]


def test_rates_that_no_integers_stand_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        taught(tmp_path, ("up = 0.008", "up = 1e-320"))
    assert str(caught.value) == (
        "error[rule-too-fine]: synapses: term.potentiation changes weights by 9.99989e-321 of their range, too little "
        "for 31 bits\n"
        "  = hint: raise the rate, take fewer bits for its traces, or more guard bits for the weights"
    )


@pytest.mark.parametrize("kind", classics.KINDS)
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_networks_that_are_shipped_learn_as_their_rules_say(kind: str, bits: int) -> None:
    program = compiler.compile(classics.make(kind, classics.Shape(784, 10, bits)))
    assert [each.rule for each in program.warnings] == ["may-overflow"]


SPIKING = "normalise = 0.1", 'normalise = 0.1\nnormalise_targets = "spiking"'
FLAG = '[trace.f]\nof = "post"\nkind = "flag"\n\n[term.potentiation]'


@pytest.mark.parametrize(
    ("changes", "drifts"),
    [
        ((), False),
        ((('on = "post"', 'on = "pre"'),), True),
        ((('on = "post"', 'on = "period"'), ("[term.potentiation]", FLAG), ('"1 - w"]', '"1 - w", "f"]')), False),
        ((('on = "post"', 'on = "period"'), ("[term.potentiation]", FLAG), ('"1 - w"]', '"1 - w", "1 - f"]')), True),
        ((('on = "post"', 'on = "period"'), ("[term.potentiation]", FLAG), ('"1 - w"]', '"w", "most f"]')), True),
    ],
)
@pytest.mark.parametrize(
    ("every", "in_time"), [("", True), ("normalise_every = 4\n", True), ("normalise_every = 3\n", False)]
)
def test_terms_of_targets_that_did_not_spike_are_named(
    changes: tuple[tuple[str, str], ...], drifts: bool, every: str, in_time: bool, tmp_path: Path
) -> None:
    """With a period of 2 steps, and a normalisation every 3, a flag may be older than that."""
    both = ("[weight]\n", f"period = 2\n\n[weight]\n{every}")
    program = taught(tmp_path, SPIKING, both, *changes)
    found = [str(each) for each in program.warnings if each.rule == "drifting-sums"]
    expected = (
        "warning[drifting-sums]: synapses: term.potentiation changes weights into targets that did not spike, too, "
        'which are not normalised\n  = hint: make it on = "post", give it a flag of targets as a factor, or leave out '
        "weight.normalise_targets"
    )
    assert found == [expected] * (drifts or (bool(changes) and not in_time))
    assert not [each for each in taught(tmp_path, both, *changes).warnings if each.rule == "drifting-sums"]


@pytest.mark.parametrize("name", rules.known())
def test_rates_have_as_few_bits_as_tell_them_apart(name: str) -> None:
    made = integer_rule(rules.load(name), 25, 0)
    least = min(abs(term.rate) for term in made.terms)
    assert 64 <= least < 128 or made.shift == 31


BITS = "\n  = hint: change the rule: bits of its [weight], or `snncc new --bits`"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (4, "warning[weight-bits]: synapses: learns with the 8 bits of its rule; --weight-bits 4 is for what does not"),
        (8, ""),
        ("lateral=4", ""),
        (
            "excitatory=ternary",
            "warning[weight-bits]: synapses: learns with the 8 bits of its rule; --weight-bits excitatory=ternary is "
            "for what does not",
        ),
    ],
)
def test_other_widths_are_for_groups_that_do_not_learn(asked: int | str, expected: str) -> None:
    program = compiler.compile(MODEL, weight_bits=asked)
    said = [str(each) for each in program.warnings if each.rule == "weight-bits"]
    assert said == [f"{expected} learn{BITS}"] * bool(expected)


@pytest.mark.parametrize("asked", ["synapses=4", "8,synapses=4"])
def test_a_group_that_learns_has_the_bits_of_its_rule(asked: str) -> None:
    with pytest.raises(CompileError) as caught:
        compiler.compile(MODEL, weight_bits=asked)
    said = "error[weight-bits]: --weight-bits: synapses learns with the 8 bits of its rule; 4 were asked for"
    assert str(caught.value) == said + BITS


def test_a_population_that_learns_alone_has_the_bits_of_its_rule() -> None:
    with pytest.raises(CompileError) as caught:
        compiler.compile(MODELS / "digits_dense.onnx", learn=[("fc2", "reward")], weight_bits="lif2=4")
    said = "error[weight-bits]: --weight-bits: fc2 learns with the 8 bits of its rule; 4 were asked for"
    assert str(caught.value) == said + BITS


@pytest.mark.parametrize("per", ["most y", "most y + 1", "2 - most y", "most n", "most n + 4", "reward", "reward - 1"])
def test_what_is_stable_in_parts_is_stable_in_integers(per: str) -> None:
    """At the greatest rate that a rule takes, no term exceeds the weight's range by more than its rate's rounding."""
    text = (
        'description = "d"\nsource = "s"\nreward = 3\n[weight]\nbits = 8\n[trace.y]\nof = "post"\nkind = "sum"\n'
        'time_constant = 9.0\npeak = 2.0\n[trace.n]\nof = "post"\nkind = "count"\n[term.t]\non = "period"\nup = {}\n'
        f'factors = ["reward", "y", "n"]\nper = "{per}"\n'
    )
    with pytest.raises(CompileError) as caught:
        rules.parsed(text.format(1e6), "mine")
    most = float(caught.value.diagnostics[0].hint.split(";")[0].removeprefix("make it at most "))
    made = integer_rule(rules.parsed(text.format(most * 0.95), "mine"), 1, 0)  # 0.95: the hint has two digits
    (term,) = made.terms
    assert term.per
    change = largest_term(made, term) // max(1, span(made, term.per)[0]) >> made.shift
    assert 0.85 * 255 < change <= 255


def test_two_rules_into_a_population_agree_on_its_threshold(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        taught(tmp_path, ("jump = 0.0088", "jump = 0.01\nmost = 20.0"), lateral="fspinn")
    other = rules.load("fspinn").threshold
    assert other
    assert str(caught.value) == (
        "error[cannot-be-plastic]: excitatory: its threshold is to learn as the rule of synapses says (jump 0.01, "
        "decay 0.00012, most 20.0) and as the rule of lateral says "
        f"(jump {other.jump}, decay {other.decay}, most {other.most})\n"
        "  = hint: write the same [threshold] into both rules, or take it out of one"
    )
    none = tmp_path / "none.toml"
    none.write_text(rules.text_of("diehl-cook").partition("[threshold]")[0])
    for lateral in ("diehl-cook", str(none)):
        program = taught(tmp_path, lateral=lateral)
        assert all(each.plasticity for each in program.network.of_kind(Synapse).values())
        adapt = program.network.of_kind(Population)["excitatory"].adapt
        alone = taught(tmp_path).network.of_kind(Population)["excitatory"].adapt
        assert adapt
        assert alone
        assert (adapt.jump, adapt.register) == (alone.jump, alone.register)
