"""The hyperparameters of a trial as KerasTuner has them: the user's function builds with them what was trained."""

from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import pytest
from fake_trainer import Fake
from keras import layers

import lossreg
import lossreg.keras_tuner
from lossreg.search import preparation, trial_values

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
LOSSES = {"cross_entropy": {}, "focal": {"alpha": "none"}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def compiled(units, rate, loss="binary_crossentropy", more=()):
    inner = [keras.Input((3,)), layers.Dense(units), *more, layers.Dense(1, "sigmoid")]
    model = keras.Sequential(inner)
    model.compile(keras.optimizers.Adam(rate), loss)
    return model


def plain(hp):
    return compiled(hp.Int("units", 4, 64, step=4), hp.Float("lr", 1e-3, 1.0, sampling="log"))


def a_branch(hp):
    if hp.Choice("kind", ["small", "large"]) == "small":
        with hp.conditional_scope("kind", ["small"]):
            return compiled(hp.Int("units", 1, 2), 0.1)
    with hp.conditional_scope("kind", ["large"]):
        return compiled(hp.Int("units", 8, 9), 0.1)


def losses_of_its_own(hp):
    loss = hp.Choice("loss", ["binary_crossentropy", "mse"])
    return compiled(hp.Int("units", 4, 8, step=4), hp.Choice("learning_rate", [1e-2, 1e-3]), loss)


def a_loss_of_the_model(hp):
    more = [layers.Dropout(0.3)] * (hp.Choice("loss", ["cross_entropy", "focal"]) == "focal")
    return compiled(4, 10 * hp.Float("learning_rate", 1e-4, 1e-3), more=more)


def a_registered_loss(hp):
    units, rate = hp.Int("units", 4, 8, step=4), hp.Float("learning_rate", 1e-3, 1e-2)
    return compiled(units, rate, lossreg.keras_tuner.loss(hp, LOSSES, Y))


def trials(build, hp="search", name="", **sections):
    """Return the trials of a study, and the hyperparameters of each."""
    document = {
        "name": name or build.__name__, "model": {"build": build, "hp": hp}, "losses": LOSSES,
        "train": {"epochs": 1}, "search": {"trials": 6, "sampler": "random"}, "verdict": {"enabled": False},
        "tracking": {"enabled": False}, **sections,
    }  # fmt: skip
    made, prepare = [], preparation.prepare
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            preparation, "prepare", lambda *args, **options: made.append(prepare(*args, **options)) or made[0]
        )
        records = lossreg.tune(document, data=(X, Y), trainers=[Fake(lambda plan, epoch: 0.5)]).trials
    [prepared], space, found = made, keras_tuner.HyperParameters(), []
    for record in records:
        space = trial_values.of(prepared, record, space.copy())
        found.append((record, space))
    assert {record.candidate for record in records} == set(LOSSES)
    return found


def rate_of(model):
    return float(model.optimizer.learning_rate)


def test_what_the_study_fixes_is_so_in_them():
    for record, hp in trials(plain, {"units": 32, "lr": 0.3}):
        assert record.learning_rate == 0.3
        model = plain(hp)
        assert model.layers[0].units == hp["units"] == 32
        assert rate_of(model) == pytest.approx(0.3)
    for record, hp in trials(plain, {"units": "search", "lr": {"low": 0.01, "high": 0.02}}, "narrowed"):
        assert plain(hp).layers[0].units == hp["units"] == record.params["model.units"]
        assert rate_of(plain(hp)) == pytest.approx(record.learning_rate)


@pytest.mark.parametrize("hp", ["search", pytest.param({"kind": "large", "units": "search"}, marks=pytest.mark.long)])
def test_of_two_that_share_a_name_they_have_the_one_that_was_active(hp):
    for record, values in trials(a_branch, hp):
        kind = record.params.get("model.kind", "large")
        [units] = [value for name, value in record.params.items() if name.startswith("model.units")]
        assert (values["kind"], values["units"]) == (kind, units)
        assert a_branch(values).layers[0].units == units


def test_one_of_the_users_that_has_the_name_of_the_studys_keeps_its_value():
    for record, hp in trials(losses_of_its_own):
        assert hp["loss"] == "binary_crossentropy"
        assert hp["lossreg.loss"] == record.candidate
        assert hp["learning_rate"] == record.learning_rate
        assert ("focal.gamma" in hp.values) == (record.candidate == "focal")
        assert losses_of_its_own(hp).loss == "binary_crossentropy"
    for record, hp in trials(a_loss_of_the_model):
        assert (hp["loss"], hp["lossreg.loss"]) == (record.params["model.loss"], record.candidate)
        assert hp["lossreg.learning_rate"] == record.learning_rate
        assert hp["learning_rate"] <= 1e-3
        assert (len(a_loss_of_the_model(hp).layers) == 3) == (hp["loss"] == "focal")


def test_a_loss_of_the_registry_in_the_users_function_is_the_one_found():
    for record, hp in trials(a_registered_loss):
        assert "lossreg.loss" not in hp.values
        loss = a_registered_loss(hp).loss
        assert loss.spec.name == hp["loss"] == record.candidate
        assert record.candidate != "focal" or hp["focal.gamma"] == record.params["focal.gamma"]


def test_they_name_the_optimizer_whose_learning_rate_was_taken():
    def choice(hp):
        kinds = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
        model = plain(hp)
        model.compile(kinds[hp.Choice("optimizer", list(kinds))](hp.get("lr")), "mse")
        return model

    for record, hp in trials(choice, train={"optimizer": "sgd", "epochs": 1}):
        optimizer = choice(hp).optimizer
        assert isinstance(optimizer, keras.optimizers.SGD)
        assert float(optimizer.learning_rate) == pytest.approx(record.learning_rate)
