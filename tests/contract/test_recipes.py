"""The printed recipe of a trial is the loss that its lane trained: evaluated as source, in `model.compile` and `fit`.

A study of some losses of each task is run; then each loss's recipe trains a model of the same initial weights on the
same batches of the study's rows, labels as they are in the data, and its weights must be those of the lane.

`make test` does so for one loss of each kind of target, activation, width and constants, of the registry and of the
example plugins, and for two of them in a graph. `make test-all` adds every loss of both in every task, in a graph.
"""

from __future__ import annotations

import ast
import math
import re

import keras
import numpy as np
import pandas as pd
import pytest
from example_plugins import offered

import lossreg
from lossreg import LossSpec
from lossreg.config import study as studies
from lossreg.contract import recipes
from lossreg.models import inference
from lossreg.registry import registry
from lossreg.reporting import description, trial_table, usage
from lossreg.search import preparation
from lossreg.storage.study_folder import StudyFolder
from lossreg.training.interface import batch_order

PLUGINS = {"arctan": "regression", "ordinal": "multiclass", "segmentation": "segmentation"}
N, BATCH, SEED = 70, 16, 0
METRICS = {"multiclass": "accuracy", "binary": "accuracy", "multilabel": "f1_macro", "segmentation": "f1"}
# after 3 steps of SGD with momentum, in float32; 1% more of the learning rate moves weights by more
TOLERANCE = 1e-5


def bias(y_true, y_pred, *, sample_weight):
    """The squared weighted mean of the errors, with the mean of their squares: one value for the batch."""
    share = sample_weight / keras.ops.sum(sample_weight)
    errors = (y_pred - y_true)[:, 0]
    value = keras.ops.square(keras.ops.sum(share * errors)) + keras.ops.sum(share * keras.ops.square(errors))
    return value * keras.ops.ones_like(errors)


BIAS = LossSpec(
    name="weighted_bias", function=bias, tasks=("regression",), summary="s", reference="r", target="real",
    outputs="1", activation="affine", level="batch", needs=("sample_weight",),
)  # fmt: skip


def extended():
    """The registry with the example plugins and a loss of whole batches that weighs rows itself."""
    whole = registry.default().add(BIAS, "tests", "tests", "1.0")
    for name in PLUGINS:
        for spec in offered(name).values():
            whole = whole.add(spec, name, f"lossreg-{name}", "1.0")
    return whole


REGISTRY = extended()


TASKS = ("multiclass", "binary", "multilabel", "segmentation", "regression", "positive", "count")
EVERY = [(task, entry.spec.name) for task in TASKS for entry in REGISTRY.for_task(task)]
SOME = {
    "multiclass": ("focal", "class_balanced_ce", "ldam"), "binary": ("weighted_bce", "coral", "binary_focal"),
    "regression": ("mean_squared_error", "huber", "poisson"),
}  # fmt: skip
# with these, one of each kind of target, activation, width and constants
MORE = {
    "multiclass": ("categorical_hinge", "bi_tempered", "coral", "weighted_kappa"), "binary": ("hinge", "weighted_ce"),
    "multilabel": ("asymmetric",), "segmentation": ("tversky",),
    "regression": ("mean_absolute_percentage_error", "mean_squared_logarithmic_error", "multi_quantile",
                   "gaussian_nll", "arctan", "weighted_bias"),
}  # fmt: skip
# 0.25 unless it is said to be absent
GIVEN = {"binary_focal": {"alpha": "none"}}
QUICK = {"focal", "weighted_bce", "mean_squared_error"}
CASES = [(task, name) for losses in (SOME, MORE) for task, names in losses.items() for name in names]


def rows(task):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    signal = x[:, 0] + 0.5 * x[:, 1] * x[:, 2] + 0.3 * rng.normal(size=N)
    return x, {
        "multiclass": lambda: np.digitize(signal, [-0.3, 0.6]),
        "binary": lambda: (signal > 0.3).astype(int),
        "multilabel": lambda: (signal[:, None] + x[:, :3] > 0.5).astype(int),
        "segmentation": lambda: (signal[:, None] + x > 0.5).astype(int).reshape(N, 2, 2),
        "regression": lambda: 100 + 20 * np.exp(signal / 2),
        "positive": lambda: 5 * np.exp(signal / 2),
        "count": lambda: np.round(3 * np.exp(signal / 2)),
    }[task]()


