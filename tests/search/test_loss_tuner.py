"""`LossTuner`: the methods that users of KerasTuner know, on a study in lanes."""

from __future__ import annotations

import signal

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
from keras import layers

import lossreg
from lossreg.errors import InputError
from lossreg.keras_tuner import LossTuner
from lossreg.search import fit_arguments

RNG = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], [40, 40, 40])
X = (100 * (RNG.normal(size=(120, 4)) + Y[:, None])).astype(np.float32)
X[:, 3] = 7  # the same in every row, and no reason to leave it out
ORDER = RNG.permutation(120)
X, Y = X[ORDER], Y[ORDER]
LOSSES = {"cross_entropy": {}, "focal": {"alpha": "none"}, "gce": {}}


def build_model(hp):
    model = keras.Sequential([keras.Input((4,)), layers.Rescaling(0.01)])
    model.add(layers.Dense(4, "relu"))
    if hp.Boolean("deep"):
        with hp.conditional_scope("deep", [True]):
            model.add(layers.Dense(hp.Choice("width", [3, 6]), "relu"))
    model.add(layers.Dense(3, activation="softmax"))
    rate = hp.Float("lr", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Later(keras.callbacks.EarlyStopping):
    """Stops by a rule of its own."""


def stopping(mode="auto"):
    return keras.callbacks.EarlyStopping("val_accuracy", patience=2, mode=mode)


def rows_of_tensorflow():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)


def tuner_of(folder, **arguments):
    given = {"losses": LOSSES, "max_trials": 5, "seed": 1, "directory": folder, "project_name": "mine", **arguments}
    return LossTuner(build_model, **given)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    tuner = tuner_of(tmp_path_factory.mktemp("tuner"))
    tuner.search(X[:90], Y[:90], validation_data=(X[90:], Y[90:]), epochs=2, batch_size=16, verbose=0)
    return tuner


def test_it_is_a_tuner_whose_search_is_a_study_on_these_validation_rows(searched):
    assert isinstance(searched, keras_tuner.Tuner)
    assert searched.remaining_trials == 0
    result = searched.result
    assert result.data["rows"] == {"train": 90, "validation": 30, "test": 0}
    assert {trial.candidate for trial in result.trials} == set(LOSSES)
    best = searched.oracle.get_best_trials(1)[0]
    assert best.score == max(trial.score for trial in result.trials)
    assert result.verdict is None
    assert not result.tracking.get("uri")


def test_its_models_score_on_the_users_own_rows_what_their_trials_did(searched):
    models, trials = searched.get_best_models(2), searched.oracle.get_best_trials(2)
    for model, trial in zip(models, trials, strict=True):
        predicted = model.predict(X[90:], verbose=0)
        np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
        assert (predicted.argmax(axis=1) == Y[90:]).mean() == pytest.approx(trial.score)
        loss, accuracy = model.evaluate(X[90:], Y[90:], verbose=0)
        assert accuracy == pytest.approx(trial.score)
        values = trial.hyperparameters.values
        found = {name.partition(".")[2]: v for name, v in values.items() if name.startswith(f"{values['loss']}.")}
        expected = lossreg.get(values["loss"], **found)
        assert loss == pytest.approx(float(expected(Y[90:], predicted)), rel=1e-5)
        assert float(model.optimizer.learning_rate) == pytest.approx(values["learning_rate"])


def test_its_hyperparameters_build_the_model_of_their_trial(searched):
    for hp, model in zip(searched.get_best_hyperparameters(5), searched.get_best_models(5), strict=True):
        assert isinstance(hp, keras_tuner.HyperParameters)
        again = searched.hypermodel.build(hp)
        assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
        assert float(again.optimizer.learning_rate) == pytest.approx(hp["learning_rate"]) == pytest.approx(hp["lr"])
        assert ("width" in hp.values) == hp["deep"]
        assert {name.partition(".")[0] for name in hp.values if "." in name} <= {hp["loss"]}


