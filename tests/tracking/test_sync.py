"""`sync` that is cut off at every request: the next one completes what is there, and nothing is there twice."""

from __future__ import annotations

import dataclasses
import functools

import pytest
import sample_study as sample
from inline import Inline
from mlflow import MlflowClient

from lossreg import tracking
from lossreg.reporting import study_plots
from lossreg.tracking import entities, new_database, outage
from lossreg.tracking.writer import Writer

Tracker = functools.partial(tracking.Tracker, launch=Inline)
WRITES = (
    "create_run", "log_batch", "log_inputs", "set_terminated", "update_run", "set_tag", "delete_run", "log_text",
    "log_dict", "create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_outputs",
)  # fmt: skip


class Killed(BaseException):
    """Ends the process, where nothing catches it."""


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    address = tracking.check(f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}", {})
    new_database.make(address)
    return address


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(study_plots, "figures", lambda result: {})
    monkeypatch.setattr(outage, "FIRST", 0.01)


def whole(uri, experiment, result, model):
    """Write all that a sync writes, in this thread, where a kill can be raised."""
    writer = Writer(uri, experiment, exact=True)
    writer.open(result, "", experiment)
    for trial in result.trials:
        list(writer.write([trial], result.metric))
    writer.summarise(result)
    writer.artifacts.tabulate(result)
    writer.artifacts.log_model(result, model)
    writer.describe_model(result)
    writer.close(result, "FINISHED")


def cut_off(patch, at, *, is_done):
    """Have the client end this process before its write of that number, or after it; return the names of its writes."""
    begun = []

    def noted(name, call):
        def write(*args, **kwargs):
            begun.append(name)
            number = len(begun)
            if number == at and not is_done:
                raise Killed
            answer = call(*args, **kwargs)
            if number == at:
                raise Killed
            return answer

        return write

    for name in WRITES:
        patch.setattr(MlflowClient, name, noted(name, getattr(MlflowClient, name)))
    return begun


def of_each_kind(writes):
    """The number of the middle one of the writes of each name, from 1."""
    numbers = {}
    for number, name in enumerate(writes, 1):
        numbers.setdefault(name, []).append(number)
    return [of_name[len(of_name) // 2] for of_name in numbers.values()]


def of_all(writes):
    return range(1, len(writes) + 1)


def content(uri, experiment):
    """All that an experiment holds, without ids and the times that MLflow gives by itself."""
    client = MlflowClient(uri)
    number = client.get_experiment_by_name(experiment).experiment_id
    runs = client.search_runs([number])
    models = client.search_logged_models([number])
    return sorted(
        (
            run.info.run_name, run.info.status, run.info.start_time, run.info.end_time, sorted(run.data.params.items()),
            sorted(
                (name, "models:/" if name == "lossreg.model" else value) for name, value in run.data.tags.items()
                if name.startswith("lossreg.") and experiment not in value
            ),
            sorted((name, points(client, run, name)) for name in run.data.metrics),
            sorted(item.path for item in client.list_artifacts(run.info.run_id)),
            len(run.inputs.dataset_inputs), len(client.get_run(run.info.run_id).outputs.model_outputs),
        )
        for run in runs
    ), sorted((model.name, model.status, sorted(model.params.items())) for model in models)  # fmt: skip


def points(client, run, name):
    return [(p.step, p.value, p.timestamp) for p in client.get_metric_history(run.info.run_id, name)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The description of a model file that is never read."""
    path = tmp_path_factory.mktemp("model") / "best.keras"
    path.write_bytes(b"a model")
    return {
        "path": str(path), "inputs": [[None, "float32", [-1, 4]]], "outputs": [[None, "float32", [-1, 3]]],
        "version": "3.0", "backend": "tensorflow", "requirements": ["keras==3.0"],
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
@pytest.mark.parametrize(
    ("is_done", "chosen"),
    [
        pytest.param(False, of_all, id="before", marks=pytest.mark.long),
        pytest.param(True, of_all, id="after", marks=pytest.mark.long),
        pytest.param(True, of_each_kind, id="after one of each kind", marks=pytest.mark.long),
    ],
)
def test_cut_off_at_any_write_and_begun_again_mlflow_has_the_same(uri, model, is_done, chosen):
    result = sample.study(2)
    with pytest.MonkeyPatch.context() as patch:
        writes = cut_off(patch, 0, is_done=is_done)
        whole(uri, f"unbroken-{is_done}-{chosen.__name__}", result, model)
    expected = content(uri, f"unbroken-{is_done}-{chosen.__name__}")
    assert len(writes) >= 18
    assert len(expected[0]) == 3
    for at in chosen(writes):
        experiment = f"cut-{is_done}-{chosen.__name__}-{at}"
        with pytest.MonkeyPatch.context() as patch:
            cut_off(patch, at, is_done=is_done)
            with pytest.raises(Killed):
                whole(uri, experiment, result, model)
        whole(uri, experiment, result, model)
        assert content(uri, experiment) == expected, f"cut off at write {at}"


def synced(uri, experiment, result):
    tracker = Tracker(uri, experiment, key=experiment)
    tracker.sync(result)
    assert not tracker.error


def test_what_a_slow_server_did_twice_is_there_once(uri):
    """It created runs after their requests had been given up and sent again."""
    result, client = sample.study(3), MlflowClient(uri)
    synced(uri, "twice", result)
    expected = content(uri, "twice")
    number = client.get_experiment_by_name("twice").experiment_id
    [parent] = [run for run in client.search_runs([number]) if run.info.run_name == "toy"]
    second = client.create_run(number, parent.info.start_time, {"lossreg.key": "twice"}, "toy").info.run_id
    trial = result.trials[1]
    for of in (parent.info.run_id, second):
        tags = entities.trial_tags(trial, of)
        client.create_run(number, entities.milliseconds(trial.started), tags, entities.run_name(trial))
    synced(uri, "twice", result)
    assert content(uri, "twice") == expected


def another_training(trial):
    """One of the same number, a minute later."""
    params = {**trial.params, "learning_rate": 0.5}
    return dataclasses.replace(trial, started=trial.started + 60, ended=trial.ended + 60, params=params)


def test_trials_that_the_journal_has_lost_are_not_in_mlflow_after_it(uri):
    """A power loss takes the last second of a journal; the study goes on with the same numbers, and other trials."""
    result = sample.study(4)
    again = another_training(result.trials[2])
    changed = dataclasses.replace(result, trials=[*result.trials[:2], again])
    synced(uri, "lost", result)
    synced(uri, "lost", changed)
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("lost").experiment_id])
    children = {run.info.run_name: run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert sorted(children) == sorted(entities.run_name(trial) for trial in changed.trials)
    replaced = children[entities.run_name(changed.trials[2])]
    assert replaced.data.params["learning_rate"] == "0.5"
    assert replaced.info.start_time == entities.milliseconds(again.started)


def test_a_study_that_goes_on_after_a_power_loss_replaces_the_lost_trials(uri):
    result = sample.study(4)
    synced(uri, "on", result)
    again = another_training(result.trials[3])
    tracker = Tracker(uri, "on", key="on")
    tracker.start(dataclasses.replace(result, trials=result.trials[:3]))
    tracker.trial(again, result)
    tracker.finish(dataclasses.replace(result, trials=[*result.trials[:3], again]))
    assert not tracker.error
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("on").experiment_id], "tags.`lossreg.trial` = '3'")
    assert [run.data.params["learning_rate"] for run in runs] == ["0.5"]