def document(folder, task, losses, **more):
    x, y = rows(task)
    np.savez(folder / "rows.npz", x=x, y=y)
    rate = {"low": 0.01, "high": 0.02}
    document = {
        "name": "recipes",
        "data": {"source": str(folder / "rows.npz"), "task": task},
        "model": {"hidden": [6]},
        "train": {"epochs": 1, "batch_size": BATCH, "learning_rate": rate,
                  "optimizer": {"name": "sgd", "momentum": 0.9}},
        "search": {"trials": 2 * len(losses), "metric": METRICS.get(task, "rmse"), "keep": "all",
                   "sampler": "random", "seed": SEED, "confirm": 0},
        "losses": losses,
        "tracking": {"enabled": False}, "verdict": {"enabled": False},
    }  # fmt: skip
    return {name: {**document[name], **more.get(name, {})} if isinstance(document[name], dict) else document[name]
            for name in document}  # fmt: skip


class Ran:
    """A study that was run, and what is needed to train a trial's model again."""

    def __init__(self, folder, task, losses, **more):
        spec = studies.from_dict(document(folder, task, losses, **more), base=folder)
        self.spec, self.result = spec, lossreg.tune(spec)
        self.store, prepared = StudyFolder(spec.folder, spec.name), preparation.prepare(spec, rehearsed=False)
        self.problem = prepared.problem
        # of each loss the last trial: its parameters are drawn, not the defaults
        self.last = {trial.candidate: trial for trial in sorted(self.result.trials, key=lambda trial: trial.number)}

    def lane(self, label):
        return self.store.weights.load(self.last[label].number)

    def data(self):
        return self.problem.folds[0]

    def fitted(self, label, loss, *, ending=None, eager=True, rate=1.0):
        """Weights after `fit` with a loss from the trial's initial weights, on its batches."""
        trial, data = self.last[label], self.data()
        raw = self.problem.build(self.problem.outputs(label), SEED)
        model = ending(raw) if ending else raw
        optimizer = keras.optimizers.SGD(rate * trial.learning_rate, momentum=0.9)
        model.compile(optimizer, loss, run_eagerly=eager)
        order = batch_order(SEED, 0, len(data.train.y))
        weights = None if data.train.weights is None else data.train.weights[order]
        x, y = data.train.x[order], data.train.y[order]
        model.fit(x, y, sample_weight=weights, batch_size=BATCH, shuffle=False, verbose=0)
        return raw.get_weights()

    def printed(self, label, **scope):
        """Return the loss that a user gets who pastes the printed recipe."""
        return eval(self.last[label].recipe, {"lossreg": lossreg, **scope})


