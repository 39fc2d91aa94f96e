"""Tracking against a real MLflow store on SQLite, and against stores that are not there."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import json
import math
import re
import socket
import sqlite3
import threading
from pathlib import Path

import failing_servers
import mlflow
import numpy as np
import pytest
import sample_study as sample
import sample_verdict
from inline import Inline
from mlflow import MlflowClient
from optuna.trial import TrialState
from searches import optuna_study

from lossreg import tracking
from lossreg.errors import InputError, LossregError
from lossreg.reporting import description, study_plots, verdict
from lossreg.search import history
from lossreg.storage.confirmation import Confirmation
from lossreg.storage.trials import requeue_interrupted
from lossreg.tracking import entities, messages, new_database, outage, writer
from lossreg.tracking.new_database import NewDatabase
from lossreg.tracking.session import Session
from lossreg.tracking.uri import sqlite_path

Tracker = functools.partial(tracking.Tracker, launch=Inline)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """One database for all: creating one takes seconds."""
    return tracking.check(f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}", {})


@pytest.fixture(autouse=True)
def _without_plots(monkeypatch):
    """Plots are drawn for the one study that `written` makes, before this; elsewhere they would only take time."""
    monkeypatch.setattr(study_plots, "drawers", lambda result: {})
    monkeypatch.setattr(outage, "FIRST", 0.01)


@pytest.fixture
def experiment(request):
    return re.sub(r"\W", "-", request.node.name)


def fail(text):
    raise AssertionError(text)


def finished(uri, experiment, result, run_id=None, model=None, **options):
    tracker = Tracker(uri, experiment, warn=fail, **options)
    tracker.sync(result, run_id, model)
    assert not tracker.error
    return tracker


def children(uri, tracker):
    client = MlflowClient(uri)
    parent = client.get_run(tracker.run_id)
    query = f"tags.`mlflow.parentRunId` = '{tracker.run_id}'"
    runs = client.search_runs([parent.info.experiment_id], query)
    return parent, {int(run.data.tags["lossreg.trial"]): run for run in runs}, len(runs)


# --------------------------------------------------------------------------- what is written


@pytest.fixture(scope="module")
def written(uri):
    """A study whose trials came in one by one, out of order, as a search tells them."""
    result = sample.study(12)
    tracker = Tracker(uri, "live", key="key-of-live", warn=fail)
    tracker.start(dataclasses.replace(result, trials=[]))
    for trial in sorted(result.trials, key=lambda trial: (trial.number % 4, trial.number)):
        tracker.trial(trial, result)
    tracker.flush()
    tracker.finish(result)
    assert not tracker.error
    return result, tracker


def test_one_child_a_trial_with_its_status_and_times(uri, written):
    result, tracker = written
    _, runs, count = children(uri, tracker)
    assert count == len(result.trials)
    statuses = {"complete": "FINISHED", "diverged": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}
    for trial in result.trials:
        run = runs[trial.number]
        assert run.info.status == statuses[trial.state]
        assert (run.info.start_time, run.info.end_time) == (trial.started * 1000, trial.ended * 1000)
        assert run.data.tags["lossreg.state"] == trial.state
        assert run.data.tags.get("lossreg.reason", "") == trial.reason
        assert run.data.tags["lossreg.get"] == trial.recipe
        assert (run.data.tags["lossreg.distribution"], run.data.tags["lossreg.version"]) == ("lossreg", "0.1.0")


def test_children_carry_loss_parameters_and_rate(uri, written):
    result, tracker = written
    _, runs, _ = children(uri, tracker)
    for trial in result.trials:
        params = runs[trial.number].data.params
        assert params["loss"] == trial.candidate
        assert float(params["learning_rate"]) == pytest.approx(trial.learning_rate, rel=1e-8)
        if trial.candidate == "focal":
            assert float(params["focal.gamma"]) == pytest.approx(trial.params["focal.gamma"], rel=1e-8)
        if trial.candidate == "gce_mild":
            assert params["gce_mild.q"] == "0.3", "a fixed parameter is shown under its label"


def test_curves_by_epoch_and_one_objective(uri, written):
    result, tracker = written
    _, runs, _ = children(uri, tracker)
    client = MlflowClient(uri)
    for trial in result.trials:
        run = runs[trial.number]
        for curve, name in zip(trial.curves, ("train_loss", "val_loss", "train_accuracy", "val_accuracy"), strict=True):
            history = client.get_metric_history(run.info.run_id, name)
            expected = {i: v for i, v in enumerate(trial.curves[curve], 1) if math.isfinite(v)}
            assert {point.step: point.value for point in history} == expected
        assert run.data.metrics.get("score") == trial.score
    assert set(runs[0].data.metrics) == {"train_loss", "val_loss", "train_accuracy", "val_accuracy", "score"}


def test_scores_on_fresh_splits_are_written_once_per_trial_and_the_recommended_one_with_the_study(uri, experiment):
    scores = {0: (0.8, 0.84, 0.82), 1: (0.9, 0.86, 0.94)}
    result = sample.study(4, confirmation=Confirmation(4, 3, scores, ratio=0.25, ended=sample.START + 100.0))
    first = finished(uri, experiment, result)
    assert children(uri, first)[0].data.metrics["confirmed_score"] == pytest.approx(0.9)
    verdict = sample_verdict.study("worse").verdict
    assert verdict.recommended.trial == 0
    result.verdict = verdict
    parent, runs, _ = children(uri, finished(uri, experiment, result, first.run_id))
    assert parent.data.tags["lossreg.recommended_get"] == result.trials[0].recipe
    assert parent.data.tags["lossreg.verdict_difference"] == "focal minus cross_entropy"
    means, errors = ({n: statistics(each) for n, each in scores.items()} for statistics in (np.mean, noisy_error))
    for number, run in [*runs.items(), (0, parent)]:
        metrics = {name: value for name, value in run.data.metrics.items() if name.startswith("confirmed")}
        expected = {"confirmed_score": means, "confirmed_standard_error": errors}
        assert metrics == pytest.approx({name: of[number] for name, of in expected.items() if number in of})
    assert len(MlflowClient(uri).get_metric_history(runs[0].info.run_id, "confirmed_score")) == 1


def test_scores_on_fresh_splits_are_taken_back_from_trials_that_are_confirmed_no_more(uri, experiment):
    scores = {0: (0.8, 0.84, 0.82), 1: (0.9, 0.86, 0.94)}
    first = Confirmation(4, 3, scores, ratio=0.25, ended=sample.START + 100.0)
    second = Confirmation(4, 1, {0: (0.7,)}, ratio=0.25, ended=sample.START + 50.0)
    run_id = None
    for confirmation, of_trials, of_study in [
        (first, {0: 0.82, 1: 0.9}, 0.9), (second, {0: 0.7}, 0.7), (None, {}, math.nan), (first, {0: 0.82, 1: 0.9}, 0.9),
    ]:  # fmt: skip
        tracker = finished(uri, experiment, sample.study(4, confirmation=confirmation), run_id)
        parent, runs, _ = children(uri, tracker)
        run_id = tracker.run_id
        for number, run in runs.items():
            shown = run.data.metrics.get("confirmed_score", math.nan)
            assert shown == pytest.approx(of_trials.get(number, math.nan), nan_ok=True)
            is_known = confirmation is first and number in scores
            error = run.data.metrics.get("confirmed_standard_error", math.nan)
            assert error == pytest.approx(noisy_error(scores[number]) if is_known else math.nan, nan_ok=True)
        assert parent.data.metrics["confirmed_score"] == pytest.approx(of_study, nan_ok=True)
    assert "confirmed_score" not in runs[2].data.metrics


def noisy_error(scores):
    """The standard error of Nadeau and Bengio, with a quarter as many validation rows as training rows."""
    return np.std(scores, ddof=1) * np.sqrt(1 / len(scores) + 0.25)


def test_nothing_infinite_is_logged(uri, written):
    result, tracker = written
    _, runs, _ = children(uri, tracker)
    diverged = next(trial for trial in result.trials if trial.state == "diverged")
    points = MlflowClient(uri).get_metric_history(runs[diverged.number].info.run_id, "train_loss")
    assert [point.step for point in points] == [1, 2]


def test_parent_has_description_leaderboard_data_and_best_so_far(uri, written):
    result, tracker = written
    parent, _, _ = children(uri, tracker)
    assert parent.info.status == "FINISHED"
    assert parent.info.end_time == max(trial.ended for trial in result.trials) * 1000
    note = parent.data.tags["mlflow.note.content"]
    about = {"uri": uri, "model": ""}
    assert note == description.markdown(dataclasses.replace(result, tracking=about), 8000, title=False)
    assert all(f"| {row.candidate}&nbsp;&nbsp; |" in note for row in result.ranking())
    assert "All losses on one axis: Artifacts, `plots/by_loss.png`." in note
    assert parent.data.params["train.epochs"] == "6"
    assert parent.data.tags["lossreg.best_get"] == result.best.recipe
    splits = {given.tags[0].value: given.dataset for given in parent.inputs.dataset_inputs}
    assert {split: json.loads(one.profile)["num_rows"] for split, one in splits.items()} == result.data["rows"]
    assert {(one.name, one.digest.split("-")[0]) for one in splits.values()} == {("breast_cancer", "0a1b2c3d")}
    history = MlflowClient(uri).get_metric_history(tracker.run_id, "best_score")
    assert {p.step: p.value for p in history} == dict(plain_best_so_far(result))


def test_the_parent_starts_before_its_children_and_ends_after_it(uri, written):
    """It was created before any trial, in a process that takes seconds to start."""
    result, tracker = written
    parent, runs, _ = children(uri, tracker)
    assert parent.info.start_time == result.started * 1000
    assert all(parent.info.start_time <= child.info.start_time for child in runs.values())
    assert parent.info.start_time < parent.info.end_time


def test_tags_have_the_names_that_queries_and_older_runs_use(uri, written):
    parent, runs, _ = children(uri, written[1])
    tags = parent.data.tags
    assert (tags["lossreg.study"], tags["lossreg.metric"], tags["lossreg.task"]) == ("toy", "accuracy", "binary")
    ends = ("complete", "failed", "pruned", "diverged")
    assert [tags[f"lossreg.trials.{end}"] for end in ends] == ["9", "1", "1", "1"]
    assert {"lossreg.key", "lossreg.best_loss", "lossreg.best_get"} <= tags.keys()
    assert {name for name in runs[0].data.tags if name.startswith("lossreg.")} == {
        "lossreg.trial", "lossreg.state", "lossreg.loss", "lossreg.candidate", "lossreg.trainer", "lossreg.get",
        "lossreg.distribution", "lossreg.version", "lossreg.epoch",
    }  # fmt: skip


def plain_best_so_far(result):
    best = -math.inf
    for trial in sorted(result.trials, key=lambda trial: trial.number):
        if trial.score is not None:
            best = max(best, trial.score)
            yield trial.number, best


def test_parent_has_tables_and_plots(uri, written, tmp_path):
    result, tracker = written
    client = MlflowClient(uri)
    names = {item.path for folder in ("", "plots") for item in client.list_artifacts(tracker.run_id, folder)}
    assert {
        "report.md",
        "report.html",
        "result.json",
        "trials.csv",
        "leaderboard.json",
        "plots/curves.png",
        "plots/history.png",
    } <= names
    table = json.loads(Path(client.download_artifacts(tracker.run_id, "leaderboard.json", str(tmp_path))).read_text())
    column = table["columns"].index("candidate")
    assert [row[column] for row in table["data"]] == [row.candidate for row in result.ranking()]


def test_parent_has_the_verdict(uri, experiment):
    tuned = sample_verdict.compared(0.01, 0.02)
    result = sample_verdict.study("better, because of the loss", against_tuned_decision=tuned)
    tracker = finished(uri, experiment, result)
    parent, _, _ = children(uri, tracker)
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith("**Train with focal(gamma=2.1): shown to be better, because of the loss.**")
    assert all(sentence in note for sentence in verdict.evidence(result, result.verdict))
    tags = {name: parent.data.tags[f"lossreg.{name}"] for name in ("verdict", "recommended", "cause")}
    assert tags == {"verdict": "better", "recommended": "focal", "cause": "loss"}
    main = result.verdict.against_baseline
    assert {name: value for name, value in parent.data.metrics.items() if name.startswith("verdict_")} == {
        "verdict_difference": main.difference,
        "verdict_low": main.low,
        "verdict_high": main.high,
        "verdict_share_won": main.share_won,
        "verdict_tuned_difference": tuned.difference,
        "verdict_tuned_low": tuned.low,
        "verdict_tuned_high": tuned.high,
        "verdict_tuned_share_won": tuned.share_won,
    }
    client = MlflowClient(uri)
    assert "plots/verdict.png" in {item.path for item in client.list_artifacts(tracker.run_id, "plots")}


def test_a_later_verdict_takes_the_place_of_the_former(uri, experiment):
    result = sample_verdict.study("better, because of the loss")
    first = finished(uri, experiment, result)
    before = result.verdict.against_baseline.difference
    result.verdict = sample_verdict.study("no difference, behind", openings=2).verdict
    after = result.verdict.against_baseline.difference
    again = finished(uri, experiment, result, first.run_id)
    parent, _, _ = children(uri, again)
    tags = {name: parent.data.tags[f"lossreg.{name}"] for name in ("verdict", "recommended", "cause")}
    assert tags == {"verdict": "no difference shown", "recommended": "cross_entropy", "cause": "none"}
    assert parent.data.metrics["verdict_difference"] == after
    history = MlflowClient(uri).get_metric_history(again.run_id, "verdict_difference")
    assert [point.value for point in sorted(history, key=lambda point: point.timestamp)] == [before, after]
    assert {point.step for point in history} == {0}, "MLflow draws bars of step 0, and dots of others"


@pytest.mark.parametrize("is_one_process", [False, True])
def test_a_verdict_on_fewer_trials_is_outdated(uri, experiment, is_one_process):
    result = sample_verdict.study("better, because of the loss")
    first = finished(uri, experiment, result)
    tracker, more = Tracker(uri, experiment, warn=fail), sample.trial(2, "focal")
    if not is_one_process:
        result.add(more)
    tracker.start(result, first.run_id)
    if is_one_process:
        result.add(more)
        tracker.trial(more, result)
    tracker.finish(result)
    parent, _, _ = children(uri, tracker)
    tags = {name: parent.data.tags[f"lossreg.{name}"] for name in ("verdict", "recommended", "cause")}
    assert tags == dict.fromkeys(tags, "outdated")
    assert "Train with" not in parent.data.tags["mlflow.note.content"]


def shown(uri, tracker):
    """The metrics and tags of the verdict that MLflow shows, without numbers that were taken back."""
    data = MlflowClient(uri).get_run(tracker.run_id).data
    metrics = {name.removeprefix("verdict_"): value for name, value in data.metrics.items() if "verdict_" in name}
    tags = {name: data.tags[f"lossreg.{name}"] for name in ("verdict", "recommended", "cause", "outer_folds")}
    return {name: value for name, value in metrics.items() if not math.isnan(value)}, tags


def test_mlflow_shows_the_last_verdict_whichever_was_shown_before(uri, experiment):
    """Going back to an earlier number of outer folds is no further look, and its numbers may be smaller."""
    split, folds = (
        sample_verdict.study(name, openings=openings, outer=outer)
        for name, openings, outer in [("better, because of the loss", 1, 0), ("no difference, behind", 2, 3)]
    )
    back, without = (sample_verdict.study(name, openings=2) for name in ("worse", "not enough data"))
    run_id, rebuilt = None, {}
    for result in (split, folds, split, folds, back, without, split, back):
        tracker = finished(uri, experiment, result, run_id)
        run_id = tracker.run_id
        main = result.verdict.against_baseline
        metrics, tags = shown(uri, tracker)
        assert metrics == (
            {name: getattr(main, name) for name in ("difference", "low", "high", "share_won")} if main else {}
        )
        assert (tags["verdict"], tags["outer_folds"]) == (result.verdict.answer.value, str(result.verdict.outer))
        if id(result) not in rebuilt:
            rebuilt[id(result)] = shown(uri, finished(uri, f"{experiment}-{len(rebuilt)}", result))
        assert rebuilt[id(result)] == (metrics, tags)


def test_what_mlflow_showed_of_a_comparison_is_taken_back(uri, experiment, tmp_path):
    def plot(tracker):
        return Path(
            MlflowClient(uri).download_artifacts(tracker.run_id, "plots/verdict.png", str(tmp_path))
        ).read_bytes()

    compared = sample_verdict.study("better, because of the loss")
    first = finished(uri, experiment, compared)
    before = plot(first)
    tracker = finished(uri, experiment, sample_verdict.study("not enough data", openings=2), first.run_id)
    assert shown(uri, tracker) == (
        {}, {"verdict": "not enough data", "recommended": "cross_entropy", "cause": "none", "outer_folds": "0"},
    )  # fmt: skip
    assert plot(tracker) != before
    again = finished(uri, experiment, compared, first.run_id)
    assert plot(again) == before
    compared.add(sample.trial(2, "focal"))
    more = Tracker(uri, experiment, warn=fail)
    more.start(compared, first.run_id)
    more.flush()
    more.close()
    assert shown(uri, more)[0] == {}, "as soon as trials are added"


def test_a_verdict_without_a_comparison_has_no_numbers_in_mlflow(uri, experiment):
    tracker = finished(uri, experiment, sample_verdict.study("not enough data"))
    parent, _, _ = children(uri, tracker)
    assert parent.data.tags["lossreg.verdict"] == "not enough data"
    assert not [name for name in parent.data.metrics if name.startswith("verdict_")]


def test_artifacts_lie_beside_the_database(uri, written):
    _, tracker = written
    location = MlflowClient(uri).get_run(tracker.run_id).info.artifact_uri
    assert location.startswith(sqlite_path(uri).parent.as_uri())


def test_the_active_run_stack_is_never_used(written):
    assert mlflow.active_run() is None
    assert mlflow.last_active_run() is None


def test_more_metrics_than_one_request_takes(uri, experiment):
    long = sample.trial(0, epochs=600)
    tracker = finished(uri, experiment, sample.study(0, trials=[long]))
    _, runs, _ = children(uri, tracker)
    for name in ("train_loss", "val_accuracy"):
        history = MlflowClient(uri).get_metric_history(runs[0].info.run_id, name)
        assert [point.step for point in sorted(history, key=lambda p: p.step)] == list(range(1, 601))


def test_strange_names_and_long_values_are_taken(uri, experiment):
    odd = sample.trial(
        0, "a/../b <x>", params={"a=1,b<2": 1, "../up": 2.0}, loss_params={"v": [0.1] * 3000}, reason="r" * 20_000
    )
    tracker = finished(
        uri, experiment, sample.study(0, trials=[odd], losses={"a/../b <x>": "focal"}, metric="f1 (macro)")
    )
    _, runs, _ = children(uri, tracker)
    assert set(runs[0].data.params) == {"trial", "loss", "learning_rate", "a_1_b_2", "_/up", "a/_/b _x_.v"}
    assert len(runs[0].data.params["a/_/b _x_.v"]) == 6000
    assert len(runs[0].data.tags["lossreg.reason"]) == 8000
    assert "val_f1 _macro_" in runs[0].data.metrics


LONG = "x" * 260


def test_names_that_mlflow_would_take_for_one_stay_apart_and_are_told_in_full(uri, experiment):
    params = {f"{LONG}.a": 1, f"{LONG}.b": 2, "p?": 3, "p!": 4, "p_": 5, "plain": 6}
    odd = sample.trial(0, params=params, loss_params={}, candidate="focal")
    spec = {"model": {"args": {f"{LONG}1": 7, f"{LONG}2": 8}}}
    tracker = finished(uri, experiment, sample.study(0, trials=[odd], spec=spec))
    parent, runs, _ = children(uri, tracker)
    for run, values in (
        (runs[0], params),
        (parent, {f"model.args.{name}": value for name, value in spec["model"]["args"].items()}),
    ):
        full = json.loads(run.data.tags["lossreg.names"])
        stored = {full.get(name, name): value for name, value in run.data.params.items()}
        assert {name: stored[name] for name in values} == {name: str(value) for name, value in values.items()}
    assert {"plain", "p_"} < set(runs[0].data.params), "names that MLflow takes stay"


def test_a_name_is_the_same_in_every_run_whatever_else_is_in_it():
    alone, together = entities.safe_names([f"{LONG}.a"]), entities.safe_names([f"{LONG}.a", f"{LONG}.b"])
    assert alone[f"{LONG}.a"] == together[f"{LONG}.a"] != together[f"{LONG}.b"]
    assert max(map(len, together.values())) == 250


def test_many_long_names_are_told_in_tags_that_mlflow_takes():
    names = [f"{LONG}{number}" for number in range(60)]
    tags = entities.name_tags(names)
    told = {name: full for text in tags.values() for name, full in json.loads(text).items()}
    assert sorted(told.values()) == sorted(names)
    assert len(tags) > 1
    assert max(map(len, tags.values())) <= 8000


HOSTILE = "\x1b[2Jx\u202e|![i](http://evil.example/i.png)<img src=x>`c`"


def test_texts_from_outside_neither_control_a_terminal_nor_become_links_in_mlflow(uri, experiment):
    from markdown_it import MarkdownIt

    failed = sample.trial(1, state="failed", reason=HOSTILE, version=HOSTILE)
    result = sample.study(
        0, trials=[sample.trial(0), failed], notes=[f"column {HOSTILE}: a\n# b"],
        data={"name": HOSTILE, "source": HOSTILE, "classes": {HOSTILE: 3, "ok": 4}, "features": 2},
        spec={"data": {"target": HOSTILE, HOSTILE: 1}},
    )  # fmt: skip
    tracker = finished(uri, experiment, result)
    parent, runs, _ = children(uri, tracker)
    texts = [
        text for run in (parent, *runs.values()) for kept in (run.data.tags, run.data.params) for text in kept.items()
    ]
    assert len([value for _, value in texts if "evil.example" in value]) >= 4
    assert not [text for text in texts if any(bad in "".join(text) for bad in ("\x1b", "\u202e"))]
    files = sqlite_path(uri).parent / "mlartifacts" / experiment / tracker.run_id / "artifacts"
    assert "evil.example" in (files / "trials.csv").read_text()
    for file in files.glob("*.*"):
        assert not re.search("[\x1b\u202e]", file.read_text()), file
    for text in (parent.data.tags["mlflow.note.content"], (files / "report.md").read_text()):
        shown = MarkdownIt("commonmark").enable("table").render(text)
        assert "evil.example" in shown
        assert "://evil" not in text
        assert not re.search("<(img|a|script)|<h1>b", shown)
        assert shown.count("<td") == 6 * len(result.losses) + 4


def test_no_completed_trial_ends_the_parent_as_failed(uri, experiment):
    tracker = finished(uri, experiment, sample.study(0, trials=[sample.trial(0, state="failed")]))
    assert MlflowClient(uri).get_run(tracker.run_id).info.status == "FAILED"


def test_one_of_several_workers_leaves_a_parent_ended_that_another_one_ended(uri, experiment):
    finisher, late = writer.Writer(uri, experiment), writer.Writer(uri, experiment, reopens=False)
    finisher.open(sample.study(1))
    finisher.close(sample.study(1), "FINISHED")
    late.open(sample.study(1), finisher.run_id)
    list(late.write(sample.study(1).trials, "accuracy"))
    parent, runs, _ = children(uri, late)
    assert parent.info.status == "FINISHED"
    assert len(runs) == 1


@pytest.mark.parametrize("is_alone", [True, False])
def test_one_of_several_workers_that_has_ended_tries_no_store_again(is_alone, uri, experiment, monkeypatch):
    monkeypatch.setattr("lossreg.tracking.session.ping", lambda uri: fail("is away"))
    session = Session(lambda **answer: None)
    session.prepare(uri, experiment)
    session.open(messages.of_study(sample.study(1)), [], "", "", is_alone=is_alone)
    session.flush(1)
    assert (session.patience is not None) == is_alone


def test_a_study_that_an_older_version_tracked_is_resumed_as_it_is(uri, experiment):
    """It had one curve, one data set and children named `000 focal`."""
    result, client = sample.study(6), MlflowClient(uri)
    old = dataclasses.replace(result, trials=result.trials[:3])
    first = finished(uri, f"{experiment}-new", old)
    number = client.create_experiment(experiment)
    tags = {name: value for name, value in client.get_run(first.run_id).data.tags.items() if "lossreg" in name}
    tags = {name: value for name, value in tags.items() if name != "lossreg.key"}
    parent = client.create_run(number, 1, {**tags, "lossreg.key": experiment}, "toy").info.run_id
    given = mlflow.entities.Dataset(**entities.dataset(result.data))
    context = mlflow.entities.InputTag("mlflow.data.context", "tuning")
    client.log_inputs(parent, [mlflow.entities.DatasetInput(given, [context])])
    for point in entities.best_points(old, is_over=True):
        client.log_metric(parent, point.name, point.value, point.at, point.step)
    for trial in old.trials:
        tags = {"mlflow.parentRunId": parent, "lossreg.trial": str(trial.number)}
        started, name = entities.milliseconds(trial.started), f"{trial.number:03d} {trial.candidate}"
        child = client.create_run(number, started, tags, name).info.run_id
        client.log_param(child, "loss", trial.candidate)
        client.set_terminated(child)
    again = finished(uri, experiment, result, run_id=parent, key=experiment)
    run, runs, count = children(uri, again)
    assert (again.run_id, count, sorted(runs)) == (parent, 6, list(range(6)))
    assert [runs[n].info.run_name for n in (0, 3)] == ["000 cross_entropy", entities.run_name(result.trials[3])]
    assert len(run.inputs.dataset_inputs) == 1
    for name in ("best_score", "best_score/cross_entropy"):
        steps = [point.step for point in client.get_metric_history(parent, name)]
        assert len(steps) == len(set(steps))
    best = max(trial.score for trial in result.trials if trial.candidate == "cross_entropy")
    assert run.data.metrics["best_score/cross_entropy"] == best


# ------------------------------------------------------------------------------ requests


def test_a_child_takes_three_requests(uri, experiment, monkeypatch):
    opened, calls = writer.Writer(uri, experiment), []
    opened.open(sample.study(0))

    def noted(name, call):
        return lambda *args, **kwargs: calls.append(name) or call(*args, **kwargs)

    for name in dir(MlflowClient):
        if not name.startswith("_") and callable(getattr(MlflowClient, name)):
            monkeypatch.setattr(MlflowClient, name, noted(name, getattr(MlflowClient, name)))
    list(opened.write(sample.study(2).trials, "accuracy"))
    assert calls == ["create_run", "log_batch", "set_terminated"] * 2


def test_children_are_the_same_however_many_are_written_at_a_time(uri, experiment, monkeypatch):
    """MLflow takes 100 parameters and 1,000 values of metrics in one request."""
    result = sample.study(9)
    per_class = {f"focal.alpha[{number}]": 0.5 for number in range(150)}
    result.trials.append(sample.trial(9, params=per_class, epochs=450))
    contents = []
    for threads in (1, 4):
        monkeypatch.setattr(writer, "threads", lambda uri, threads=threads: threads)
        tracker = finished(uri, f"{experiment}-{threads}", result)
        runs = children(uri, tracker)[1]
        history = MlflowClient(uri).get_metric_history(runs[9].info.run_id, "val_accuracy")
        assert [point.step for point in history] == list(range(1, 451))
        contents.append({n: (run.info.status, run.info.end_time, run.data.params) for n, run in runs.items()})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 10
    assert len(contents[0][9][2]) == 154


# ------------------------------------------------------------------------ resume and repair


def test_a_second_sync_writes_nothing(uri, experiment):
    result = sample.study(9)
    first = finished(uri, experiment, result, key=experiment)
    before = snapshot(uri, first)
    again = finished(uri, experiment, result, run_id=first.run_id)
    assert again.run_id == first.run_id
    assert snapshot(uri, again) == before


def snapshot(uri, tracker):
    """All that is stored, in an order that does not depend on time."""
    client = MlflowClient(uri)
    parent, runs, count = children(uri, tracker)
    points = {
        (run.info.run_id, name): sorted(
            (p.step, p.value, p.timestamp) for p in client.get_metric_history(run.info.run_id, name)
        )
        for run in [parent, *runs.values()]
        for name in run.data.metrics
    }
    stored = {
        number: (run.info.run_id, run.info.status, run.data.params, run.data.tags) for number, run in runs.items()
    }
    return count, stored, points, parent.data.params


def test_a_resumed_study_finds_its_parent_by_key_and_adds_what_is_missing(uri, experiment):
    result = sample.study(9)
    part = Tracker(uri, experiment, key=experiment, warn=fail)
    part.start(dataclasses.replace(result, trials=result.trials[:4]))
    part.flush()
    assert MlflowClient(uri).get_run(part.run_id).info.status == "KILLED", "interrupted, not finished"
    again = finished(uri, experiment, result, key=experiment)
    assert again.run_id == part.run_id
    parent, runs, count = children(uri, again)
    assert (parent.info.status, sorted(runs), count) == ("FINISHED", list(range(9)), 9)


@pytest.mark.parametrize("cut", [pytest.param("created", marks=pytest.mark.long), "logged"])
def test_a_half_written_child_is_completed(uri, experiment, cut):
    result = sample.study(6)
    tracker = finished(uri, experiment, dataclasses.replace(result, trials=result.trials[:5]))
    client, parent = MlflowClient(uri), tracker.run_id
    location = client.get_run(parent).info.experiment_id
    last = result.trials[5]
    tags = entities.trial_tags(last, parent)
    half = client.create_run(location, entities.milliseconds(last.started), tags, entities.run_name(last)).info.run_id
    if cut == "logged":
        points = [
            mlflow.entities.Metric(p.name, p.value, p.at, p.step) for p in entities.trial_points(last, "accuracy")
        ]
        client.log_batch(half, points[:7], [mlflow.entities.Param("loss", last.candidate)])
    finished(uri, experiment, result, run_id=parent)
    _, runs, count = children(uri, tracker)
    assert count == 6
    assert (runs[5].info.run_id, runs[5].info.status) == (half, "FINISHED" if last.state != "failed" else "FAILED")
    whole = finished(uri, f"{experiment}-whole", result)
    _, expected, _ = children(uri, whole)
    assert runs[5].data.params == expected[5].data.params
    assert runs[5].data.metrics == expected[5].data.metrics


def test_a_child_deleted_by_hand_comes_back(uri, experiment):
    result = sample.study(3)
    tracker = finished(uri, experiment, result)
    _, runs, _ = children(uri, tracker)
    MlflowClient(uri).delete_run(runs[1].info.run_id)
    finished(uri, experiment, result, run_id=tracker.run_id)
    assert sorted(children(uri, tracker)[1]) == [0, 1, 2]


@pytest.mark.parametrize("lost", ["deleted", "of another store"])
def test_a_lost_parent_is_written_anew(uri, experiment, lost):
    result = sample.study(3)
    old = finished(uri, experiment, result).run_id if lost == "deleted" else "0" * 32
    if lost == "deleted":
        MlflowClient(uri).delete_run(old)
    tracker = finished(uri, experiment, result, run_id=old)
    assert tracker.run_id != old
    assert children(uri, tracker)[2] == 3


def trials_in(uri, experiment):
    """Of every run of the experiment that is not deleted: its trial, None for a parent, and its parent."""
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return sorted(
        (int(run.data.tags.get("lossreg.trial", -1)), run.data.tags.get("mlflow.parentRunId", "")) for run in runs
    )


@pytest.mark.parametrize("is_known_by", ["run id", "key", pytest.param("both", marks=pytest.mark.long)])
def test_children_of_a_deleted_parent_are_taken_over_by_the_new_one(uri, experiment, is_known_by):
    result = sample.study(5)
    old = finished(uri, experiment, dataclasses.replace(result, trials=result.trials[:3]), key=experiment)
    client = MlflowClient(uri)
    kept = {run.info.run_id for run in children(uri, old)[1].values()}
    client.delete_run(old.run_id)
    key = "" if is_known_by == "run id" else experiment
    again = finished(uri, experiment, result, run_id=None if is_known_by == "key" else old.run_id, key=key)
    assert trials_in(uri, experiment) == [(-1, ""), *((number, again.run_id) for number in range(5))]
    assert kept < {run.info.run_id for run in children(uri, again)[1].values()}
    assert children(uri, again)[0].data.metrics["best_score"] == result.best.score


def test_orphans_of_trials_that_the_new_parent_has_already_are_deleted(uri, experiment):
    """The runs of lossreg 0.1.0: a deleted parent with its children, and another parent with the same trials."""
    result, client = sample.study(3), MlflowClient(uri)
    old = finished(uri, experiment, result, key=experiment)
    orphans = [run.info.run_id for run in children(uri, old)[1].values()]
    client.delete_run(old.run_id)
    for parent in ("0" * 32, old.run_id):
        for orphan in orphans:
            client.set_tag(orphan, "mlflow.parentRunId", parent)
        new = finished(uri, experiment, result, key=experiment)
    assert trials_in(uri, experiment) == [(-1, ""), *((number, new.run_id) for number in range(3))]
    assert {client.get_run(orphan).info.lifecycle_stage for orphan in orphans} == {"deleted"}


def test_a_run_id_that_a_journal_brought_along_does_not_open_another_study_s_run(uri, experiment):
    theirs = finished(uri, experiment, sample.study(3, study="theirs"), key=f"{experiment}-theirs")
    before = snapshot(uri, theirs)
    ours = finished(uri, experiment, sample.study(2), run_id=theirs.run_id, key=f"{experiment}-ours")
    assert ours.run_id != theirs.run_id
    assert snapshot(uri, theirs) == before
    MlflowClient(uri).delete_run(theirs.run_id)
    finished(uri, experiment, sample.study(2), run_id=theirs.run_id, key=f"{experiment}-ours")
    assert children(uri, theirs)[2] == 3, "and takes none of its children"


def test_best_so_far_waits_for_trials_that_are_still_running():
    result = sample.study(6)
    gap = dataclasses.replace(result, trials=[t for t in result.trials if t.number != 2])
    assert [p.step for p in entities.best_points(gap)] == [0, 1]
    assert [p.step for p in entities.best_points(gap, is_over=True)] == [0, 1, 3, 4]


@pytest.mark.parametrize(("lost", "steps"), [((2,), [0, 1, 3, 4]), ((1, 2, 9), [0, 1, 3, 4]), ((1,), [0, 1])])
def test_best_so_far_does_not_wait_for_trials_that_were_cut_off(lost, steps):
    result = sample.study(6)
    gap = dataclasses.replace(result, trials=[t for t in result.trials if t.number != 2])
    assert [p.step for p in entities.best_points(gap, lost)] == steps


def test_a_trial_that_was_queued_again_is_lost_and_its_copy_is_not():
    study = optuna_study()
    study.tell(study.ask(), state=TrialState.PRUNED)
    study.ask()
    assert history.lost(study) == [0]
    requeue_interrupted(study)
    assert history.lost(study) == [0, 1]


def test_a_curve_goes_on_past_the_gap_that_an_interruption_left(uri, experiment):
    result = sample.study(6)
    gap = dataclasses.replace(result, trials=[t for t in result.trials if t.number != 2])
    tracker = Tracker(uri, experiment, launch=Inline)
    tracker.start(dataclasses.replace(gap, trials=gap.trials[:2]), lost=[2])
    for trial in gap.trials[2:]:
        tracker.trial(trial, result)
    tracker.flush()
    steps = [metric.step for metric in MlflowClient(uri).get_metric_history(tracker.run_id, "best_score")]
    assert steps == [0, 1, 3, 4]
    tracker.close()


def test_best_so_far_falls_when_lower_is_better():
    result = sample.study(9, direction="minimize")
    values = [point.value for point in entities.best_points(result)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == min(t.score for t in result.trials if t.score is not None)


# ----------------------------------------------------------------------------------- model


def test_the_recommended_model_is_logged_and_registered_once_and_predicts(uri, experiment, tmp_path, monkeypatch):
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.save(tmp_path / "best.keras")
    result = sample_verdict.study("worse")
    result.trials[1] = dataclasses.replace(result.trials[1], score=0.999)
    assert result.best != result.recommended
    tracker = finished(uri, experiment, result, model=tmp_path / "best.keras")
    finished(uri, experiment, result, run_id=tracker.run_id, model=model)
    client = MlflowClient(uri)
    [output] = client.get_run(tracker.run_id).outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (logged.status, logged.source_run_id) == ("READY", tracker.run_id)
    assert logged.tags["lossreg.get"] == result.recommended.recipe
    x = np.ones((2, 4), np.float32)
    loaded = mlflow.pyfunc.load_model(logged.artifact_location)
    np.testing.assert_allclose(loaded.predict(x), model(x), rtol=1e-6)
    asked = []
    search = MlflowClient.search_logged_models
    monkeypatch.setattr(MlflowClient, "search_logged_models", lambda *args: asked.append(1) or search(*args))
    for register in (True, "team churn", "team churn", False):
        finished(uri, experiment, result, tracker.run_id, model, register=register)
    another = finished(uri, experiment, dataclasses.replace(result, study="quiet"), None, model, register=False)
    assert len(asked) == 4  # once for each that registers, or logs
    for name in (result.study, "team churn"):
        [version] = client.search_model_versions(f"name = '{name}'")
        assert version.run_id == tracker.run_id
        assert client.get_model_version_by_alias(name, "candidate").version == version.version
    note = client.get_run(tracker.run_id).data.tags["mlflow.note.content"]
    line = f'load_model("models:/team churn/{version.version}")  # trial {result.recommended.number}`'
    assert note.split("\n\n")[0].endswith(f"\n`model = mlflow.pyfunc.{line}")
    unregistered = client.get_run(another.run_id)
    [made] = unregistered.outputs.model_outputs
    assert f'load_model("models:/{made.model_id}")' in unregistered.data.tags["mlflow.note.content"]
    assert client.get_run(another.run_id).outputs.model_outputs
    assert not client.search_model_versions("name = 'quiet'")
    where = another.where()
    assert (where["model"], where["model_trial"]) == (f"models:/{made.model_id}", result.recommended.number)
    for name in ("report.md", "report.html", "result.json"):
        page = Path(client.download_artifacts(another.run_id, name, str(tmp_path))).read_text()
        assert f"models:/{made.model_id}" in page.replace("&#34;", '"')
    client.delete_tag(another.run_id, "lossreg.model")  # as an earlier version left it
    again = finished(uri, experiment, dataclasses.replace(result, study="quiet"), another.run_id, model, register=False)
    assert again.where()["model"] == f"models:/{made.model_id}"


# --------------------------------------------------------------------- stores that are not there


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def mute():
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def accept():
            while True:
                try:
                    held.append(listener.accept())
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
    for connection, _ in held:
        connection.close()


def run_through(tracker, result):
    """A study's worth of calls."""
    tracker.start(dataclasses.replace(result, trials=[]))
    for trial in result.trials:
        tracker.trial(trial, result)
    tracker.flush()
    tracker.finish(result)


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_dead_server_costs_one_warning_and_is_given_up_before_mlflow_tries_for_minutes(scheme, monkeypatch):
    warnings = []
    monkeypatch.setattr(writer, "Writer", lambda *args: fail("MLflow is asked"))
    tracker = Tracker(f"{scheme}://127.0.0.1:{closed_port()}/x", "x", warn=warnings.append)
    run_through(tracker, sample.study(12))
    assert len(warnings) == 1
    assert "no answer" in warnings[0]
    assert "when the study is run again" in warnings[0]
    assert tracker.where()["run_id"] is None


