"""The front is what no point beats; limits that cannot be met are named with the best figure that was found."""

from __future__ import annotations

from snncc.exploring.budget import Limit
from snncc.exploring.evaluate import Outcome
from snncc.exploring.front import excess, front, impossible
from snncc.exploring.study import Found

FLASH, ACCURACY = Limit("flash", "<=", 100, "flash<=100"), Limit("accuracy", ">=", 0.9, "accuracy>=0.9")
LIMITS = FLASH, ACCURACY
WORDS = {0: ("--weight-bits", "8"), 1: ("--weight-bits", "2")}


def points(*values: tuple[float, float | None]) -> list[Found]:
    found: list[Found] = []
    for number, (flash, accuracy) in enumerate(values):
        known = {"flash": flash} | ({} if accuracy is None else {"accuracy": accuracy})
        found.append(Found(number, {}, Outcome("compiled" if accuracy is None else "measured", known)))
    return found


def test_the_front_is_what_no_point_beats() -> None:
    found = front(points((90, 0.95), (90, 0.95), (95, 0.94), (50, 0.91), (200, 0.99), (40, None), (20, 0.2)), LIMITS)
    assert [each.number for each in found.points] == [4, 0, 3, 6]
    assert found.best is found.points[1]


def test_the_closest_exceeds_its_limits_by_the_least_part() -> None:
    found = front(points((200, 0.95), (110, 0.89), (90, 0.5)), LIMITS)
    assert found.best is None
    assert found.closest
    assert found.closest.number == 1
    assert abs(excess(found.closest, LIMITS) - (0.1 + 0.01 / 0.9)) < 1e-12


def test_without_a_measured_point_the_closest_is_of_those_given_up() -> None:
    found = front(points((300, None), (200, None)), LIMITS)
    assert found.closest
    assert (found.points, found.closest.number) == ((), 1)


def test_it_is_said_which_limit_cannot_be_met_and_why() -> None:
    apart = [str(each) for each in impossible(points((200, 0.95), (90, 0.5)), LIMITS, 0.97, WORDS)]
    assert apart == [
        "error[impossible-budget]: accuracy>=0.9: is met by some points, but by none that meets the others; the "
        "closest has 50.00%\n  = hint: allow more of one, or search on: --trials N"
    ]
    never = [str(each) for each in impossible(points((200, 0.85), (150, None)), LIMITS, 0.97, WORDS)]
    assert never == [
        "error[impossible-budget]: flash<=100: the least of 2 compiled points is 150 bytes: point 1, --weight-bits 2\n"
        "  = hint: choose a larger budget, search on with --trials N, or train a smaller network",
        "error[impossible-budget]: accuracy>=0.9: of 1 measured points none has more than 85.00%; the model as trained "
        "97.00%\n  = hint: allow more memory, energy or time, or train a more accurate model",
    ]
    *_, learns = [str(each) for each in impossible(points((200, 0.85), (150, None)), LIMITS, None, WORDS)]
    assert learns == (
        "error[impossible-budget]: accuracy>=0.9: of 1 measured points none has more than 85.00%\n"
        "  = hint: allow more memory, energy or time, learn more samples, or let more neurons learn"
    )
