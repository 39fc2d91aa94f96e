"""Predictions from the weights of trained plans are those of a plain Keras model."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from problems import FEATURES, Mlp, plan, problem
from sklearn.metrics import accuracy_score

from lossreg import data
from lossreg.metrics import catalogue
from lossreg.models.builder import resolve
from lossreg.registry import registry
from lossreg.search import retraining
from lossreg.search.policy import SearchPolicy
from lossreg.search.predictions import Predictor
from lossreg.training.interface import Architecture, Plan, Problem
from lossreg.training.pool import Pool
from lossreg.training.population import Population

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2500, FEATURES)).astype(np.float32)


def trained(instance, seed):
    """Weights that no plan starts with."""
    model = instance.build(instance.outputs(next(iter(instance.losses))), seed)
    return [weight + RNG.normal(0, 0.3, weight.shape) for weight in model.get_weights()]


def by_keras(outputs, weights, x, activation=None):
    """A model of Keras's own layers, with these weights."""
    layers = [keras.layers.Dense(12, "relu"), keras.layers.Dense(8, "tanh"), keras.layers.Dense(outputs, activation)]
    model = keras.Sequential([keras.Input((FEATURES,)), *layers])
    model.set_weights(weights)
    return model.predict(x, verbose=0)


@pytest.mark.parametrize(("task", "loss", "response", "activation", "expected"), [
    *(pytest.param(*case, marks=pytest.mark.long) for case in [
        ("multiclass", "cross_entropy", "label", "softmax", lambda p, c: p.argmax(-1)),
        ("multiclass", "cross_entropy", "probability", "softmax", lambda p, c: p),
        ("binary", "binary_crossentropy", "label", "sigmoid", lambda p, c: p[:, 0] > 0.5),
        ("binary", "binary_crossentropy", "score", None, lambda z, c: z[:, 0]),
    ]),
    ("binary", "binary_crossentropy", "probability", "sigmoid", lambda p, c: np.hstack([1 - p, p])),
    ("multilabel", "multilabel_bce", "label", "sigmoid", lambda p, c: p > 0.5),
    ("regression", "mean_squared_error", "value", None, lambda z, c: c.target_center + c.target_scale * z[:, 0]),
])  # fmt: skip
def test_predictions_are_those_of_keras(task, loss, response, activation, expected):
    instance = replace(problem(task, {"a": loss}), metric=SimpleNamespace(response=response))
    predictor, each = Predictor(), plan(instance, "a", 1e-3)
    for seed in range(2):
        weights = trained(instance, seed)
        values = expected(by_keras(instance.outputs("a"), weights, X, activation), instance.dataset.constants)
        np.testing.assert_allclose(predictor.predict(instance, each, weights, X), values, rtol=1e-5, atol=1e-6)


def test_probabilities_are_also_kept_without_the_temperature_that_is_tuned_for_them():
    instance = replace(problem("multiclass", {"a": "cross_entropy"}), decision="tuned")
    instance = replace(instance, metric=catalogue.resolve("log_loss", "multiclass"))
    x = X[:600]  # a temperature needs 500 rows
    y = np.digitize(x[:, 0], [-0.5, 0.0, 0.5])
    instance.dataset.test = instance.dataset.validation = replace(instance.dataset.validation, x=x, y=y)
    weights = trained(instance, 3)
    arms = Predictor().of_arm("winner", instance, plan(instance, "a", 1e-3), weights)
    plain = by_keras(instance.outputs("a"), weights, instance.folds[0].test.x, "softmax")
    np.testing.assert_allclose(arms["winner_before"], plain, rtol=1e-5, atol=1e-6)
    ratio = np.ptp(np.log(arms["winner"]), axis=-1) / np.ptp(np.log(plain), axis=-1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)  # log odds are divided by one temperature
    assert abs(ratio[0] - 1) > 0.01
    assert set(Predictor().of_arm("same_rate", instance, plan(instance, "a", 1e-3), weights)) == {"same_rate"}


def test_masks_are_predicted_pixel_by_pixel():
    instance = problem("segmentation", {"a": "binary_crossentropy"})
    weights = trained(instance, 5)
    model = instance.build(1, 0)
    model.set_weights(weights)
    predicted = Predictor().predict(instance, plan(instance, "a", 1e-3), weights, X)
    np.testing.assert_array_equal(predicted, model.predict(X, verbose=0).reshape(-1) > 0)


def test_a_model_is_traced_once_for_all_plans_of_its_architecture_and_width():
    calls = []

    class Seen(keras.layers.Dense):
        def call(self, x):
            calls.append(x.shape)
            return super().call(x)

    builder = Mlp(lambda: Seen(5))
    builder.build = lambda shape, outputs, k, seed, answer=None, build=builder.build: build(shape, outputs, k, seed)
    instance = problem(
        "binary", {"one": "binary_crossentropy", "two": "squared_hinge", "wide": "cross_entropy"}, builder=builder
    )
    predictor, small = Predictor(), Architecture(8, (("hidden", 5),))

    def predict(candidate, seed, architecture=None):
        before, each = len(calls), replace(plan(instance, candidate, 1e-3, seed=seed), architecture=architecture)
        model = instance.build(instance.outputs(candidate), seed)
        traces_of_build = len(calls) - before
        predictor.predict(instance, each, model.get_weights(), X[:60])
        return len(calls) - before - traces_of_build

    assert predict("one", 0) > 0
    assert [predict(candidate, seed) for seed in (1, 2) for candidate in ("one", "two")] == [0] * 4
    assert predict("one", 0, small) > 0
    assert [predict("two", seed, small) for seed in (1, 2)] == [0, 0]


def test_splits_are_trained_and_predicted_with_what_belongs_to_each():
    """Scores that a population reports are those of the predictor; so are those of the test samples."""
    study = data.load("sklearn:wine")
    again = study.resampled([3, 1])
    losses = {"ce": registry.default().get("cross_entropy")}
    instance = Problem(again, resolve("mlp", hidden=[8]), catalogue.resolve("accuracy", "multiclass"), losses)
    plans = [Plan("ce", losses["ce"].bind({}, 3), 1e-2, 6, seed, fold=fold) for fold in (0, 1) for seed in (0, 1)]
    population, predictor = Population(instance, 3, variants=plans), Predictor()
    policy = SearchPolicy(0, instance.metric, "ce", "best")
    correct = []
    for one in retraining.train(Pool([population]), plans, policy, wants_weights=True):
        each, fold = plans[one.index], again.folds[plans[one.index].fold]
        predicted = predictor.predict(instance, each, one.weights, fold.validation.x)
        assert accuracy_score(fold.validation.y, predicted) == pytest.approx(one.score)
        on_test = predictor.predict(instance, each, one.weights)
        np.testing.assert_array_equal(on_test, predictor.predict(instance, each, one.weights, fold.test.x))
        correct.append(accuracy_score(study.test.y, on_test))
    population.shutdown()
    assert len(correct) == 4
    assert min(correct) > 0.6
