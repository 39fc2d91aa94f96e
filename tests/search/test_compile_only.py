"""Hyperparameters that feed only the ignored `compile()`: a learning rate is the study's, others stay as they are."""

from __future__ import annotations

import keras
import keras_tuner
import numpy as np
import pytest
from fake_trainer import Fake
from keras import layers

import lossreg
from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.search import compile_only
from lossreg.search.outline import plan

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
OFF = {"verdict": {"enabled": False}, "tracking": {"enabled": False}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tuned(build, hp="search", trials=6, **sections):
    return lossreg.tune(
        X, Y, losses=["cross_entropy"], model={"build": build, "hp": hp}, trials=trials, epochs=1,
        settings={**OFF, "search": {"sampler": "random"}, **sections}, trainers=[Fake(lambda plan, epoch: 0.5)],
    )  # fmt: skip


def outlined(build, hp="search", **sections):
    document = {"name": "dry", "model": {"build": build, "hp": hp}, "losses": {"cross_entropy": {}}, **OFF, **sections}
    return plan(studies.of(document, (), (X, Y)))


def compiled(hp, optimizer, loss="binary_crossentropy"):
    hidden = layers.Dense(hp.Int("units", 4, 8, step=4), "relu")
    model = keras.Sequential([layers.Flatten(), hidden, layers.Dropout(0.2), layers.Dense(1, "sigmoid")])
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def a_range(hp):
    return compiled(hp, keras.optimizers.Adam(hp.Float("lr", 2e-4, 5e-3, sampling="log")))


def choices(hp):
    return compiled(hp, keras.optimizers.Adam(learning_rate=hp.Choice("learning_rate", [1e-2, 1e-3, 1e-4])))


def a_schedule(hp):
    begin = hp.Float("begin", 1e-3, 1e-1, sampling="log")
    return compiled(hp, keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(begin, 100, 0.9)))


def an_optimizer(hp):
    rate = hp.Float("lr", 1e-3, 1e-2)
    if hp.Choice("optimizer", ["adam", "sgd"]) == "sgd":
        return compiled(hp, keras.optimizers.SGD(rate, momentum=hp.Float("momentum", 0.0, 0.9)))
    return compiled(hp, keras.optimizers.Adam(rate))


def a_tenth(hp):
    return compiled(hp, keras.optimizers.Adam(hp.Float("tenfold", 0.01, 3.0) / 10))


def of_sgd(hp):
    return compiled(hp, keras.optimizers.SGD(hp.Float("lr", 0.2, 1.0)))


def of_each(hp):
    if hp.Choice("optimizer", ["adam", "sgd"]) == "adam":
        with hp.conditional_scope("optimizer", ["adam"]):
            return compiled(hp, keras.optimizers.Adam(hp.Float("adam_lr", 1e-3, 1e-2)))
    with hp.conditional_scope("optimizer", ["sgd"]):
        return compiled(hp, keras.optimizers.SGD(hp.Float("sgd_lr", 0.1, 1.0)))


def one_of_both(hp):
    kinds = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    return compiled(hp, kinds[hp.Choice("optimizer", list(kinds))](hp.Float("lr", 1e-3, 1e-2)))


def a_registered_loss(hp):
    import lossreg.keras_tuner

    loss = lossreg.keras_tuner.loss(hp, ["cross_entropy", "focal"], Y)
    return compiled(hp, keras.optimizers.Adam(hp.Float("lr", 1e-3, 1e-2)), loss)


class InAClass(keras_tuner.HyperModel):
    def build(self, hp):
        return a_range(hp)


