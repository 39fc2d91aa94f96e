"""The study that an estimator of scikit-learn runs when it is fitted: arguments for keys, and rows in memory."""

from __future__ import annotations

import numbers
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lossreg.config import changes
from lossreg.config import study as studies
from lossreg.errors import InputError, LossregError, on_disk, represented, require_path
from lossreg.reporting.progress import Lines
from lossreg.search import argument_names, predictors, rows_given, run
from lossreg.search.argument_names import Arguments
from lossreg.search.result import Result
from lossreg.storage import shared_study
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord

if TYPE_CHECKING:
    from lossreg.config.study import StudySpec
    from lossreg.prediction.predictor import Predictor

# the argument that stands for a key of the study file
ARGUMENTS = {
    "losses": "losses", "model": "model", "search.metric": "metric", "search.trials": "trials",
    "train.epochs": "epochs", "data.validation": "validation_fraction", "search.seed": "random_state",
}  # fmt: skip
GIVEN_ROWS = ("source", "target", "weight")  # keys of [data] in place of which X, y and sample_weight are given
CHANGED = "Take the change back, or give another directory, or the study another name in settings."
CUTS = ("split", "folds")  # keys of [data] that say which rows decide between trials
SHARE = "data.validation"


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
    sections = rows_given.untested(settings)
    data = sections["data"]
    if named := [key for key in GIVEN_ROWS if key in data]:
        where = argument_names.place("settings", f"data.{named[0]}")
        raise InputError("the rows are given to fit", where=where, hint="Leave it out.")
    if data.setdefault("task", task) not in tasks:
        hint = f"Known: {', '.join(tasks)}." if len(tasks) > 1 else "Leave it out: the labels decide."
        what = f"is not {represented(data['task'])}, but {task}"
        raise InputError(what, where=argument_names.place("settings", "data.task"), hint=hint)
    data.setdefault("single_rows", True)
    cut = next((f"data.{key}" for key in CUTS if key in data), "")
    _check_fraction(given[SHARE])
    asked = {key: value for key, value in given.items() if not (_is_default(key, value, defaults)
             and (argument_names.has(sections, key) or (key == SHARE and cut)))}  # fmt: skip
    if cut and SHARE in asked:
        raise rows_given.twice(cut, ARGUMENTS[SHARE])
    return rows_given.document(asked, ARGUMENTS, sections)


def _is_default(key: str, value: Any, defaults: Mapping[str, Any]) -> bool:
    return key in defaults and type(value) is type(defaults[key]) and bool(value == defaults[key])


def _check_fraction(share: Any) -> None:
    if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0 < float(share) < 1:
        what = f"must be a share of the rows between 0 and 1, not {represented(share)}"
        raise InputError(what, where=ARGUMENTS[SHARE], hint="Such as 0.2.")


@changes.with_ways(CHANGED)
def fit(sections: Mapping[str, Any], rows: Mapping[str, Any], *, settings: Any, directory: Any, verbose: Any) -> Fitted:
    """Run a study of these rows, or finish one that was begun; in a temporary folder unless there is a directory.

    Relative paths of the study start at the current folder; settings: as the user gave them. Raises `InputError` for
    what is wrong with the study, `LossregError` when no trial ends with a model.
    """
    if isinstance(verbose, bool) or not isinstance(verbose, numbers.Integral):
        raise InputError(f"must be a whole number, not {represented(verbose)}", where="verbose")
    user_names = (*argument_names.columns_of(rows["x"]), *argument_names.names_in(settings))
    named, progress = Arguments(ARGUMENTS, settings, "X, y", user_names), _Progress(int(verbose))
    with named.named():
        spec = studies.of(dict(sections), (), rows)
        if directory is not None:
            return _fitted(spec, _usable(directory), progress, named)
        with tempfile.TemporaryDirectory(prefix="lossreg-", ignore_cleanup_errors=True) as folder:
            return _fitted(spec, Path(folder), progress, named)


def _usable(directory: Any) -> Path:
    """Return the folder that studies are kept in; raises `InputError` where there can be none."""
    path = require_path(directory, "directory")
    if not str(directory):
        hint = 'Leave it out to keep nothing; the current folder is ".".'
        raise InputError("is empty", where="directory", hint=hint)
    try:
        with on_disk(path):
            if not (path / ".lossreg").is_dir():
                StudyFolder(path, "").require_writable()
    except InputError as error:
        raise InputError(f"{error.where}: {error.what}", where="directory", hint=error.hint) from error
    return path


def _fitted(spec: StudySpec, directory: Path, progress: _Progress, named: Arguments) -> Fitted:
    folder = shared_study.of(spec, directory / ".lossreg" / spec.name)
    result = run.kept_in(folder, spec, named.observer(progress))
    trial = result.recommended
    if trial is None or not folder.best.is_loadable(trial.number):
        raise LossregError(f"the study has no model: {progress.warning or 'no trial has a score'}")
    shown = named.result(result)
    shown.predictor = predictors.load_predictor(folder.path)  # for when the folder is gone
    return Fitted(shown.predictor, shown, trial)


class _Progress(Lines):
    """Lines on standard output: none at 0, from 2 also one for each trial; warning: the last one, at any number."""

    def __init__(self, verbose: int) -> None:
        super().__init__(lambda text: verbose > 0 and sys.stdout.write(f"[lossreg] {text}\n"))
        self.verbose, self.warning = verbose, ""

    def warn(self, text: str) -> None:
        """Write a warning."""
        self.warning = text
        super().warn(text)

    def trial(self, record: TrialRecord, result: StudyResult) -> None:
        """Count a trial, and write how it ended."""
        super().trial(record, result)
        if self.verbose > 1:
            score = "no score" if record.score is None else f"{result.metric} {record.score:.5g}"
            self.message(f"trial {record.number}: {record.candidate}, {record.state}, {score}")


def cv_results(result: Result) -> dict[str, Any]:
    """Return a row per trial, as `GridSearchCV.cv_results_` has one per candidate; the scores are validation scores.

    Parameters that a trial does not have are masked; trials without a score have NaN, and the last rank. Settings that
    were trained again on fresh splits have the mean of their scores there, with its standard error, and rank by it
    before all others.
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
        **_confirmed(result),
        "rank_test_score": _ranks(result),
        "state": np.array([trial.state for trial in trials], dtype=object),
    }


def _masked(values: list[Any]) -> Any:
    """Return an array of objects in which what is masked is masked."""
    array = np.ma.MaskedArray(np.empty(len(values)), mask=True, dtype=object)
    for i, value in enumerate(values):
        if value is not np.ma.masked:
            array[i] = value
    return array


def _confirmed(result: Result) -> dict[str, NDArray[np.float64]]:
    """Return mean and standard error of each trial on fresh splits, NaN without; nothing where none was confirmed."""
    if result.confirmation is None:
        return {}
    each = [result.confirmed(trial) for trial in result.trials]
    return {
        "mean_confirmed_score": np.array([one.mean if one else np.nan for one in each]),
        "standard_error_confirmed_score": np.array([one.error if one else None for one in each], np.float64),
    }


def _ranks(result: Result) -> NDArray[np.int32]:
    """Return ranks from 1, equal for equal scores."""
    scores = [result.compared_score(trial) if trial.finite_score is not None else None for trial in result.trials]
    keys = [
        (result.confirmed(trial) is not None, -np.inf if score is None else result.sign * score)
        for trial, score in zip(result.trials, scores, strict=True)
    ]
    return np.array([1 + sum(other > key for other in keys) for key in keys], np.int32)
