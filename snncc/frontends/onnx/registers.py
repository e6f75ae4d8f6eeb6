"""Says in which step each op of a rolled-up loop runs, so that as few values as can be are carried between steps.

An op may run in its own step or wait for a later one that needs its result. This is retiming with the fewest
registers (C. Leiserson and J. Saxe, Algorithmica 6, 1991), a linear program whose solutions are whole numbers. Of equal
ones, what a comparison or a clamp reads is not carried to it, as a neuron fires in the step in which it reaches its
threshold; and else ops run as late as they may. So what is carried is what a framework calls a state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

Read = tuple[str, str, int]  # source, reader, and how many steps before the reader's last copy the source's copy stands


def last_steps(
    least: Mapping[str, int], reads: Sequence[Read], known: Mapping[str, int], tests: Collection[str]
) -> dict[str, int] | None:
    """The step of the last copy of each stream, no less than `least`, given that of some; None if there is none.

    `tests` are comparisons, clamps, and the streams that only those read.
    """
    from scipy.optimize import linprog  # takes a third of a second to import, and only unrolled loops need it
    from scipy.sparse import coo_matrix

    names = list(least)
    place = {name: i for i, name in enumerate(names)}
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    limits: list[float] = []

    def demand(entries: Sequence[tuple[int, float]], limit: float) -> None:
        for column, value in entries:
            rows.append(len(limits))
            columns.append(column)
            values.append(value)
        limits.append(limit)

    for source, reader, back in reads:  # delay = last(reader) - last(source) + back, between 0 and the register's
        a, b = place[source], place[reader]
        demand([(a, 1.0), (b, -1.0)] if a != b else [], float(back))
        entries = [(b, 1.0), (a, -1.0)] if a != b else []
        demand([*entries, (len(names) + a, -1.0)], float(-back))
    bounds = [(float(known.get(name, least[name])), float(known.get(name, np.inf))) for name in names]
    bounds += [(0.0, np.inf)] * len(names)
    spans = len(names) * (2 + max(least.values(), default=0))
    goal = np.concatenate([np.full(len(names), -1.0), np.full(len(names), 4.0 * spans * (1 + len(reads)))])
    for source, reader, _ in reads:
        if reader in tests:
            goal[place[reader]] += 2.0 * spans
            goal[place[source]] -= 2.0 * spans
    shape = (len(limits), 2 * len(names))
    matrix = coo_matrix((values, (rows, columns)), shape=shape).tocsr()
    found = linprog(goal, A_ub=matrix, b_ub=limits, bounds=bounds, method="highs-ds")
    if found.x is None:
        return None
    steps = np.rint(found.x[: len(names)]).astype(int)
    return {name: int(steps[place[name]]) for name in names}