def test_a_dead_server_does_not_lose_the_former_run(uri):
    tracker = Tracker(f"http://127.0.0.1:{closed_port()}", "x")
    tracker.start(sample.study(1), "former")
    tracker.flush()
    assert tracker.where()["run_id"] == "former"


def test_a_mute_server_costs_one_warning(mute, monkeypatch):
    monkeypatch.setattr("lossreg.tracking.uri.PATIENCE", 0.3)
    warnings = []
    run_through(Tracker(f"http://127.0.0.1:{mute}", "x", warn=warnings.append), sample.study(3))
    assert len(warnings) == 1


def opened(uri, experiment, folder=""):
    """The session of a study that has begun, and its later answers."""
    answers = []
    session = Session(lambda **answer: answers.append(answer))
    session.prepare(uri, experiment)
    session.open(messages.of_study(sample.study(0, folder=folder)), [], "", "")
    del answers[:]
    return session, answers


def test_a_slow_store_shows_that_it_goes_on(uri, experiment):
    """Requests may each take seconds: 12 trials in one batch are 12 signs of life, not one."""
    session, answers = opened(uri, experiment)
    session.add(sample.study(12).trials)
    assert answers == [{"left": left} for left in range(12, -1, -1)]
    session.interrupt()


def test_the_end_of_a_study_shows_that_it_goes_on_step_by_step(uri, experiment):
    session, answers = opened(uri, experiment)
    session.draw(messages.of_study(sample.study(0)))
    session.finish(messages.of_study(sample.study(0)), "FINISHED", None, 7)
    *steps, done = answers
    assert steps == [{}] * 7, "after plots, summary, tables, plot of the verdict, description, page, model"
    assert done == {"done": 7}