def difference(one, other):
    """The largest difference of weights, against the largest weight where that is above 1."""
    pairs = zip(one, other, strict=True)
    return max(float(np.abs(a - b).max()) / max(1.0, float(np.abs(b).max())) for a, b in pairs)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A study of each task, of some losses or every one, run when it is first asked for one of them."""
    patch, studies_of = pytest.MonkeyPatch(), {}
    patch.setattr(registry, "default", lambda block=(): REGISTRY)

    def run(task, name="", every=False):
        every = every or name in MORE.get(task, ())
        if (task, every) not in studies_of:
            folder = tmp_path_factory.mktemp(task)
            chosen = [name for case, name in EVERY if case == task] if every else SOME[task]
            studies_of[task, every] = Ran(folder, task, {name: GIVEN.get(name, {}) for name in chosen})
        return studies_of[task, every]

    yield run
    patch.undo()


@pytest.mark.parametrize(
    ("task", "name"), [pytest.param(*case, marks=[] if case[1] in QUICK else pytest.mark.long) for case in CASES]
)
def test_the_printed_recipe_trains_what_the_lane_trained(ran, task, name):
    study = ran(task, name)
    assert study.last[name].state == "complete"
    assert difference(study.fitted(name, study.printed(name)), study.lane(name)) < TOLERANCE


@pytest.mark.long
@pytest.mark.parametrize(("task", "name"), EVERY)
def test_every_printed_recipe_trains_what_the_lane_trained_in_a_graph(ran, task, name):
    study = ran(task, every=True)
    assert difference(study.fitted(name, study.printed(name), eager=False), study.lane(name)) < TOLERANCE


GRAPH = [("multiclass", "ldam"), ("regression", "huber")]


@pytest.mark.parametrize(("task", "name"), GRAPH)
def test_the_printed_recipe_trains_the_same_in_a_graph(ran, task, name):
    study = ran(task, name)
    loss = study.printed(name)
    assert difference(study.fitted(name, loss, eager=False), study.lane(name)) < TOLERANCE
    assert difference(study.fitted(name, loss, rate=1.01), study.lane(name)) > TOLERANCE


def ends_in_units(study, label):
    """A model's raw scores brought to predictions: probabilities, or the target's own units."""

    def ending(raw):
        constants = study.data().constants
        return inference.predictor(raw, study.problem.losses[label], constants, study.data().n_classes)

    return ending


@pytest.mark.parametrize(
    ("task", "name"),
    [("regression", "poisson"), ("multiclass", "focal"), ("binary", "coral"),
     *(pytest.param(*case, marks=pytest.mark.long)
       for case in [("regression", "huber"), ("regression", "mean_absolute_percentage_error"),
                    ("regression", "mean_squared_logarithmic_error"), ("binary", "weighted_ce")])],
)  # fmt: skip
def test_without_from_logits_a_recipe_is_for_a_model_that_ends_in_predictions(ran, task, name):
    study = ran(task, name)
    source = study.last[name].recipe.replace(", from_logits=True", "")
    loss = eval(source, {"lossreg": lossreg})
    trained = study.fitted(name, loss, ending=ends_in_units(study, name), eager=False)
    assert difference(trained, study.lane(name)) < TOLERANCE


def test_the_numbers_of_a_recipe_are_those_of_the_training_rows(ran):
    study = ran("regression")
    y = study.data().train.y
    center = np.median(y)
    loss = study.printed("huber")
    assert loss.needs == {"target_center": center, "target_scale": 1.4826 * np.median(np.abs(y - center))}
    assert study.printed("poisson").needs == {"target_mean": np.mean(y)}
    counts = np.bincount(ran("multiclass").data().train.y)
    loss = ran("multiclass").printed("class_balanced_ce")
    assert loss.needs == {"class_counts": tuple(counts), "class_priors": tuple(counts / counts.sum())}


def test_a_finished_study_prints_the_same_wherever_it_is_shown(ran):
    study = ran("regression")
    again = lossreg.results(study.spec)
    assert [trial.recipe for trial in again.trials] == [trial.recipe for trial in study.result.trials]
    best, page = again.best, description.markdown(again)
    blocks = re.findall(r"```python\n(.*?)\n```", page, re.DOTALL)
    statements = [statement for block in blocks for statement in ast.parse(block).body]
    on_page = [ast.dump(statement) for statement in statements if "lossreg.get(" in ast.unparse(statement)]
    wanted = [ast.dump(ast.parse(row.best.recipe).body[0]) for row in again.ranking()]
    assert on_page[0] == ast.dump(ast.parse(best.recipe).body[0])
    assert set(wanted) <= set(on_page)
    assert [row["recipe"] for row in trial_table.rows(again)] == [trial.recipe for trial in again.trials]
    shown = again.to_json()
    assert shown["best"]["recipe"] == best.recipe
    assert shown["best"]["constants"] == dict(best.constants)
    assert [row["recipe"] for row in shown["losses"]] == [row.best.recipe for row in again.ranking()]


CLASSES = re.compile(r"class_weight=(\{.*?\})`")
BOTH = re.compile(r"sample_weight=(w \* numpy\.array\(.*?\)\[y\])`")


def told(study, label):
    return " ".join(usage.notes(study.last[label]))


def refitted(study, label, **weights):
    """Weights after `fit` from the trial's initial weights, rows in its order and weighted as a user is told to."""
    trial, data = study.last[label], study.data()
    model = study.problem.build(study.problem.outputs(label), SEED)
    model.compile(keras.optimizers.SGD(trial.learning_rate, momentum=0.9), study.printed(label), run_eagerly=True)
    order = batch_order(SEED, 0, len(data.train.y))
    given = {name: weight[order] if name == "sample_weight" else weight for name, weight in weights.items()}
    model.fit(data.train.x[order], data.train.y[order], batch_size=BATCH, shuffle=False, verbose=0, **given)
    return model.get_weights()


@pytest.mark.parametrize("asked", ["balanced", pytest.param([1.0, 2.5, 0.5], marks=pytest.mark.long)], ids=str)
def test_the_weights_of_classes_are_told_with_the_recipe_as_numbers(tmp_path, asked):
    study = Ran(tmp_path, "multiclass", {"focal": {}}, search={"trials": 2}, train={"class_weight": asked})
    weights = ast.literal_eval(CLASSES.search(told(study, "focal"))[1])
    y = study.data().train.y
    wanted = len(y) / (3 * np.bincount(y)) if asked == "balanced" else asked
    assert [weights[k] for k in range(3)] == pytest.approx(wanted, rel=1e-12)
    assert difference(refitted(study, "focal", class_weight=weights), study.lane("focal")) < TOLERANCE
    assert difference(refitted(study, "focal"), study.lane("focal")) > TOLERANCE


