"""Callbacks of the user's own: what they are told and what they do is as under one `model.fit` of Keras."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from problems import Mlp, difference, plan, problem, run
from quick import long_but

import lossreg
from lossreg.errors import InputError
from lossreg.training.interface import batch_order
from lossreg.training.own_callbacks import Maker, check
from lossreg.training.solo import Fit

EPOCHS = 6


class Order(keras.callbacks.Callback):
    """Sorts the rows of the next epoch as lossreg does, for Keras's own fit of shuffled rows."""

    def __init__(self, setup, seed, rows):
        super().__init__()
        self.setup, self.seed, self.rows = setup, seed, rows

    def on_epoch_begin(self, epoch, logs=None):
        order = batch_order(self.seed, epoch, len(self.setup.dataset.train.y))
        self.rows[:] = [self.setup.dataset.train.x[order], self.setup.dataset.train.y[order]]


def by_keras(setup, each, callbacks):
    """Keras's own fit of all epochs with these callbacks: its model, and its history."""
    data, rows = setup.dataset, [None, None]

    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return math.ceil(len(data.train.y) / setup.batch_size)

        def __getitem__(self, i):
            part = slice(i * setup.batch_size, (i + 1) * setup.batch_size)
            return rows[0][part], rows[1][part]

    first = Order(setup, each.seed, rows)
    first.on_epoch_begin(0)
    model = setup.build(4, each.seed)
    model.compile(
        keras.optimizers.Adam(each.learning_rate), lossreg.get("cross_entropy", from_logits=True), metrics=["accuracy"]
    )
    history = model.fit(
        Rows(), epochs=each.epochs, shuffle=False, verbose=0, callbacks=[*callbacks, first],
        validation_data=(data.validation.x, data.validation.y), validation_batch_size=len(data.validation.y),
    )  # fmt: skip
    return model, history.history


class Heard(keras.callbacks.Callback):
    """Notes what it is told, by hook."""

    def __init__(self, heard, hooks):
        super().__init__()
        for hook in hooks:
            setattr(self, hook, lambda *args, hook=hook, **named: heard.append((hook, *map(plain, args))))


def plain(value):
    return {k: float(v) for k, v in value.items()} if isinstance(value, dict) else value


OF_EPOCHS = ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end")
OF_BATCHES = (*OF_EPOCHS, "on_train_batch_begin", "on_train_batch_end")
MAKERS = {
    "stops and restores": lambda: [
        keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True, start_from_epoch=1)
    ],
    "halves the rate": lambda: [keras.callbacks.ReduceLROnPlateau("val_accuracy", factor=0.5, patience=1, min_delta=1)],
    "schedules the rate": lambda: [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / (1 + epoch))],
    "ends in a batch": lambda: [Ends()],
    "ends as it begins": lambda: [EndsAsItBegins(0)],
    "ends as an epoch begins": lambda: [EndsAsItBegins(1)],
}


