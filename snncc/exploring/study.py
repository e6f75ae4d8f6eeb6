"""A search in a folder: Optuna chooses points, SQLite keeps them, and a search that was killed goes on where it was.

Points are asked for in batches of a fixed size, each by a sampler of its own that is seeded by the point's number. So
the points of a study depend on its seed alone: not on how fast they were evaluated, on how many workers, or on kills.
"""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snncc import files
from snncc.diagnostics import CompileError, Diagnostic, fault
from snncc.exploring.budget import MORE, Limit
from snncc.exploring.evaluate import STAGES, Outcome
from snncc.exploring.space import Dimension, Point
from snncc.exploring.workers import AGAIN, missing

if TYPE_CHECKING:
    import optuna

MARK, DATABASE, PAGE = "study.json", "study.db", "front.html"
BATCH = 8  # points that are chosen together, whatever the number of workers
_FORMAT = 1
_NAME = "study"
_OUTCOME, _VIOLATIONS = "outcome", "violations"
_FAR = 10.0  # times its limit: what counts for a quantity that was not measured
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Found:
    """A point of the search, by its number, with what is known of it."""

    number: int
    point: Point
    outcome: Outcome


@dataclass(frozen=True, eq=False)
class Study:
    """An open study; `starts` are the points that it begins with, before any is chosen."""

    folder: Path
    space: tuple[Dimension, ...]
    limits: tuple[Limit, ...]
    starts: tuple[Point, ...]
    seed: int
    database: optuna.Study
    storage: optuna.storages.RDBStorage

    def found(self) -> list[Found]:
        """Every point whose outcome is known, by number."""
        with _kept(self.folder):
            return [
                Found(each.number, dict(each.params), outcome)
                for each in self._trials()
                if (outcome := _outcome(each)) is not None
            ]

    def batch(self, trials: int) -> Mapping[int, Point]:
        """The points that are to be evaluated next, by number: interrupted ones, or else new ones.

        There are none once there are `trials` of them, rounded up to whole batches.
        """
        with _kept(self.folder), _quiet():
            for each in self._trials():
                outcome = _outcome(each)
                if outcome is not None and not each.state.is_finished():  # it was kept, and then came a kill
                    self._close(each.number, outcome)
            known = self._trials()
            begun = len(known) % BATCH or not all(each.state.is_finished() for each in known)
            first = (len(known) - bool(begun)) // BATCH * BATCH
            if first >= trials:
                return {}
            for _ in range(len(known), first + BATCH):
                self._ask(self._trials())
            open_ = [each for each in self._trials() if not each.state.is_finished()]
            return {each.number: dict(each.params) for each in open_}

    def _trials(self) -> list[optuna.trial.FrozenTrial]:
        """Every point as the database has it. Raises CompileError (`damaged-study`) for what no search wrote."""
        try:
            found = self.database.get_trials(deepcopy=False)
        except (LookupError, TypeError, ValueError) as error:  # what Optuna raises for text that it did not write
            raise _strange(self.folder, str(error)) from error
        values = {each.name: each.values for each in self.space}
        for each in found:
            own = each.params
            if own.keys() != values.keys() or any(value not in values[name] for name, value in own.items()):
                raise _strange(self.folder, f"point {each.number} is none of this search: {own}")
            try:
                outcome = _outcome(each)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise _strange(self.folder, f"the outcome of point {each.number}: {error}") from error
            if each.state.is_finished() and (outcome is None or len(each.values or ()) != len(self.limits)):
                raise _strange(self.folder, f"point {each.number} is finished and has no outcome")
        return found

    def _ask(self, known: Sequence[optuna.trial.FrozenTrial]) -> None:
        """Choose the next point, which is put into the database whole.

        It is chosen in a copy in memory: a choice that a kill interrupted half-way would end in another point.
        """
        import optuna

        copy = optuna.create_study(directions=self.database.directions, sampler=self._sampler(len(known)))
        copy.add_trials(known)
        trial = copy.ask()
        for each in self.space:
            trial.suggest_categorical(each.name, list(each.values))
        chosen = copy.get_trials(deepcopy=False)[-1]
        whole = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING, params=chosen.params, distributions=chosen.distributions
        )
        self.database.add_trial(whole)

    def _sampler(self, number: int) -> Any:
        import optuna

        seed = (self.seed * 1_000_003 + number) % (1 << 32)
        own = optuna.samplers.TPESampler(
            n_startup_trials=0, multivariate=True, constant_liar=True, seed=seed, constraints_func=_constraints
        )
        if number >= len(self.starts):
            return own
        return optuna.samplers.PartialFixedSampler(dict(self.starts[number]), own)

    def tell(self, number: int, outcome: Outcome) -> None:
        """Keep the outcome of a point: from here on it survives a kill."""
        import optuna

        with _kept(self.folder), _quiet():
            handle = optuna.trial.Trial(self.database, self._id(number))
            handle.set_user_attr(_VIOLATIONS, [_violation(each, outcome) for each in self.limits])
            handle.set_user_attr(_OUTCOME, dataclasses.asdict(outcome))
            self._close(number, outcome)

    def _id(self, number: int) -> int:
        """By what the database knows a point, which is taken up again."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.storage.get_study_id_from_name(_NAME), number)

    def _close(self, number: int, outcome: Outcome) -> None:
        self.database.sampler = self._sampler(number)
        self.database.tell(number, [_objective(each, outcome) for each in self.limits])


def _outcome(trial: optuna.trial.FrozenTrial) -> Outcome | None:
    """What was kept of a point; None where it is still to be evaluated. Raises what wrong types and names do."""
    if _OUTCOME not in trial.user_attrs:
        return None
    outcome = Outcome(**trial.user_attrs[_OUTCOME])
    numbers = [*outcome.quantities.values(), *trial.user_attrs[_VIOLATIONS]]
    if outcome.stage not in STAGES or not all(math.isfinite(each) for each in numbers):
        raise ValueError(f"{outcome.stage!r}, {dict(outcome.quantities)}")
    return outcome


def _constraints(trial: optuna.trial.FrozenTrial) -> Sequence[float]:
    return trial.user_attrs[_VIOLATIONS]


def _objective(limit: Limit, outcome: Outcome) -> float:
    """A quantity of a point; one that was not measured, as the point was given up, counts as far from its limit."""
    usual = 0.0 if limit.quantity == MORE else limit.value * _FAR
    return outcome.quantities.get(limit.quantity, usual)


def _violation(limit: Limit, outcome: Outcome) -> float:
    return limit.violation(_objective(limit, outcome))


def opened(
    folder: Path,
    identity: Mapping[str, Any],
    space: tuple[Dimension, ...],
    limits: tuple[Limit, ...],
    starts: tuple[Point, ...],
    seed: int,
) -> Study:
    """The study in a folder, made if there is none; `identity` is what must be the same to go on with one.

    Raises CompileError: `missing-package`, `output-exists`, `another-study`, `damaged-study`, `cannot-write`.
    """
    try:
        import optuna
    except ImportError as error:
        raise missing(error) from error

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    mark = json.dumps({"format": _FORMAT, **identity}, indent=1, sort_keys=True) + "\n"
    directions: list[Direction] = ["maximize" if each.quantity == MORE else "minimize" for each in limits]
    with _kept(folder):
        if files.kind(folder / MARK) == "file":
            _same(folder, json.loads(mark))
        else:
            _made(folder, mark, directions)
        try:
            storage = optuna.storages.RDBStorage(_url(folder / DATABASE))
            database = optuna.load_study(study_name=_NAME, storage=storage)
        except (KeyError, RuntimeError, ValueError) as error:  # the second for tables of another version
            raise _strange(folder, str(error)) from error
    if [each.name.lower() for each in database.directions] != directions:
        raise _damaged(folder, "has other objectives than the study")
    return Study(folder, space, limits, starts, seed, database, storage)


def _made(folder: Path, mark: str, directions: list[Direction]) -> None:
    """Make a study's folder; its mark comes last, so that what a kill leaves behind is made again."""
    import optuna

    folder.mkdir(parents=True, exist_ok=True)
    strange = [each.name for each in folder.iterdir() if not each.name.startswith((f".{DATABASE}", DATABASE))]
    if strange:
        message = f"is there already and is no study: it holds {strange[0]}"
        raise fault("output-exists", str(folder), message, "choose another folder, or empty it first")
    for each in folder.iterdir():
        each.unlink()
    scratch = folder / f".{DATABASE}"
    storage = optuna.storages.RDBStorage(_url(scratch))
    optuna.create_study(study_name=_NAME, storage=storage, directions=directions)
    storage.engine.dispose()
    scratch.rename(folder / DATABASE)
    files.replace_file(folder / MARK, mark.encode())


