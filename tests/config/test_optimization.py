"""Optimizers and schedules in a study: the settings that are searched, and mistakes."""

from __future__ import annotations

import inspect
import json

import keras
import pytest

import lossreg
from lossreg.config import optimization, study
from lossreg.config.search_space import Fixed, Options, Range
from lossreg.contract.params import Choice
from lossreg.errors import InputError
from lossreg.search.outline import plan
from lossreg.search.proposer import Proposer
from lossreg.training.optimizers import KNOWN

SGD = {
    "name": "sgd",
    "momentum": {"low": 0.2, "high": 0.99},
    "nesterov": {"choices": [True, False]},
    "weight_decay": {"low": 1e-5, "high": 1e-2, "log": True},
    "clipnorm": 1,
}


def written(optimizer="adam", **train):
    return {
        "data": {"source": "sklearn:iris"},
        "train": {"epochs": 2, "optimizer": optimizer, **train},
        "search": {"trials": 4, "lanes": 4, "confirm": 0},
        "losses": {"cross_entropy": {}},
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }


def loaded(optimizer="adam", **train):
    return study.from_dict(written(optimizer, **train))


def test_settings_are_fixed_or_searched():
    optimizer = loaded(SGD).train.optimizer
    assert optimizer.settings == {"clipnorm": 1.0}
    assert optimizer.searched == {
        "momentum": Range(0.2, 0.99), "nesterov": Options((True, False)), "weight_decay": Range(1e-5, 1e-2, log=True)
    }  # fmt: skip
    assert optimization.branches(optimizer.searched) == {"momentum": (), "nesterov": (True, False), "weight_decay": ()}
    assert (
        optimizer.describe()
        == "sgd, clipnorm 1.0, momentum 0.2 to 0.99, nesterov true | false, weight_decay 1e-05 to 0.01 log"
    )


def test_a_study_with_searched_settings_is_read_back_from_its_document():
    spec = loaded(SGD, schedule={"name": "cosine", "warmup": 0.1})
    again = study.from_dict(json.loads(json.dumps(spec.document())))
    assert again.train == spec.train
    assert study.changed(study.fingerprint(spec), study.fingerprint(again)) == {}
    other = loaded({**SGD, "momentum": 0.9})
    assert list(study.changed(study.fingerprint(spec), study.fingerprint(other))) == [
        "train.optimizer", "train.schedule"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "setting", "raw", "space"),
    [
        ("sgd", "momentum", "search", Range(0.0, 0.99)),
        ("sgd", "weight_decay", "search", Range(1e-6, 1e-1, log=True)),
        ("adamw", "weight_decay", "none", Fixed(None)),
        ("adam", "beta_2", {"choices": [0.9, 0.99]}, Options((0.9, 0.99))),
        ("adam", "epsilon", {"low": 1e-8, "high": 1e-4}, Range(1e-8, 1e-4, log=True)),
        ("adam", "gradient_accumulation_steps", {"choices": [1, 4]}, Options((1, 4))),
        ("muon", "ns_steps", 3, Fixed(3)),
    ],
)
def test_a_setting_is_what_the_grammar_says(name, setting, raw, space):
    assert optimization.read(name, setting, raw) == space


def test_the_word_default_is_as_if_nothing_stood_there():
    assert loaded({"name": "muon", "momentum": "default", "weight_decay": "none"}).train.optimizer.settings == {
        "weight_decay": None
    }


@pytest.mark.parametrize("name", sorted(optimization.OPTIMIZERS))
def test_every_default_is_that_of_keras_and_lies_in_its_domain(name):
    theirs = inspect.signature(KNOWN[name]).parameters
    for setting in (*optimization.OPTIMIZERS[name], *optimization.COMMON):
        ours, usual = optimization.param(name, setting), theirs[setting].default
        if setting in optimization.WHOLE and usual is None:
            continue
        assert (ours.default, isinstance(ours, Choice)) == (usual, isinstance(usual, bool)), setting
        assert ours.check(ours.default) == ours.default
        if not isinstance(ours, Choice) and ours.low < ours.high:
            assert ours.check(ours.low) < ours.check(ours.high)


