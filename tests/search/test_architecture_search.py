"""Whole studies that search the batch size and a user's model."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

import lossreg
from lossreg.errors import InputError
from lossreg.search.outline import plan
from lossreg.search.restore import load_trial
from lossreg.storage.observer import Observer

OWN = """
import keras
import keras_tuner

def build(hp):
    layers = [keras.Input((4,))]
    kind = hp.Choice("kind", ["plain", "deep"])
    layers.append(keras.layers.Dense(hp.Int("units", 4, 8, step=4), "relu"))
    with hp.conditional_scope("kind", ["deep"]):
        depth = hp.Int("depth", 1, 2)
    layers += [keras.layers.Dense(4, "relu") for _ in range(depth or 0)]
    return keras.Sequential([*layers, keras.layers.Dense(3)])

class Own(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

own = Own()
"""
TRIALS = 10


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def document(name="shapes", hp="default", trials=TRIALS, **options):
    return {
        "name": name,
        "data": {"source": "sklearn:iris"},
        "model": {"build": "own.py:build", "hp": hp},
        "train": {"epochs": 2, "batch_size": {"choices": [16, 32]}},
        "search": {"trials": trials, "metric": "accuracy", "sampler": "random", **options},
        "losses": {"cross_entropy": {}},
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }


class Stopped(Observer):
    """Interrupts a study after some trials."""

    def __init__(self, after):
        self.left = after

    def trial(self, record, result):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def trials(result):
    return sorted((tuple(sorted(record.params.items())), round(record.score, 6)) for record in result.trials)


@pytest.mark.long
def test_a_study_of_two_models_and_two_batch_sizes_is_the_same_after_a_stop_and_its_model_is_the_one_that_won():
    units = {"units": "search"}
    whole = lossreg.tune(document("whole", units))
    with pytest.raises(KeyboardInterrupt):
        lossreg.tune(document("parted", units), progress=Stopped(5))
    parted = lossreg.tune(document("parted", units))
    assert len(whole.trials) == TRIALS
    assert {record.trainer for record in whole.trials} == {"population"}
    shapes = {(record.params["batch_size"], record.params["model.units"]) for record in whole.trials}
    assert shapes == {(16, 4), (16, 8), (32, 4), (32, 8)}
    first = next(record for record in whole.trials if record.number == 0)
    assert (first.params["batch_size"], first.params["model.units"]) == (32, 4)
    assert trials(parted) == trials(whole)
    params, trained = whole.best.params, load_trial(document("whole", units)).model
    hidden = [layer.units for layer in trained.layers if isinstance(layer, keras.layers.Dense)]
    assert hidden == [params["model.units"], 3]
    again = document("parted", {"units": {"choices": [4, 8, 16]}})
    with pytest.raises(InputError, match=r"model\.hp"):
        lossreg.tune(again)
    Path("own.py").write_text(OWN.replace("4, 8, step=4", "4, 12, step=4"))
    with pytest.raises(InputError, match="what is searched of the model"):
        lossreg.tune(document("parted", units))


def test_a_study_of_a_hyper_model_is_trained_and_loaded():
    study = document(hp="search", trials=2)
    study["model"]["build"] = "own.py:Own"
    best, trained = lossreg.tune(study).best, load_trial(study).model
    widths = [layer.units for layer in trained.layers if isinstance(layer, keras.layers.Dense)]
    assert widths == [best.params["model.units"], *[4] * best.params.get("model.depth", 0), 3]


@pytest.mark.parametrize("name", ["build", "Own", "own"])
def test_a_dry_run_shows_what_is_searched(name):
    study = document(hp="search")
    study["model"]["build"] = f"own.py:{name}"
    outline = plan(study)
    assert outline.architectures == {
        "batch_size": "16 | 32",
        "model.kind": "plain | deep",
        "model.units": "4 | 8",
        "model.depth": "1 to 2, where kind = deep",
    }
    assert outline.refused == {}


@pytest.mark.parametrize(
    ("hp", "message"),
    [
        ({"unit": 8}, "model.hp.unit: the model has no such hyperparameter. Did you mean units?"),
        ({"units": 4.5}, "model.hp.units: units must be a whole number, not 4.5"),
        ({"kind": "wide"}, 'model.hp.kind: "wide" is no value for kind'),
        ({"units": {"choices": [4, 0]}}, "model.build: with units = 0"),
    ],
)
def test_what_cannot_be_searched_is_said_before_the_search(hp, message):
    with pytest.raises(InputError) as caught:
        plan(document(hp=hp))
    assert message in str(caught.value)


def test_the_built_in_model_s_options_are_searched_too():
    study = document()
    study["model"] = {
        "hidden": {"choices": [[8], [4, 4]]},
        "dropout": {"low": 0.0, "high": 0.12},
        "activation": {"choices": ["relu", "tanh"]},
    }
    assert plan(study).architectures == {
        "batch_size": "16 | 32",
        "model.hidden": "8 | 4, 4",
        "model.activation": "relu | tanh",
        "model.dropout": "0 to 0.12 by 0.04",
    }
