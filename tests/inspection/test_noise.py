"""The noise of scores, against formulas, and against scikit-learn's scores of models on fresh rows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

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
            relative = noise.relative_error(catalogue.resolve(metric, "regression"), n)
            assert relative == pytest.approx(np.std(values) / np.mean(values), rel=0.1), metric


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression"])
def test_every_metric_has_an_error_above_0_or_none(task):
    rng = np.random.default_rng(0)
    y = {"binary": labels(40, 10), "multiclass": labels(40, 10, 9), "multilabel": rng.integers(0, 2, (50, 3)),
         "regression": rng.normal(size=50)}[task]  # fmt: skip
    for metric in catalogue.available(task):
        error = noise.standard_error(metric, y)
        assert math.isnan(error) or 0 < error < 0.3, metric.name
        assert (metric.response == "label") <= (not math.isnan(error)), metric.name


@pytest.mark.parametrize("name", ["accuracy", "f1", "roc_auc"])
def test_rows_that_depend_on_each_other_count_as_one(name):
    """50 rows of each of 60 groups that have one label: as noisy as 60 rows."""
    metric, y = catalogue.resolve(name, "binary"), labels(40, 20)
    many, units = np.repeat(y, 50), np.repeat(np.arange(60), 50)
    error = noise.standard_error(metric, many, units)
    assert error == pytest.approx(noise.standard_error(metric, y), rel=0.25)
    assert error > 3 * noise.standard_error(metric, many)


def test_the_error_is_the_same_each_time():
    f1, y = catalogue.resolve("f1_macro", "multiclass"), labels(30, 20, 10)
    assert noise.standard_error(f1, y) == noise.standard_error(f1, y)


def test_a_metric_of_the_user_s_own_is_not_called():
    own = replace(catalogue.resolve("accuracy", "binary"), name="profit", one=None, many=None)
    assert math.isnan(noise.standard_error(own, labels(30, 10)))
