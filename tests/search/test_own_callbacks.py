"""Studies with callbacks of the user's own: a function in a file, or one that is given in Python."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import pytest
from fake_trainer import Fake

import lossreg
from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.search import outline, preparation

CODE = """
import json
from pathlib import Path

import keras

made = []

class Log(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if len(made) == FAILS_IN and epoch == 1:
            raise RuntimeError("the disk of the log is full")
        if epoch == 1:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        with Path("log.jsonl").open("a") as file:
            file.write(json.dumps(sorted(logs)) + "\\n")

def make_callbacks():
    made.append(Log())
    return [made[-1]]

def nothing():
    return None

def takes(trial):
    return []

price = 3

class Counts(keras.callbacks.Callback):
    made = 0

def counted():
    Counts.made += 1
    return [Counts()]
"""


def study(callbacks="own.py:make_callbacks", **changes):
    return {
        "name": "called",
        "data": {"source": "sklearn:make_moons?n_samples=120"},
        "model": {"hidden": [4]},
        "train": {"epochs": 4, "learning_rate": 0.02, "callbacks": callbacks},
        "search": {"trials": 3, "keep": "all", "metric": "accuracy", "confirm": 0},
        "losses": {name: {} for name in ("cross_entropy", "weighted_bce", "binary_focal")},
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
        **changes,
    }


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(CODE.replace("FAILS_IN", "3"))  # the first is made to be looked at


def test_trials_are_stopped_and_logged_and_one_that_fails_ends_alone():
    document = study()
    result = lossreg.tune(document)
    assert [(trial.state, trial.epochs) for trial in result.trials if trial.number != 1] == [("complete", 2)] * 2
    assert result.trials[1].state == "failed"
    assert result.trials[1].reason.endswith("RuntimeError: the disk of the log is full (own.py, line 12)")
    assert {trial.trainer for trial in result.trials} == {"fit"}
    [note] = [note for note in result.notes if "own callbacks" in note]
    assert note.startswith("own.py:make_callbacks: own callbacks, so that trials are trained one after the other")
    shown = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert shown == [["accuracy", "loss", "val_accuracy", "val_loss"]] * 2
    model, _ = lossreg.load_trial(document, number=0)
    assert model.output_shape == (None, 1)
    assert outline.plan(document).asked["callbacks"] == "own.py:make_callbacks"
    Path("own.py").write_text(CODE.replace("FAILS_IN", "2"))
    with pytest.raises(InputError, match="the code of the callbacks"):
        lossreg.tune(document)


class Counts(keras.callbacks.Callback):
    made = 0


def counted():
    Counts.made += 1
    return [Counts()]


@pytest.mark.parametrize("callbacks", ["own.py:counted", pytest.param(counted, marks=pytest.mark.long)])
def test_what_callbacks_count_as_they_run_is_no_change_of_their_code(callbacks):
    for number in (3, 4, 5):
        document = study(callbacks, search={"trials": number})
        trials = lossreg.tune(document, trainers=[Fake(lambda plan, epoch: 0.5)]).trials
        assert len(trials) == number


@pytest.mark.long
def test_the_verdict_and_members_are_trained_with_callbacks_too():
    made = []

    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    def make_callbacks():
        made.append(Stops())
        return [made[-1]]

    document = study(make_callbacks, verdict={"outer": 0, "repeats": 4})
    document["search"] = {"trials": 2, "seeds": 2, "keep": "all"}
    document["losses"] = {"cross_entropy": {}, "binary_focal": {}}
    result = lossreg.tune(document)
    assert [len(trial.curves["val_score"]) for trial in result.trials] == [1, 1]
    assert result.verdict.repeats == 4
    assert len(made) >= 1 + 2 * 2 + 2 * 4


def test_a_study_without_a_name_is_named_by_what_its_callbacks_do():
    def stopping(patience):
        return lambda: [keras.callbacks.EarlyStopping(patience=patience)]

    def named(patience):
        document = study(stopping(patience))
        del document["name"]
        return studies.from_dict(document).name

    assert named(1) == named(1) != named(2)


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        ("own.py:make_callback", r"train\.callbacks: .*has no make_callback.*make_callbacks"),
        ("ovn.py:make_callbacks", r"train\.callbacks: no such file: .*ovn\.py"),
        ("make_callbacks", r"train\.callbacks: \"make_callbacks\" names no function.*file\.py:function"),
        ("own.py:price", r"train\.callbacks: .*is not a function but int"),
        ("own.py:nothing", r"train\.callbacks: .*returned None, not a list"),
        ("own.py:takes", r"train\.callbacks: .*TypeError"),
        (3, r"train\.callbacks: must be text, not 3"),
        (
            [keras.callbacks.TerminateOnNaN()],
            r"train\.callbacks: every trial has callbacks of its own.*give a function",
        ),
        (keras.callbacks.TerminateOnNaN, r"train\.callbacks: every trial has callbacks of its own"),
    ],
)
def test_what_makes_no_callbacks_is_refused_with_its_key(callbacks, words):
    with pytest.raises(InputError, match=words):
        preparation.prepare(studies.from_dict(study(callbacks)))


def test_lanes_are_refused():
    document = study(search={"trainer": "population"})
    with pytest.raises(InputError, match=r"train\.callbacks: callbacks are those of model\.fit, and search\.trainer"):
        studies.from_dict(document)