def test_another_tuner_in_the_folder_has_the_results_and_the_best_model(searched, capsys):
    again = tuner_of(searched.directory)
    assert again.oracle.trials.keys() == searched.oracle.trials.keys()
    assert again.get_best_hyperparameters()[0].values == searched.get_best_hyperparameters()[0].values
    expected = searched.get_best_models()[0].predict(X, verbose=0)
    np.testing.assert_allclose(again.get_best_models()[0].predict(X, verbose=0), expected, rtol=1e-5)
    with pytest.raises(InputError, match="Call search again"):
        again.get_best_models(2)
    again.search(X[:90], Y[:90], validation_data=(X[90:], Y[90:]), epochs=2, batch_size=16, verbose=0)
    assert len(again.get_best_models(2)) == 2
    assert len(again.oracle.trials) == 5
    capsys.readouterr()
    again.results_summary(2)
    again.search_space_summary()
    told = capsys.readouterr().out
    best = again.oracle.get_best_trials(1)[0]
    assert f"Score: {best.score}" in told
    assert f"loss: {best.hyperparameters['loss']}" in told
    # a parameter is known to KerasTuner once a trial has it
    tried = {name for trial in again.oracle.trials.values() for name in trial.hyperparameters.values}
    assert {"deep", "lr", "loss"} < tried
    assert all(f"{name} (" in told for name in tried)


def test_other_arguments_of_a_study_that_has_run_are_refused_in_words_of_tuners(searched):
    with pytest.raises(InputError) as caught:
        tuner_of(searched.directory).search(X[:90], Y[:90], validation_data=(X[90:], Y[90:]), epochs=3, batch_size=16)
    assert "epochs: 2 -> 3" in str(caught.value)
    assert "train." not in str(caught.value)
    assert "overwrite=True" in str(caught.value)
    assert "allow_changed" not in str(caught.value)


@pytest.mark.long
def test_more_trials_are_added_and_overwrite_begins_anew(tmp_path):
    for trials, overwrite, expected in ((3, False, 3), (5, False, 5), (3, True, 3)):
        tuner = tuner_of(tmp_path, max_trials=trials, overwrite=overwrite)
        tuner.search(X, Y, validation_split=0.25, epochs=1, verbose=0)
        assert len(tuner.oracle.trials) == len(tuner.result.trials) == expected
        assert tuner.result.data["rows"] == {"train": 90, "validation": 30, "test": 0}


@pytest.mark.long
@pytest.mark.parametrize("outputs", [1, 2])
def test_two_classes_have_as_many_outputs_as_the_users_model(outputs, tmp_path):
    def network(hp):
        units = hp.Int("units", 4, 8, step=4)
        head = layers.Dense(1, "sigmoid") if outputs == 1 else layers.Dense(2, "softmax")
        return keras.Sequential([layers.Rescaling(0.01), layers.Dense(units, "relu"), head])

    losses = ["cross_entropy", "brier", "hinge"]
    tuner = LossTuner(network, losses, max_trials=3, directory=tmp_path)
    tuner.search(X, (Y > 0).astype(int), validation_split=0.25, epochs=2, verbose=0)
    for model, trial in zip(tuner.get_best_models(3), tuner.oracle.get_best_trials(3), strict=True):
        predicted = model.predict(X[90:], verbose=0)
        is_score = trial.hyperparameters["loss"] == "hinge"
        one = predicted[:, 0] > (0 if is_score else 0.5) if outputs == 1 else predicted.argmax(axis=1)
        assert (one == (Y[90:] > 0)).mean() == pytest.approx(trial.score)
        if model.loss is not None:
            assert np.isfinite(model.evaluate(X, (Y > 0).astype(int), verbose=0)).all()
    again = LossTuner(network, losses, max_trials=3, directory=tmp_path)
    assert again.get_best_models()[0].output_shape == (None, outputs)


