"""Piecewise affine functions as decision trees: inner nodes ask whether an affine form is positive, leaves are affine.

A question is asked about all neurons at once, so a tree describes a whole population. Only `f > 0` is asked; `f >= 0`
is the negation of `-f > 0`, so > and >= stay apart however a file spells them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from snncc.arrays import Array, Floats
from snncc.diagnostics import fault
from snncc.frontends.onnx import affine
from snncc.frontends.onnx.affine import Affine, Form, Opaque

_HUGE = 1e30  # a bound of this size, relative to the slope, is float32's way to say "no bound"
_NEAR = 1e-9  # to a whole number, in spikes
# neurons have a handful; more is a network that was taken for one
_MOST_CASES = 20_000
_MOST_QUESTIONS = 64


@dataclass(frozen=True, eq=False)
class Leaf:
    form: Form


@dataclass(frozen=True, eq=False)
class Branch:
    """`yes` where the forest's question number `atom` holds, else `no`."""

    atom: int
    yes: Tree
    no: Tree


Tree = Leaf | Branch
Given = tuple[tuple[int, bool], ...]
TRUE, FALSE = Leaf(affine.constant(1.0)), Leaf(affine.constant(0.0))


def leaf(value: Array | float) -> Leaf:
    return Leaf(affine.constant(value))


def equal(a: Tree, b: Tree) -> bool:
    """Whether two trees are the same, question by question."""
    if a is b:
        return True
    if isinstance(a, Branch) and isinstance(b, Branch):
        return a.atom == b.atom and equal(a.yes, b.yes) and equal(a.no, b.no)
    return isinstance(a, Leaf) and isinstance(b, Leaf) and affine.same(a.form, b.form)


def leaves(tree: Tree) -> Iterator[Form]:
    if isinstance(tree, Leaf):
        yield tree.form
    else:
        yield from leaves(tree.yes)
        yield from leaves(tree.no)


def branches(tree: Tree) -> Iterator[Branch]:
    if isinstance(tree, Branch):
        yield tree
        yield from branches(tree.yes)
        yield from branches(tree.no)


def is_zero(form: Form) -> bool:
    return isinstance(form, Affine) and not form.terms and not np.any(form.constant)


