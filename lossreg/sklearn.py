"""For users of scikit-learn: `LossSearchClassifier` and `LossSearchRegressor`, whose `fit` is a search over losses."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from lossreg.data import foreign
from lossreg.data.origin import Origin
from lossreg.data.preprocess import warned
from lossreg.search import estimators

if TYPE_CHECKING:
    from lossreg.prediction.predictor import Predictor
    from lossreg.search.result import Result
    from lossreg.storage.verdict import Verdict

__all__ = ["LossSearchClassifier", "LossSearchRegressor"]

LARGEST_SEED = 2**32 - 1


class _LossSearch(BaseEstimator):
    """The common part of both estimators."""

    tasks: tuple[str, ...] = ()
    predictor_: Predictor
    result_: Result
    n_features_in_: int

    def __init__(
        self,
        losses: Sequence[str] | Mapping[str, Any] | None = None,
        *,
        metric: str | Callable[..., Any] | None = None,
        trials: int = 64,
        epochs: int = 30,
        model: Mapping[str, Any] | None = None,
        validation_fraction: float = 0.2,
        settings: Mapping[str, Any] | None = None,
        directory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.losses = losses
        self.metric = metric
        self.trials = trials
        self.epochs = epochs
        self.model = model
        self.validation_fraction = validation_fraction
        self.settings = settings
        self.directory = directory
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "predictor_")

    def _forget(self) -> None:
        """Remove the results of a former fit, so that a fit that fails leaves an estimator that is not fitted."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)

    def _search(self, rows: dict[str, Any], weights: Any, task: str) -> Self:
        """Run the study of these rows, and keep its results."""
        rows = rows if weights is None else {**rows, "sample_weight": weights}
        given, tasks = {**self._given(), "search.seed": self._seed()}, self.tasks or (task,)
        sections = estimators.document(given, _defaults(type(self)), self.settings, task=task, tasks=tasks)
        given = {"settings": self.settings, "directory": self.directory, "verbose": self.verbose}
        fitted = estimators.fit(sections, rows, **given)
        self.result_, trial = fitted.result, fitted.trial
        self.cv_results_ = estimators.cv_results(fitted.result)
        self.best_index_ = fitted.result.trials.index(trial)
        self.best_loss_, self.best_params_ = trial.candidate, self.cv_results_["params"][self.best_index_]
        self.best_score_ = fitted.result.compared_score(trial)
        self.verdict_: Verdict | None = fitted.result.verdict
        self.predictor_ = fitted.predictor
        return self

    def _given(self) -> dict[str, Any]:
        """Return the arguments by the key of a study that each stands for, without the seed."""
        return {key: getattr(self, name) for key, name in estimators.ARGUMENTS.items() if name != "random_state"}

    def _seed(self) -> int | None:
        """Return the seed that `random_state` stands for: a number itself, as in a study, otherwise one that it draws.

        None where settings have a seed and nothing else was said.
        """
        state = self.random_state
        search = self.settings.get("search") if isinstance(self.settings, Mapping) else None
        if state is None and isinstance(search, Mapping) and "seed" in search:
            return None
        if isinstance(state, numbers.Integral) and 0 <= int(state) <= LARGEST_SEED:
            return int(state)
        return int(check_random_state(state).randint(LARGEST_SEED, dtype=np.uint32))

    def _rows(self, X: Any, *, reset: bool) -> Any:
        """Return features as an array of two or more dimensions, or a table of pandas, after scikit-learn's checks."""
        X = foreign.plain(X, Origin("X", "X"))
        fewest = 1 + reset
        if isinstance(X, pd.DataFrame):
            _check_table(X, fewest, type(self).__name__)
            return validate_data(self, X, reset=reset, skip_check_array=True)
        further: dict[str, Any] = {"dtype": None, "ensure_all_finite": False, "allow_nd": True}
        return validate_data(self, X, reset=reset, ensure_min_samples=fewest, **further)

    def _weighed(self, X: Any, y: NDArray[Any], sample_weight: Any) -> tuple[Any, NDArray[Any], NDArray[Any] | None]:
        """Return rows without those that weigh nothing, with their weights."""
        check_consistent_length(X, y, sample_weight)
        if sample_weight is None:
            return X, y, None
        weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        if weights.ndim != 1:
            raise ValueError(f"sample_weight must be 1D, not of shape {weights.shape}")
        if (weights < 0).any():
            raise ValueError("sample_weight has negative numbers")
        if not weights.any():
            raise ValueError("sample_weight must have a number that is not zero")
        kept = np.flatnonzero(weights)
        return (X.iloc[kept] if isinstance(X, pd.DataFrame) else X[kept]), y[kept], weights[kept]

    def _as_fitted(self, X: Any) -> Any:
        """Return features in the form of those that were fitted: a table by name, or an array."""
        check_is_fitted(self)
        X = self._rows(X, reset=False)
        names = getattr(self, "feature_names_in_", None)
        if isinstance(X, pd.DataFrame):
            return X if names is not None else X.to_numpy()
        return X if names is None else pd.DataFrame(X, columns=names).infer_objects()


def _defaults(of: type[_LossSearch]) -> dict[str, Any]:
    """Return the defaults of the arguments by the key of a study that each stands for."""
    signature = inspect.signature(of.__init__).parameters
    return {key: signature[name].default for key, name in estimators.ARGUMENTS.items()}