def test_required_tracking_raises():
    tracker = Tracker(f"http://127.0.0.1:{closed_port()}", "x", warn=fail, required=True)
    with pytest.raises(LossregError, match="tracking failed: no answer") as caught:
        tracker.start(sample.study(0))
    assert caught.value.exit_code == 1


def test_a_store_that_breaks_on_the_way_costs_one_warning(uri, experiment, monkeypatch):
    warnings = []
    result = sample.study(6)
    tracker = Tracker(uri, experiment, warn=warnings.append)
    tracker.start(dataclasses.replace(result, trials=[]))
    tracker.where()
    monkeypatch.setattr(MlflowClient, "create_run", lambda *args, **kwargs: fail("disk full"))
    for trial in result.trials:
        tracker.trial(trial, result)
    tracker.finish(result)
    assert len(warnings) == 1
    assert "disk full" in warnings[0]
    assert "disk full" in tracker.where()["error"]
    monkeypatch.undo()
    assert "error" not in finished(uri, experiment, result, run_id=tracker.run_id).where()
    assert children(uri, tracker)[2] == 6, "brought up later"


def test_no_other_process_has_the_study_while_a_child_is_still_written(uri, experiment, monkeypatch, tmp_path):
    monkeypatch.setattr(writer, "threads", lambda uri: 2)
    begun, leaving, outcomes = threading.Event(), threading.Event(), []
    shutdown = writer.Writer.shutdown
    monkeypatch.setattr(writer.Writer, "shutdown", lambda one: leaving.set() or shutdown(one))
    session, _ = opened(uri, experiment, str(tmp_path))

    def create_run(client, experiment_id, start_time, tags, run_name):
        if tags["lossreg.trial"] == "0":
            begun.wait(10)
            fail("disk full")
        begun.set()
        leaving.wait(10)
        with (tmp_path / "tracking.lock").open("wb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        outcomes.append("held")
        fail("disk full")

    monkeypatch.setattr(MlflowClient, "create_run", create_run)
    session.add(sample.study(2).trials)
    assert outcomes == ["held"], "nothing is written any more once the failure is known"
    assert session.outage.reason == "disk full"
    session.leave()
    with (tmp_path / "tracking.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_artifact_store_that_refuses_leaves_the_trials(uri, experiment, monkeypatch):
    warnings = []
    monkeypatch.setattr(MlflowClient, "log_text", lambda *args, **kwargs: fail("access denied"))
    tracker = Tracker(uri, experiment, warn=warnings.append)
    tracker.sync(sample.study(3))
    assert len(warnings) == 1
    assert "access denied" in warnings[0]
    assert children(uri, tracker)[0].info.status == "FINISHED"


def test_what_cannot_be_drawn_costs_the_picture_alone(uri, experiment, monkeypatch):
    warnings, drawers = [], {"slices": lambda result: fail("a $ alone"), "history": study_plots.history}
    monkeypatch.setattr(study_plots, "drawers", lambda result: drawers)
    tracker = Tracker(uri, experiment, warn=warnings.append)
    tracker.sync(sample.study(3))
    [warning] = warnings
    assert warning.endswith("has the study without plots/slices.png (AssertionError: a $ alone).")
    client = MlflowClient(uri)
    files = {file.path for folder in ("", "plots") for file in client.list_artifacts(tracker.run_id, folder)}
    assert {"report.html", "report.md", "result.json", "trials.csv", "plots/history.png"} <= files


def test_a_locked_database_is_tried_again(uri, experiment, monkeypatch):
    calls = []
    real = MlflowClient.log_batch

    def locked_once(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise sqlite3.OperationalError("database is locked")
        return real(*args, **kwargs)

    monkeypatch.setattr(MlflowClient, "log_batch", locked_once)
    tracker = finished(uri, experiment, sample.study(3))
    assert children(uri, tracker)[2] == 3


def test_a_deleted_experiment_is_explained(uri, experiment):
    client = MlflowClient(uri)
    number = client.create_experiment(experiment)
    client.delete_experiment(number)
    warnings = []
    run_through(Tracker(uri, experiment, warn=warnings.append), sample.study(1))
    assert f"mlflow experiments restore --experiment-id {number}" in warnings[0]


def test_an_answer_without_an_experiment_is_not_taken_for_one():
    """A proxy, or another program, may answer everything with `{}`."""
    warnings = []
    with failing_servers.web(200, body=b"{}") as port:
        Tracker(f"http://127.0.0.1:{port}", "s", warn=warnings.append).sync(sample.study(1))
    [warning] = warnings
    assert "the server's answer was not understood: it names no experiment" in warning


# ------------------------------------------------------------------------------ which store


def test_the_default_store_is_mlflows_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(None)  # whatever this process has told MLflow before
    assert tracking.check() == f"sqlite:///{tmp_path}/mlflow.db" == mlflow.get_tracking_uri()
    assert tracking.check(None, {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000/"}) == "http://127.0.0.1:5000"
    assert tracking.check("sqlite:///x.db", {"MLFLOW_TRACKING_URI": "http://other"}) == f"sqlite:///{tmp_path}/x.db"
    assert not list(tmp_path.iterdir()), "checking writes nothing"


def test_an_old_store_is_refused_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    tracking.check(None, {})
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")
    with pytest.raises(InputError, match=r"mlflow migrate-filestore --source mlruns --target sqlite:///mlflow\.db"):
        tracking.check(None, {})
    tracking.check("sqlite:///mlflow.db", {})


def test_the_migration_command_exists():
    from mlflow.cli import cli

    options = {option for param in cli.commands["migrate-filestore"].params for option in param.opts}
    assert {"--source", "--target"} <= options


BAD = {
    "mlruns": "no longer writes",
    "file:///tmp/mlruns": "no longer writes",
    "htp://127.0.0.1:5000": "Did you mean http",
    "http://": "no address of a server",
    "http://host:port": "no address of a server",
    "http://host:99999": "no address of a server",
    "http://a host": "no address of a server",
    "sqlite://mlflow.db": "names no SQLite file",
    "sqlite:///": "names no SQLite file",
    "sqlite:///:memory:": "names no SQLite file",
    "sqlite:///nowhere/mlflow.db": "does not exist",
    "sqlite:///folder": "is a folder",
    "sqlite:///text.db": "no SQLite database. Name another file, which is created: tracking.uri = 'sqlite:///",
    "sqlite:///shop.db": "is the database of another program, with the table customers. Name another file",
    "  ": "is blank. Name a store, for example sqlite:///mlflow.db",
    "postgres://u@h/d": "Did you mean postgresql",
    "postgresql+psycopg://u:secret@h:port/d": "no database address",
    "postgresql+psycopg://u:secret@h": "names no database",
    "mysql+nodriver://u@h/d": "no database address",
    "mssql+pyodbc://u@h/d": "is not installed",
    "s3://bucket/x": "unknown scheme 's3'",
}


@pytest.mark.parametrize(("bad", "message"), BAD.items(), ids=list(BAD))
def test_a_bad_uri_is_refused(monkeypatch, tmp_path, bad, message):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("text.db").write_text("no database")
    with contextlib.closing(sqlite3.connect("shop.db")) as shop:
        shop.execute("CREATE TABLE customers (id INTEGER)")
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        tracking.check(bad, {})
    assert str(caught.value).startswith("tracking.uri: ")
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match=r"^MLFLOW_TRACKING_URI: "):
        tracking.check(None, {"MLFLOW_TRACKING_URI": bad})


@pytest.mark.parametrize(
    "good",
    ["https://user:pass@mlflow.example.org/base", "databricks", "databricks://profile", "postgresql+psycopg://u:p@h/d"],
)
def test_a_good_uri_is_kept(good):
    assert tracking.check(good, {}) == good


def test_passwords_are_not_shown():
    assert tracking.without_secrets("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert tracking.without_secrets("http://127.0.0.1:5000") == "http://127.0.0.1:5000"


def test_a_port_in_use_is_refused_or_avoided():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LossregError, match=f"port {port} is in use"):
            tracking.free_port(port)
        assert port < tracking.free_port(preferred=port) < port + 100, "the next one"


def test_a_new_database_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    """A kill while MLflow makes its tables must not leave a file that MLflow cannot open again."""
    uri, ready = f"sqlite:///{tmp_path / 'new.db'}", NewDatabase()

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "hardlink_to", killed)
        with pytest.raises(KeyboardInterrupt):
            new_database.make(uri, ready)
    assert not (tmp_path / "new.db").exists()
    new_database.make(uri, ready)
    kept = (tmp_path / "new.db").stat()
    new_database.make(uri)
    ready.write(tmp_path / "new.db")
    assert (tmp_path / "new.db").stat().st_ino == kept.st_ino, "what another process made is kept"
    assert [path.name for path in tmp_path.iterdir()] == ["new.db"]
    assert MlflowClient(uri).search_experiments()
