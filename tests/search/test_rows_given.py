"""`lossreg.tune(X, y, ...)`: the same study as that of a document, asked for by arguments."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fake_trainer import Fake

import lossreg
from lossreg.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
APART = {"verdict": {"enabled": False}, "tracking": {"enabled": False}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tuned(*given, **arguments):
    arguments = {"losses": ["cross_entropy", "focal"], "trials": 3, "settings": APART, **arguments}
    return lossreg.tune(*given, trainers=[Fake(lambda plan, epoch: 0.5)], **arguments)


def test_arguments_are_the_keys_of_a_study():
    result = tuned(X, Y, metric="accuracy", epochs=2, model={"hidden": [5]}, task="binary", name="mine")
    document = {
        "name": "mine", "data": {"task": "binary"}, "losses": {"cross_entropy": {}, "focal": {}},
        "search": {"metric": "accuracy", "trials": 3}, "train": {"epochs": 2}, "model": {"hidden": [5]}, **APART,
    }  # fmt: skip
    again = lossreg.tune(document, data=(X, Y), trainers=[Fake(lambda plan, epoch: 0.9)])
    assert [trial.score for trial in again.trials] == [trial.score for trial in result.trials]
    assert len(result.trials) == 3
    assert result.metric == "accuracy"


def test_rows_are_arrays_tables_inputs_and_tables_with_their_target():
    both = FRAME.assign(left=Y)
    digests = {
        tuned(FRAME, Y).data["digest"],
        tuned(both, target="left").data["digest"],
        tuned(pl.from_pandas(both), target="left").data["digest"],
    }
    assert len(digests) == 1
    assert tuned(X.tolist(), Y.tolist()).study == tuned(X, Y).study
    assert tuned({"one": X[:, :2], "two": X[:, 2:]}, Y.tolist(), model={"hidden": [3]}).data["rows"]["train"] > 0
    assert tuned(X, Y, task="multiclass" if len(set(Y)) > 2 else "binary").task == "binary"


def test_a_study_without_a_name_is_named_by_its_content(tmp_path):
    first, same, other = tuned(X, Y), tuned(X, Y), tuned(X[::-1], Y)
    assert first.study == same.study != other.study
    assert len({first.study, tuned(X, Y, trials=3, epochs=3).study, other.study}) == 3
    assert len(tuned(X, Y, trials=5).trials) == 5


def test_a_function_is_the_metric():
    def share(y_true, y_pred):
        return float((y_true == y_pred).mean())

    result = tuned(X, Y, metric=share, settings={**APART, "search": {"direction": "maximize"}})
    assert result.best is not None


@pytest.mark.parametrize(
    ("given", "arguments", "words"),
    [
        ((X, Y), {"metric": "acuracy"}, "metric: "),
        ((X, Y), {"metric": "f1_macr"}, "metric: "),
        ((X, Y), {"trials": 0}, "trials: "),
        ((X, Y), {"trials": "many"}, "trials: "),
        ((X, Y), {"epochs": -1}, "epochs: "),
        ((X, Y), {"losses": ["focall"]}, "Did you mean focal"),
        ((X, Y), {"losses": [3]}, "losses: must be names of losses"),
        ((X, Y), {"losses": "focal"}, "losses: "),
        ((X, Y), {"model": {"hiden": [3]}}, 'model["hiden"]: '),
        ((X, Y), {"task": "clasification"}, "task: "),
        ((X, Y), {"name": "a/b"}, "name: "),
        ((X, Y), {"data": 3}, "the rows are the first argument"),
        ((FRAME, Y), {"target": "a"}, "the labels are given as y too"),
        ((FRAME,), {"target": "d"}, "no column"),
        ((X, Y[:5]), {}, "X, y: "),
        ((X.tolist(),), {}, "rows without labels"),
        ((X,), {}, "rows without labels"),
        ((X, Y), {"settings": 3}, "settings: must be sections"),
        ((X, Y), {"settings": {"search": {"trials": 3}}}, "settings has search.trials too"),
        ((X, Y), {"settings": {"serch": {}}}, "serch"),
        (({"name": "a"},), {}, "go with rows, and this is a study"),
        (("a.toml",), {}, "go with rows, and this is a study"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(given, arguments, words, tmp_path):
    with pytest.raises(InputError) as caught:
        tuned(*given, **arguments)
    assert str(caught.value).startswith(words) if words.endswith(": ") else words in str(caught.value)
    assert "--" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
