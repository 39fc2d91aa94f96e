"""Small problems for trainers, made without the data and model modules: the trainers' own contract."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import lossreg
from lossreg.contract.targets import Constants
from lossreg.data.dataset import Split
from lossreg.registry import registry
from lossreg.training.interface import Plan, Problem, batch_order
from lossreg.training.optimizers import ACCUMULATION, KNOWN

ROWS, VALIDATION, FEATURES, BATCH = 215, 60, 7, 16


def accuracy(y, labels):
    return (labels == y).reshape(len(labels), -1).mean(-1)


def negative_mse(y, values):
    return -((values - y) ** 2).mean(-1)


ACCURACY = SimpleNamespace(name="accuracy", response="label", direction="maximize", score_lanes=accuracy)
MSE = SimpleNamespace(name="neg_mse", response="value", direction="maximize", score_lanes=negative_mse)


def dataset(task, seed=0):
    """A few noisy rows; class 0 is frequent, targets are positive; three labels, masks of four places."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS + VALIDATION, FEATURES)).astype(np.float32)
    signal = x[:, 0] + 0.5 * x[:, 1] * x[:, 2] + 0.3 * rng.normal(size=len(x))
    k = {"multiclass": 4, "binary": 2, "multilabel": 3, "segmentation": 2}.get(task, 0)
    y = np.digitize(signal, [0.4, 1.0, 1.6][: k - 1]) if k else np.exp(signal / 2) * 3
    if task in ("multilabel", "segmentation"):
        y = (signal[:, None] + x[:, : 3 if task == "multilabel" else 4] > 0.5).astype(np.int64)
    if task == "count":
        y = np.round(y)
    parts = [Split(x[rows], y[rows]) for rows in (slice(ROWS), slice(ROWS, None))]
    constants = Constants.from_labels(parts[0].y, k, multihot=task == "multilabel")
    return of_one_fold(
        train=parts[0], validation=parts[1], task=task, n_classes=k, constants=constants, input_shape=(FEATURES,)
    )


def of_one_fold(**facts):
    """A data set that is its only fold."""
    data = SimpleNamespace(**facts)
    data.folds = (data,)
    return data


class Masks:
    """A builder of a small model with a score for each of four places."""

    def build(self, input_shape, outputs, n_classes, seed):
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(4 * outputs), keras.layers.Reshape((4, outputs))]
        return keras.Sequential([keras.Input(input_shape), *layers])


class Mlp:
    """A builder of small dense models."""

    def __init__(self, *layers):
        self.layers = layers or (lambda: keras.layers.Dense(12, "relu"), lambda: keras.layers.Dense(8, "tanh"))

    def build(self, input_shape, outputs, n_classes, seed):
        keras.utils.set_random_seed(seed)
        hidden = [layer() for layer in self.layers]
        return keras.Sequential([keras.Input(input_shape), *hidden, keras.layers.Dense(outputs)])


def problem(task, losses, *, optimizer="adam", settings=None, builder=None, batch_size=BATCH):
    """losses maps labels to registered names."""
    metric = MSE if task in ("regression", "positive", "count") else ACCURACY
    builder = builder or (Masks() if task == "segmentation" else Mlp())
    specs = {label: registry.default().get(name) for label, name in losses.items()}
    return Problem(dataset(task), builder, metric, specs, optimizer, settings or {}, batch_size)


def plan(setup, label, rate, epochs=4, seed=0, **params):
    return Plan(label, setup.losses[label].bind(params, setup.dataset.n_classes or None), rate, epochs, seed)


def run(trainer, plans, epochs=None):
    """Train plans in slots 0, 1, ... to their end; reports of every epoch and final weights, by slot."""
    for slot, each in enumerate(plans):
        trainer.open(slot, each)
    reports = {slot: [] for slot in range(len(plans))}
    for _ in range(epochs or max(each.epochs for each in plans)):
        for slot, report in trainer.advance().items():
            reports[slot].append(report)
    return reports, [trainer.weights(slot) for slot in range(len(plans))]


