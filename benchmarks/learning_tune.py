"""Chooses the numbers of the two rules that `learning.py` compares, with the same effort, on validation samples.

    python benchmarks/learning_tune.py screen ../shared/data/mnist > TRIALS
    python benchmarks/learning_tune.py around ../shared/data/mnist --best TRIALS >> TRIALS
    python benchmarks/learning_tune.py confirm ../shared/data/mnist --best TRIALS
    python benchmarks/learning_tune.py more ../shared/data/mnist
    python benchmarks/learning_tune.py growth ../shared/data/mnist

`screen` tries numbers that optuna proposes (TPE, one seed, the same number of trials for each network) at 100 neurons,
8 bits, 2,000 samples, which is as many to a neuron as 8,000 are to 400. A trial's score is the mean of three
accuracies on the first 500 validation samples: of all classes in random order; and with one class after another, of
the newest and of the earlier ones. `around` tries eight more of each. `confirm` takes the best three of each to 400
neurons, 8,000 samples and 1,000 of validation, `more` two others of each; `growth` shows there what is won and lost by
thresholds that grow faster or more slowly.
All print one line of JSON a trial; no test sample is read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from learning import Row, learnt, one_after_another

from snncc.diagnostics import CompileError

TRACE = '[trace.x]\nof = "pre"\nkind = "latest"\ntime_constant = 20.0\n'
WEIGHT = "[weight]\nbits = 8\nmaximum = 1.0\nnormalise = 0.1\n"
SPIKING = 'normalise_targets = "spiking"\n'
COUNTS = '[trace.fired]\nof = "post"\nkind = "flag"\n[trace.posts]\nof = "post"\nkind = "count"\n'
SILENT = '[trace.y]\nof = "post"\nkind = "latest"\ntime_constant = 20.0\n[trace.pres]\nof = "pre"\nkind = "count"\n'


def term(name: str, on: str, rate: str, factors: list[str], per: str = "") -> str:
    return f'[term.{name}]\non = "{on}"\n{rate}\nfactors = {json.dumps(factors)}\n' + (
        f'per = "{per}"\n' if per else ""
    )


def row_of(network: str, numbers: dict[str, Any]) -> Row:
    """A network with its numbers; those that are 0 leave their part of the rule out."""
    threshold = f"[threshold]\njump = {numbers['jump']:.3g}\ndecay = {numbers['forget']:.3g}\n"
    x, up = f"x - {numbers['target']:g}" if numbers["target"] else "x", f"up = {numbers['up']:.3g}"
    if network == "diehl-cook":
        rule = TRACE + WEIGHT + term("potentiation", "post", up, [x, "1 - w"]) + threshold
        return Row(network, network, f'description = ""\nsource = ""\n{rule}', numbers["inhibition"])
    head = f'description = ""\nsource = ""\nperiod = {numbers["period"]}\n'
    factors = [x, "fired", f"ceil(most posts / {numbers['divisor']})", "1 - w"]
    rule = TRACE + WEIGHT + SPIKING + COUNTS + term("potentiation", "period", up, factors) + threshold
    if numbers["fade"]:
        rule += term("decay", "period", f"down = {numbers['fade']:.3g}", ["fired", "w"])
    if numbers["silent"]:
        factors = ["y", "1 - fired", "most posts"]
        rule += SILENT + term("depression", "period", f"down = {numbers['silent']:.3g}", factors, "most pres")
    return Row(network, network, head + rule, numbers["inhibition"])


def proposed(network: str, trial: optuna.Trial) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "up": trial.suggest_float("up", 0.003, 0.1, log=True),
        "target": trial.suggest_float("target", 0.0, 0.6, step=0.1),
        "jump": trial.suggest_float("jump", 0.003, 0.05, log=True),
        "forget": trial.suggest_float("forget", 5e-5, 5e-3, log=True),
        "inhibition": trial.suggest_float("inhibition", 0.5, 8.0, log=True),
    }
    if network == "spikedyn":
        numbers["period"] = trial.suggest_categorical("period", [5, 10])
        numbers["divisor"] = trial.suggest_categorical("divisor", [4, 8, 16])
        fades, silents = (
            trial.suggest_categorical("fades", [False, True]),
            trial.suggest_categorical("rests", [False, True]),
        )
        numbers["fade"] = trial.suggest_float("fade", 1e-3, 3e-2, log=True) if fades else 0
        numbers["silent"] = trial.suggest_float("silent", 3e-5, 3e-3, log=True) if silents else 0
    return numbers


FIRST = {
    "diehl-cook": {"up": 0.05, "target": 0.4, "jump": 0.01, "forget": 5e-5, "inhibition": 1.35},
    "spikedyn": {"up": 0.03, "target": 0.4, "jump": 0.02, "forget": 5e-5, "inhibition": 3.0, "period": 5, "divisor": 8,
                 "fades": False, "rests": False},
}  # fmt: skip


def tried(network: str, numbers: dict[str, Any], bits: int, given: argparse.Namespace) -> dict[str, Any]:
    row = row_of(network, numbers)
    still = learnt(row, bits, given, 0, dynamic=False).exams[-1].overall
    moving = one_after_another(learnt(row, bits, given, 0, dynamic=True))
    found = {"static": still, "newest": moving["newest"], "earlier": moving["earlier"]}
    return {
        "network": network,
        "bits": bits,
        "score": float(np.mean(list(found.values()))),
        **found,
        "numbers": numbers,
    }


def screen(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = {
        name: optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=given.trials // 4)
        )
        for name in FIRST
    }
    for name, study in studies.items():
        study.enqueue_trial(FIRST[name])
    for _ in range(given.trials):
        for name, study in studies.items():
            yield asked(name, study, given)


def asked(name: str, study: optuna.Study, given: argparse.Namespace) -> dict[str, Any]:
    """The next trial; numbers that make an unstable rule are refused by snncc, and others asked for."""
    while True:
        trial = study.ask()
        try:
            found = tried(name, proposed(name, trial), 8, given)
        except CompileError:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, found["score"])
            return found


CLOSE: dict[str, tuple[dict[str, Any], ...]] = {
    "diehl-cook": (
        *({key: factor} for key in ("up", "jump", "inhibition") for factor in (0.7, 1.4)),
        {"target": 0.75},
        {"target": 1.25},
    ),
    "spikedyn": (
        *({"fade": rate} for rate in (0.001, 0.003, 0.01)),
        *({"target": 0.0, "fade": rate} for rate in (0.01, 0.03)),
        *({"silent": rate} for rate in (0.0001, 0.0005, 0.002)),
    ),
}  # factors of the best numbers; the two rates are 0 in these, and stand for themselves


def around(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """As many trials more for each: numbers close to the baseline's best; SpikeDyn's best with its other two terms."""
    for name, changes in CLOSE.items():
        best = ranked(given.best, name)[0]["numbers"]
        for change in changes:
            numbers = {key: best[key] * factor if best[key] else factor for key, factor in change.items()}
            yield tried(name, {**best, **numbers}, 8, given)


def ranked(path: Path, name: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted((each for each in rows if each["network"] == name), key=lambda each: -each["score"])


MORE: dict[str, tuple[dict[str, Any], ...]] = {
    "diehl-cook": (
        {"up": 0.05, "target": 0.4, "jump": 0.01, "forget": 5e-5, "inhibition": 1.35},
        {"up": 0.012, "target": 0.4, "jump": 0.01, "forget": 1e-4, "inhibition": 3.5},
    ),
    "spikedyn": (
        {"up": 0.03, "target": 0.4, "jump": 0.02, "forget": 5e-5, "inhibition": 3.0, "fade": 0.001},
        {"up": 0.02, "target": 0.4, "jump": 0.022, "forget": 1e-4, "inhibition": 3.5, "fade": 0.001},
    ),
}


def more(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Two more of each for 400 neurons: those shipped before, and what lies between them and the best of the others."""
    for name, each in MORE.items():
        for numbers in each:
            yield tried(name, {"period": 5, "divisor": 8, "fade": 0, "silent": 0, **numbers}, 8, given)