class Forest:
    """The questions asked so far about one region (each once), and the operations on trees that ask them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.atoms: list[Affine] = []
        self.floors: dict[str, Affine] = {}
        self._implied: dict[tuple[int, bool, int], bool | None] = {}
        self._cases = 0

    # --- building trees ---------------------------------------------------------------------------------------------

    def branch(self, atom: int, yes: Tree, no: Tree) -> Tree:
        """The tree that asks `atom`, unless the answer makes no difference."""
        if equal(yes, no):
            return yes
        if isinstance(no, Branch) and self._opposite(atom, no.atom):
            # f > 0, f < 0, and f = 0 exactly: the last joins the side that it equals
            if self._meets(atom, no.no, yes):
                return self.branch(no.atom, no.yes, yes)
            if self._meets(atom, no.no, no.yes):
                return self.branch(atom, yes, no.yes)
        return Branch(atom, yes, no)

    def _opposite(self, a: int, b: int) -> bool:
        return self.implied(a, True, b) is False and affine.same(self.atoms[a], affine.scale(self.atoms[b], -1.0))

    def _meets(self, atom: int, a: Tree, b: Tree) -> bool:
        """Whether two trees agree where the form asked about is zero."""
        if equal(a, b):
            return True
        if not (isinstance(a, Leaf) and isinstance(b, Leaf)):
            return False
        if isinstance(a.form, Opaque) or isinstance(b.form, Opaque):
            return False
        return affine.proportional(affine.subtract(a.form, b.form), self.atoms[atom]) is not None

    def map(self, function: Callable[..., Tree], *trees: Tree, given: Given = ()) -> Tree:
        """`function` of the leaves' forms, in every combination of answers that can occur."""
        top = next((tree.atom for tree in trees if isinstance(tree, Branch)), None)
        if top is None:
            self._count()
            return self.prune(function(*(tree.form for tree in trees if isinstance(tree, Leaf))), given)
        known = self.known(top, given)
        if known is not None:
            return self.map(function, *(_side(tree, top, known) for tree in trees), given=given)
        yes, no = (
            self.map(function, *(_side(tree, top, answer) for tree in trees), given=(*given, (top, answer)))
            for answer in (True, False)
        )
        return self.branch(top, yes, no)

    def prune(self, tree: Tree, given: Given) -> Tree:
        """The tree less the questions that `given` answers."""
        if isinstance(tree, Leaf) or not given:
            return tree
        self._count()
        known = self.known(tree.atom, given)
        if known is not None:
            return self.prune(tree.yes if known else tree.no, given)
        yes = self.prune(tree.yes, (*given, (tree.atom, True)))
        return self.branch(tree.atom, yes, self.prune(tree.no, (*given, (tree.atom, False))))

    def cases(self, *trees: Tree, given: Given = ()) -> Iterator[tuple[Given, tuple[Form, ...]]]:
        """Every combination of leaves, with the answers that lead there."""
        top = next((tree.atom for tree in trees if isinstance(tree, Branch)), None)
        if top is None:
            self._count()
            yield given, tuple(tree.form for tree in trees if isinstance(tree, Leaf))
            return
        known = self.known(top, given)
        for answer in (True, False) if known is None else (known,):
            more = given if known is not None else (*given, (top, answer))
            yield from self.cases(*(_side(tree, top, answer) for tree in trees), given=more)

    def _count(self) -> None:
        self._cases += 1
        if self._cases > _MOST_CASES or len(self.atoms) > _MOST_QUESTIONS:
            raise fault(
                "too-many-cases",
                self.name,
                "makes more decisions in a step than any neuron does",
                "check which part of the network this is; a neuron's own equations must be elementwise",
            )

    # --- questions --------------------------------------------------------------------------------------------------

    def positive(self, form: Form) -> Tree:
        """1 where the form is positive, else 0."""
        if isinstance(form, Opaque):
            return Leaf(form)
        if any(name in self.floors for name in form.terms):
            resolved = self._positive_floor(form)
            if resolved is not None:
                return resolved
        if not form.terms:
            return leaf((form.constant > 0).astype(np.float64))
        slope = affine.steepness(form)
        if np.all(np.abs(form.constant) > _HUGE * slope):
            return leaf((form.constant > 0).astype(np.float64))
        return Branch(self._atom(form), TRUE, FALSE)

    def floor(self, form: Affine) -> Affine:
        """The largest integer not above the form: a new variable, unless the form is constant or whole already."""
        if not form.terms:
            return affine.constant(np.floor(form.constant))
        whole = all(name in self.floors and np.all(value % 1 == 0) for name, value in form.terms.items())
        if whole and np.all(form.constant % 1 == 0):
            return form
        for name, other in self.floors.items():
            if affine.same(form, other):
                return affine.variable(name)
        name = f"\0floor{len(self.floors)}"  # no tensor of a file has such a name
        self.floors[name] = form
        return affine.variable(name)

    def _positive_floor(self, form: Affine) -> Tree | None:
        """`positive` of a form in one floor n = floor(g): a question about g, or settled by 0 <= g - n < 1."""
        (name, *more) = [name for name in form.terms if name in self.floors]
        if more:
            return None
        g, slope = self.floors[name], form.terms[name]
        rest = affine.without(form, name)
        if not rest.terms and (np.all(slope > 0) or np.all(slope < 0)):
            edge = -form.constant / slope
            edge = np.where(np.abs(edge - np.rint(edge)) < _NEAR, np.rint(edge), edge)
            if np.all(slope > 0):  # n > edge
                return self.negation(self.positive(affine.subtract(affine.constant(np.floor(edge) + 1), g)))
            return self.positive(affine.subtract(affine.constant(np.ceil(edge)), g))  # n < edge
        # slope * n = slope * g - slope * fraction
        rest = affine.add(rest, affine.scale(g, slope))
        if rest.terms:
            return None
        low, high = rest.constant + np.minimum(-slope, 0), rest.constant + np.maximum(-slope, 0)
        if np.all(np.where(slope < 0, low > 0, low >= 0)):
            return TRUE
        return FALSE if np.all(np.where(slope < 0, high <= 0, high <= 0)) else None

    def settled(self, form: Affine, given: Given) -> Affine:
        """The form with each floor replaced by the one value that the answers leave it."""
        for name in [name for name in form.terms if name in self.floors]:
            low, high, argument = np.full((), -np.inf), np.full((), np.inf), self.floors[name]
            for atom, answer in given:
                t = affine.ratio(self.atoms[atom], argument)
                if t is None or not (np.all(t > 0) or np.all(t < 0)):
                    continue
                edge = np.asarray(argument.constant - self.atoms[atom].constant / t)
                edge = np.where(np.abs(edge - np.rint(edge)) < _NEAR, np.rint(edge), edge)
                if bool(np.all(t > 0)) == answer:
                    low = np.maximum(low, edge)
                else:  # g < edge, or g <= edge
                    high = np.minimum(high, edge if answer else edge + _NEAR)
            if np.all(high <= np.floor(low) + 1):
                form = affine.add(
                    affine.without(form, name), affine.scale(affine.constant(np.floor(low)), form.terms[name])
                )
        return form

    def on_edge(self, given: Given) -> bool:
        """Whether a question and its opposite are both denied, so that only the plane between them is left."""
        denied = [atom for atom, answer in given if not answer]
        return any(self._opposite(a, b) for a in denied for b in denied if a < b)

    def _atom(self, form: Affine) -> int:
        for index, other in enumerate(self.atoms):
            t = affine.proportional(form, other)
            if t is not None and np.all(t > 0):
                return index
        self.atoms.append(form)
        return len(self.atoms) - 1

    def known(self, atom: int, given: Given) -> bool | None:
        """The answer that the answers so far imply, if they do."""
        for other, answer in given:
            result = self.implied(other, answer, atom)
            if result is not None:
                return result
        return None

    def implied(self, a: int, answer: bool, b: int) -> bool | None:
        """What an answer to question `a` says about question `b`, for every neuron alike."""
        if a == b:
            return answer
        key = a, answer, b
        if key not in self._implied:
            self._implied[key] = self._compare(self.atoms[a], answer, self.atoms[b])
        return self._implied[key]

    @staticmethod
    def _compare(a: Affine, answer: bool, b: Affine) -> bool | None:
        t = affine.ratio(b, a)
        if t is None:
            return None
        # with L = linear(a): a > 0 is L > -ka; b > 0 is L > -kb for t > 0, L < kb for t < 0
        ka, kb = a.constant, b.constant / np.abs(t)
        if np.all(t > 0):
            if answer:
                return True if _at_most(-kb, -ka) else None
            return False if _at_most(-ka, -kb) else None
        if np.all(t < 0):
            if answer:
                return False if _at_most(kb, -ka) else None
            return True if np.all(-ka < kb) and not _at_most(kb, -ka) else None
        return None

    # --- arithmetic on trees ----------------------------------------------------------------------------------------

    def where(self, condition: Tree, yes: Tree, no: Tree) -> Tree:
        return self.map(_select, condition, yes, no)

    def negation(self, tree: Tree) -> Tree:
        return self.map(lambda form: Leaf(plus(affine.constant(1.0), times(form, affine.constant(-1.0)))), tree)

    def add(self, a: Tree, b: Tree) -> Tree:
        return self.map(lambda x, y: Leaf(plus(x, y)), a, b)

    def multiply(self, a: Tree, b: Tree) -> Tree:
        return self.map(lambda x, y: Leaf(times(x, y)), a, b)

    def scale(self, tree: Tree, factor: Array | float) -> Tree:
        return self.multiply(tree, leaf(factor))

    def greater(self, a: Tree, b: Tree) -> Tree:
        return self.map(lambda x, y: self.positive(plus(x, times(y, affine.constant(-1.0)))), a, b)

    def maximum(self, a: Tree, b: Tree) -> Tree:
        return self.where(self.greater(a, b), a, b)


