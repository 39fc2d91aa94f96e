"""Losses inside other people's searches: Optuna's objectives and KerasTuner's `build_model`."""

from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import optuna
import pandas as pd
import pytest
from quick import long_but

import lossreg
import lossreg.keras_tuner
import lossreg.optuna
from lossreg.errors import InputError

RNG = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], [60, 30, 10])
X = RNG.normal(size=(100, 4)).astype(np.float32) + Y[:, None]
TABLES = {"cross_entropy": {}, "focal": {"gamma": {"low": 0.5, "high": 3.0}, "alpha": "by_count"}, "gce": {"q": 0.5}}


def test_the_names_and_ranges_are_those_of_a_study():
    spaces = {}
    for name in TABLES:
        trial = optuna.trial.FixedTrial({"loss": name, "focal.gamma": 1.5, "focal.alpha.tau": 1.0})
        lossreg.optuna.suggest_loss(trial, TABLES, Y)
        spaces[name] = trial.distributions
    gamma = optuna.distributions.FloatDistribution(0.5, 3.0)
    assert spaces["focal"].keys() == {"loss", "focal.gamma", "focal.alpha.tau"}
    assert spaces["focal"]["focal.gamma"] == gamma
    assert spaces["cross_entropy"].keys() == spaces["gce"].keys() == {"loss"}


@pytest.mark.parametrize("from_logits", [True, False])
def test_the_loss_is_the_one_that_its_parameters_give(from_logits):
    trial = optuna.trial.FixedTrial({"loss": "focal", "focal.gamma": 1.5, "focal.alpha.tau": 1.0})
    loss = lossreg.optuna.suggest_loss(trial, TABLES, Y, from_logits=from_logits)
    weights = np.array([60.0, 30.0, 10.0]) ** -1.0
    weights /= np.average(weights, weights=[60, 30, 10])
    expected = lossreg.get("focal", gamma=1.5, alpha=weights.tolist(), from_logits=from_logits)
    scores = RNG.normal(size=(100, 3)).astype(np.float32)
    predictions = scores if from_logits else np.array(keras.ops.softmax(scores))
    np.testing.assert_allclose(loss(Y, predictions), expected(Y, predictions), rtol=1e-6)


def test_constants_come_from_the_labels():
    trial = optuna.trial.FixedTrial({"loss": "logit_adjusted_ce", "logit_adjusted_ce.tau": 1.0})
    loss = lossreg.optuna.suggest_loss(trial, ["logit_adjusted_ce"], Y, from_logits=True)
    scores = RNG.normal(size=(100, 3)).astype(np.float64)
    moved = scores + np.log([0.6, 0.3, 0.1])
    expected = (np.log(np.exp(moved).sum(axis=1)) - moved[np.arange(100), Y]).mean()
    np.testing.assert_allclose(loss(Y, scores.astype(np.float32)), expected, rtol=1e-5)
    values = 50 + 10 * RNG.standard_t(3, size=200)
    trial = optuna.trial.FixedTrial({"loss": "huber", "huber.delta": 1.0})
    huber = lossreg.optuna.suggest_loss(trial, {"huber": {"delta": 1.0}}, values)
    scale = 1.4826 * np.median(np.abs(values - np.median(values)))
    error = np.abs(values - 50) / scale
    expected = np.where(error <= 1, error**2 / 2, error - 0.5).mean()
    np.testing.assert_allclose(huber(values, np.full((200, 1), 50.0)), expected, rtol=1e-5)


def network(loss):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    # a graph of each model would take longer to trace than its four batches to train
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"], run_eagerly=True)
    return model


@pytest.mark.long
def test_a_search_of_optuna_tries_every_loss():
    def objective(trial):
        loss = lossreg.optuna.suggest_loss(trial, ["cross_entropy", "focal", "gce"], Y, from_logits=True)
        history = network(loss).fit(X, Y, epochs=1, verbose=0)
        return history.history["accuracy"][-1]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(objective, 9)
    assert {trial.params["loss"] for trial in study.trials} == {"cross_entropy", "focal", "gce"}
    for trial in study.trials:
        assert all(name == "loss" or name.startswith(f"{trial.params['loss']}.") for name in trial.params)


TUNERS = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 6}),
    "bayesian": (keras_tuner.BayesianOptimization, {"max_trials": 4, "num_initial_points": 2}),
    "grid": (keras_tuner.GridSearch, {"max_trials": 6}),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 2}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of KerasTuner's Gaussian process