KINDS = [
    (InAClass(), (2e-4, 5e-3), "lr feeds only compile(): its values, 0.0002 to 0.005 log, are the learning rates", ""),
    (choices, (1e-4, 1e-3, 1e-2), "learning_rate feeds only compile(): its values, 0.01 | 0.001 | 0.0001,", ""),
    (a_schedule, (1e-3, 1e-1), "begin feeds only compile(): its values, 0.001 to 0.1 log,", ""),
    (an_optimizer, (1e-3, 1e-2), "lr feeds only compile(): its values, 0.001 to 0.01,", "optimizer, momentum"),
    (
        a_registered_loss, (1e-3, 1e-2), "lr feeds only compile(): its values, 0.001 to 0.01,",
        "loss, focal.gamma, focal.alpha.1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("build", "values", "note", "others"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_learning_rate_of_compile_is_that_of_the_study_and_no_architecture(build, values, note, others):
    result = tuned(build)
    assert {name for trial in result.trials for name in trial.params} == {"learning_rate", "model.units"}
    rates = [trial.learning_rate for trial in result.trials]
    assert len(set(rates)) > 1
    if len(values) == 2:
        assert all(values[0] <= rate <= values[1] for rate in rates)
    else:
        assert set(rates) <= set(values)
    [told] = [line for line in result.notes if "are the learning rates" in line]
    assert note in told
    left = [line for line in result.notes if "not searched" in line]
    assert [line.rpartition(": ")[2] for line in left] == [others] * bool(others)


def test_a_learning_rate_that_the_study_gives_stands():
    result = tuned(a_range, train={"learning_rate": 0.05})
    assert {trial.learning_rate for trial in result.trials} == {0.05}
    assert {name for trial in result.trials for name in trial.params} == {"model.units"}
    assert [line for line in result.notes if line.endswith("the ignored compile(): lr")]


def test_a_narrower_range_in_the_study_is_that_of_the_learning_rate():
    result = tuned(a_range, hp={"lr": {"low": 1e-3, "high": 2e-3}})
    assert all(1e-3 <= trial.learning_rate <= 2e-3 for trial in result.trials)
    assert all(trial.params.keys() == {"learning_rate"} for trial in result.trials)


@pytest.mark.parametrize(
    ("build", "hp", "rate"),
    [
        (a_range, {"units": "search", "lr": 1e-3}, 1e-3),
        (choices, {"units": "search", "learning_rate": "default"}, 1e-2),
        (a_tenth, {"units": "search", "tenfold": 0.02}, 2e-3),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in [
                (an_optimizer, {"units": "search", "optimizer": "search", "lr": 2e-3}, 2e-3),
                (of_each, {"units": "search", "adam_lr": 2e-3}, 2e-3),
            ]
        ),
    ],
)
def test_a_learning_rate_that_is_fixed_is_that_of_the_study(build, hp, rate):
    result = tuned(build, hp, trials=2)
    assert [trial.learning_rate for trial in result.trials] == [pytest.approx(rate, rel=1e-5)] * 2
    assert {name for trial in result.trials for name in trial.params} == {"model.units"}
    assert [line for line in result.notes if f"feeds only compile(): the learning rate is {rate}" in line]


def test_what_is_fixed_of_the_model_gives_no_learning_rate():
    outline = outlined(both, {"rate": 0.1})
    assert outline.learning_rate != "0.1 (fixed)"
    assert not [line for line in outline.notes if "feeds only" in line]


def test_a_value_that_leads_to_a_learning_rate_in_another_way_is_none():
    outline = outlined(a_tenth)
    assert outline.learning_rate == "0.0001 to 0.01 log"
    assert [line for line in outline.notes if line.endswith("feeds only the ignored compile(): tenfold")]


@pytest.mark.parametrize("hp", [pytest.param("search", marks=pytest.mark.long), {"units": "search", "lr": 0.5}])
def test_a_learning_rate_of_another_optimizer_is_not_the_studys_and_said(hp):
    outline = outlined(of_sgd, hp)
    assert outline.learning_rate == "0.0001 to 0.01 log"
    told = "lr is the learning rate of sgd, and the study trains with adam, at rates of its own"
    assert [line for line in outline.notes if told in line]


@pytest.mark.parametrize(
    ("build", "optimizer", "rates"),
    [
        (of_each, "sgd", "0.1 to 1"),
        *(
            pytest.param(build, optimizer, "0.001 to 0.01", marks=pytest.mark.long)
            for build, optimizer in [(one_of_both, "sgd"), (of_each, "adam")]
        ),
    ],
)
def test_of_a_choice_of_optimizers_the_rate_of_the_studys_is_taken(build, optimizer, rates):
    outline = outlined(build, train={"optimizer": optimizer})
    assert outline.learning_rate == rates
    assert [line for line in outline.notes if f"{rates}, are the learning rates" in line]


def both(hp):
    rate = hp.Float("rate", 0.1, 0.5, step=0.4)
    model = keras.Sequential([layers.Dense(4), layers.Dropout(rate), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate))
    return model


def together(hp):
    rate, dropped = hp.Float("rate", 0.1, 0.5, step=0.4), hp.Boolean("dropped")
    model = keras.Sequential([layers.Dense(4), *[layers.Dropout(rate)] * dropped, layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate))
    return model


def now_and_then(hp):
    rate, dropped = hp.Float("rate", 0.1, 0.5, step=0.4), hp.Boolean("dropped")
    model = keras.Sequential([layers.Dense(4), *[layers.Dropout(rate)] * dropped, layers.Dense(1)])
    model.compile("adam")
    return model


def in_the_middle(hp):
    rate = hp.Choice("rate", [0.1, 0.2, 0.3])
    model = keras.Sequential([layers.Dense(4), *[layers.Dropout(rate)] * (rate == 0.2), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate))
    return model


def uncompiled(hp):
    return keras.Sequential([layers.Dense(4), layers.Dropout(hp.Float("rate", 0.1, 0.5, step=0.4)), layers.Dense(1)])


class Scaled(layers.Layer):
    """A layer whose configuration Keras cannot know."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


def opaque(hp):
    rate = hp.Float("rate", 0.1, 0.5, step=0.4)
    model = keras.Sequential([Scaled(lambda x: x * rate), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate))
    return model


@pytest.mark.parametrize(
    "build",
    [
        both,
        in_the_middle,
        opaque,
        *(pytest.param(build, marks=pytest.mark.long) for build in (together, now_and_then, uncompiled)),
    ],
)
def test_what_may_feed_the_model_is_searched(build):
    result = tuned(build)
    assert "model.rate" in {name for trial in result.trials for name in trial.params}
    assert not [line for line in result.notes if "feeds only" in line]


def test_a_study_that_began_to_search_it_goes_on_and_another_rate_is_a_change(monkeypatch):
    def model(hp):
        return a_range(hp)

    arguments = {"losses": ["cross_entropy"], "epochs": 1, "settings": OFF, "trainers": [Fake(lambda *_: 0.5)]}
    with monkeypatch.context() as former:
        former.setattr(compile_only, "compile_feeds", lambda *_: {})
        lossreg.tune(X, Y, name="old", model={"build": model, "hp": "search"}, trials=2, **arguments)
    result = lossreg.tune(X, Y, name="old", model={"build": model, "hp": "search"}, trials=4, **arguments)
    assert [trial.params.keys() for trial in result.trials] == [{"learning_rate", "model.lr", "model.units"}] * 4
    lossreg.tune(X, Y, name="new", model={"build": model, "hp": "search"}, trials=2, **arguments)
    result = lossreg.tune(X, Y, name="new", model={"build": model, "hp": "search"}, trials=4, **arguments)
    assert [trial.params.keys() for trial in result.trials] == [{"learning_rate", "model.units"}] * 4

    def model(hp):
        return choices(hp)

    with pytest.raises(InputError, match="what is searched of the model"):
        lossreg.tune(X, Y, name="new", model={"build": model, "hp": "search"}, trials=6, **arguments)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "must be text, not 3"),
        ("", "must not be empty"),
        (keras.Sequential([layers.Dense(1)]), "Give the function that builds it"),
        (keras_tuner.HyperModel(), "no build of its own"),
        (lambda hp: 3, "not a keras.Model"),
    ],
)
def test_what_builds_no_model_is_said(given, words):
    with pytest.raises(InputError) as caught:
        tuned(given)
    assert words in str(caught.value)


@pytest.mark.parametrize(("hp", "is_noted"), [(None, True), ("search", False), ({"units": 8}, False)])
def test_hyperparameters_of_which_a_study_says_nothing_are_named(hp, is_noted):
    lines = "\n".join(outlined(a_range, hp).notes)
    assert ("its hyperparameters keep their defaults (lr, units)" in lines) is is_noted


def test_a_dry_run_shows_the_learning_rates_and_says_why():
    outline = outlined(a_range)
    assert outline.learning_rate == "0.0002 to 0.005 log"
    assert outline.architectures == {"model.units": "4 | 8", "learning_rate": "0.0002 to 0.005 log"}
    assert [note for note in outline.notes if "lr feeds only compile()" in note]


@pytest.mark.long
def test_a_trial_is_restored_after_the_study_has_changed():
    def fast(hp):
        return compiled(hp, keras.optimizers.Adam(hp.Float("lr", 0.3, 0.5)))

    document = {
        "name": "fast", "model": {"build": fast, "hp": "search"}, "losses": {"cross_entropy": {}, "focal": {}},
        "train": {"epochs": 1}, "search": {"trials": 3}, **OFF,
    }  # fmt: skip
    result = lossreg.tune(document, data=(X, Y))
    expected = result.predictor.predict_proba(X)
    later = {**document, "train": {"epochs": 4}}
    model, preprocessor = lossreg.load_trial(later, result.best.number, data=(X, Y))
    np.testing.assert_allclose(model.predict(preprocessor.transform(X), verbose=0)[:, 0], expected[:, 1], rtol=1e-4)
    more = lossreg.tune({**later, "search": {"trials": 5}}, data=(X, Y), allow_changed=True)
    assert all(0.3 <= trial.learning_rate <= 0.5 for trial in more.trials)
    assert len(more.trials) == 5
    lossreg.load_trial(later, more.best.number, data=(X, Y))
