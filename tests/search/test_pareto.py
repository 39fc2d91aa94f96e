"""Studies with several metrics: all are told to Optuna, the Pareto front is shown, and the first ranks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import sample_study as sample
from fake_trainer import Fake
from searches import Stops

import lossreg
from lossreg.config import changes
from lossreg.config.changes import Effect
from lossreg.errors import InputError
from lossreg.metrics import catalogue
from lossreg.reporting import description, tables
from lossreg.search.outline import plan
from lossreg.search.policy import SearchPolicy
from lossreg.storage import pareto
from lossreg.storage.study_folder import StudyFolder
from lossreg.tracking import entities, messages

STUDY = {
    "name": "several",
    "data": {"source": "sklearn:iris"},
    "model": {"hidden": [4]},
    "train": {"epochs": 2, "batch_size": 16},
    "search": {"trials": 14, "metrics": ["accuracy", "log_loss"], "lanes": 4},
    "losses": {"cross_entropy": {}, "focal": {"gamma": "search", "alpha": "none"}},
    "verdict": {"enabled": False},
    "tracking": {"enabled": False},
}


class Two(Fake):
    """A trainer whose second metric is better where the first is worse."""

    def __init__(self):
        super().__init__(self.score)

    @staticmethod
    def score(plan, epoch):
        gamma = plan.params.get("gamma", 0.0)
        return math.nan if gamma > 4.5 else 0.9 - 0.1 * gamma + 0.001 * math.log(plan.learning_rate)

    def advance(self):
        return {
            slot: replace(report, also={"log_loss": 0.1 + report.val_score**2, "brier_score": 1 - report.val_score})
            for slot, report in super().advance().items()
        }


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def faked(overrides=(), document=STUDY, **options):
    return lossreg.tune(document, overrides, trainers=[Two()], **options)


@pytest.mark.parametrize("directions", [("maximize", "minimize"), ("minimize", "maximize", "maximize")])
def test_the_front_is_that_of_optuna(directions):
    rng, objectives = np.random.default_rng(0), [pareto.Objective(str(i), each) for i, each in enumerate(directions)]
    study = optuna.create_study(directions=directions)
    values = rng.integers(0, 12, size=(150, len(directions))).astype(float)
    for each in values:
        study.add_trial(optuna.create_trial(values=each.tolist()))
    signed = [(i, [one.sign * v for one, v in zip(objectives, each, strict=True)]) for i, each in enumerate(values)]
    front = pareto.front(signed)
    assert set(front) == {trial.number for trial in study.best_trials}
    firsts = [objectives[0].sign * values[i][0] for i in front]
    assert firsts == sorted(firsts, reverse=True)


def test_optuna_is_told_all_metrics_and_the_front_is_shown_wherever_results_are():
    result = faked()
    kept = StudyFolder(Path(".lossreg/several"), "several").read()
    assert [direction.name for direction in kept.directions] == ["MAXIMIZE", "MINIMIZE"]
    by_number = {trial.number: trial for trial in kept.trials}
    complete = [trial for trial in result.trials if trial.state == "complete"]
    assert len(complete) > 8
    assert all(by_number[trial.number].values == [trial.score, trial.metrics["log_loss"]] for trial in complete)
    diverged = [by_number[trial.number].values for trial in result.trials if trial.state == "diverged"]
    assert all(values == [0.0, 1e90] for values in diverged)
    expected = {trial.number for trial in kept.best_trials}
    assert {trial.number for trial in result.front} == expected
    assert result.best.score == max(trial.score for trial in complete)
    frame = result.pareto()
    assert list(frame.columns) == ["trial", "candidate", "accuracy", "log_loss", "learning_rate", "recipe"]
    assert set(frame.trial) == expected
    document = result.to_json()
    assert {row["trial"] for row in document["pareto"]} == expected
    assert document["objectives"][1] == {"metric": "log_loss", "direction": "minimize"}
    page = description.markdown(result)
    assert "| trial | loss | accuracy (higher is better) | log_loss (lower is better) |" in page
    assert tables.pareto_front(result).row_count == len(expected)
    assert result.plot("pareto").axes[0].get_xlabel() == "accuracy (validation)"
    assert entities.study_tags(result)["lossreg.pareto"] == ", ".join(str(number) for number in frame.trial)
    assert "log_loss" in {point.name for point in entities.trial_points(complete[0], "accuracy")}
    assert "log_loss" in result.trials_frame().columns
    sent = messages.study(messages.decode(messages.encode(messages.of_study(result))), result.trials)
    assert sent.front == result.front
    assert lossreg.results(STUDY).front == result.front


def test_the_picture_of_three_metrics_has_every_pair_of_them():
    names = ["accuracy", "log_loss", "brier_score"]
    result = faked(document={**STUDY, "search": {**STUDY["search"], "metrics": names}})
    figure = result.plot("pareto")
    pairs = [(0, 1), (0, 2), (1, 2)]
    shown = [tuple(text.removesuffix(" (validation)") for text in (axes.get_xlabel(), axes.get_ylabel()))
             for axes in figure.axes]  # fmt: skip
    assert shown == [(names[first], names[second]) for first, second in pairs]
    complete = [trial for trial in result.trials if trial.state == "complete"]
    for axes, pair in zip(figure.axes, pairs, strict=True):
        *of_losses, ring = (points.get_offsets() for points in axes.collections)
        for points, trials in ((np.concatenate(of_losses), complete), (ring, result.front)):
            values = [np.array(result.objective_values(trial))[list(pair)] for trial in trials]
            np.testing.assert_allclose(sorted(map(tuple, points)), sorted(map(tuple, values)))


def test_a_study_with_several_metrics_goes_on_where_it_was_cut_off_and_takes_more_trials(tmp_path, monkeypatch):
    size = ["search.trials=20"]
    faked(size)
    whole = faked(size, more=4)
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    for trials in (6, 8):  # in the fair start, and where TPE learns
        with pytest.raises(KeyboardInterrupt):
            faked(size, progress=Stops(trials))
    assert lossreg.repair(STUDY).is_whole
    faked(size)
    result = faked(size, more=4)
    assert [(t.number, dict(t.params), t.score, dict(t.metrics)) for t in result.trials] == [
        (t.number, dict(t.params), t.score, dict(t.metrics)) for t in whole.trials
    ]
    assert len(result.trials) == 24


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"metrics": []}, "two or three metrics, not 0"),
        ({"metrics": ["accuracy"]}, "two or three metrics, not 1"),
        ({"metrics": ["accuracy", "log_loss", "f1_macro", "brier"]}, "two or three metrics, not 4"),
        ({"metric": "f1_macro"}, "metric and metrics are both there"),
        ({"metrics": ["accuracy", "logloss", "log_loss"]}, "log_loss is there twice"),
        ({"metrics": ["log_loss", "neg_log_loss"]}, "neg_log_loss is log_loss with the other sign"),
        ({"metrics": ["accuracy", "log_los"]}, r"search\.metrics: unknown metric 'log_los'\. Did you mean"),
        ({"metrics": ["accuracy", "r2"]}, r"r2 is for .* this one is multiclass\. For multiclass: accuracy"),
        ({"metrics": ["accuracy", "cost.py:profit"]}, "a function of your own is a study's one metric"),
        ({"metrics": "accuracy"}, r"search\.metrics"),
        ({"metrics": ["accuracy", 3]}, r"search\.metrics"),
        ({"pruner": "median"}, "a pruner compares trials by one score"),
        ({"sampler": "cmaes"}, "with several metrics the sampler is tpe or random, not cmaes"),
        ({"decision": "tuned"}, "a decision is tuned for one metric"),
    ],
)
def test_what_several_metrics_do_not_go_with_is_refused_in_words(search, told):
    with pytest.raises(InputError, match=told):
        plan({**STUDY, "search": {**STUDY["search"], **search}})


def test_a_dry_run_names_the_further_metrics_and_other_ones_keep_trials_apart():
    assert plan(STUDY).asked["also"] == "log_loss, lower is better"
    assert changes.effect_of("search.metrics")[0] == Effect.APART
    one = {**STUDY, "search": {**STUDY["search"], "metrics": ["accuracy", "f1_macro"]}}
    begun, now = lossreg.config.study.of(STUDY), lossreg.config.study.of(one)
    told = changes.of(lossreg.config.study.fingerprint(begun), lossreg.config.study.fingerprint(now))
    assert [change.key for change in told] == ["search.metrics"]


def test_a_trial_that_diverged_is_told_as_worse_than_any_real_value_of_metrics_that_have_no_worst():
    names = ["r2", "mean_squared_error", "neg_mean_absolute_error"]
    metric, *further = [catalogue.resolve(name, "regression") for name in names]
    policy = SearchPolicy(1, metric, "mse", further=tuple(further))
    values = policy.optuna_value(sample.trial(0, state="diverged"))
    assert values[1] > 4.5e10
    assert max(values[0], values[2]) < -4.5e10
    assert math.isfinite(math.prod(values)), "of three metrics hypervolumes are products"


def test_a_study_with_one_metric_has_no_front():
    document = {**STUDY, "search": {"trials": 4, "metric": "accuracy", "lanes": 4}}
    result = faked(document=document)
    with pytest.raises(InputError, match="has one metric, accuracy"):
        result.pareto()
    assert "pareto" not in result.to_json()
    assert "Pareto" not in description.markdown(result)


@pytest.mark.long
def test_whole_studies_with_several_metrics_have_a_verdict_by_the_first():
    document = {
        **STUDY,
        "verdict": {"repeats": 2, "outer": 0},
        "search": {**STUDY["search"], "constraints": {"f1_macro": 0.1}},
    }
    result = lossreg.tune({**document, "train": {"epochs": 4}})
    assert result.verdict.repeats == 2
    assert result.confirmation.metrics.keys() == {"f1_macro", "log_loss"}
    assert all(trial.metrics.keys() == {"f1_macro", "log_loss"} for trial in result.trials)
    assert [one.constraint.metric for one in result.verdict.constraints] == ["f1_macro"]
    with np.load(".lossreg/several/verdict.npz") as stored:
        assert {name for name in stored.files if "_of_" in name} == {"winner_of_f1_macro", "baseline_of_f1_macro"}