@pytest.mark.parametrize("kind", long_but({"random"}, TUNERS))
def test_a_tuner_of_keras_tuner_searches_losses_with_conditional_parameters(kind, tmp_path):
    def build_model(hp):
        return network(lossreg.keras_tuner.loss(hp, ["cross_entropy", "focal", "gce"], Y, from_logits=True))

    tuner_class, options = TUNERS[kind]
    tuner = tuner_class(build_model, objective="val_accuracy", seed=3, directory=tmp_path, **options)
    tuner.search(X, Y, validation_data=(X, Y), epochs=1, verbose=0)
    tried = [hp.values for hp in (trial.hyperparameters for trial in tuner.oracle.trials.values())]
    assert {values["loss"] for values in tried} > {"focal"}
    space = {parameter.name: parameter for parameter in tuner.oracle.get_space().space}
    assert [(c.name, c.values) for c in space["focal.gamma"].conditions] == [("loss", ["focal"])]
    model = tuner.hypermodel.build(tuner.get_best_hyperparameters()[0])
    best = tuner.get_best_hyperparameters()[0]
    assert model.loss.spec.name == lossreg.get(best["loss"]).spec.name


def test_the_first_values_of_keras_tuner_are_the_published_ones_inside_their_ranges():
    for low, high, first in ((0.0, 5.0, 2.0), (2.5, 5.0, 2.5), (0.0, 1.5, 1.5)):
        hp = keras_tuner.HyperParameters()
        loss = lossreg.keras_tuner.loss(hp, {"focal": {"gamma": {"low": low, "high": high}}, "cross_entropy": {}}, Y)
        assert (hp.values["loss"], hp.values["focal.gamma"]) == ("focal", first)
        assert loss.spec.name == "focal"


def both(losses, y):
    """Return what both kinds of searches make of labels."""
    trial = optuna.trial.FixedTrial({"loss": losses[0]})
    yield lossreg.optuna.suggest_loss(trial, losses, y, from_logits=True)
    yield lossreg.keras_tuner.loss(keras_tuner.HyperParameters(), losses, y, from_logits=True)


def test_truth_values_are_classes_0_and_1():
    truths = Y > 0
    scores = RNG.normal(size=(100, 2)).astype(np.float32)
    for y in (truths, truths.tolist(), pd.Series(truths, dtype="boolean"), truths[:, None]):
        for loss in both(["cross_entropy"], y):
            expected = lossreg.get("cross_entropy", from_logits=True)(truths.astype(int), scores)
            np.testing.assert_allclose(loss(truths.astype(int), scores), expected)


def test_a_class_of_a_single_row_is_a_class():
    for loss in both(["cross_entropy"], [0, 0, 1, 1, 2]):
        assert np.isfinite(loss(np.array([2]), np.zeros((1, 3), np.float32)))


def test_a_hyperparameter_of_that_name_is_a_clash_and_the_same_choice_is_none():
    losses = ["cross_entropy", "gce"]
    trial, hp = optuna.create_study().ask(), keras_tuner.HyperParameters()
    for choose, suggest, given in (
        (trial.suggest_categorical, lossreg.optuna.suggest_loss, trial),
        (hp.Choice, lossreg.keras_tuner.loss, hp),
    ):
        choose("loss", ["a", "gce"])
        with pytest.raises(InputError, match="another name"):
            suggest(given, losses, Y)
    again = optuna.create_study().ask()
    names = {lossreg.optuna.suggest_loss(again, losses, Y).spec.name for _ in range(2)}
    assert len(names) == 1


WRONG = [
    (["focall"], Y, "auto", "Did you mean focal"),
    ([], Y, "auto", "names of losses"),
    ("focal", Y, "auto", "names of losses"),
    ({"focal": {"gama": 1}}, Y, "auto", "losses.focal.gama"),
    (["huber"], Y, "auto", "this task is multiclass"),
    (["focal"], np.array(["a", "b"] * 9), "auto", "classes must be 0 to 1"),
    (["focal"], Y + 1, "auto", "classes must be 0 to 2"),
    (["focal"], 3, "auto", "labels of the training rows"),
    (["focal"], [], "auto", "labels of the training rows"),
    (["mean_squared_error", "gaussian_nll"], RNG.normal(size=50), "auto", "models of different outputs"),
    (["focal"], Y, "multi", "unknown task"),
]  # fmt: skip


def test_what_suggests_nothing_is_named():
    for suggest, where in ((lossreg.optuna.suggest_loss, "trial"), (lossreg.keras_tuner.loss, "hp")):
        with pytest.raises(InputError, match=f"{where}: must be a .*, not None"):
            suggest(None, ["focal"], Y)


@pytest.mark.parametrize(("losses", "y", "task", "words"), WRONG)
def test_wrong_arguments_are_one_message(losses, y, task, words):
    for suggest, trial in (
        (lossreg.optuna.suggest_loss, optuna.trial.FixedTrial({})),
        (lossreg.keras_tuner.loss, keras_tuner.HyperParameters()),
    ):
        with pytest.raises(InputError) as caught:
            suggest(trial, losses, y, task=task)
        assert words in str(caught.value)
