"""The study that an estimator of scikit-learn runs when it is fitted: arguments for keys, and rows in memory."""

from __future__ import annotations

import numbers
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lossreg.config import study as studies
from lossreg.errors import InputError, LossregError, represented, require_path
from lossreg.search import predictors, run
from lossreg.search.result import Result
from lossreg.storage import shared_study
from lossreg.storage.observer import Observer
from lossreg.storage.records import StudyResult, TrialRecord

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
    from lossreg.prediction.predictor import Predictor

# the argument that stands for a key of the study file
ARGUMENTS = {
    "losses": "losses", "model": "model", "search.metric": "metric", "search.trials": "trials",
    "train.epochs": "epochs", "data.validation": "validation_fraction", "search.seed": "random_state",
}  # fmt: skip
GIVEN_ROWS = ("source", "target", "weight")  # keys of [data] in place of which X, y and sample_weight are given
CUTS = ("split", "folds")  # keys of [data] that say which rows decide between trials
KEY = re.compile(r"^([a-z_]+(?:\.\w+)*)(?=: |$)")


class Fitted(NamedTuple):
    """A study that has ended: its predictor from raw rows, its result, and the trial that the predictor is of."""

    predictor: Predictor
    result: Result
    trial: TrialRecord


def document(
    given: Mapping[str, Any], defaults: Mapping[str, Any], settings: Any, *, task: str, tasks: tuple[str, ...]
) -> dict[str, Any]:
    """Return the study that the arguments of an estimator ask for; raises `InputError` where they do not agree.

    given: the arguments by the key that each stands for; defaults: those that nobody need have chosen; settings:
    further sections; task: the task of the estimator, which settings may replace by another one of `tasks`.
    """
    sections = _sections(settings)
    data = sections.setdefault("data", {})
    if named := [key for key in GIVEN_ROWS if key in data]:
        raise InputError("the rows are given to fit", where=f"data.{named[0]}", hint="Leave it out.")
    if data.setdefault("task", task) not in tasks:
        hint = f"Known: {', '.join(tasks)}." if len(tasks) > 1 else "Leave it out: the labels decide."
        raise InputError(f"is not {represented(data['task'])}, but {task}", where="data.task", hint=hint)
    is_cut = [key for key in CUTS if key in data]
    if "split" not in data:
        data.setdefault("test", 0)
    _check_fraction(given["data.validation"])
    if callable(given["search.metric"]) and not _has(sections, "search.direction"):
        hint = 'Give settings={"search": {"direction": "maximize"}}, or "minimize".'
        raise InputError("is a function, whose better end only you know", where="metric", hint=hint)
    sections.setdefault("tracking", {"enabled": False})
    for key, value in given.items():
        is_default = key in defaults and type(value) is type(defaults[key]) and value == defaults[key]
        if value is None or (is_default and (_has(sections, key) or (key == "data.validation" and is_cut))):
            continue
        if twice := [key] if _has(sections, key) else [f"data.{cut}" for cut in is_cut if key == "data.validation"]:
            raise InputError(f"settings has {twice[0]} too", where=ARGUMENTS[key], hint="Leave out one of them.")
        section, _, name = key.partition(".")
        sections[section] = {**sections.get(section, {}), name: value} if name else _table(key, value)
    return sections


def _check_fraction(share: Any) -> None:
    if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0 < float(share) < 1:
        what = f"must be a share of the rows between 0 and 1, not {represented(share)}"
        raise InputError(what, where=ARGUMENTS["data.validation"], hint="Such as 0.2.")


def _sections(settings: Any) -> dict[str, Any]:
    """Return settings as sections that may be written to; raises `InputError` for what is none."""
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        what = f"must be sections of a study, not {represented(settings)}"
        raise InputError(what, where="settings", hint='Such as {"train": {"batch_size": 64}}.')
    sections = {name: dict(table) if isinstance(table, Mapping) else table for name, table in settings.items()}
    for name, table in sections.items():
        if name != "name" and not isinstance(table, dict):
            raise InputError(f"must be a table, not {represented(table)}", where=f"settings[{name!r}]")
    return sections


def _has(sections: Mapping[str, Any], key: str) -> bool:
    section, _, name = key.partition(".")
    return name in sections.get(section, {}) if name else section in sections


def _table(name: str, value: Any) -> Any:
    """Return a section; of names of losses a table for each."""
    if isinstance(value, Mapping):
        return value
    if name == "losses" and value and isinstance(value, (list, tuple)) and all(isinstance(loss, str) for loss in value):
        return {loss: {} for loss in value}
    what = "names of losses, or a table for each" if name == "losses" else "the section of a study"
    example = '["cross_entropy", "focal"]' if name == "losses" else '{"hidden": [64, 64]}'
    raise InputError(f"must be {what}, not {represented(value)}", where=name, hint=f"Such as {example}.")


