"""The noise of scores, against formulas, and against scikit-learn's scores of models on fresh rows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from lossreg.inspection import noise
from lossreg.metrics import catalogue


def labels(*counts):
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize("positives", [9, 30, 100])
def test_f1_of_a_rare_class_by_the_delta_method(positives):
    r = noise.RIGHT
    expected = math.sqrt(r * (1 - r) * ((2 - r) ** 2 + r) / (4 * positives))
    error = noise.standard_error(catalogue.resolve("f1", "binary"), labels(40 * positives, positives))
    assert error == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("counts", [(50, 50), (20, 30, 50)])
def test_accuracy_is_binomial(counts):
    y = labels(*counts)
    right = noise.RIGHT + (1 - noise.RIGHT) * sum((count / len(y)) ** 2 for count in counts)
    error = noise.standard_error(catalogue.resolve("accuracy", "multiclass"), y)
    assert error == pytest.approx(math.sqrt(right * (1 - right) / len(y)), rel=0.1)


def test_balanced_accuracy_of_few_positives():
    """Half the standard error of the recall of 9 rows: 1/2 sqrt(.8 * .2 / 9)."""
    error = noise.standard_error(catalogue.resolve("balanced_accuracy", "binary"), labels(900, 9))
    assert error == pytest.approx(0.5 * math.sqrt(0.8 * 0.2 / 9), rel=0.1)


def test_the_difference_of_two_models_whose_scores_correlate_is_as_noisy():
    """Two models are wrong in 3.2% of the rows each, and in 3.3% that both find hard: scores correlate by 1/2."""
    rng, y, differences = np.random.default_rng(0), labels(80, 20), []
    for _ in range(600):
        hard, own, other = (rng.random(100) < share for share in (0.033, 0.032, 0.032))
        predicted = [np.where(hard | wrong, 1 - y, y) for wrong in (own, other)]
        differences.append(np.subtract(*(sk.accuracy_score(y, one) for one in predicted)))
    assert noise.standard_error(catalogue.resolve("accuracy", "binary"), y) == pytest.approx(
        np.std(differences), rel=0.15
    )


def test_area_under_the_roc_curve_as_scikit_learn_scores_it():
    """Of normal scores with an area of .8, on fresh rows."""
    rng, y, distance = np.random.default_rng(0), labels(60, 15), 1.19023  # sqrt(2) times the .8 quantile
    areas = [sk.roc_auc_score(y, rng.normal(size=75) + distance * y) for _ in range(600)]
    assert np.mean(areas) == pytest.approx(noise.AREA, abs=0.01)
    error = noise.standard_error(catalogue.resolve("roc_auc", "binary"), y)
    assert error == pytest.approx(np.std(areas), rel=0.2)  # it is that of exponential scores, a little larger


def test_explained_variance_and_mean_errors_of_normal_residuals():
    rng, n = np.random.default_rng(0), 200
    scores = {name: [] for name in ("r2", "mean_squared_error", "root_mean_squared_error", "mean_absolute_error")}
    for _ in range(600):
        prediction = rng.normal(size=n)
        y = prediction + rng.normal(size=n)
        scores["r2"].append(sk.r2_score(y, prediction))
        scores["mean_squared_error"].append(sk.mean_squared_error(y, prediction))
        scores["root_mean_squared_error"].append(sk.root_mean_squared_error(y, prediction))
        scores["mean_absolute_error"].append(sk.mean_absolute_error(y, prediction))
    r2 = noise.standard_error(catalogue.resolve("r2", "regression"), np.arange(float(n)))
    assert r2 == pytest.approx(np.std(scores.pop("r2")), rel=0.2)
    for name, values in scores.items():
        for metric in (name, f"neg_{name}"):
            relative = noise.relative_error(catalogue.resolve(metric, "regression"), y)
            assert relative == pytest.approx(np.std(values) / np.mean(values), rel=0.1), metric


def features(y, rng, k):
    """Normal features, one per class: any two classes have an area of .8 between them."""
    return rng.normal(size=(len(y), k)) + 0.84162 * np.eye(k)[y]


def average_precision(y, p):
    return sk.average_precision_score(*((y, p[:, 1]) if p.shape[1] == 2 else (np.eye(p.shape[1])[y], p)))


OF_SCORES = {
    "average_precision": average_precision,
    "log_loss": sk.log_loss,
    "brier_score": lambda y, p: sk.brier_score_loss(y, p, labels=range(p.shape[1]), scale_by_half=False),
    "d2_log_loss_score": sk.d2_log_loss_score,
    "d2_brier_score": sk.d2_brier_score,
    "roc_auc_ovr": lambda y, p: sk.roc_auc_score(y, p if p.shape[1] > 2 else p[:, 1], multi_class="ovr"),
    "roc_auc_ovo_weighted": lambda y, p: sk.roc_auc_score(y, p, multi_class="ovo", average="weighted"),
    "top_k_accuracy": lambda y, p: sk.top_k_accuracy_score(y, p, k=2),
}


@pytest.mark.parametrize(("name", "counts"), [
    *((name, counts) for name in ("log_loss", "brier_score", "d2_log_loss_score", "d2_brier_score")
      for counts in ((60, 20), (40, 25, 15))),
    ("average_precision", (60, 20)), ("roc_auc_ovr", (40, 25, 15)), ("top_k_accuracy", (40, 25, 15)),
    *(pytest.param(*case, marks=pytest.mark.long)
      for case in [("average_precision", (40, 25, 15)), ("roc_auc_ovr", (60, 20)),
                   ("roc_auc_ovo_weighted", (40, 25, 15))]),
])  # fmt: skip
def test_scores_of_probabilities_vary_as_those_of_discriminant_analysis_do(name, counts):
    """Fitted by scikit-learn to 20,000 rows, and scored on 400 fresh sets of validation rows."""
    rng, k = np.random.default_rng(0), len(counts)
    many, y = labels(*(250 * np.array(counts))), labels(*counts)
    model = LinearDiscriminantAnalysis().fit(features(many, rng, k), many)
    scores = [OF_SCORES[name](y, model.predict_proba(features(y, rng, k))) for _ in range(400)]
    metric = catalogue.resolve(name, "binary" if k == 2 else "multiclass")
    if name in ("log_loss", "brier_score"):
        assert noise.relative_error(metric, y) == pytest.approx(np.std(scores) / np.mean(scores), rel=0.15)
    else:
        assert noise.standard_error(metric, y) == pytest.approx(np.std(scores), rel=0.15)


def test_average_precision_of_several_labels():
    rng = np.random.default_rng(1)
    y = (rng.random((120, 3)) < [0.1, 0.3, 0.5]).astype(int)
    scores = [sk.average_precision_score(y, 1.19023 * y + rng.normal(size=y.shape)) for _ in range(400)]
    assert noise.standard_error(catalogue.resolve("average_precision", "multilabel"), y) == pytest.approx(
        np.std(scores), rel=0.15
    )


def test_other_metrics_of_numbers_vary_as_scikit_learn_scores_them():
    rng, n = np.random.default_rng(0), 200
    scores = {"explained_variance": [], "d2_absolute_error_score": [], "median_absolute_error": [], "max_error": [],
              "mean_absolute_percentage_error": [], "mean_squared_log_error": [],
              "root_mean_squared_log_error": []}  # fmt: skip
    for _ in range(600):
        prediction, residual = rng.normal(size=(2, n))
        y, positive = prediction + residual, np.expm1(1 + 0.1 * np.abs(prediction))
        scores["explained_variance"].append(sk.explained_variance_score(y, prediction))
        scores["d2_absolute_error_score"].append(sk.d2_absolute_error_score(y, prediction))
        scores["median_absolute_error"].append(sk.median_absolute_error(y, prediction))
        scores["max_error"].append(sk.max_error(y, prediction))
        scores["mean_absolute_percentage_error"].append(
            sk.mean_absolute_percentage_error(positive, positive * (1 + 0.2 * residual))
        )
        in_log = np.expm1(np.log1p(positive) + 0.1 * residual)
        scores["mean_squared_log_error"].append(sk.mean_squared_log_error(positive, in_log))
        scores["root_mean_squared_log_error"].append(sk.root_mean_squared_log_error(positive, in_log))
    y = np.arange(float(n))
    for name in ("explained_variance", "d2_absolute_error_score"):
        error = noise.standard_error(catalogue.resolve(name, "regression"), y)
        assert error == pytest.approx(np.std(scores.pop(name)), rel=0.1), name
    for name, values in scores.items():
        relative = noise.relative_error(catalogue.resolve(name, "regression"), y)
        assert relative == pytest.approx(np.std(values) / np.mean(values), rel=0.1), name


@pytest.mark.parametrize("counts", [lambda rng: rng.poisson(3, 300), lambda rng: rng.negative_binomial(0.5, 0.1, 300),
                                    lambda rng: rng.poisson(0.2, 300)])  # fmt: skip
def test_deviances_of_counts_vary_with_the_rows(counts):
    rng = np.random.default_rng(0)
    mean = np.mean([counts(rng).mean() for _ in range(300)])
    deviances = [sk.mean_poisson_deviance(counts(rng), np.full(300, mean)) for _ in range(400)]
    error = noise.relative_error(catalogue.resolve("mean_poisson_deviance", "count"), counts(rng))
    assert error == pytest.approx(np.std(deviances) / np.mean(deviances), rel=0.25)


def test_deviances_of_positive_numbers_vary_with_the_rows():
    rng = np.random.default_rng(0)
    deviances = [sk.mean_gamma_deviance(rng.gamma(2, 5, 300), np.full(300, 10.0)) for _ in range(400)]
    error = noise.relative_error(catalogue.resolve("mean_gamma_deviance", "positive"), rng.gamma(2, 5, 300))
    assert error == pytest.approx(np.std(deviances) / np.mean(deviances), rel=0.25)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression", "count", "positive"])
def test_every_metric_has_one_error_above_0(task):
    rng = np.random.default_rng(0)
    y = {"binary": labels(40, 10), "multiclass": labels(40, 10, 9), "multilabel": rng.integers(0, 2, (50, 3)),
         "regression": rng.gamma(2, 5, 50), "count": rng.poisson(3, 50),
         "positive": rng.gamma(2, 5, 50)}[task]  # fmt: skip
    for metric in catalogue.available(task):
        found = [noise.standard_error(metric, y), noise.relative_error(metric, y)]
        [error] = [one for one in found if not math.isnan(one)]
        assert 0 < error < 0.4, metric.name


@pytest.mark.parametrize("name", ["accuracy", "f1", "roc_auc", "average_precision", "log_loss"])
def test_rows_that_depend_on_each_other_count_as_one(name):
    """50 rows of each of 60 groups that have one label: as noisy as 60 rows."""
    metric, y = catalogue.resolve(name, "binary"), labels(40, 20)
    many, units = np.repeat(y, 50), np.repeat(np.arange(60), 50)
    size = noise.relative_error if name == "log_loss" else noise.standard_error
    error = size(metric, many, units)
    assert error == pytest.approx(size(metric, y), rel=0.25)
    assert error > 3 * size(metric, many)


def test_the_error_is_the_same_each_time():
    f1, y = catalogue.resolve("f1_macro", "multiclass"), labels(30, 20, 10)
    assert noise.standard_error(f1, y) == noise.standard_error(f1, y)


def test_a_metric_of_the_user_s_own_is_not_called():
    own = replace(catalogue.resolve("accuracy", "binary"), name="profit", one=None, many=None)
    assert math.isnan(noise.standard_error(own, labels(30, 10)))
