"""The metrics that a study can optimise: those of scikit-learn, by its scorer names, for many lanes at once.

A metric compares labels `y` `(n,)` with predictions of one kind, its `response`:

    label        (n,) class indices
    probability  (n, k)
    score        (n,) decision values of a binary task, (n, k) probabilities of a multiclass one
    value        (n,) in the user's units

In a multilabel task, labels are `(n, k)` of 0 and 1, and predicted labels and decision values are `(n, k)` too. A
segmentation is a binary task whose n samples are the pixels of all masks.

`neg_X` is maximised and `X` minimised, with the same ranking. Where a prediction is not finite
the score is NaN; where it leaves the domain of a metric (a negative count) the score is infinitely bad.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from lossreg.contract.params import Interval
from lossreg.contract.scored_labels import labels_of
from lossreg.contract.targets import CLASSIFICATION, REGRESSION, TASKS
from lossreg.errors import DataError, InputError, UnknownError, did_you_mean
from lossreg.metrics import batched
from lossreg.terminal.caller import words

Array = NDArray[Any]
One = Callable[[Array, Array], float]
Many = Callable[[Array, Array], Array]
ROUNDING = 1e-9
LOSS_NAMES = ("loss", "train_loss", "val_loss", "training_loss", "validation_loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric. `one` scores one prediction, `many` a stack of them at once (None: one by one).

    direction: maximize or minimize; worst: a bound that no score is worse than, None if
    there is none; domain: the interval of labels and predictions; every_class: undefined
    unless the samples have every class; ranks: only the order of predictions counts.
    """

    name: str
    direction: str
    tasks: tuple[str, ...]
    response: str
    summary: str
    worst: float | None
    one: One = field(repr=False, compare=False)
    many: Many | None = field(default=None, repr=False, compare=False)
    domain: str = "(-inf, inf)"
    every_class: bool = False
    ranks: bool = False

    @property
    def best(self) -> float:
        """The best value of a metric that lossreg has: 1 of shares and the like, 0 of errors."""
        return 1.0 if self.direction == "maximize" and not self.name.startswith("neg_") else 0.0

    def score(self, y_true: Any, prediction: Any) -> float:
        """Return the score of one prediction, computed by scikit-learn."""
        return self._score(np.asarray(y_true), self._prepared(prediction))

    def score_lanes(self, y_true: Any, prediction: Any) -> NDArray[np.float64]:
        """Return the scores `(lanes,)` of predictions `(lanes, n)` or `(lanes, n, k)`, equal to `score` of each."""
        y, lanes = np.asarray(y_true), self._prepared(prediction)
        if not len(lanes):
            return np.empty(0)
        if self.many is None or self._is_undefined(y, lanes[0]):
            return np.array([self._score(y, lane) for lane in lanes], np.float64)
        scores = np.full(len(lanes), np.nan)
        sound = np.isfinite(lanes).all(axis=tuple(range(1, lanes.ndim)))
        if self.response == "value":
            outside = sound & self._leaves_domain(lanes)
            scores[outside], sound = self._infinitely_bad, sound & ~outside
        if sound.any():
            scores[sound] = self.many(y, lanes if sound.all() else lanes[sound])
        return scores

    def check(self, y_true: Any, n_classes: int = 0) -> None:
        """Raise `DataError` if the metric is undefined for these labels, `(n,)` or, in a multilabel task, `(n, k)`."""
        y = labels_of(np.asarray(y_true))
        if self.every_class and y.ndim == 2 and _is_constant(y).any():
            which = ", ".join(map(str, np.flatnonzero(_is_constant(y))[:5]))
            what = f"{self.name} needs validation samples with and without each label; see label {which}"
            raise DataError(what, hint="Choose another metric.")
        if self.every_class and y.ndim == 1 and len(np.unique(y)) < n_classes:
            raise DataError(f"{self.name} needs every class in the validation samples", hint="Choose another metric.")
        for bound in (float(y.min()), float(y.max())):
            if bound not in Interval.parse(self.domain):
                raise DataError(f"{self.name} needs targets in {self.domain}, and the data has {bound:g}")

    def _score(self, y: Array, prediction: Array) -> float:
        if not np.isfinite(prediction).all() or self._is_undefined(y, prediction):
            return math.nan
        if self.response == "value" and self._leaves_domain(prediction):
            return self._infinitely_bad
        return float(self.one(y, prediction))

    def _leaves_domain(self, prediction: Array) -> Array:
        """Return for predictions `(..., n)` whether values are not above the lower end of the domain."""
        return np.asarray((prediction <= Interval.parse(self.domain).low).any(axis=-1))

    @property
    def _infinitely_bad(self) -> float:
        return -math.inf if self.direction == "maximize" else math.inf

    def _prepared(self, prediction: Any) -> Array:
        if self.response == "label":
            return np.asarray(prediction)
        values = np.asarray(prediction, np.float64)
        return _normalised(values) if self.response == "probability" else values

    def _is_undefined(self, y: Array, prediction: Array) -> bool:
        if not self.every_class or y.ndim == 2:
            return self.every_class and bool(_is_constant(y).any())
        return len(np.unique(y)) < (prediction.shape[1] if prediction.ndim == 2 else 2)