def _at_most(a: Floats, b: Floats) -> bool:
    """a <= b for every neuron, equality up to rounding included."""
    return bool(np.all(a - b <= 1e-12 * np.maximum(np.abs(a), np.abs(b))))


def _side(tree: Tree, atom: int, answer: bool) -> Tree:
    if isinstance(tree, Branch) and tree.atom == atom:
        return tree.yes if answer else tree.no
    return tree


def _select(condition: Form, yes: Form, no: Form) -> Tree:
    if isinstance(condition, Opaque):
        return Leaf(condition)
    if condition.terms:
        return Leaf(Opaque("gated-input", f"chooses by the value of {names(condition)}"))
    chosen = condition.constant != 0
    if np.all(chosen):
        return Leaf(yes)
    if not np.any(chosen):
        return Leaf(no)
    if isinstance(yes, Opaque) or isinstance(no, Opaque):
        return Leaf(yes if isinstance(yes, Opaque) else no)
    return Leaf(affine.choose(chosen, yes, no))


def plus(a: Form, b: Form) -> Form:
    if isinstance(a, Opaque) or isinstance(b, Opaque):
        return a if isinstance(a, Opaque) else b
    return affine.add(a, b)


def times(a: Form, b: Form) -> Form:
    """The product; zero times anything is zero (noise that a file multiplies by zero)."""
    for one in (a, b):
        if isinstance(one, Affine) and not one.terms and not np.any(one.constant):
            return one
    if isinstance(a, Opaque) or isinstance(b, Opaque):
        return a if isinstance(a, Opaque) else b
    product = affine.multiply(a, b)
    if product is not None:
        return product
    shared = a.terms.keys() & b.terms.keys()
    rule = "nonlinear-neuron" if shared else "gated-input"
    return Opaque(rule, f"multiplies {names(a)} by {names(b)}")


def names(form: Affine) -> str:
    """The variables of a form, for people."""
    shown = sorted({"a spike count" if name.startswith("\0") else name for name in form.terms})
    return " and ".join(shown)