@pytest.mark.long
def test_inputs_by_name_numbers_weights_and_early_stopping(tmp_path):
    def network(hp):
        inputs = {name: keras.Input((2,), name=name) for name in ("a", "b")}
        hidden = layers.Dense(hp.Int("units", 4, 8, step=4), "relu")(layers.Concatenate()(list(inputs.values())))
        return keras.Model(inputs, layers.Dense(1)(hidden))

    x, y = {"a": X[:, :2] / 100, "b": X[:, 2:] / 100}, 50 + X[:, 0] / 100 + RNG.normal(size=120)
    tuner = LossTuner(
        network, ["huber", "mean_squared_error", "gaussian_nll"], "val_mean_absolute_error", 4, task="regression",
        executions_per_trial=2, directory=tmp_path, settings={"train": {"optimizer": "sgd"}},
    )  # fmt: skip
    stop = keras.callbacks.EarlyStopping("val_mean_absolute_error", patience=2)
    tuner.search(x, y, sample_weight=np.ones(120), validation_split=0.2, epochs=4, callbacks=[stop], verbose=0)
    assert [trial.spread is not None for trial in tuner.result.trials] == [True] * 4
    assert tuner.result.spec["train"]["early_stopping"] == {"patience": 2, "min_delta": 0.0}
    for model, trial in zip(tuner.get_best_models(4), tuner.oracle.get_best_trials(4), strict=True):
        assert isinstance(model.optimizer, keras.optimizers.SGD)
        error = np.abs(model.predict(x, verbose=0)[:, 0] - y).mean()
        assert error < 50 if trial.score < 20 else error > 1
        assert (model.loss is None) == (trial.hyperparameters["loss"] == "gaussian_nll")


def test_a_data_set_of_tensorflow_has_its_labels():
    dataset = rows_of_tensorflow()
    x, y = fit_arguments.rows(dataset, None, None, None, 0.0)
    np.testing.assert_array_equal(x, X)
    given = fit_arguments.rows(X, Y, None, dataset, 0.0)
    np.testing.assert_array_equal(fit_arguments.labels(given), Y)
    np.testing.assert_array_equal(given["validation"][1], y)


def test_early_stopping_may_stand_alone_and_say_what_is_better():
    objective = keras_tuner.Objective("val_accuracy", "max")
    section = fit_arguments.train(3, None, stopping("max"), None, objective)
    assert section == {"epochs": 3, "early_stopping": {"patience": 2, "min_delta": 0.0}}


def test_a_split_is_the_one_of_keras():
    given = fit_arguments.rows({"a": X}, Y.tolist(), None, None, 0.3)
    seen = []
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile(loss="mse", run_eagerly=True, metrics=[lambda y_true, y_pred: seen.append(len(y_true)) or y_true[0]])
    model.fit(X, Y, validation_split=0.3, epochs=1, batch_size=120, verbose=0)
    assert [len(given[part][1]) for part in ("train", "validation")] == seen
    np.testing.assert_array_equal(given["validation"][0]["a"], X[seen[0] :])


def test_the_project_of_another_tuner_is_refused(tmp_path):
    search = keras_tuner.RandomSearch(
        build_model, "val_accuracy", max_trials=1, directory=tmp_path, project_name="mine"
    )
    search.search(X[:20], Y[:20], validation_data=(X[90:], Y[90:]), verbose=0)
    with pytest.raises(InputError, match=r"project_name: .* has the search of another tuner"):
        tuner_of(tmp_path)
    assert not tuner_of(tmp_path, overwrite=True).oracle.trials


def small(hp):
    hidden = layers.Dense(hp.Choice("units", [4, 8]), "relu")
    return keras.Sequential([keras.Input((4,)), layers.Rescaling(0.01), hidden, layers.Dense(3, activation="softmax")])


