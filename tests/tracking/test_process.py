"""The process that tracks a study: killed, orphaned, stopped, hung up on; and what it has never seen of Keras."""

from __future__ import annotations

import dataclasses
import fcntl
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import sample_study as sample
import sample_verdict
from fake_trainer import Fake
from inline import Inline
from mlflow import MlflowClient
from processes import has_ended
from searches import curve

import lossreg
from lossreg import tracking
from lossreg.errors import InputError, LossregError
from lossreg.storage.observer import Observer
from lossreg.terminal import masking, signals
from lossreg.tracking import Tracker, messages, new_database, tracker, worker
from lossreg.tracking.new_database import NewDatabase

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def empty():
    """MLflow's tables, in memory."""
    return NewDatabase()


@pytest.fixture
def uri(empty, tmp_path):
    address = tracking.check(f"sqlite:///{tmp_path / 'mlflow.db'}", {})
    new_database.make(address, empty)
    return address


@pytest.fixture
def launched(monkeypatch):
    """The processes that trackers start, in order; the test may not leave any behind."""
    started = []

    class Noted(worker.Process):
        def __init__(self):
            super().__init__()
            started.append(self)

    monkeypatch.setattr(tracker, "Process", Noted)
    yield started
    for one in started:
        one.kill()


def children(uri, parent):
    """Trial numbers in the store, and the status of the parent."""
    client = MlflowClient(uri)
    run = client.get_run(parent)
    runs = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    return sorted(int(one.data.tags["lossreg.trial"]) for one in runs), run.info.status


def begun(uri, result, **options):
    """A tracker whose parent run is open, and which has been told no trial."""
    warnings = []
    study_tracker = Tracker(uri, "x", warn=warnings.append, **options)
    study_tracker.start(dataclasses.replace(result, trials=[]))
    assert study_tracker.where()["run_id"]
    return study_tracker, warnings


def synced(uri, result, run_id):
    again = Tracker(uri, "x", launch=Inline)
    again.sync(result, run_id)
    assert not again.error


