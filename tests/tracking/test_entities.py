"""What MLflow is given of a study: plain values, checked against the records."""

from __future__ import annotations

import dataclasses
import platform
from importlib.metadata import version

import pytest
import sample_study as sample

from lossreg.runtime import versions
from lossreg.tracking import entities


def curves(result, **how):
    points = entities.loss_points(result, entities.best_points(result, **how), **how)
    return {name: {p.step: p.value for p in points if p.name == name} for name in {p.name for p in points}}


def plain(result, candidate):
    """The largest score of a loss up to each of its trials that completed."""
    scores = [(t.number, t.score) for t in result.trials if t.candidate == candidate and t.score is not None]
    return {number: max(score for n, score in scores if n <= number) for number, _ in scores}


def test_each_loss_has_the_curve_of_its_own_trials():
    result = sample.study(12)
    assert curves(result) == {f"best_score/{name}": plain(result, name) for name in result.losses}


def test_in_the_end_all_curves_go_on_to_the_last_trial():
    result = sample.study(12)
    for name, curve in curves(result, is_over=True).items():
        own = plain(result, name.removeprefix("best_score/"))
        assert curve == own | {11: max(own.values())}


def test_a_curve_has_two_points_or_more_and_a_study_of_one_loss_none_beside_its_own():
    result = sample.study(4)  # two trials of the first loss, one of each other
    assert set(curves(result, is_over=True)) == {"best_score/cross_entropy"}
    assert not curves(dataclasses.replace(result, losses={"cross_entropy": "cross_entropy"}), is_over=True)


def test_a_curve_of_a_loss_waits_for_trials_that_still_run():
    result = sample.study(12)
    gap = dataclasses.replace(result, trials=[t for t in result.trials if t.number != 6])
    assert max(max(curve) for curve in curves(gap).values()) == 4


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"score": 0.9531, "loss_params": {"gamma": 1.9, "alpha": None}}, "focal 0.953 gamma=1.9"),
        ({"score": 0.00213, "loss_params": {"alpha": [0.2, 0.8], "kind": "soft"}}, "focal 0.00213 kind=soft"),
        ({"score": -2345.67, "loss_params": {}, "learning_rate": 0.0021345}, "focal -2345.7 lr=0.00213"),
        ({"score": 12.3456, "loss_params": {"n": 3}}, "focal 12.346 n=3"),
        ({"state": "diverged", "loss_params": {"gamma": 1 / 3}}, "focal diverged gamma=0.333"),
        ({"score": float("inf"), "loss_params": {"alpha": [1, 2]}, "learning_rate": 1e-5}, "focal complete lr=1e-05"),
    ],
)
def test_a_child_is_named_by_loss_score_and_parameters(changes, name):
    assert entities.run_name(sample.trial(0, **changes)) == name


def test_trials_of_a_loss_without_parameters_have_names_of_their_own():
    trials = [sample.trial(n, "cross_entropy", score=0.984, learning_rate=0.001 * (n + 1)) for n in range(9)]
    assert len({entities.run_name(trial) for trial in trials}) == 9


def test_a_data_set_without_its_rows_is_one_input():
    assert list(entities.datasets({"name": "x"})) == ["tuning"]
    assert list(entities.datasets({"name": "x", "rows": {"train": 9, "validation": 3, "test": 0}})) == [
        "train", "validation",
    ]  # fmt: skip


def test_children_have_the_tag_by_which_they_are_grouped():
    trial = sample.trial(7, "gce_mild")
    assert entities.trial_tags(trial, "parent")["loss"] == "gce_mild"
    assert entities.trial_params(trial)["trial"] == "7"


def test_versions_are_tags_of_the_parent(monkeypatch):
    monkeypatch.setattr("lossreg.runtime.backend.name", lambda: "jax")
    found = versions.installed(["lossreg", "", "lossreg-that-is-not-there"])
    assert found == {
        "system": platform.platform(), "python": platform.python_version(), "backend": "jax",
        **{name: version(name) for name in ("lossreg", "keras", "optuna", "mlflow", "jax")},
    }  # fmt: skip
    tags = entities.study_tags(sample.study(3, versions=found))
    assert {f"lossreg.versions.{name}": text for name, text in found.items()}.items() <= tags.items()
    assert not [name for name in entities.study_tags(sample.study(3)) if "versions" in name]


def test_a_parent_names_its_model_once_it_has_the_address():
    result = sample.study(3)
    tags = {"lossreg.model_trial": str(result.best.number), "lossreg.model": "models:/toy/2", "other": "x"}
    known = entities.model_of(entities.model_tags(tags))
    assert known == {"model": "models:/toy/2", "model_trial": result.best.number}
    assert entities.model_of({"lossreg.model_trial": "3"}) == {}  # of a parent that an earlier version wrote