class Interrupting(keras.callbacks.Callback):
    """Interrupts the second time that training begins; a file counts."""

    def __init__(self, file):
        super().__init__()
        self.file = file

    def on_train_begin(self, logs=None):
        with self.file.open("a+") as file:
            file.write(".")
        if self.file.stat().st_size == 2:
            signal.raise_signal(signal.SIGINT)


def test_an_interrupted_search_has_its_trials_and_a_damaged_project_is_told_again(tmp_path):
    settings = {"train": {"callbacks": lambda: [Interrupting(tmp_path / "times")], "batch_size": {"choices": [32, 64]}}}
    given = {"losses": ["gce"], "max_trials": 4, "directory": tmp_path, "settings": settings}
    rows = {"x": X[:90], "y": Y[:90], "validation_data": (X[90:], Y[90:]), "epochs": 2, "verbose": 0}
    tuner = LossTuner(small, **given)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(**rows)
    assert 1 <= len(tuner.oracle.trials) == len(tuner.result.trials) < 4
    assert len(tuner.get_best_models()) == 1
    tuner.search(**rows)
    (tmp_path / "untitled_project" / "oracle.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot be read: .*tuner0\.json: search then reads the study"):
        LossTuner(small, **given)
    (tmp_path / "untitled_project" / "tuner0.json").unlink()
    again = LossTuner(small, **given)
    again.search(**rows)
    for told in (tuner, again):
        trials = [told.oracle.trials[str(i)] for i in range(4)]
        of_study = {trial.number: trial for trial in told.result.trials}
        for trial, number in zip(trials, told.oracle.numbers, strict=True):
            assert trial.score == of_study[number].score
            assert trial.hyperparameters["batch_size"] == of_study[number].params["batch_size"]
        assert {trial.hyperparameters["loss"] for trial in trials} == {"cross_entropy", "gce"}


@pytest.mark.long
def test_models_of_a_study_that_preprocesses_and_weights_that_were_not_kept_are_refused(tmp_path):
    settings = {"data": {"preprocess": "standard"}, "search": {"keep": "best"}, "train": {"epochs": 2}}
    tuner = tuner_of(tmp_path, max_trials=2, losses=["gce"], settings=settings)
    with pytest.raises(InputError, match=r"has not been run yet\. Call search first"):
        tuner.result  # noqa: B018
    tuner.search(X, Y, verbose=0)
    assert tuner.result.spec["train"]["epochs"] == 2
    with pytest.raises(InputError, match=r"take preprocessed rows.*tuner\.result\.predictor"):
        tuner.get_best_models()
    assert tuner.result.predictor.predict(X[:5]).shape == (5,)
    settings["data"] = {}
    plain = tuner_of(tmp_path / "plain", max_trials=2, losses=["gce"], settings=settings)
    plain.search(X, Y, verbose=0)
    with pytest.raises(InputError, match=r'were not kept.*settings={"search": {"keep": "all"}}'):
        plain.get_best_models(2)
    with pytest.raises(InputError, match="the rows that are given"):
        plain.search(X[:100], Y[:100], verbose=0)