KILLED = """
import dataclasses, os, signal, sys, threading
import sample_study as sample
import sample_verdict
from lossreg.tracking import Tracker
from lossreg.tracking.worker import Process

class Counted:
    def __init__(self, stream):
        self.stream, self.told = stream, threading.Semaphore(0)

    def write(self, line):
        self.stream.write(line)
        self.stream.flush()
        self.told.release()

    def flush(self):
        pass

uri, folder = sys.argv[1:]
result, process = sample.study(3, folder=folder), Process()
process.lines = Counted(process.lines)
made = Tracker(uri, "x", key="key", launch=lambda: process)
made.start(dataclasses.replace(result, trials=[]))
print(made.where()["run_id"], process.pid, flush=True)
for trial in result.trials:
    made.trial(trial, result)
for _ in ("prepare", "open", *result.trials):
    process.lines.told.acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_process_of_a_killed_study_writes_what_it_was_told_and_ends(uri, tmp_path):
    command = [sys.executable, "-c", KILLED, uri, str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(SUPPORT)}, capture_output=True, text=True)  # noqa: PLW1510
    assert done.returncode == -signal.SIGKILL, done.stderr
    parent, number = done.stdout.split()
    assert has_ended(int(number))
    assert children(uri, parent) == ([0, 1, 2], "KILLED")
    result = sample.study(6, folder=str(tmp_path))
    again = Tracker(uri, "x", key="key", launch=Inline)
    assert again.sync(result)["run_id"] == parent
    assert children(uri, parent) == ([0, 1, 2, 3, 4, 5], "FINISHED")


@pytest.mark.long
def test_a_killed_process_costs_one_warning_and_sync_brings_the_rest(uri, launched):
    result = sample.study(6)
    study_tracker, warnings = begun(uri, result)
    study_tracker.trial(result.trials[0], result)
    study_tracker.flush()
    launched[0].kill()
    assert has_ended(launched[0].pid)
    for trial in result.trials[1:]:
        study_tracker.trial(trial, result)
    study_tracker.finish(result)
    assert len(warnings) == 1
    assert "its process ended with exit code -9" in warnings[0]
    assert "when the study is run again" in warnings[0]
    assert children(uri, study_tracker.run_id)[0] == [0]
    synced(uri, result, study_tracker.run_id)
    assert children(uri, study_tracker.run_id) == ([0, 1, 2, 3, 4, 5], "FINISHED")


def test_a_process_that_stands_still_holds_no_study_up(uri, launched):
    warnings = []
    study_tracker = Tracker(uri, "x", warn=warnings.append, patience=0.5)
    study_tracker.prepare()
    os.kill(launched[0].pid, signal.SIGSTOP)
    result = sample.study(6)
    study_tracker.start(result)
    for _ in range(100):
        for trial in result.trials:
            study_tracker.trial(trial, result)  # far more than a pipe holds
    study_tracker.finish(result)
    assert [re.search(r"nothing written for \d+ s", text) is not None for text in warnings] == [True]
    assert has_ended(launched[0].pid)


def test_a_wait_of_an_interrupted_study_is_told_once(uri, launched, monkeypatch):
    warned, told = [], []
    monkeypatch.setattr(tracker, "UNTOLD", 0.0)
    study_tracker = Tracker(uri, "x", warn=warned.append, patience=0.5)
    study_tracker.prepare()
    os.kill(launched[0].pid, signal.SIGSTOP)
    study_tracker.start(sample.study(1))
    study_tracker.flush(lambda text: told.append((text, list(warned))))
    [(text, warned_before)] = told
    assert re.search(r"^waiting for MLflow at sqlite:.*, at most \d+ s without an answer; Ctrl-C ends at once$", text)
    assert (warned_before, len(warned)) == ([], 1)


class Thoughtful:
    """A process that answers a `flush`, though not before `asked` is set."""

    def __init__(self, asked):
        (inner, outer), (heard, answered) = os.pipe(), os.pipe()
        self.lines, self.answers = os.fdopen(outer, "wb"), os.fdopen(heard, "rb")
        ends = asked, os.fdopen(inner, "rb"), os.fdopen(answered, "wb")
        threading.Thread(target=self.serve, args=ends, daemon=True).start()

    def serve(self, asked, lines, answers):
        with lines, answers:
            for line in map(messages.decode, lines):
                if line["do"] == "flush":
                    assert asked.wait(30)
                    answers.write(messages.encode({"done": line["ticket"]}))
                    answers.flush()

    def kill(self):
        pass

    def wait(self):
        return 0


def test_a_long_quiet_time_before_a_question_is_no_time_without_an_answer(monkeypatch):
    clock, looked, asked = [0.0], [], threading.Event()

    def now():
        looked.append(clock[0])
        if looked.count(900.0) > 3:  # the tracker has waited for some rounds
            asked.set()
        return clock[0]

    study_tracker = Tracker("sqlite:///x.db", "x", launch=lambda: Thoughtful(asked))
    monkeypatch.setattr(tracker, "time", SimpleNamespace(monotonic=now))
    study_tracker.start(sample.study(1))
    clock[0] = 900.0
    study_tracker.flush()
    assert not study_tracker.error
    study_tracker.close()


class Silent:
    """A process that takes messages and does not answer, as while it starts on a busy machine."""

    def __init__(self):
        self.lines, (heard, self.answered) = io.BytesIO(), os.pipe()
        self.answers = os.fdopen(heard, "rb")

    def kill(self):
        os.close(self.answered)

    def wait(self):
        return -9


def test_a_short_study_that_is_over_before_the_process_has_started_waits_for_no_server_that_is_down(monkeypatch):
    warnings, looked = [], threading.Event()

    def ping(uri):
        looked.set()
        raise LossregError("no answer (timed out)")

    monkeypatch.setattr(tracker, "ping", ping)
    study_tracker = Tracker("http://127.0.0.1:1", "x", launch=Silent, warn=warnings.append)
    study_tracker.prepare()
    assert looked.wait(30)
    study_tracker.start(sample.study(1))
    study_tracker.finish(sample.study(1))
    assert len(warnings) == 1
    assert "no answer (timed out)" in warnings[0], "not that nothing was written for a longer time"


class Slow:
    """A process that shows that it goes on, ever again, and is never done."""

    def __init__(self):
        (inner, outer), (heard, answered) = os.pipe(), os.pipe()
        self.lines, self.answers = os.fdopen(outer, "wb"), os.fdopen(heard, "rb")
        self.ended, self.more = threading.Event(), threading.Event()
        self.more.set()
        ends = os.fdopen(inner, "rb"), os.fdopen(answered, "wb")
        threading.Thread(target=self.serve, args=ends, daemon=True).start()

    def serve(self, lines, answers):
        with lines, answers:
            while self.more.wait() and not self.ended.is_set():
                self.more.clear()
                answers.write(messages.encode({"experiment_id": "1", "left": 3}))
                answers.flush()

    def kill(self):
        self.ended.set()
        self.more.set()

    def wait(self):
        return -9


@pytest.mark.parametrize("took", [30.0, 7200.0], ids=["a short study", "a long one"])
def test_a_study_waits_for_a_slow_store_for_a_minute_or_a_tenth_of_its_own_time(monkeypatch, took):
    clock, slow, warnings = [0.0], Slow(), []
    study = threading.current_thread()

    def now():
        # the process goes on when the study has looked at the clock, however late that is
        if threading.current_thread() is study:
            slow.more.set()
        return clock[0]

    def answered(left):
        clock[0] += 15.0

    monkeypatch.setattr(tracker, "time", SimpleNamespace(monotonic=now))
    study_tracker = Tracker("sqlite:///x.db", "x", launch=lambda: slow, warn=warnings.append)
    study_tracker.start(sample.study(1))
    study_tracker.where()
    clock[0] = took
    study_tracker.on_left = answered
    study_tracker.finish(sample.study(1))
    most = max(60.0, 0.1 * took)
    assert most < study_tracker.waited <= most + 30.0
    [warning] = warnings
    assert f"it is too slow: 3 trials were still missing {most:.0f} s after the last trial ended" in warning
    assert "when the study is run again" in warning
    assert slow.ended.is_set()


@pytest.mark.parametrize(("spent", "signs"), [([0.0, 3.0, 3.1, 9.0], 3), ([1.0, 1.001, 1.002, 1.003], 0)])
def test_a_process_gives_signs_of_life_while_it_works_and_none_while_it_waits(spent, signs):
    answers, times, ends = [], iter(spent), iter([False, False, False, True])
    worker.keep_alive(lambda: answers.append(1), lambda seconds: next(ends), lambda: next(times))
    assert len(answers) == signs


def test_a_process_that_cannot_be_started_costs_one_warning():
    def refuse():
        raise OSError("no memory")

    warnings = []
    study_tracker = Tracker("sqlite:///x.db", "x", warn=warnings.append, launch=refuse)
    study_tracker.prepare()
    assert warnings == [], "the study may still be refused"
    study_tracker.start(sample.study(1))
    study_tracker.finish(sample.study(1))
    assert len(warnings) == 1
    assert "no memory" in warnings[0]


def test_ctrl_c_in_a_terminal_reaches_the_study_alone(uri, launched):
    study_tracker = Tracker(uri, "x")
    study_tracker.prepare()
    assert os.getsid(launched[0].pid) == launched[0].pid != os.getsid(0)
    study_tracker.close()
    assert has_ended(launched[0].pid)


def test_signals_that_a_scheduler_sends_to_all_processes_are_left_to_the_study(uri, launched):
    result = sample.study(2)
    study_tracker, warnings = begun(uri, result)
    for number in signals.INTERRUPTING:
        os.kill(launched[0].pid, number)
    for trial in result.trials:
        study_tracker.trial(trial, result)
    study_tracker.flush()
    assert warnings == []
    assert children(uri, study_tracker.run_id) == ([0, 1], "KILLED")
    study_tracker.close()
    assert has_ended(launched[0].pid)


def test_a_refused_study_leaves_no_process_and_no_store(launched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    study = {"name": "refused", "data": {"source": "sklearn:iris"}, "losses": {"categorical_hinge": {}}}
    with pytest.raises(InputError, match="yields no probabilities"):
        lossreg.tune({**study, "search": {"metric": "neg_log_loss"}})
    assert has_ended(launched[0].pid)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_study_has_its_trials_so_far_and_a_killed_parent(launched, tmp_path, uri, monkeypatch):
    class Interrupt(Observer):
        def trial(self, record, result):
            if len(result.trials) == 3:
                raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    study = {"name": "cut", "data": {"source": "sklearn:iris"}, "losses": {"cross_entropy": {}}, "train": {"epochs": 6}}
    study |= {"search": {"trials": 9, "metric": "accuracy", "lanes": 1}, "tracking": {"uri": uri}}
    with pytest.raises(KeyboardInterrupt):
        lossreg.tune(study, progress=Interrupt(), trainers=[Fake(curve)])
    assert has_ended(launched[0].pid)
    kept = lossreg.results(study)
    assert len(kept.trials) >= 3
    assert children(uri, kept.tracking["run_id"]) == (sorted(trial.number for trial in kept.trials), "KILLED")
    parent = MlflowClient(uri).get_run(kept.tracking["run_id"]).info
    assert parent.start_time <= min(trial.started for trial in kept.trials) * 1000
    assert parent.start_time < parent.end_time
    lossreg.tune(study, ["tracking.enabled=false"], trainers=[Fake(curve)])
    assert lossreg.results(study).started == kept.started, "a resumed study keeps its start"


def test_a_run_waits_for_the_process_of_the_run_before_it(uri, tmp_path):
    """Both would find the same trials missing, and write each twice."""
    result = sample.study(2, folder=str(tmp_path))
    study_tracker = Tracker(uri, "x", patience=0.3, launch=Inline)
    with (tmp_path / "tracking.lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        study_tracker.start(result)
        study_tracker.where()
        assert study_tracker.error == "nothing written for 0 s"
    study_tracker = Tracker(uri, "x", launch=Inline)
    study_tracker.sync(result)
    assert not study_tracker.error


MODULES = """
import io, os, sys
from lossreg.tracking import worker
with open(sys.argv[1], "rb") as lines:
    worker.serve(lines, sys.stdout.buffer)