def is_close(report, other, absolute):
    """Return whether two reports of an epoch agree in all numbers."""
    numbers, others = ([v for v in dataclasses.astuple(one)[:-2] if v is not None] for one in (report, other))
    return numbers == pytest.approx(others, rel=2e-4, abs=absolute) and (report.decision, report.also) == (
        other.decision,
        other.also,
    )


def again(population, plans, epochs=None):
    """The same with other plans, in the slots of a population that is trained already."""
    for slot in range(population.slots):
        population.close(slot)
    return run(population, plans, epochs)


def alone(setup, each, prepared=lambda optimizer: optimizer):
    """The plan trained by `model.fit` with the loss that `lossreg.get` gives: history and final weights.

    prepared makes something else of Keras's own optimizer.
    """
    import lossreg

    data, spec = setup.folds[each.fold], setup.losses[each.candidate]
    model = setup.build(setup.outputs(each.candidate), each.seed, each.architecture)
    kind = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW,
            "rmsprop": keras.optimizers.RMSprop}[setup.optimizer]  # fmt: skip
    constants = {name: value for name, value in data.constants.select(spec.constants).items() if name != "n_classes"}
    model.compile(
        prepared(kind(each.learning_rate, **setup.optimizer_settings)),
        lossreg.get(spec, from_logits=True, **each.params, **constants),
    )
    y, y_val = data.train.y, data.validation.y
    if not data.n_classes and spec.target == "real":
        center, scale = np.median(y), 1.4826 * np.median(np.abs(y - np.median(y)))
        y, y_val = (y - center) / scale, (y_val - center) / scale
    losses = []
    weights, validation = data.train.weights, (data.validation.x, y_val)
    validation += () if data.validation.weights is None else (data.validation.weights,)
    for epoch in range(each.epochs):
        order = batch_order(each.seed, epoch, len(y))
        x = {name: part[order] for name, part in data.train.x.items()} if own_inputs(data) else data.train.x[order]
        history = model.fit(
            x, y[order], batch_size=setup.architecture(each).batch_size, shuffle=False, verbose=0,
            sample_weight=None if weights is None else weights[order],
            validation_data=validation, validation_batch_size=len(y_val),
        )  # fmt: skip
        losses.append((history.history["loss"][0], history.history["val_loss"][0]))
    return losses, model.get_weights(), model


def assert_as_alone(setup, each, weights, reports, tolerance):
    """Hold a lane's weights and losses to those of `alone`, and return the model that was trained there."""
    losses, solo, model = alone(setup, each)
    assert difference(weights, solo) < tolerance, each.candidate
    for report, (loss, val_loss) in zip(reports, losses, strict=True):
        assert report.train_loss == pytest.approx(loss, rel=2e-4, abs=1e-6)
        assert report.val_loss == pytest.approx(val_loss, rel=2e-4, abs=1e-6)
    return model


def own_inputs(data):
    """Return whether the rows have several inputs by name."""
    return isinstance(data.train.x, dict)


def difference(one, other):
    """The largest difference of two lists of weights."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def fitted(setup, each, rate=None):
    """The weights after plain `model.fit` with Keras's own optimizer; rate may be a Keras schedule."""
    data, given = setup.dataset, {**setup.optimizer_settings, **each.optimizer_settings}
    model = setup.builder.build(data.input_shape, data.n_classes, data.n_classes, each.seed)
    own_settings = {k: v for k, v in given.items() if (k, v) != (ACCUMULATION, 1)}
    optimizer = KNOWN[setup.optimizer](rate or each.learning_rate, **own_settings)
    # in fit itself ScheduleFreeAdamW would forget where its weights start
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, lossreg.get("cross_entropy", from_logits=True))
    for epoch in range(each.epochs):
        order = batch_order(each.seed, epoch, len(data.train.y))
        batches = {"batch_size": setup.batch_size, "shuffle": False, "verbose": 0}
        model.fit(data.train.x[order], data.train.y[order], **batches)
    return model.get_weights()