def _is_constant(y: Array) -> Array:
    """Return for each label `(k,)` whether all samples of `(n, k)` have it or none."""
    return np.asarray(y.min(axis=0) == y.max(axis=0))


def _normalised(values: Array) -> Array:
    """Return probabilities scaled to sum to 1 in double precision; those that do are unchanged."""
    with np.errstate(invalid="ignore", divide="ignore"):
        total = values.sum(axis=-1, keepdims=True)
        return np.where(np.abs(total - 1) > ROUNDING, values / total, values)


# ------------------------------------------------------------------ one at a time, by scikit-learn


def _with_labels(function: Callable[..., float], y: Array, prediction: Array) -> float:
    """Return a metric of probabilities, with the classes that `y` lacks."""
    return function(y, prediction, labels=np.arange(prediction.shape[1]))


def _area(y: Array, prediction: Array, **options: str) -> float:
    """Return the area under the ROC curve; of two probabilities scikit-learn takes one column."""
    pair = y.ndim == 1 and prediction.shape[1:] == (2,)
    return float(sk.roc_auc_score(y, prediction[:, 1] if pair else prediction, **options))


def _balanced(y: Array, prediction: Array) -> float:
    # equal to balanced_accuracy_score, which warns of predicted classes that y lacks
    return float(sk.recall_score(y, prediction, labels=np.unique(y), average="macro", zero_division=0))


def _matthews(y: Array, prediction: Array) -> float:
    # 0 by definition where all labels are a single class, of which scikit-learn warns
    return float(sk.matthews_corrcoef(y, prediction)) if len(np.unique(y)) > 1 else 0.0


def _kappa(y: Array, prediction: Array) -> float:
    present = np.union1d(y, prediction)
    return float(sk.cohen_kappa_score(y, prediction)) if len(present) > 1 else 0.0


def _kappa_quadratic(y: Array, prediction: Array) -> float:
    # all classes are given, since scikit-learn numbers anew those that occur
    k = int(max(y.max(), prediction.max())) + 1
    one_class = len(np.union1d(y, prediction)) == 1
    return 0.0 if one_class else float(sk.cohen_kappa_score(y, prediction, labels=np.arange(k), weights="quadratic"))


def _negated(function: Callable[[Array, Array], Any], y: Array, prediction: Array) -> Any:
    return -function(y, prediction)


# ------------------------------------------------------------------ the table


def _metric(name: str, response: str, one: One, many: Many | None, summary: str, **facts: Any) -> Metric:
    usual = {
        "direction": "maximize",
        "tasks": REGRESSION if response == "value" else CLASSIFICATION,
        "worst": 0.0 if response == "label" else None,
        "ranks": response == "score",
    }
    facts = {**usual, **facts}
    if "binary" in facts["tasks"]:
        facts["tasks"] = tuple(task for task in TASKS if task in (*facts["tasks"], "segmentation"))
    return Metric(name=name, response=response, summary=summary, one=one, many=many, **facts)


def _error(name: str, response: str, one: One, many: Many | None, summary: str, **facts: Any) -> list[Metric]:
    """Return the negation of a metric that is minimised, as in scikit-learn's scorers, and the metric itself."""
    plain = _metric(name, response, one, many, summary, direction="minimize", **facts)
    opposite = replace(
        plain,
        name=f"neg_{name}",
        direction="maximize",
        summary=f"{summary}, negated",
        worst=None if plain.worst is None else -plain.worst,
        one=partial(_negated, one),
        many=many and partial(_negated, many),
    )
    return [opposite, plain]


AVERAGES = {
    "binary": "of the positive class",
    "macro": "mean over classes, all with equal weight",
    "micro": "over all classes together",
    "weighted": "mean over classes, weighted by their samples",
    "samples": "of the labels of a sample, mean over samples",
}
AVERAGED = {"binary": ("binary",), "samples": ("multilabel",)}
LABELLED = (*CLASSIFICATION, "multilabel")
FAMILIES: Mapping[str, tuple[Any, batched.Quotient, str]] = {
    "f1": (sk.f1_score, batched.f1, "harmonic mean of precision and recall"),
    "precision": (sk.precision_score, batched.precision, "share of the predictions of a class that are right"),
    "recall": (sk.recall_score, batched.recall, "share of the samples of a class that are found"),
    "jaccard": (
        sk.jaccard_score,
        batched.jaccard,
        "samples of a class that are predicted so, over samples of it or predicted so",
    ),
}