print(sorted({"keras", "tensorflow"} & set(sys.modules)))
"""


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
def test_neither_keras_nor_tensorflow_is_imported_to_write_a_study_and_its_model(uri, tmp_path):
    import keras
    import numpy as np
    from mlflow import pyfunc

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.save(tmp_path / "best.keras")
    result, about = sample.study(4), tracking.describe(model, tmp_path / "best.keras")
    header, trials = messages.of_study(result), [messages.of_trial(trial) for trial in result.trials]
    told = [
        {"do": "prepare", "uri": uri, "experiment": "x"},
        {"do": "open", "result": header, "trials": trials, "run_id": "", "key": ""},
        {"do": "draw", "result": header},
        {"do": "finish", "result": header, "status": "FINISHED", "model": about, "ticket": 1},
    ]
    (tmp_path / "told").write_bytes(b"".join(map(messages.encode, told)))
    done = subprocess.run([sys.executable, "-c", MODULES, tmp_path / "told"], capture_output=True, check=True)
    *answers, modules = done.stdout.splitlines()
    assert modules == b"[]"
    heard = {name: value for line in answers for name, value in json.loads(line).items()}
    assert heard["done"] == 1
    assert "warning" not in heard
    client = MlflowClient(uri)
    [output] = client.get_run(heard["run_id"]).outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    x = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(pyfunc.load_model(logged.artifact_location).predict(x), model(x), rtol=1e-6)


def test_the_package_is_what_mlflow_itself_would_write(tmp_path):
    import keras
    import yaml
    from mlflow.entities import LoggedModel
    from mlflow.keras import save_model
    from mlflow.models import Model

    from lossreg.tracking import model_package

    sides = [keras.Input((4,), name="left"), keras.Input((2, 3), name="right", dtype="int32")]
    flat = [sides[0], keras.ops.cast(keras.layers.Flatten()(sides[1]), "float32")]
    model = keras.Model(sides, keras.layers.Dense(3)(keras.layers.Concatenate()(flat)))
    model.save(tmp_path / "best.keras")
    about = model_package.describe(model, tmp_path / "best.keras")
    logged = LoggedModel("0", "m-1", "best", "file:///x", 0, 0)
    model_package.pack(about, tmp_path / "own", logged, "run")
    signature = Model.load(str(tmp_path / "own")).signature
    save_model(
        model, str(tmp_path / "theirs"), signature=signature, pip_requirements=about["requirements"],
        mlflow_model=Model(artifact_path="file:///x", model_uuid="m-1", run_id="run", model_id="m-1"),
    )  # fmt: skip
    files = [
        sorted(str(path.relative_to(tmp_path / one)) for path in (tmp_path / one).rglob("*"))
        for one in ("own", "theirs")
    ]
    assert files[0] == files[1]
    for name in ("requirements.txt", "conda.yaml", "python_env.yaml", "data/keras_module.txt"):
        assert (tmp_path / "own" / name).read_text() == (tmp_path / "theirs" / name).read_text()
    ours, theirs = (yaml.safe_load((tmp_path / one / "MLmodel").read_text()) for one in ("own", "theirs"))
    for written in (ours, theirs):
        for name in ("utc_time_created", "model_size_bytes"):
            del written[name]
    ours["flavors"]["python_function"] = {
        name: ours["flavors"]["python_function"][name] for name in theirs["flavors"]["python_function"]
    }
    assert ours == theirs


def test_a_line_that_was_cut_off_ends_the_study(uri):
    result = sample.study(2)
    told = [
        {"do": "prepare", "uri": uri, "experiment": "x"},
        {"do": "open", "result": messages.of_study(result), "trials": [], "run_id": "", "key": ""},
        *({"do": "trial", "trial": messages.of_trial(trial)} for trial in result.trials),
    ]
    text, answers = b"".join(map(messages.encode, told)), io.BytesIO()
    worker.serve(io.BytesIO(text[:-40]), answers)
    heard = {name: value for line in answers.getvalue().splitlines() for name, value in json.loads(line).items()}
    assert children(uri, heard["run_id"]) == ([0], "KILLED")


def test_records_come_through_the_pipe_as_they_were():
    import numpy as np

    result = sample.study(9)
    told = messages.decode(
        messages.encode({"result": messages.of_study(result), "trials": [messages.of_trial(t) for t in result.trials]})
    )
    there = messages.study(told["result"], [messages.trial(one) for one in told["trials"]])
    assert repr(there) == repr(result)  # NaN is not equal to itself
    assert there.verdict is None
    assert messages.decode(messages.encode({"a": np.float32(0.5), "b": Path("x"), "c": np.arange(2)})) == {
        "a": 0.5, "b": "x", "c": [0, 1],
    }  # fmt: skip


def test_a_verdict_comes_through_the_pipe_without_secrets():
    result = sample_verdict.study("better, because of the loss", notes=("it said hunter2-of-a-verdict",))
    with masking.fresh():
        masking.learn("postgresql://somebody:hunter2-of-a-verdict@host/db")
        there = messages.study(messages.decode(messages.encode(messages.of_study(result))), result.trials)
    assert there.verdict == dataclasses.replace(result.verdict, notes=("it said ***",))
    assert there.recommended == result.recommended