MISTAKES = [
    ({"name": "sgd", "momentun": 1.0}, "train.optimizer.momentun: unknown setting", "Did you mean momentum?"),
    ({"name": "sgd", "momentum": {"low": 0.9, "high": 0.1}}, "train.optimizer.momentum: the range is upside down"),
    ({"name": "sgd", "momentum": {"low": 0.0, "high": 1.5}}, "outside the domain [0, 1] of momentum"),
    ({"name": "sgd", "momentum": 1.5}, "train.optimizer.momentum: momentum = 1.5 is outside its domain [0, 1]"),
    ({"name": "sgd", "momentum": {"low": 0.1}}, "train.optimizer.momentum: { low = 0.1 } is not complete"),
    ({"name": "sgd", "weight_decay": {"low": 0.0, "high": 1.0}}, "searched on a log scale", "add log = false"),
    (
        {"name": "sgd", "nesterov": {"low": 0, "high": 1}},
        "true or false, and has no range",
        "{ choices = [true, false] }",
    ),
    ({"name": "sgd", "nesterov": "search"}, "nesterov has no range of its own to search", "{ choices = [...] }"),
    ({"name": "sgd", "nesterov": {"choices": [True, 2]}}, "train.optimizer.nesterov: nesterov must be one of"),
    ({"name": "sgd", "clipnorm": {"choices": [0.5, "none"]}}, "cannot be there in some trials and absent in others"),
    ({"name": "adam", "use_ema": {"choices": [True, False]}}, "use_ema cannot be searched"),
    ({"name": "adam", "gradient_accumulation_steps": {"low": 1, "high": 4}}, "changes the graph, so it has no range"),
    ({"name": "adagrad", "initial_accumulator_value": {"low": 0.1, "high": 1}}, "changes the graph"),
    ({"name": "adam", "beta_1": "serach"}, 'train.optimizer.beta_1: must be a number, not "serach"'),
    ({"name": "lossscaleoptimizer"}, "train.optimizer: unknown optimizer"),
]
SCHEDULES = [
    ("cosin", 'train.schedule: unknown schedule "cosin"; known: constant, cosine', "Did you mean cosine?"),
    (3, "train.schedule: must be a name or a table with a name, not 3"),
    ({"name": "cosine", "warm": 0.1}, "train.schedule.warm: unknown setting; cosine has", "Did you mean warmup?"),
    ({"name": "cosine", "warmup": 1.0}, "train.schedule.warmup: warmup = 1 is outside its domain [0, 1)"),
    ({"name": "cosine", "alpha": "a"}, 'train.schedule.alpha: must be a number, not "a"'),
    ({"name": "exponential", "staircase": 1}, "train.schedule.staircase: must be true or false, not 1"),
    ({"name": "piecewise", "boundaries": [0.5, 0.5]}, "train.schedule.boundaries: boundaries must rise"),
    ({"name": "piecewise", "boundaries": [0.5]}, "train.schedule.values: 1 boundary parts the training into 2"),
    ({"name": "piecewise", "boundaries": 0.5}, "train.schedule.boundaries: boundaries must be a list of numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "parts"), [(m[0], m[1:]) for m in MISTAKES], ids=lambda v: str(v)[:60])
def test_a_mistake_in_an_optimizer_is_told_with_its_place(raw, parts):
    with pytest.raises(InputError) as caught:
        loaded(raw)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize(("raw", "parts"), [(m[0], m[1:]) for m in SCHEDULES], ids=lambda v: str(v)[:60])
def test_a_mistake_in_a_schedule_is_told_with_its_place(raw, parts):
    with pytest.raises(InputError) as caught:
        loaded(schedule=raw)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def proposer(optimizer):
    searched = optimizer.searched
    return Proposer({}, Fixed(0.1), None, (), 3, 0, optimizer.name, searched)


@pytest.mark.parametrize(
    ("raw", "first"),
    [
        (SGD, {"momentum": 0.2, "nesterov": False, "weight_decay": pytest.approx(10**-3.5)}),
        ({"name": "adamw", "weight_decay": "search", "beta_1": "search"}, {"weight_decay": 0.004, "beta_1": 0.9}),
        ({"name": "adam", "clipnorm": {"choices": [1.0, 2.0, 3.0]}}, {"clipnorm": 2.0}),
    ],
)
def test_the_fair_start_has_the_default_inside_the_range_or_the_middle(raw, first):
    assert proposer(loaded(raw).train.optimizer)._first_settings() == first


def test_settings_are_suggested_after_the_learning_rate_and_shown_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tables = written(SGD, schedule={"name": "cosine", "warmup": 0.25})
    outline = plan(tables)
    assert outline.optimizer.startswith("sgd, clipnorm 1.0, momentum 0.2 to 0.99")
    assert outline.schedule == "cosine, warmup 0.25"
    result = lossreg.tune(tables)
    names = ["learning_rate", "optimizer.momentum", "optimizer.nesterov", "optimizer.weight_decay"]
    assert [list(trial.params) for trial in result.trials] == [names] * 4
    assert {trial.trainer for trial in result.trials} == {"population"}
    assert len({trial.params["optimizer.momentum"] for trial in result.trials}) == 4
    assert {trial.state for trial in result.trials} == {"complete"}


def test_what_one_optimizer_cannot_have_is_found_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"train\.optimizer: .*clip"):
        plan(written({"name": "adam", "clipnorm": {"low": 0.1, "high": 1.0}, "clipvalue": 0.1}))
    with pytest.raises(InputError, match=r"ftrl divides by the learning rate"):
        plan(written("ftrl", schedule={"name": "cosine", "warmup": 0.1}))


def test_averages_of_weights_and_early_stopping_exclude_one_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    averaged = {"name": "adam", "use_ema": True}
    with pytest.raises(InputError, match=r"train\.early_stopping: use_ema"):
        plan(written(averaged, early_stopping=3))
    plan(written(averaged))


def test_the_optimizers_of_keras_that_no_name_can_make_are_the_wrappers():
    kinds = {name.lower() for name, kind in vars(keras.optimizers).items() if isinstance(kind, type)}
    assert kinds - set(KNOWN) == {"optimizer", "optimizermap", "lossscaleoptimizer", "multioptimizer"}