@pytest.mark.long
def test_the_weights_of_rows_and_classes_are_told_together(tmp_path):
    x, y = rows("binary")
    w = np.linspace(0.2, 1.8, N)
    pd.DataFrame({**{f"x{i}": x[:, i] for i in range(4)}, "y": y, "w": w}).to_csv(tmp_path / "rows.csv", index=False)
    data = {"source": str(tmp_path / "rows.csv"), "target": "y", "weight": "w"}
    study = Ran(tmp_path, "binary", {"binary_focal": {}}, search={"trials": 2}, data=data,
                train={"class_weight": [1.0, 3.0]})  # fmt: skip
    text = told(study, "binary_focal")
    assert "where w is the column `w`" in text
    train = study.data().train
    # rows carry their own weight: that of the training rows is theirs over that of their class
    row_weights = train.weights / np.array([1.0, 3.0])[train.y]
    assert np.abs(row_weights[:, None] - w).min(axis=1).max() < 1e-6
    weights = eval(BOTH.search(text)[1], {"numpy": np, "w": row_weights, "y": train.y})
    again = refitted(study, "binary_focal", sample_weight=weights)
    assert difference(again, study.lane("binary_focal")) < TOLERANCE


@pytest.mark.long
def test_the_weights_of_rows_go_to_a_loss_of_whole_batches(tmp_path):
    x, y = rows("regression")
    w = np.linspace(0.2, 1.8, N)
    pd.DataFrame({**{f"x{i}": x[:, i] for i in range(4)}, "y": y, "w": w}).to_csv(tmp_path / "rows.csv", index=False)
    data = {"source": str(tmp_path / "rows.csv"), "target": "y", "weight": "w"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "default", lambda block=(): REGISTRY)
        study = Ran(tmp_path, "regression", {"weighted_bias": {}}, search={"trials": 2}, data=data)
        assert "give `model.fit` the column `w` as `sample_weight`" in told(study, "weighted_bias")
        weights = study.data().train.weights
        assert np.abs(weights[:, None] - w).min(axis=1).max() < 1e-6
        lane = study.lane("weighted_bias")
        assert difference(refitted(study, "weighted_bias", sample_weight=weights), lane) < TOLERANCE
        assert difference(refitted(study, "weighted_bias"), lane) > TOLERANCE


def test_where_nothing_was_weighted_nothing_is_told_of_weights(ran):
    study = ran("multiclass")
    assert "weight" not in told(study, "focal")


@pytest.mark.parametrize(
    "value",
    [math.inf, -math.inf, math.nan, np.float64(2.0), np.float32(0.5), np.int64(3), np.True_, np.array([1.0, np.inf]),
     (1.0, np.float64(2.5)), "text", None, True, 1e-300],
    ids=repr,
)  # fmt: skip
def test_every_value_of_a_recipe_is_source_that_evaluates_to_it(value):
    again = eval(recipes.literal(value), {})
    np.testing.assert_array_equal(again, value if value is None or isinstance(value, str) else np.asarray(value))
    assert type(again) in (float, int, bool, str, list, type(None))


def test_what_was_absent_in_the_trial_is_absent_in_the_recipe(ran):
    assert ran("binary").printed("binary_focal").params["alpha"] is None


def sum_of_powers(y_true, y_pred, power=2.0):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** power, axis=-1)


def rate_error(y_true, y_pred):
    return keras.ops.mean(y_pred - y_true * keras.ops.log(y_pred), axis=-1)


def test_the_recipe_of_a_function_of_the_users_own_trains_what_was_trained(tmp_path):
    losses = {"powers": {"function": sum_of_powers, "power": {"low": 1.5, "high": 2.5}},
              "rates": {"function": rate_error, "activation": "exp"}}  # fmt: skip
    study = Ran(tmp_path, "regression", losses, search={"trials": 4})
    for label in losses:
        loss = study.printed(label, sum_of_powers=sum_of_powers, rate_error=rate_error)
        assert difference(study.fitted(label, loss), study.lane(label)) < TOLERANCE


@pytest.mark.long
def test_with_folds_the_numbers_are_those_of_the_first(tmp_path):
    study = Ran(tmp_path, "regression", {"huber": {}}, data={"folds": 3}, search={"trials": 2})
    y = study.data().train.y
    assert study.printed("huber").needs["target_center"] == np.median(y) != np.median(study.problem.folds[1].train.y)
    assert difference(study.fitted("huber", study.printed("huber")), study.lane("huber")) < TOLERANCE
