"""Counts and claims with an exposure: the models of a study are generalised linear ones where the network is linear."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
from quick import long_but
from scipy.optimize import minimize

import lossreg
from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.reporting import usage
from lossreg.search import preparation, study_data
from lossreg.search.outline import plan

LINEAR = """
import keras

def linear():
    return keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros")])
"""
LOSSES = {"poisson": {}, "negative_binomial": {"r": 2.0}, "tweedie": {"p": 1.5}, "gamma_nll": {}}
N = 400


def minus_log_likelihood(loss, y, mean):
    """Up to constants in y, in float64."""
    if loss == "poisson":
        return mean - y * np.log(mean)
    if loss == "negative_binomial":
        return (y + 2.0) * np.log(mean + 2.0) - y * np.log(mean)
    if loss == "tweedie":
        return -y * mean**-0.5 / -0.5 + mean**0.5 / 0.5
    return np.log(mean) + y / mean


def table(loss="poisson"):
    rng = np.random.default_rng(5)
    a, b, days = rng.normal(size=N), rng.normal(size=N), rng.integers(5, 400, N)
    mean = days * np.exp(-4 + 0.5 * a - 0.3 * b)
    y = mean * rng.gamma(2.0, 0.5, N) if loss == "gamma_nll" else rng.poisson(mean)
    return pd.DataFrame({"a": a, "days": days, "b": b, "claims": y})


def document(loss, epochs, trainer="population", **data):
    return {
        "name": f"exposed-{loss}-{trainer}",
        "data": {"source": "claims.csv", "target": "claims", "exposure": "days", **data},
        "model": {"build": "linear.py:linear"},
        "train": {"epochs": epochs, "batch_size": N, "learning_rate": 0.03, "schedule": "linear"},
        "search": {"metric": "mean_poisson_deviance", "trainer": trainer, "seed": 3},
        "losses": {loss: LOSSES[loss]},
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }


@pytest.fixture
def claims(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linear.py").write_text(LINEAR)

    def write(loss):
        table(loss).to_csv("claims.csv", index=False)

    write("poisson")
    return write


@pytest.mark.parametrize("loss", long_but({"poisson"}, LOSSES))
def test_a_linear_model_trained_to_its_end_is_the_glm_with_an_offset(claims, loss):
    claims(loss)
    result = lossreg.tune(document(loss, 600))
    model, preprocessor = lossreg.load_trial(document(loss, 600), loss=loss)
    train = study_data.load_data(studies.from_dict(document(loss, 600)))[0].train
    x = np.column_stack([np.ones(len(train)), train.x["x"]]).astype(np.float64)
    days = train.x["exposure"][:, 0].astype(np.float64)

    def total(coefficients):
        return minus_log_likelihood(loss, train.y, np.exp(x @ coefficients + np.log(days))).mean()

    glm = minimize(total, np.array([np.log(train.y.sum() / days.sum()), 0.0, 0.0]), tol=1e-12).x
    rows = table(loss)
    inputs = preprocessor.transform(rows)
    expected = np.exp(np.column_stack([np.ones(N), inputs["x"]]) @ glm + np.log(rows.days))
    np.testing.assert_allclose(model.predict(inputs, verbose=0)[:, 0], expected, rtol=2e-4)
    assert result.baseline == ("poisson" if result.task == "count" else "tweedie")
    assert result.task == ("positive" if loss == "gamma_nll" else "count")


@pytest.mark.parametrize("trainer", ["population", pytest.param("fit", marks=pytest.mark.long)])
def test_every_step_is_that_of_model_fit_with_the_offset_as_an_input(claims, trainer):
    asked = document("poisson", 12, trainer)
    (trial,) = lossreg.tune(asked).trials
    assert trial.trainer == trainer
    dataset = study_data.load_data(studies.from_dict(asked))[0]
    x, exposure = keras.Input((2,)), keras.Input((1,))
    raw_scores = keras.layers.Dense(1, kernel_initializer="zeros")(x) + keras.ops.log(exposure)
    own = keras.Model([x, exposure], raw_scores)
    rate = dataset.train.y.sum() / dataset.train.x["exposure"].sum()
    own.compile(keras.optimizers.Adam(0.03), lossreg.get("poisson", target_mean=rate, from_logits=True))
    steps = keras.callbacks.LearningRateScheduler(lambda epoch: 0.03 * (1 - epoch / 12))
    own.fit([dataset.train.x["x"], dataset.train.x["exposure"]], dataset.train.y[:, None].astype("float32"),
            epochs=12, batch_size=N, verbose=0, callbacks=[steps])  # fmt: skip
    model, _ = lossreg.load_trial(asked, number=trial.number)
    given = [dataset.test.x["x"], dataset.test.x["exposure"]]
    expected = rate * np.exp(own.predict(given, verbose=0))
    np.testing.assert_allclose(model.predict(dataset.test.x, verbose=0), expected, rtol=1e-4)


@pytest.mark.long
def test_an_offset_is_the_rate_weighted_by_exposure_which_scikit_learn_advises(claims):
    from sklearn.linear_model import PoissonRegressor

    lossreg.tune(document("poisson", 600))
    model, preprocessor = lossreg.load_trial(document("poisson", 600))
    train = study_data.load_data(studies.from_dict(document("poisson", 600)))[0].train
    days = train.x["exposure"][:, 0].astype(np.float64)
    glm = PoissonRegressor(alpha=0, tol=1e-10, max_iter=10_000)
    glm.fit(train.x["x"].astype(np.float64), train.y / days, sample_weight=days)
    with pytest.warns(UserWarning, match="no column days: predictions are rates, for an exposure of 1"):
        inputs = preprocessor.transform(table()[["a", "b"]])
    np.testing.assert_allclose(model.predict(inputs, verbose=0)[:, 0], glm.predict(inputs["x"]), rtol=2e-4)


def test_scores_verdict_files_and_words_know_the_exposure(claims, tmp_path):
    asked = document("poisson", 5)
    asked = {**asked, "losses": {"poisson": {}, "tweedie": {"p": 1.5}}, "verdict": {"outer": 0, "repeats": 2}}
    assert plan(asked).asked["exposure"] == "log(days) is added to the raw score"
    result = lossreg.tune(asked)
    validation = study_data.load_data(studies.from_dict(asked))[0].validation
    from sklearn.metrics import mean_poisson_deviance

    for trial in result.trials:
        model, preprocessor = lossreg.load_trial(asked, loss=trial.candidate)
        predicted = model.predict(validation.x, verbose=0)[:, 0]
        assert trial.score == pytest.approx(mean_poisson_deviance(validation.y, predicted), rel=1e-4)
        assert any("adds the logarithm of `days`" in note for note in usage.notes(trial))
    assert result.verdict.repeats == 2
    saved, mine = tmp_path / "m.keras", tmp_path / "m.preprocessor.json"
    model.save(saved)
    lossreg.save_preprocessor(preprocessor, mine)
    inputs = lossreg.load_preprocessor(mine).transform("claims.csv")
    doubled = lossreg.load_preprocessor(mine).transform(table().assign(days=2 * table().days))
    means = keras.models.load_model(saved, compile=False).predict(inputs, verbose=0)
    np.testing.assert_allclose(model.predict(doubled, verbose=0), 2 * means, rtol=1e-5)
    with pytest.raises(InputError, match=r"data\.exposure: days -> not set .*another exposure cannot be compared"):
        lossreg.tune({**asked, "data": {key: asked["data"][key] for key in ("source", "target")}})


@pytest.mark.parametrize(
    ("losses", "search", "words"),
    [
        ({"mean_squared_error": {}}, {}, "mean_squared_error has no log link.*poisson, negative_binomial"),
        ({"huber": {}}, {}, "huber has no log link"),
    ],
)
def test_losses_without_a_log_link_are_refused(claims, losses, search, words):
    asked = {**document("poisson", 5), "losses": losses}
    with pytest.raises(InputError, match=f"losses.{next(iter(losses))}.*{words}"):
        preparation.prepare(studies.from_dict(asked))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"exposure": "claims"}, r"data\.exposure: \"claims\" is the target"),
        ({"weight": "days"}, r"data\.exposure: \"days\" is the weights"),
        ({"group": "days"}, r"data\.exposure: \"days\" is the column of group"),
        ({"drop": ["days"]}, r"data\.drop: \"days\" is the column of exposure, so it is no feature already"),
        ({"columns": {"days": "number"}}, r"data\.columns: 'days' is the column of exposure"),
        ({"exposure": 3}, r"data\.exposure: .*not 3"),
        ({"exposures": "days"}, r"data\.exposures: .*exposure"),
        ({"exposure": "dais"}, r"no column 'dais' for exposure\. Did you mean days"),
    ],
)
def test_an_exposure_is_one_column_that_is_nothing_else(claims, data, words):
    with pytest.raises(InputError, match=words):
        study_data.load_data(studies.from_dict(document("poisson", 5, **data)))


def test_of_the_recommended_losses_those_with_a_log_link_are_tried_and_the_others_named(claims):
    asked = {key: value for key, value in document("poisson", 5).items() if key != "losses"}
    prepared = preparation.prepare(studies.from_dict(asked))
    assert {"poisson", "negative_binomial"} == set(prepared.candidates)
    assert prepared.baseline == "poisson"
    assert any(note.startswith("mean_squared_error is left out") for note in prepared.notes)
