"""When a sample is decided: exactly when no future can change its class; and what cannot end early is refused."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import snncc
from snncc.backends.templates import fill
from snncc.cli import app
from snncc.diagnostics import CompileError
from snncc.exits import counts_in_words, decided, refusals, rhythm
from snncc.graph import Edge, Graph
from snncc.integers import Decay, Fire, Membrane, Output, Population, Register
from snncc.program import Program

MODELS = Path(__file__).parents[1] / "models"


def population(classes: int, most: int, refractory: int) -> Population:
    membrane = Membrane(Decay(np.asarray(0), 0, "floor"), Register(-(1 << 15), (1 << 15) - 1))
    return Population((classes,), membrane, Fire(np.asarray(1), True, most), refractory=refractory)


def futures(classes: int, left: int, most: int, refractory: int) -> list[tuple[int, ...]]:
    """All sums of spikes that neurons can still reach, each on its own."""
    own = {0}
    for train in itertools.product(range(most + 1), repeat=left):
        fired = [step for step, count in enumerate(train) if count]
        if all(later - sooner > refractory for sooner, later in itertools.pairwise(fired)):
            own.add(sum(train))
    return list(itertools.product(sorted(own), repeat=classes))


@pytest.mark.parametrize(("most", "refractory"), [(1, 0), (2, 0), (1, 1), (2, 2)])
def test_a_sample_is_decided_when_no_future_can_change_its_class(most: int, refractory: int) -> None:
    """Three classes, all counts up to 5, up to four steps to come."""
    neurons = population(3, most, refractory)
    counts = np.array(list(itertools.product(range(6), repeat=3)))
    for left in range(5):
        ends = np.array(futures(3, left, most, refractory))
        classes = (counts[:, None] + ends[None]).argmax(axis=2)
        certain = (classes == classes[:, :1]).all(axis=1)
        assert np.array_equal(decided(counts, np.full(len(counts), left), neurons), certain)
    assert rhythm(neurons) == (most, 1 + refractory)


STUB = """#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#define SNN_CLASSES 3u
typedef uint32_t snn_state;
static const snn_state *snn_output_y(const snn_state *s) { return s; }
"""
MAIN = """
int main(void)
{
    const snn_state fired[3] = {SPIKES};
    COUNT counts[3] = {BEFORE};
    const int32_t found = snn_decide(fired, counts, LEFTu);
    printf("%" PRId32, found);
    for (int n = 0; n < 3; n++)
        printf(" %" PRIu64, (uint64_t)counts[n]);
    return 0;
}
"""
LONG = [  # classes 0, 1 and 2 so far; the steps that are left
    (1, 1, (999_000, 1_000, 0), 997_999),
    (1, 1, (999_000, 1_000, 0), 998_001),
    (2_000, 1, (10, 2_000_000_000, 3), 999_990),
    (65_536, 1, (65_536 * 70_000, 0, 0), 65_536),
    (65_536, 1, (65_536 * 70_000, 0, 0), 70_001),
    (65_536, 3, (0, 0, 65_536 * 400_000), 1_199_999),
    (65_536, 3, (0, 65_536 * 400_001, 0), 1_199_999),
]


@pytest.mark.parametrize(("most", "of", "before", "left"), LONG)
def test_the_code_counts_without_overflow(
    most: int, of: int, before: tuple[int, ...], left: int, tmp_path: Path
) -> None:
    """65,536 spikes a step for a million steps: as the reference has it, which counts in 64 bits."""
    neurons = population(3, most, of - 1)
    count = "uint32_t" if counts_in_words(neurons) else "uint64_t"
    assert (count == "uint64_t") == (most > 2_047)
    decides = {"ident": "y", "type": "snn_state", "most": most, "of": of, "place": "n", "count": count}
    code = STUB + fill("snncc.backends.c", "decide.c.j2", decides=decides)
    main = MAIN.replace("COUNT", count).replace("LEFT", str(left)).replace("SPIKES", "1, 0, 1")
    (tmp_path / "decide.c").write_text(code + main.replace("BEFORE", ", ".join(f"{each}u" for each in before)))
    command = ["gcc", "-std=c99", "-Wall", "-Werror", "-o", str(tmp_path / "decide"), str(tmp_path / "decide.c")]
    subprocess.run(command, check=True)
    found = subprocess.run([tmp_path / "decide"], check=True, capture_output=True, text=True).stdout
    counts = np.add(before, [1, 0, 1])
    certain = decided(counts[None], np.array([left]), neurons)[0]
    assert found == " ".join(map(str, [int(counts.argmax()) if certain else -1, *counts]))


def test_one_class_is_decided_at_once() -> None:
    assert decided(np.array([[0]]), np.array([9]), population(1, 1, 0)).tolist() == [True]


@pytest.fixture(scope="module", params=["host", "mesh64"])
def program(request: pytest.FixtureRequest) -> Program:
    given = MODELS / "digits_dense.onnx", request.param
    found = snncc.compile(*given, samples=MODELS / "digits_dense.samples.npz", early_exit=True)
    assert isinstance(found, Program)
    return found


def test_a_shipped_model_takes_fewer_steps_and_keeps_its_classes(program: Program, tmp_path: Path) -> None:
    data = program.data(MODELS / "digits_dense.npz", limit=60)
    found, whole = program.simulate(data), program.simulate(data, record=True)
    assert np.array_equal(found.classes, whole.classes)
    taken = {each.key: each.value for each in found.readings}["steps_taken"]
    assert 8 < taken < 14
    assert "steps_taken" not in {each.key for each in whole.readings}
    assert program.verify(data.part(0, 10)).equal
    if found.spent:
        assert whole.spent
        assert found.spent.joules
        assert whole.spent.joules
        assert found.spent.steps == pytest.approx(taken + whole.spent.steps - 16)
        assert found.spent.joules.value < 0.95 * whole.spent.joules.value
        assert found.spent.cycles < whole.spent.cycles
    program.write(tmp_path / "p")
    opened = snncc.open_program(tmp_path / "p")
    assert np.array_equal(opened.simulate(data).scores, found.scores)


def test_the_code_says_it_to_who_calls_it(program: Program) -> None:
    header = program.files().get("network.h", b"").decode()
    assert ("snn_decide" in header) == (program.backend.name == "c")
    assert ("#define SNN_CLASSES 10u" in header) == (program.backend.name == "c")


def test_other_outputs_are_not_cut_short(program: Program) -> None:
    network = program.network
    name = next(iter(network.of_kind(Output)))
    source = network.incoming(name)[0].source
    both = Graph({**network.ops, "z": network[name]}, [*network.edges, Edge(source, "z")])
    assert list(map(str, refusals(both))) == [
        "error[early-exit]: y: is one of 2 outputs: where it is decided, z would be cut short\n"
        "  = hint: export the model with one output, or leave out --early-exit"
    ]


RUN = CliRunner()
REFUSED = [
    (
        "vowels_rnn",
        ["--target", "host"],
        "error[early-exit]: y: reads membranes (decoder: max), which one step can change by any amount\n"
        "  = hint: train with a read-out of spikes that are counted, or leave out --early-exit",
    ),
    (
        "digits_dense",
        ["--decoder", "last"],
        "error[early-exit]: y: reads spikes, but its decoder is last; only counts are decided early\n"
        "  = hint: compile with --decoder count, or leave out --early-exit",
    ),
    (
        "digits_dense",
        ["--target", "loihi2"],
        "error[bad-option]: --early-exit: the lava backend runs every sample to its end\n"
        "  = hint: leave it out, or choose another target or --backend",
    ),
    (
        "digits_odin",
        ["--target", "tinyodin"],
        "error[bad-option]: --early-exit: tinyodin runs every sample to its end\n  = hint: leave it out",
    ),
]


@pytest.mark.parametrize(("name", "options", "says"), REFUSED)
def test_what_cannot_end_early_is_refused(name: str, options: list[str], says: str, tmp_path: Path) -> None:
    words = ["compile", str(MODELS / f"{name}.onnx"), "-o", str(tmp_path / "p"), "--early-exit", *options]
    result = RUN.invoke(app, words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not (tmp_path / "p").exists()


def test_an_artefact_that_promises_what_it_cannot_do_is_refused(tmp_path: Path) -> None:
    snncc.compile(MODELS / "vowels_rnn.onnx").write(tmp_path / "p")
    path = tmp_path / "p" / "reference" / "artefact.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "early_exit": True}))
    with pytest.raises(CompileError) as caught:
        snncc.open_program(tmp_path / "p")
    assert [each.rule for each in caught.value.diagnostics] == ["early-exit"]
