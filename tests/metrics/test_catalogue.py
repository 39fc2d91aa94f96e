from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from lossreg.contract.targets import CLASSIFICATION, REGRESSION, TASKS
from lossreg.errors import DataError, InputError, UnknownError
from lossreg.metrics import catalogue

CLASSES = {"binary": 2, "segmentation": 2, "multiclass": 4}
CASES = [(metric.name, task) for metric in catalogue.TABLE for task in metric.tasks]
SCORERS = set(sk.get_scorer_names())


def labels(task: str, n: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if task == "multilabel":
        y = (rng.random((n, 4)) < [0.05, 0.2, 0.5, 0.8]).astype(np.int64)
        y[y.sum(axis=1) == 0, 2] = 1
        return y
    if task in CLASSES:
        k = CLASSES[task]
        return np.concatenate([np.arange(k), rng.choice(k, n - k, p=np.arange(1, k + 1) / (k * (k + 1) / 2))])
    if task == "count":
        return rng.poisson(3, n).astype(float)
    return rng.lognormal(1, 1, n) if task == "positive" else rng.normal(5, 3, n)


def labels_for(metric: catalogue.Metric, task: str) -> np.ndarray:
    y = labels(task)
    return np.abs(y) if metric.domain != "(-inf, inf)" else y


def predictions(metric: catalogue.Metric, task: str, y: np.ndarray, lanes: int = 6, seed: int = 1) -> np.ndarray:
    """Lanes from good to bad, with ties, an absent class, one class only, and extreme values."""
    rng = np.random.default_rng(seed)
    n = len(y)
    if task == "multilabel":
        scores = 4 * y - 2 + np.linspace(0.2, 6, lanes)[:, None, None] * rng.normal(size=(lanes, *y.shape))
        scores[1] = np.round(scores[1])
        scores[3], scores[4, :, 0], scores[5, ::3] = 0, -9, -1
        return (scores > 0).astype(np.int64) if metric.response == "label" else scores
    if task in CLASSES:
        k = CLASSES[task]
        noise = np.linspace(0.2, 3, lanes)[:, None, None]
        scores = 2 * np.eye(k)[y] + noise * rng.normal(size=(lanes, n, k))
        scores[1] = np.round(scores[1])
        scores[2] *= 400
        scores[3, :, 0] -= 1e3
        scores[4] = np.arange(k) if metric.response == "label" else 0
        return respond(metric, task, scores)
    values = np.maximum(y + rng.normal(size=(lanes, n)) * np.linspace(0.1, 2, lanes)[:, None], 0.01)
    values[1] = np.round(values[1]) + 1
    values[2] = y.mean()
    values[3] *= 1e6
    return values


def respond(metric: catalogue.Metric, task: str, scores: np.ndarray) -> np.ndarray:
    if metric.response == "label":
        return scores.argmax(-1)
    if metric.response == "score" and CLASSES[task] == 2:
        return scores[..., 1] - scores[..., 0]
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


class Answers(BaseEstimator):  # type: ignore[misc]
    """An estimator that answers with the prediction that it was given."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def fit(self, x: Any, y: Any) -> Answers:
        return self

    def predict(self, x: Any) -> Any:
        return self.answer


class Classifier(ClassifierMixin, Answers):  # type: ignore[misc]
    @property
    def classes_(self) -> np.ndarray:
        return np.arange(self.answer.shape[1] if self.answer.ndim == 2 else max(2, self.answer.max() + 1))

    def predict_proba(self, x: Any) -> Any:
        return self.answer

    def decision_function(self, x: Any) -> Any:
        return self.answer


class Regressor(RegressorMixin, Answers):  # type: ignore[misc]
    pass


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:Precision is ill-defined")
@pytest.mark.parametrize(
    ("name", "task"), [case for case in CASES if case[0] in SCORERS and case[1] not in ("multilabel", "segmentation")]
)
def test_a_score_is_that_of_the_scorer_of_the_same_name(name: str, task: str) -> None:
    metric = catalogue.resolve(name, task)
    y = labels_for(metric, task)
    scorer = sk.get_scorer(name)
    for prediction in predictions(metric, task, y):
        estimator = Classifier(prediction) if task in CLASSIFICATION else Regressor(prediction)
        expected = scorer(estimator, np.zeros((len(y), 1)), y)
        # a binary scorer sees one column, and 1 - p loses the digits of an extreme p
        tolerance = 1e-4 if (task, metric.response) == ("binary", "probability") else 1e-12
        assert metric.score(y, prediction) == pytest.approx(expected, rel=tolerance, abs=1e-14)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_many_lanes_score_as_each_alone(name: str, task: str) -> None:
    metric = catalogue.resolve(name, task)
    y = labels_for(metric, task)
    stack = predictions(metric, task, y)
    expected = [metric.score(y, lane) for lane in stack]
    result = metric.score_lanes(y, stack)
    assert result.shape == (len(stack),)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_few_rows_and_labels_that_lack_classes(name: str, task: str) -> None:
    metric = catalogue.resolve(name, task)
    few = np.array([1, 1, 1, 0]) if task in CLASSES else np.array([2.0, 2.0, 2.0, 2.0])
    few = np.array([[0, 0], [1, 0], [1, 0], [0, 0]]) if task == "multilabel" else few
    for y in (few, few[:3], few[:2]):
        stack = predictions(metric, task, y)
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            result = metric.score_lanes(y, stack)
        np.testing.assert_allclose(result, [metric.score(y, lane) for lane in stack], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "task"), [case for case in CASES if catalogue.BY_NAME[case[0]].response != "label"])
def test_a_lane_that_is_not_finite_scores_nan_and_spoils_no_other(name: str, task: str) -> None:
    metric = catalogue.resolve(name, task)
    y = labels_for(metric, task)
    stack = predictions(metric, task, y)
    broken = stack.copy()
    broken[1, 5], broken[3, 0] = np.nan, np.inf
    scores, expected = metric.score_lanes(y, broken), metric.score_lanes(y, stack)
    np.testing.assert_array_equal(np.isnan(scores), [False, True, False, True, False, False])
    np.testing.assert_allclose(scores[[0, 2, 4, 5]], expected[[0, 2, 4, 5]], rtol=1e-12)
    assert math.isnan(metric.score(y, broken[1]))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_predictions_of_half_the_precision_are_summed_in_double(name: str, task: str) -> None:
    metric = catalogue.resolve(name, task)
    y = labels_for(metric, task)
    stack = predictions(metric, task, y)
    small = stack.astype(np.float32 if stack.dtype.kind == "f" else np.int32)
    np.testing.assert_array_equal(metric.score_lanes(y, small), metric.score_lanes(y, small.astype(stack.dtype)))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_direction_worst_and_perfect(name: str, task: str) -> None:
    metric = catalogue.resolve(name, task)
    y = labels_for(metric, task)
    best = perfect(metric, task, y)
    stack = np.concatenate([best[None], predictions(metric, task, y)])
    scores = metric.score_lanes(y, stack)
    sign = 1 if metric.direction == "maximize" else -1
    assert (sign * scores <= sign * scores[0] + 1e-12).all()
    assert scores[0] == pytest.approx(0 if sign < 0 or name.startswith("neg_") else 1, abs=1e-6)
    if metric.worst is not None:
        assert (sign * scores >= sign * metric.worst).all()


def perfect(metric: catalogue.Metric, task: str, y: np.ndarray) -> np.ndarray:
    if task == "multilabel":
        return y if metric.response == "label" else y - 0.5
    if metric.response == "value":
        return np.maximum(y, 1e-9) if metric.domain[1] == "0" or metric.domain == "[0, inf)" else y.astype(float)
    return respond(metric, task, 1e3 * np.eye(CLASSES[task])[y])


AVERAGED = {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score, "jaccard": sk.jaccard_score}


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "samples"])
@pytest.mark.parametrize("name", AVERAGED)
def test_several_labels_a_row_are_averaged_as_scikit_learn_does(name: str, average: str) -> None:
    metric = catalogue.resolve(f"{name}_{average}", "multilabel")
    y = labels("multilabel")
    stack = predictions(metric, "multilabel", y)
    expected = [AVERAGED[name](y, lane, average=average, zero_division=0) for lane in stack]
    np.testing.assert_allclose(metric.score_lanes(y, stack), expected, rtol=1e-12)


def test_all_labels_of_a_row_must_be_right_to_be_accurate() -> None:
    y, lanes = np.array([[1, 0], [0, 0]]), np.array([[[1, 0], [0, 1]]])
    assert catalogue.resolve("accuracy", "multilabel").score_lanes(y, lanes).tolist() == [0.5]
    assert catalogue.resolve("hamming", "multilabel").score_lanes(y, lanes).tolist() == [0.25]


@pytest.mark.parametrize(("name", "function"), [("roc_auc", sk.roc_auc_score), ("ap", sk.average_precision_score)])
def test_scores_of_several_labels_are_their_mean(name: str, function: Any) -> None:
    metric = catalogue.resolve(name, "multilabel")
    y = labels("multilabel")
    stack = predictions(metric, "multilabel", y)
    np.testing.assert_allclose(metric.score_lanes(y, stack), [function(y, lane) for lane in stack], rtol=1e-12)
    for constant in (np.zeros(len(y), int), np.ones(len(y), int)):
        lacking = np.column_stack([y[:, :3], constant])
        assert np.isnan(metric.score_lanes(lacking, stack)).all()
        with pytest.raises(DataError, match=r"with and without each label.*see label 3"):
            metric.check(lacking, 4)


def test_no_metric_of_probabilities_is_offered_for_several_labels() -> None:
    assert {metric.response for metric in catalogue.available("multilabel")} == {"label", "score"}


def test_a_segmentation_has_the_metrics_of_a_binary_task() -> None:
    assert catalogue.available("segmentation") == catalogue.available("binary")
    assert catalogue.default("segmentation") == "jaccard"


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_the_quadratic_kappa_is_that_of_all_classes(task: str) -> None:
    metric = catalogue.resolve("cohen_kappa_quadratic", task)
    y = labels(task)
    for lane in predictions(metric, task, y):
        expected = sk.cohen_kappa_score(y, lane, labels=np.arange(CLASSES[task]), weights="quadratic")
        assert metric.score(y, lane) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_quadratic_kappa_counts_the_places_of_classes_that_nobody_has() -> None:
    metric = catalogue.resolve("qwk", "multiclass")
    y, far, near = np.array([0, 0, 3, 3]), np.array([0, 3, 3, 3]), np.array([0, 1, 3, 3])
    assert metric.score_lanes(y, np.stack([far, near])).tolist() == pytest.approx([0.5, 0.9375])
    assert metric.score(y, near) > metric.score(y, far)
    assert metric.score_lanes(y, np.array([[3, 3, 3, 3]])).tolist() == [0.0]


@pytest.mark.parametrize("name", [metric.name for metric in catalogue.TABLE if metric.name.startswith("neg_")])
def test_every_negated_metric_has_its_plain_twin(name: str) -> None:
    negated, plain = catalogue.BY_NAME[name], catalogue.BY_NAME[name.removeprefix("neg_")]
    task = plain.tasks[-1]
    y = labels_for(plain, task)
    stack = predictions(plain, task, y)
    assert (negated.direction, plain.direction) == ("maximize", "minimize")
    np.testing.assert_array_equal(negated.score_lanes(y, stack), -plain.score_lanes(y, stack))


def test_auc_counts_ties_half() -> None:
    metric = catalogue.resolve("roc_auc", "binary")
    assert metric.score_lanes([0, 1, 0, 1], [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]]).tolist() == [0.5, 0.75]


@pytest.mark.parametrize("name", ["mean_poisson_deviance", "mean_gamma_deviance", "mean_squared_log_error"])
def test_predictions_outside_the_domain_are_infinitely_bad(name: str) -> None:
    y = labels("positive")
    stack = np.stack([y, y, y])
    stack[1, 0] = -1.0
    stack[2, 0] = -7.0
    assert np.isposinf(catalogue.resolve(name, "positive").score_lanes(y, stack)).tolist() == [False, True, True]
    assert np.isneginf(catalogue.resolve(f"neg_{name}", "positive").score_lanes(y, stack)).tolist() == [
        False,
        True,
        True,
    ]


def test_no_lanes_give_no_scores() -> None:
    assert catalogue.resolve("accuracy", "binary").score_lanes([0, 1], np.empty((0, 2), int)).shape == (0,)


@pytest.mark.parametrize(
    ("name", "task", "y", "classes", "says"),
    [
        ("roc_auc", "binary", [1, 1, 1], 2, "roc_auc needs every class in the validation samples"),
        ("roc_auc_ovr", "multiclass", [0, 1, 1], 3, "needs every class"),
        ("mean_poisson_deviance", "regression", [1.0, -1.0], 0, r"needs targets in \[0, inf\), and the data has -1"),
        ("mean_gamma_deviance", "regression", [1.0, 0.0], 0, r"needs targets in \(0, inf\)"),
    ],
)
def test_labels_that_leave_a_metric_undefined_are_refused(
    name: str, task: str, y: list[Any], classes: int, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        catalogue.resolve(name, task).check(y, classes)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_ordinary_labels_pass_the_check(name: str, task: str) -> None:
    y = np.abs(labels(task)) + (task in REGRESSION)
    catalogue.resolve(name, task).check(y, {**CLASSES, "multilabel": 4}.get(task, 0))


@pytest.mark.parametrize(
    ("given", "task", "name"),
    [
        ("Accuracy", "binary", "accuracy"),
        (" F1_MACRO ", "multiclass", "f1_macro"),
        ("acc", "binary", "accuracy"),
        ("auc", "binary", "roc_auc"),
        ("MSE", "regression", "mean_squared_error"),
        ("rmse", "positive", "root_mean_squared_error"),
        ("mae", "count", "mean_absolute_error"),
        ("val_accuracy", "multiclass", "accuracy"),
        ("neg_log_loss", "binary", "neg_log_loss"),
    ],
)
def test_names_are_looked_up_kindly(given: str, task: str, name: str) -> None:
    assert catalogue.resolve(given, task).name == name


@pytest.mark.parametrize(
    ("given", "task", "kind", "says"),
    [
        ("acuracy", "binary", UnknownError, "unknown metric 'acuracy'. Did you mean accuracy.*`lossreg metrics`"),
        ("zzz", "binary", UnknownError, "`lossreg metrics` lists them all"),
        (
            "roc_auc",
            "multiclass",
            InputError,
            "for binary and multilabel and segmentation tasks, and this one is multiclass.*roc_auc_ovr",
        ),
        ("f1", "multiclass", InputError, "for binary and segmentation tasks.*f1_macro"),
        ("mse", "binary", InputError, "for regression and positive and count tasks, and this one is binary"),
        ("f1_macro", "count", InputError, r"this one is count\. Leave it out for r2\."),
        ("accuracy", "regression", InputError, "for binary and multiclass and multilabel and segm.*r2"),
        ("val_loss", "binary", InputError, "val_loss is a loss.*not comparable.*f1_macro"),
        ("loss", "regression", InputError, "not comparable.*r2"),
        ("train_loss", "regression", InputError, "not comparable"),
        ("huber", "regression", InputError, "huber is a loss"),
        ("categorical_crossentropy", "multiclass", InputError, "is a loss"),
        ("val_hinge", "binary", InputError, "is a loss"),
    ],
)
def test_a_wrong_name_is_refused_with_the_reason(given: str, task: str, kind: type[InputError], says: str) -> None:
    with pytest.raises(kind, match=says):
        catalogue.resolve(given, task)


@pytest.mark.parametrize("task", TASKS)
def test_the_default_fits_its_task(task: str) -> None:
    assert catalogue.resolve(catalogue.default(task), task) in catalogue.available(task)
    assert {metric.name for metric in catalogue.available(task)} < {metric.name for metric in catalogue.available()}


def test_aliases_lead_to_metrics_and_hide_none() -> None:
    assert set(catalogue.ALIASES.values()) <= set(catalogue.BY_NAME)
    assert not set(catalogue.ALIASES) & set(catalogue.BY_NAME)
    assert len(catalogue.BY_NAME) == len(catalogue.TABLE)


def test_a_metric_survives_pickle() -> None:
    for metric in catalogue.TABLE:
        again = pickle.loads(pickle.dumps(metric))
        assert again == metric
        y = labels_for(metric, metric.tasks[0])
        stack = predictions(metric, metric.tasks[0], y)
        np.testing.assert_array_equal(again.score_lanes(y, stack), metric.score_lanes(y, stack))