WRONG = [
    ({"losses": ["focall"]}, "Did you mean focal"),
    ({"losses": "focal"}, "losses: "),
    ({"losses": [3]}, "losses: must be names of losses"),
    ({"objective": "val_acuracy"}, "objective: unknown metric"),
    ({"objective": "val_loss"}, "objective: val_loss is a loss"),
    ({"objective": "accuracy"}, 'Write "val_accuracy"'),
    ({"objective": ["val_accuracy", "val_loss"]}, "objective: must be a metric"),
    ({"objective": keras_tuner.Objective("val_accuracy", "min")}, "objective: accuracy is to be maximized"),
    ({"max_trials": 0}, "max_trials: "),
    ({"max_trials": "many"}, "max_trials: "),
    ({"executions_per_trial": 0}, "executions_per_trial: "),
    ({"max_trials": 0, "executions_per_trial": 0}, "max_trials: must be at least 1, not 0\nexecutions_per_trial: "),
    ({"losses": {"focal": 3}}, 'losses["focal"]: '),
    ({"settings": {"train": {"schedule": "cosin"}}}, 'settings["train"]["schedule"]: '),
    ({"settings": {"model": {"build": "mlp"}}}, "hypermodel: settings has model.build too"),
    ({"task": "binary", "settings": {"data": {"task": "binary"}}}, "task: settings has data.task too"),
    ({"seed": -1}, "seed: "),
    ({"task": "clasification"}, "task: "),
    ({"settings": 3}, "settings: must be sections"),
    ({"settings": {"serch": {}}}, "serch"),
    ({"settings": {"search": {"trials": 9}}}, "max_trials: settings has search.trials too"),
    ({"distribution_strategy": object()}, "docs/workers.md"),
    ({"optimizer": "sgd"}, 'settings={"train": {"optimizer": "sgd"}}'),
    ({"max_trial": 3}, "Did you mean max_trials"),
    ({"project_name": 3}, "project_name: must be a text"),
    ({"directory": 3}, "directory: 3 is no path"),
    ({"directory": __file__}, "test_loss_tuner.py/mine: not a directory"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_wrong_arguments_are_named_before_anything_is_written(arguments, words, tmp_path):
    with pytest.raises(InputError) as caught:
        tuner_of(tmp_path, **arguments)
    assert str(caught.value).startswith(words) if words.endswith(": ") else words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("objective", "metric"), [
    ("val_sparse_categorical_accuracy", "accuracy"), ("val_acc", "accuracy"), ("val_auc", "roc_auc"),
    ("val_rmse", "root_mean_squared_error"),
])  # fmt: skip
def test_an_objective_may_have_the_name_that_keras_gives_it(objective, metric, tmp_path):
    assert tuner_of(tmp_path, objective=objective).oracle.objective.name == f"val_{metric}"


@pytest.mark.parametrize("objective", ["auc", "acc"])
def test_an_objective_of_the_training_rows_is_refused(objective, tmp_path):
    with pytest.raises(InputError, match=f'Write "val_{objective}"'):
        tuner_of(tmp_path, objective=objective)


def test_what_builds_no_model_is_named(tmp_path):
    with pytest.raises(InputError, match="hypermodel: must be a function build_model"):
        LossTuner("build_model", directory=tmp_path)


FIT = [
    ({"epochs": 0}, "epochs: "),
    ({"batch_size": 0}, "batch_size: "),
    ({"y": None}, "y: the labels are missing"),
    ({"y": Y + 1}, "classes must be 0 to 2"),
    ({"y": Y[:5]}, "x has 120 rows and y has 5"),
    ({"y": np.linspace(0, 1, 120)}, "accuracy is for"),
    ({"x": [X, X]}, "several inputs are given in a list"),
    ({"x": iter([X])}, "x: rows cannot be read"),
    ({"validation_data": X}, "validation_data: must be (x, y)"),
    ({"validation_split": 1.5}, "validation_split: must be a share"),
    ({"validation_split": 0.999}, "validation_split: of 0.999 leaves no training rows"),
    ({"validation_data": (X[:0], Y[:0])}, "no validation rows"),
    ({"validation_data": (X[:, :3], Y)}, "training and validation rows have different columns"),
    ({"callbacks": keras.callbacks.EarlyStopping()}, "EarlyStopping monitors 'val_loss'"),
    ({"callbacks": 3}, "callbacks: a study has no place for int"),
    ({"steps_per_epoch": 3}, "steps_per_epoch: a study trains with steps_per_epoch=None alone"),
    ({"shuffle": False}, "shuffle: a study trains with shuffle=True alone"),
    ({"shufle": False}, "Did you mean shuffle"),
    ({"class_weight": {0: "much"}}, "class_weight: "),
    ({"callbacks": [keras.callbacks.ReduceLROnPlateau()]}, "a study has no place for ReduceLROnPlateau"),
    ({"callbacks": [keras.callbacks.EarlyStopping()]}, "EarlyStopping monitors 'val_loss'"),
    ({"callbacks": keras.callbacks.EarlyStopping()}, "EarlyStopping monitors 'val_loss'"),
    ({"callbacks": [stopping("min")]}, "EarlyStopping monitors 'val_accuracy', mode='min', and a study the objective"),
    ({"callbacks": [stopping(), stopping("max")]}, "callbacks: a study has no place for a second EarlyStopping"),
    ({"callbacks": [Later("val_accuracy", patience=2)]}, "callbacks: a study has no place for Later"),
    ({"x": rows_of_tensorflow(), "y": None, "sample_weight": np.ones(120)}, "and sample_weight is given too"),
    ({"x": rows_of_tensorflow()}, "and y is given too"),
    ({"x": rows_of_tensorflow().take(0), "y": None}, "x: no rows"),
    ({"callbacks": [keras.callbacks.TerminateOnNaN()]}, "no place for TerminateOnNaN. settings="),
]  # fmt: skip


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    return tuner_of(tmp_path_factory.mktemp("idle"))


@pytest.mark.parametrize(("arguments", "words"), FIT)
def test_arguments_of_fit_that_a_study_cannot_take_are_named(arguments, words, idle):
    with pytest.raises(InputError) as caught:
        idle.search(**{"x": X, "y": Y, "epochs": 1, "verbose": 0, **arguments})
    assert str(caught.value).startswith(words) if words.endswith(": ") else words in str(caught.value)
    assert not idle.oracle.trials


def test_relative_paths_of_settings_start_at_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.py").write_text("raise ValueError('it was found')")
    tuner = tuner_of(tmp_path / "elsewhere", settings={"train": {"callbacks": "beside.py:make"}})
    with pytest.raises(InputError, match="it was found"):
        tuner.search(X, Y, verbose=0)


def test_a_column_may_say_which_rows_validate_and_test(tmp_path):
    table = pd.DataFrame(X, columns=list("abcd")).assign(part=["train"] * 70 + ["validation"] * 30 + ["test"] * 20)
    settings = {"data": {"split": "part"}, "verdict": {"enabled": False}}
    tuner = tuner_of(tmp_path, losses=["cross_entropy"], max_trials=1, settings=settings)
    tuner.search(table, Y, epochs=1, verbose=0)
    assert tuner.result.data["rows"] == {"train": 70, "validation": 30, "test": 20}


def test_a_store_in_settings_is_written_to(tmp_path):
    tuner = tuner_of(tmp_path, settings={"tracking": {"uri": "nonsense://store"}})
    with pytest.raises(InputError, match="nonsense"):
        tuner.search(X, Y, verbose=0)


TWICE = [
    ({"train": {"epochs": 3}}, {"epochs": 1}, "epochs: settings has train.epochs too"),
    ({"train": {"batch_size": 8}}, {"batch_size": 64}, "batch_size: settings has train.batch_size too"),
    ({"data": {"validation": 0.5}}, {"validation_split": 0.5}, "validation_split: settings has data.validation too"),
    ({"data": {"validation": 0.5}}, {"validation_data": (X, Y)}, "validation_data: settings has data.validation too"),
]


@pytest.mark.parametrize(("settings", "arguments", "words"), TWICE)
def test_what_settings_have_too_is_refused(settings, arguments, words, tmp_path):
    with pytest.raises(InputError, match=words):
        tuner_of(tmp_path, settings=settings).search(X, Y, verbose=0, **arguments)


def test_a_data_set_that_never_ends_is_named_by_its_argument():
    import tensorflow as tf

    endless = tf.data.Dataset.from_tensor_slices((X, Y)).repeat()
    for x, y, validation, where in ((endless, None, None, "x"), (X, Y, endless, "validation_data")):
        with pytest.raises(InputError, match=f"^{where}: the tf.data.Dataset never ends"):
            fit_arguments.rows(x, y, None, validation, 0.0)