def _url(path: Path) -> Any:
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path.absolute())).render_as_string()


def _same(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Raise CompileError (`another-study`) with all in which the study of a folder is another one."""
    try:
        own: Any = json.loads(files.content(folder / MARK))
    except ValueError as error:
        raise _damaged(folder, f"{MARK} is not JSON") from error
    if not isinstance(own, dict):
        raise _damaged(folder, f"{MARK} holds no study")
    different = [name for name in wanted if own.get(name) != wanted[name]]  # pyright: ignore[reportUnknownMemberType]
    hint = f"choose another folder for another study: -o FOLDER; {folder} can only be gone on with as it was begun"
    if different:
        raise CompileError(
            Diagnostic("another-study", str(folder), f"was begun with another {name}", hint) for name in different
        )


def _strange(folder: Path, what: str) -> CompileError:
    return _damaged(folder, f"{DATABASE} holds what no search wrote: {what}")


def _damaged(folder: Path, why: str) -> CompileError:
    return fault("damaged-study", str(folder), why, "begin another study: -o FOLDER")


@contextmanager
def _kept(folder: Path) -> Generator[None]:
    """Turns what can go wrong with files and the database into diagnostics."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DatabaseError, OperationalError

    try:
        yield
    except OSError as error:
        raise fault("cannot-write", str(folder), files.reason(error), AGAIN) from error
    except (StorageInternalError, DatabaseError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        said = str(getattr(cause, "orig", None) or cause or error)
        if isinstance(cause, OperationalError) and "no such" not in said:
            hint = f"make room, or see who else uses it; {AGAIN}"
            raise fault("cannot-write", str(folder / DATABASE), said, hint) from error
        raise _damaged(folder, f"{DATABASE} cannot be used: {said}") from error


@contextmanager
def _quiet() -> Generator[None]:
    """Without what Optuna says of features that may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