def _check_table(X: pd.DataFrame, fewest: int, name: str) -> None:
    """Raise `ValueError`, in scikit-learn's words, for a table of too few rows, without columns, or with one twice."""
    if twice := list(X.columns[X.columns.duplicated()]):
        raise ValueError(f"X has two columns called {twice[0]!r}")
    for number, what, least in ((len(X), "sample", fewest), (X.shape[1], "feature", 1)):
        if number < least:
            raise ValueError(
                f"Found a table with {number} {what}(s) (shape={X.shape}) "
                f"while a minimum of {least} is required by {name}."
            )


def _names(classes: NDArray[Any]) -> list[str]:
    return [str(name) for name in classes.tolist()]


def _required(y: Any, name: str) -> None:
    if y is None:
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")


def _gives(output: str) -> Callable[[LossSearchClassifier], bool]:
    """Return a check of whether the recommended loss gives such numbers; before fit probabilities are expected."""

    def check(self: LossSearchClassifier) -> bool:
        predictor = getattr(self, "predictor_", None)
        return (predictor.about.output if predictor else "probability") == output

    return check


class LossSearchClassifier(ClassifierMixin, _LossSearch):
    """A neural network for one class per row, whose loss, with its parameters and learning rate, is searched in `fit`.

    losses: names of registered losses, or a table of parameters for each, as under [losses] of a study; by default
    those recommended for the task; metric: what decides between trials, a name of `lossreg metrics` or a function
    (whose `direction` goes into settings); trials: the number of settings that are tried; epochs: those of each;
    model: as under [model] of a study, such as `{"hidden": [64]}`; validation_fraction: the share of the rows given
    to `fit` that are scored, and never trained on, to decide between trials; settings: further sections of a study,
    such as `{"train": {"batch_size": 64}, "data": {"columns": {"code": "category"}}}`; directory: a folder in which
    the study is kept, so that an interrupted `fit` goes on (with a `random_state`); without it nothing is left on disk;
    random_state: a number, as `search.seed` of a study, a `RandomState`, or None; verbose: 1 writes what is done,
    2 also each trial. Nothing is written to MLflow unless settings have `tracking`. No test rows are cut off, so there
    is no verdict, unless settings ask for one: `{"data": {"test": 0.2}}` or `{"verdict": {"outer": 5}}`.

    After `fit`: `classes_`, `n_features_in_`, `feature_names_in_` (of a table), `best_loss_`, `best_params_`,
    `best_score_` (of the metric, the mean on fresh splits), `best_index_`, `cv_results_` (a row per trial), `result_`
    (as `lossreg.tune` returns it), `verdict_` (None without one), `predictor_` (from raw rows to names of classes).
    """

    classes_: NDArray[Any]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search the loss, train with it, and return the estimator.

        X: a table (of pandas, Polars or Arrow, also with words and gaps) or an array, of two dimensions or of images;
        y: a class per row; sample_weight: a weight per row, in training and in scores. Raises `InputError`, a
        `ValueError`, that names the argument.
        """
        self._forget()
        _required(y, type(self).__name__)
        X = self._rows(X, reset=True)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        X, weighed, weights = self._weighed(X, y, sample_weight)
        classes, codes = np.unique(weighed, return_inverse=True)
        if len(classes) < 2:
            where = " where sample_weight is not zero" if len(np.unique(y)) > 1 else ""
            raise ValueError(f"y has one class only{where} ({classes[0]}), and there is nothing to learn")
        rows = {"x": X, "y": codes, "target_names": _names(classes)}
        self._search(rows, weights, "binary" if len(classes) == 2 else "multiclass")
        self.classes_ = classes
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row."""
        X = self._as_fitted(X)
        names = pd.Index(_names(self.classes_))
        classes: NDArray[Any] = self.classes_[names.get_indexer(pd.Index(self.predictor_.predict(X)))]
        return classes

    @property
    def _outputs(self) -> list[int]:
        """The output of the network for each of `classes_`."""
        return [self.predictor_.about.names.index(name) for name in _names(self.classes_)]

    @available_if(_gives("probability"))
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, in the order of `classes_`."""
        X = self._as_fitted(X)
        return self.predictor_.predict_proba(X)[:, self._outputs].astype(np.float64)

    @available_if(_gives("score"))
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the raw score of each class, of two that of the second, where the loss gives no probabilities."""
        outputs = warned(self.predictor_.outputs(self._as_fitted(X)), gaps=True)
        scores = self.predictor_.by_class(outputs)[:, self._outputs].astype(np.float64)
        return scores[:, 1] if len(self.classes_) == 2 else scores


class LossSearchRegressor(RegressorMixin, _LossSearch):
    """A neural network for one number per row, whose loss, with its parameters and learning rate, is searched in `fit`.

    The arguments and attributes are those of `LossSearchClassifier`, but for `classes_`. Numbers of 0 and more, and
    counts, have losses of their own: `settings={"data": {"task": "positive"}}`, `{"data": {"task": "count"}}`.
    """

    tasks = ("regression", "positive", "count")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search the loss, train with it, and return the estimator; the arguments are those of a classifier."""
        self._forget()
        _required(y, type(self).__name__)
        X = self._rows(X, reset=True)
        y = check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        X, y, weights = self._weighed(X, y, sample_weight)
        return self._search({"x": X, "y": y}, weights, "regression")

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the number that is predicted for each row."""
        X = self._as_fitted(X)
        return self.predictor_.predict(X).astype(np.float64)