class Ends(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations >= 31:
            self.model.stop_training = True


class EndsAsItBegins(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_train_begin(self, logs=None):
        self.model.stop_training = self.epoch == 0

    def on_epoch_begin(self, epoch, logs=None):
        self.model.stop_training = self.model.stop_training or epoch == self.epoch


def calling(make, **changes):
    setup = problem("multiclass", {"ce": "cross_entropy"}, builder=Mlp(lambda: keras.layers.Dense(24, "relu")))
    return replace(setup, callbacks=Maker.of(make, Path())), plan(
        setup, "ce", **{"rate": 0.03, "epochs": EPOCHS, **changes}
    )


def trained(setup, each):
    """Reports until the training is at its end or stopped, and the final weights."""
    trainer, reports = Fit(setup), []
    trainer.open(0, each)
    while len(reports) < each.epochs and not (reports and reports[-1].stopped):
        reports.append(trainer.advance()[0])
    weights = trainer.weights(0)
    trainer.close(0)
    return reports, weights


@pytest.mark.parametrize("name", long_but({"stops and restores", "halves the rate"}, list(MAKERS)))
def test_weights_losses_and_rates_are_those_of_one_fit(name):
    heard, told = [], []
    hooks = OF_BATCHES if name == "ends in a batch" else OF_EPOCHS
    setup, each = calling(lambda: [*MAKERS[name](), Heard(heard, hooks)])
    reports, weights = trained(setup, each)
    model, history = by_keras(setup, each, [*MAKERS[name](), Heard(told, hooks)])
    assert difference(weights, model.get_weights()) < 2e-5
    assert [report.train_loss for report in reports] == pytest.approx(history["loss"], rel=2e-4)
    assert [report.val_loss for report in reports[:-1]] == pytest.approx(history["val_loss"][:-1], rel=2e-4)
    assert [entry[:2] for entry in heard if entry[0] != "on_train_end"] == [
        entry[:2] for entry in told if entry[0] != "on_train_end"
    ]
    for one, other in zip(heard, told, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            if isinstance(mine, dict):
                known = {key: value for key, value in theirs.items() if key in mine}
                assert mine == pytest.approx(known, rel=2e-3, abs=1e-3), one[0]
    ends = reports[-1]
    scored = (model.predict(setup.dataset.validation.x, verbose=0).argmax(-1) == setup.dataset.validation.y).mean()
    assert ends.val_score == pytest.approx(scored)
    assert ends.stopped == (len(history["loss"]) < EPOCHS)


def test_nothing_that_a_callback_leaves_reaches_the_next_training():
    class Breaks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.0
            self.model.set_weights([np.zeros_like(value) for value in self.model.get_weights()])

    made = []
    setup, each = calling(lambda: made.append(Breaks()) or [made[-1]], epochs=2)
    reports = [trained(setup, each)[0] for _ in range(2)]
    assert reports[0] == reports[1]
    assert len(made) == 2
    first, second = run(Fit(replace(setup, callbacks=None)), [each])[0][0]
    assert (reports[0][0].train_loss, reports[0][0].train_score) == (first.train_loss, first.train_score)
    assert reports[0][0].val_loss == pytest.approx(np.log(4))
    assert reports[0][1] != second


def test_members_stop_each_by_themselves_and_wait_for_the_others():
    class After(keras.callbacks.Callback):
        left = iter((1, 3))

        def on_train_begin(self, logs=None):
            self.epochs = next(self.left)

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch + 1 >= self.epochs

    setup, each = calling(lambda: [After()])
    trainer = Fit(setup, 2)
    for slot in (0, 1):
        trainer.open(slot, replace(each, seed=slot))
    reports = [trainer.advance() for _ in range(3)]
    assert [[report[slot].stopped for slot in (0, 1)] for report in reports] == [[1, 0], [1, 0], [1, 1]]
    assert [report[0].epoch for report in reports] == [1, 2, 3]
    assert {report[0].val_loss for report in reports} == {reports[0][0].val_loss}
    assert reports[0][1].val_loss != reports[1][1].val_loss


def test_a_callback_may_evaluate_other_rows_at_any_time():
    class Evaluates(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            x = np.zeros((1000, 7), np.float32)
            self.model.evaluate(x, np.eye(4, dtype=np.float32)[np.zeros(1000, int)], verbose=0)
            self.model.predict(x, verbose=0)

    setup, each = calling(lambda: [Evaluates()], epochs=2)
    assert trained(setup, each)[0] == run(Fit(replace(setup, callbacks=None)), [each])[0][0]


@pytest.mark.parametrize("hook", [pytest.param("on_train_batch_begin", marks=pytest.mark.long), "on_train_batch_end"])
def test_rows_that_a_callback_evaluates_within_an_epoch_are_no_training_rows(hook):
    class Evaluates(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            setattr(self, hook, self.evaluate)

        def evaluate(self, batch, logs=None):
            if batch == 1:
                self.model.evaluate(np.zeros((8, 7), np.float32), np.eye(4, dtype=np.float32)[[0] * 8], verbose=0)

    setup, each = calling(lambda: [Evaluates()], epochs=1)
    trainer = Fit(setup)
    trainer.open(0, each)
    report = trainer.advance()[0]
    rows, model = setup.dataset.train, setup.build(4, each.seed)
    model.set_weights(trainer.weights(0))
    hit = model.predict(rows.x, verbose=0).argmax(1) == rows.y
    assert report.train_score == pytest.approx(hit.mean())


def test_a_training_that_is_left_early_ends_for_its_callbacks_once():
    heard = []
    setup, each = calling(lambda: [Heard(heard, OF_EPOCHS)])
    trainer = Fit(setup)
    trainer.open(0, each)
    trainer.advance()
    trainer.close(0)
    trained(setup, each)
    assert [entry[0] for entry in heard].count("on_train_end") == 2


def test_an_exception_names_the_function_and_ends_the_callbacks():
    heard = []

    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise ValueError("no such thing")

    def make_callbacks():
        return [Fails(), Heard(heard, ("on_train_end",))]

    setup, each = calling(make_callbacks)
    trainer = Fit(setup)
    trainer.open(0, each)
    with pytest.raises(InputError, match=r"make_callbacks: ValueError: no such thing \(test_own_callbacks\.py, line"):
        trainer.advance()
    trainer.close(0)
    assert not heard


SHARED = keras.callbacks.Callback()
WRONG = {
    "nothing": (lambda: None, r"returned None, not a list"),
    "one": (keras.callbacks.TerminateOnNaN, r"returned <.*TerminateOnNaN.*>, not a list"),
    "text": (lambda: ["stop"], r"returned 'stop', which is no keras\.callbacks\.Callback"),
    "shared": (lambda: [SHARED], r"returned the same Callback twice"),
    "fails": (lambda: [1 / 0], r"ZeroDivisionError"),
    "takes": (lambda trial: [], r"TypeError.*missing 1 required positional argument"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_callbacks_is_refused(name):
    make, words = WRONG[name]
    maker = Maker.of(make, Path())
    if name == "shared":
        maker.new()
    with pytest.raises(InputError, match=words):
        maker.new()


class Adds(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["val_mine"] = 1.0


STOPS, SLOWS = keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau


@pytest.mark.parametrize(("make", "scheduled", "words"), [
    (lambda: [STOPS("val_accuracy")], False,
     r"EarlyStopping monitors val_accuracy, and the logs have loss, f1_macro, val_loss, val_f1_macro"),
    (lambda: [STOPS("val_loss"), keras.callbacks.ModelCheckpoint("a.keras", "val_acc")], False, r"ModelCheckpoint mon"),
    (lambda: [STOPS("val_mine", mode="max"), Adds()], False, r"EarlyStopping monitors val_mine"),
    (lambda: [SLOWS()], True, r"ReduceLROnPlateau sets the learning rate, and so does schedule"),
    (lambda: [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate)], True, r"Scheduler sets the learning"),
    (lambda: [STOPS("f1_macro"), SLOWS("val_f1_macro"), keras.callbacks.TerminateOnNaN()], False, ""),
    (lambda: [Adds(), STOPS("val_mine", mode="max")], True, ""),
])  # fmt: skip
def test_callbacks_that_would_fail_in_every_trial_are_refused_before(make, scheduled, words):
    maker = Maker.of(make, Path())
    if not words:
        check(maker, "f1_macro", scheduled=scheduled)
        return
    with pytest.raises(InputError, match=words):
        check(maker, "f1_macro", scheduled=scheduled)
