"""What is emitted: readable, stand-alone, the same every time, and safe whatever the names."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snncc import chip as chips
from snncc.analysis.proof import prove
from snncc.backends.base import Batch, Job
from snncc.backends.lava import BACKEND
from snncc.backends.lava.names import identifiers, text
from snncc.backends.lava.notes import notes
from snncc.backends.lava.plan import Plan
from snncc.backends.lava.run import run
from snncc.backends.lava.validate import validate
from snncc.diagnostics import CompileError
from snncc.graph import Edge, Graph
from snncc.integers import IntOp, Network, Output, Population, SoftReset, Source, Synapse
from snncc.linear import Dense
from snncc.passes.retime import retime
from tests.backends.lava.loihi import lif
from tests.conformance.backends import LATE, expect

HOSTILE = '"""); import os; os.abort() #'


def network(name: str = "p", *, bits: int = 1, **changes: object) -> Network:
    ops: dict[str, IntOp] = {
        "x": Source((3,), bits),
        f"w {name}": Synapse(Dense(np.array([[3, -1, 2], [1, 1, 1]], np.int8))),
        name: replace(lif((2,), 3 << 6), **changes),
        "y": Output("spikes", "after", "count"),
    }
    return retime(Graph(ops, [Edge("x", f"w {name}"), Edge(f"w {name}", name), Edge(name, "y")]), LATE)


def emitted(network: Network, title: str = "tiny") -> dict[str, bytes]:
    return dict(BACKEND.emit(Job(title, network, prove(network), LATE)))


def test_the_same_job_gives_the_same_bytes() -> None:
    assert emitted(network()) == emitted(network())


@pytest.mark.parametrize("name", [HOSTILE, "class", "a\nb", "größe", "../../etc", "source", "{{ 7 * 7 }}"])
def test_names_stay_names(name: str) -> None:
    files = emitted(network(name, reset=SoftReset(np.array(192))), title=name)
    for path, content in files.items():
        assert ".." not in path
        if path.endswith(".py"):
            tree = ast.parse(content.decode("ascii"))
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "abort"]
            assert b"snncc" not in b"\n".join(
                line for line in content.splitlines() if line.startswith((b"import", b"from"))
            )


def test_a_hostile_name_runs(tmp_path: Path) -> None:
    case = network(HOSTILE)
    for path, content in emitted(case, HOSTILE).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    x = np.ones((1, 4, 3), np.int64)
    found = run(tmp_path, case, LATE, Batch(x, np.array([4])), True)
    assert np.array_equal(found.trace.spikes[HOSTILE], expect(case, x).spikes[HOSTILE])


def test_identifiers_are_unique_and_no_keywords() -> None:
    names = ("a.b", "a b", "A_B", "lambda", "match", "1st", "", "source", "x" * 80, "x" * 81)
    found = identifiers(names)
    assert all(each.isidentifier() for each in found.values())
    assert len({each.lower() for each in found.values()}) == len(names)
    assert (found["lambda"], found["match"], found["source"]) == ("lambda_", "match_", "source_2")
    assert text('a"""\n{b}') == "a_____b_"


def test_generated_python_is_clean() -> None:
    """As ruff sees it, with the project's line length."""
    files = emitted(network(reset=SoftReset(np.array(192)), bits=4))
    for name in ("network.py", "neurons.py", "recorder.py", "run.py"):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E4,E7,E9,F,B", "-"],
            input=files[name],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()


def test_notes_say_why_and_what_to_do() -> None:
    soft = network(reset=SoftReset(np.array(192)))
    (warning,) = notes(soft, prove(soft), LATE, False)
    assert str(warning) == (
        "warning[microcode]: p: needs microcode on Loihi, as Lava's LIF has no such neuron: its reset subtracts "
        "(soft reset)\n"
        "  = hint: compile with --allow-hard-reset, or train with hard resets to 0"
    )
    (error,) = notes(soft, prove(soft), LATE, True)
    assert (error.rule, error.severity) == ("not-stock", "error")
    assert list(notes(network(), prove(network()), LATE, True)) == []


def test_a_chip_without_microcode_refuses_what_is_not_stock_but_for_the_host() -> None:
    loihi = chips.load("loihi1")
    soft = network(reset=SoftReset(np.array(192)))
    assert [each.rule for each in notes(soft, prove(soft), loihi, False)] == ["not-stock"]
    graded = network(bits=4, reset=SoftReset(np.array(192)))
    (found,) = notes(graded, prove(graded), loihi, False)
    assert str(found) == (
        "warning[on-the-host]: p: is computed on the host: loihi1 takes spikes, and its reset subtracts (soft reset)\n"
        "  = hint: compile with --allow-hard-reset, or train with hard resets to 0"
    )


def biased(value: int, bits: int) -> Network:
    case = network(bits=bits)
    op = case.of_kind(Population)["p"]
    op = replace(op, membrane=replace(op.membrane, bias=np.array(value)))
    return Graph({**case.ops, "p": op}, case.edges)


@pytest.mark.parametrize(
    ("case", "shown"), [(biased(0, 4), True), (biased(128, 8), True), (biased(65, 8), False), (biased(0, 16), False)]
)
def test_a_static_input_becomes_biases_where_they_are_exact(case: Network, shown: bool, tmp_path: Path) -> None:
    loihi = chips.load("loihi1")
    plan = Plan(case, prove(case), loihi)
    assert [(each.shown, each.on_host) for each in plan.cells] == [(shown, not shown)]
    assert plan.timing.pause == shown
    for path, content in BACKEND.emit(Job("tiny", case, prove(case), loihi)).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    source = next(iter(case.of_kind(Source).values()))
    x = np.random.default_rng(3).integers(0, source.highest, (4, 1, 3), endpoint=True).repeat(5, axis=1)
    found = run(tmp_path, case, loihi, Batch(x, np.array([5, 5, 2, 5])), True).trace
    expected = expect(case, x, np.array([5, 5, 2, 5]))
    assert np.array_equal(found.membranes["p"], expected.membranes["p"])
    if shown:
        x[2, 1] += 1
        with pytest.raises(CompileError) as caught:
            run(tmp_path, case, loihi, Batch(x, np.array([5, 5, 2, 5])), True)
        assert str(caught.value) == (
            f"error[bad-data]: {tmp_path.name}: x changes from step to step: here it reaches the chip as biases, and "
            "has to be the same at every step\n"
            "  = hint: give x as (samples, *shape), or choose a target that takes graded input"
        )


def test_what_no_program_can_be_made_of() -> None:
    case = network()
    at_once = Graph(case.ops, [replace(edge, delay=0) for edge in case.edges])
    late = Graph(case.ops, [replace(edge, delay=edge.delay * 80) for edge in case.edges])
    wide = Graph({**case.ops, "w p": Synapse(Dense(np.full((2, 3), 300)))}, case.edges)
    said = [str(each) for each in (*validate(at_once, LATE), *validate(late, LATE), *validate(wide, LATE))]
    assert said == [
        "error[delay-out-of-range]: w p: has a delay of 0 steps; Lava's connections take 1 to 64\n"
        "  = hint: name a target whose file has such delays",
        "error[acausal]: w p: reads x 1 steps of the model before they are computed",
        "error[delay-out-of-range]: w p: has a delay of 80 steps; Lava's connections take 1 to 64\n"
        "  = hint: name a target whose file has such delays",
        "error[weight-too-wide]: w p: its weights need more than 8 bits, Lava's most\n  = hint: use --weight-bits 8",
    ]