def _family(name: str, average: str) -> Metric:
    function, quotient, meaning = FAMILIES[name]
    return _metric(
        name if average == "binary" else f"{name}_{average}",
        "label",
        partial(function, average=average, zero_division=0),
        partial(batched.averaged, quotient, average),
        f"{meaning}, {AVERAGES[average]}",
        tasks=AVERAGED.get(average, LABELLED),
    )


def _area_over_classes(way: str, average: str) -> Metric:
    return _metric(
        f"roc_auc_{way}" if average == "macro" else f"roc_auc_{way}_{average}",
        "probability",
        partial(_area, multi_class=way, average=average),
        partial(batched.roc_auc_ovr if way == "ovr" else batched.roc_auc_ovo, average == "weighted"),
        f"area under the ROC curve, each class against {'the rest' if way == 'ovr' else 'each other'}, {average} mean",
        worst=0.0,
        every_class=True,
        ranks=True,
    )


def _probable(function: Callable[..., float]) -> One:
    return partial(_with_labels, function)


def _average_precision(y: Array, lanes: Array) -> Array:
    """Take decision values of classes `(lanes, n, k)` as those of k labels, one per sample."""
    several = lanes.ndim == 3 and y.ndim == 1
    return batched.average_precision(np.eye(lanes.shape[2], dtype=np.int64)[y] if several else y, lanes)


TABLE: tuple[Metric, ...] = (
    _metric("accuracy", "label", sk.accuracy_score, batched.accuracy,
            "share of samples that are right, with all of their labels", tasks=LABELLED),
    _metric("balanced_accuracy", "label", _balanced, batched.balanced_accuracy, "mean recall of the classes"),
    *(_family(name, average) for name in FAMILIES for average in AVERAGES),
    _metric("matthews_corrcoef", "label", _matthews, batched.matthews, "correlation of labels and predictions",
            worst=-1.0),
    _metric("cohen_kappa", "label", _kappa, batched.kappa, "agreement beyond chance", worst=-1.0),
    _metric("cohen_kappa_quadratic", "label", _kappa_quadratic, batched.kappa_quadratic,
            "agreement beyond chance of ordered classes, errors weighted by squared distance", worst=-1.0),
    *_error("hamming_loss", "label", sk.hamming_loss, batched.hamming, "share of the labels that are wrong",
            tasks=("multilabel",), worst=1.0),
    _metric("top_k_accuracy", "score", _probable(sk.top_k_accuracy_score), batched.top_two,
            "share of samples whose class is among the best two", tasks=("multiclass",), worst=0.0),
    _metric("roc_auc", "score", _area, batched.roc_auc, "area under the ROC curve, of several labels their mean",
            tasks=("binary", "multilabel"), worst=0.0, every_class=True),
    _metric("average_precision", "score", sk.average_precision_score, _average_precision,
            "area under precision and recall, of several labels or classes their mean", tasks=LABELLED, worst=0.0,
            every_class=True),
    *(_area_over_classes(way, average) for way in ("ovr", "ovo") for average in ("macro", "weighted")),
    *_error("log_loss", "probability", _probable(sk.log_loss), batched.log_loss, "mean negative log probability"),
    *_error("brier_score", "probability", _probable(sk.brier_score_loss), batched.brier,
            "mean squared error of the probabilities", worst=2.0),
    _metric("d2_log_loss_score", "probability", _probable(sk.d2_log_loss_score), batched.log_loss_explained,
            "share of the log loss explained", every_class=True),
    _metric("d2_brier_score", "probability", _probable(sk.d2_brier_score), batched.brier_explained,
            "share of the Brier score explained", every_class=True),
    _metric("r2", "value", sk.r2_score, batched.r2, "share of the variance explained"),
    _metric("explained_variance", "value", sk.explained_variance_score, batched.explained_variance,
            "share of the variance explained, whatever the constant offset"),
    _metric("d2_absolute_error_score", "value", sk.d2_absolute_error_score, batched.absolute_explained,
            "share of the absolute error explained"),
    *_error("mean_squared_error", "value", sk.mean_squared_error, batched.squared, "mean squared error"),
    *_error("root_mean_squared_error", "value", sk.root_mean_squared_error, batched.root_squared,
            "root of the mean squared error"),
    *_error("mean_absolute_error", "value", sk.mean_absolute_error, batched.absolute, "mean absolute error"),
    *_error("median_absolute_error", "value", sk.median_absolute_error, batched.median, "median absolute error"),
    *_error("max_error", "value", sk.max_error, batched.largest, "largest absolute error"),
    *_error("mean_absolute_percentage_error", "value", sk.mean_absolute_percentage_error, batched.percentage,
            "mean absolute error relative to the target (1 is 100%)"),
    *_error("mean_squared_log_error", "value", sk.mean_squared_log_error, batched.squared_log,
            "mean squared error of log(1 + value)", domain="(-1, inf)"),
    *_error("root_mean_squared_log_error", "value", sk.root_mean_squared_log_error, batched.root_squared_log,
            "root of the mean squared error of log(1 + value)", domain="(-1, inf)"),
    *_error("mean_poisson_deviance", "value", sk.mean_poisson_deviance, batched.poisson, "Poisson deviance",
            domain="[0, inf)"),
    *_error("mean_gamma_deviance", "value", sk.mean_gamma_deviance, batched.gamma, "gamma deviance", domain="(0, inf)",
            tasks=("regression", "positive")),
)  # fmt: skip
BY_NAME = {metric.name: metric for metric in TABLE}
ALIASES = {
    "acc": "accuracy", "binary_accuracy": "accuracy", "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy", "f1_score": "f1", "auc": "roc_auc", "auroc": "roc_auc",
    "ap": "average_precision", "mcc": "matthews_corrcoef", "kappa": "cohen_kappa", "qwk": "cohen_kappa_quadratic",
    "quadratic_weighted_kappa": "cohen_kappa_quadratic", "hamming": "hamming_loss", "iou": "jaccard", "dice": "f1",
    "logloss": "log_loss",
    "brier": "brier_score", "brier_score_loss": "brier_score", "neg_brier": "neg_brier_score", "r2_score": "r2",
    "mse": "mean_squared_error", "rmse": "root_mean_squared_error", "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error", "msle": "mean_squared_log_error",
    "mean_squared_logarithmic_error": "mean_squared_log_error", "rmsle": "root_mean_squared_log_error",
}  # fmt: skip
ALL_HINT = ("`lossreg metrics` lists them all.", "In a shell, `lossreg metrics` lists them all.")


