"""The page of a run of learning: accuracy, fields with the classes of their neurons, energy where it is counted."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from snncc import classics, compiler
from snncc.analysis.costs import Took
from snncc.checkpoints import Exam, Progress
from snncc.learning_views import learnt
from snncc.pages.learning import page
from snncc.plasticity import untaught
from snncc.program import Program
from snncc.workload import Work

UNSPENT = (
    "host counts no energy of learning. Chips of many cores do: the same model, compiled with --target mesh64 and "
    "learnt on the same data, has the same bits, and a row for it here."
)


@pytest.fixture(scope="module")
def program() -> Program:
    made = compiler.compile(classics.make("spikedyn", classics.Shape(16, 6, steps=100)))
    assert isinstance(made, Program)
    return made


def progress(program: Program) -> Progress:
    exams = (
        Exam(5, 7, {7: 1.0}, {7: 4}, (7, -1, 7, -1, -1, -1)),
        Exam(9, 31, {7: 0.5, 31: 0.25}, {7: 4, 31: 4}, (7, 31, 7, -1, -1, 31)),
    )
    return Progress(9, untaught(program.network), exams, Work(90, 9, 18, 27, 9), Work(40, 4, 0, 0, 4))


def test_fields_have_the_classes_of_their_neurons_and_tests_those_that_were_shown(program: Program) -> None:
    text = page(program, progress(program)).decode()
    assert '"text":["7","31","7","31"]' in text, "of four neurons"
    assert '"text":["7","31"]' in text, "of the newest class, test after test"
    assert "What each neuron weighs its inputs with. The number is the class that it was named for" in text
    assert re.search(r"<dt>newest class</dt>\s*<dd>25.0%</dd>", text)
    unclassed = replace(progress(program), exams=(Exam(9, None, {7: 0.5}, {7: 4}),))
    text = page(program, unclassed).decode()
    assert "newest class" not in text
    assert "The number is the class" not in text


def test_energy_is_on_the_page_where_it_is_counted_and_else_the_way_to_it(program: Program) -> None:
    text = page(program, progress(program)).decode()
    assert UNSPENT in text
    assert "energy on the chip" not in text
    spent = replace(progress(program), took=(Took(9e-4, 2.7e-5, 9), Took(1e-4, 4e-6, 4)))
    text = page(program, spent).decode()
    assert UNSPENT not in text
    assert "Energy and time are counted on the chip, by the costs in its file." in text
    assert re.search(r"<dt>energy to learn a sample</dt>\s*<dd>3 uJ</dd>", text)
    assert "energy on the chip" in text


def test_the_table_of_tests_says_which_class_was_newest(program: Program) -> None:
    table, *rest = learnt(progress(program)).shown
    assert not rest
    assert [list(map(str, column.cells)) for column in table.columns] == [  # type: ignore[union-attr]
        ["5", "9"],
        ["100.0%", "37.5%"],
        ["7", "31"],
        ["100.0%", "25.0%"],
        ["", "50.0%"],
    ]