def fit(sections: Mapping[str, Any], rows: Mapping[str, Any], *, directory: Any, verbose: Any) -> Fitted:
    """Run a study of these rows, or finish one that was begun; in a temporary folder unless there is a directory.

    Relative paths of the study start at the current folder. Raises `InputError` for what is wrong with the study,
    `LossregError` when no trial ends with a model.
    """
    if isinstance(verbose, bool) or not isinstance(verbose, numbers.Integral):
        raise InputError(f"must be a whole number, not {represented(verbose)}", where="verbose")
    spec = studies.of(dict(sections), (), rows).with_single_rows()
    if directory is not None:
        return _fitted(spec, require_path(directory, "directory"), int(verbose))
    with tempfile.TemporaryDirectory(prefix="lossreg-", ignore_cleanup_errors=True) as folder:
        return _fitted(spec, Path(folder), int(verbose))


def _fitted(spec: StudySpec, directory: Path, verbose: int) -> Fitted:
    folder = shared_study.of(spec, directory / ".lossreg" / spec.name)
    told = _Told(verbose)
    result = run.kept_in(folder, spec, told)
    trial = result.recommended
    if trial is None or not folder.has_best(trial.number):
        raise LossregError(f"the study has no model: {told.warnings[-1] if told.warnings else 'no trial has a score'}")
    result.predictor = predictors.load_predictor(folder.path)  # for when the folder is gone
    return Fitted(result.predictor, result, trial)


class _Told(Observer):
    """Writes what a study says to standard output: nothing at 0, its phases and messages from 1, trials from 2."""

    def __init__(self, verbose: int) -> None:
        self.verbose, self.warnings = verbose, list[str]()

    def message(self, text: str) -> None:
        if self.verbose > 0:
            sys.stdout.write(f"[lossreg] {text}\n")

    phase = message

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self.message(text)

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        if self.verbose > 1:
            score = "no score" if record.score is None else f"{result.metric} {record.score:.5g}"
            self.message(f"trial {record.number}: {record.candidate}, {record.state}, {score}")


@contextmanager
def named_as_arguments(settings: Any) -> Iterator[None]:
    """Name arguments of the estimator in errors, in place of the keys that they stand for."""
    try:
        yield
    except InputError as error:
        lines = str(error.what).split("\n")
        if not error.where and len(lines) > 1:
            lines = [KEY.sub(lambda found: _place(found[1], settings), line) for line in lines]
            raise InputError("\n".join(lines)) from error
        raise error.at(_place(error.where, settings)) from error


def _place(key: str, settings: Any) -> str:
    """Return where an estimator has a key of the study: `trials`, `losses['focal']`, `settings['train']`."""
    if key == "data":
        return "X, y"
    for name, argument in ARGUMENTS.items():
        if (key == name or key.startswith(f"{name}.")) and not (isinstance(settings, Mapping) and _has(settings, name)):
            return argument + _indexed(key[len(name) + 1 :])
    section, given = key.partition(".")[0], settings if isinstance(settings, Mapping) else {}
    return f"settings{_indexed(key)}" if section in given or section in studies.StudySpec.model_fields else key


def _indexed(key: str) -> str:
    return "".join(f"[{part!r}]" for part in key.split(".") if part)


def cv_results(result: Result) -> dict[str, Any]:
    """Return a row per trial, as `GridSearchCV.cv_results_` has one per candidate; the scores are validation scores.

    Parameters that a trial does not have are masked; trials without a score have NaN, and the last rank.
    """
    trials = result.trials
    params = [{"loss": trial.candidate, **trial.params} for trial in trials]
    names = dict.fromkeys(name for given in params for name in given)
    scores = np.array([np.nan if trial.finite_score is None else trial.finite_score for trial in trials])
    spread = [0.0 if trial.spread is None else trial.spread for trial in trials]
    members = max((len(trial.scores) for trial in trials), default=0)
    splits = {
        f"split{i}_test_score": np.array([trial.scores[i] if trial.scores else np.nan for trial in trials])
        for i in range(members)
    }
    return {
        "mean_fit_time": np.array([trial.seconds for trial in trials]),
        **{f"param_{name}": _masked([given.get(name, np.ma.masked) for given in params]) for name in names},
        "params": params,
        **(splits or {"split0_test_score": scores.copy()}),
        "mean_test_score": scores,
        "std_test_score": np.where(np.isnan(scores), np.nan, spread),
        "rank_test_score": _ranks(scores, result.direction),
        "state": np.array([trial.state for trial in trials], dtype=object),
    }


def _masked(values: list[Any]) -> Any:
    """Return an array of objects in which what is masked is masked."""
    array = np.ma.MaskedArray(np.empty(len(values)), mask=True, dtype=object)
    for i, value in enumerate(values):
        if value is not np.ma.masked:
            array[i] = value
    return array


def _ranks(scores: NDArray[np.float64], direction: str) -> NDArray[np.int32]:
    """Return ranks from 1, equal for equal scores."""
    keys = np.where(np.isnan(scores), -np.inf, scores if direction == "maximize" else -scores)
    return np.array([1 + int((keys > key).sum()) for key in keys], np.int32)