def available(task: str | None = None) -> list[Metric]:
    """Return every metric, or those for a task."""
    return [metric for metric in TABLE if task is None or task in metric.tasks]


def default(task: str) -> str:
    """Return the name of the metric for a study that gives none.

    Classification and multilabel: f1_macro, because all classes count alike, so a model that ignores
    a rare one cannot win, and unlike balanced accuracy it also counts false positives. Segmentation:
    jaccard, intersection over union, which a mask without foreground cannot win. Regression: r2, because
    it has no unit and shows whether anything was learnt (0 is the mean, 1 is perfect); for
    counts and positive values too, since a deviance would favour the loss that is its likelihood,
    and is infinite for the negative predictions of a squared error.
    """
    if task in REGRESSION:
        return "r2"
    return "jaccard" if task == "segmentation" else "f1_macro"


def resolve(name: str, task: str, *, may_be_left_out: bool = True) -> Metric:
    """Return the metric of a name for a task: scikit-learn's name or an alias such as `rmse`, in any case.

    may_be_left_out: whether the task's default takes its place then, which the message says.
    Raises `UnknownError` for an unknown name, `InputError` for a loss and for a metric of another task.
    """
    require_known(name)
    metric = find(name)
    if metric is None:
        raise _is_a_loss(name, task)
    if task not in metric.tasks:
        what = f"{metric.name} is for {' and '.join(metric.tasks)} tasks, and this one is {task}"
        default_hint = f"Leave it out for {default(task)}. " if may_be_left_out else ""
        raise InputError(what, hint=default_hint + _fits(metric, task))
    return metric


def find(name: str) -> Metric | None:
    """Return the metric of a name, whatever its task; None where there is none."""
    key = name.strip().lower()
    return None if key in LOSS_NAMES else BY_NAME.get(ALIASES.get(key.removeprefix("val_"), key.removeprefix("val_")))


def require_known(name: str) -> None:
    """Raise `UnknownError` for a name that neither a metric nor a loss has."""
    key = name.strip().lower()
    short = key.removeprefix("val_")
    if find(name) is None and key not in LOSS_NAMES and not _is_registered_loss(short):
        near = did_you_mean(short, (*BY_NAME, *ALIASES))
        raise UnknownError(f"unknown metric {name!r}", hint=f"{near} {words(*ALL_HINT)}".strip())


def _is_a_loss(name: str, task: str) -> InputError:
    return InputError(
        f"{name} is a loss, and a study compares losses, whose values are not comparable",
        hint=f"Choose a metric, such as {default(task)}. {words(*ALL_HINT)}",
    )


def _is_registered_loss(name: str) -> bool:
    from lossreg.registry import registry

    return registry.default().look_up(name) is not None


def _fits(metric: Metric, task: str) -> str:
    """Return a hint with metrics of the task, those of a similar name first."""
    stem = metric.name.removeprefix("neg_").split("_")[0]
    names = sorted((m.name for m in available(task)), key=lambda name: stem not in name)
    return f"For {task}: {', '.join(names[:6])}, ... {words(*ALL_HINT)}"