CHOSEN: dict[str, dict[str, Any]] = {
    "diehl-cook": {"up": 0.008, "target": 0.375, "jump": 0.0088, "forget": 1.2e-4, "inhibition": 3.5},
    "spikedyn": {"up": 0.015, "target": 0.4, "jump": 0.024, "forget": 1.3e-4, "inhibition": 2.7, "fade": 0.01},
}
GROWTH: dict[str, tuple[float, ...]] = {
    "diehl-cook": (0.0035, 0.0055, 0.013, 0.018),
    "spikedyn": (0.0055, 0.0088, 0.0125, 0.017),
}


def growth(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The numbers that were chosen, but for how fast thresholds grow."""
    for name, jumps in GROWTH.items():
        for jump in jumps:
            numbers = {"period": 5, "divisor": 8, "fade": 0, "silent": 0, **CHOSEN[name], "jump": jump}
            yield tried(name, numbers, 8, given)


def confirm(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for place in range(given.keep):
        for name in FIRST:
            yield tried(name, ranked(given.best, name)[place]["numbers"], 8, given)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    sizes = {
        "screen": (100, 2000, 500),
        "around": (100, 2000, 500),
        "confirm": (400, 8000, 1000),
        "more": (400, 8000, 1000),
        "growth": (400, 8000, 1000),
    }
    parser.add_argument("measure", choices=sizes)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--rate", type=float, default=0.25)
    parser.add_argument("--best", type=Path, help="what screen printed")
    parser.add_argument("--keep", type=int, default=3)
    given = parser.parse_args()
    given.part, given.count = "validation", False
    given.neurons, given.train, given.test = sizes[given.measure]
    measures = {"screen": screen, "around": around, "confirm": confirm, "more": more, "growth": growth}
    for found in measures[given.measure](given):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
