"""A study that another process runs, as `lossreg watch` follows it, and the studies of a folder."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import time
from contextlib import ExitStack

import optuna
import pytest
import sample_study as sample
import sample_verdict
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from lossreg.config.search_space import Fixed
from lossreg.errors import InputError
from lossreg.reporting.progress import Lines
from lossreg.search import budget, follower, history, study_list
from lossreg.search.unfinished import ASKED, CLOCK
from lossreg.storage import confirmation, server, study_folder
from lossreg.storage.activity import Activity
from lossreg.storage.journal_keys import TOLD
from lossreg.storage.observer import Running
from lossreg.storage.shared_study import SharedStudy
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE
from lossreg.storage.workers import Workers

LOSSES = CategoricalDistribution(["cross_entropy", "focal", "huber"])

SEARCHED = {"focal": {"gamma": "0 to 5"}}


def attributes(trials, **others):
    texts = {"id": "key", "metric": "accuracy", "direction": "maximize", "task": "binary", "baseline": "cross_entropy"}
    tables = {name: {} for name in ("data", "fingerprint", "provenance", "seconds", "tracking")}
    spec = {"search": {"trials": trials}, "train": {"epochs": 30}}
    losses = {name: name for name in LOSSES.choices}
    return {**texts, **tables, "spec": spec, "losses": losses, "spaces": SEARCHED, **others}


def listed(folder):
    return [study_list.listed(path) for path in study_list.below(folder).studies]


def add(study, number, state=TrialState.COMPLETE):
    """Have a trial end, or run."""
    record = sample.trial(number, "focal")
    told = {ATTRIBUTE: history.to_attribute(record) | {TOLD: record.score}} if state.is_finished() else {}
    value = record.score if state == TrialState.COMPLETE else None
    study.add_trial(
        create_trial(
            state=state, value=value, params={"loss": "focal"}, distributions={"loss": LOSSES}, user_attrs=told
        )
    )


class Another:
    """Another process that runs a study of four trials: what it does in each pause between two looks."""

    def __init__(self, folder, held, study):
        self.folder, self.held, self.study, self.pauses = folder, held, study, 0

    def __call__(self, seconds):
        self.pauses += 1
        if self.pauses % 10 == 0 and self.pauses <= 40:
            add(self.study, self.pauses // 10 - 1)
        if self.pauses == 60:
            self.held.close()


@pytest.fixture
def begun(tmp_path):
    """A study of four trials that another process runs, of which none has ended."""
    folder = StudyFolder(tmp_path / ".lossreg" / "toy", "toy")
    with ExitStack() as stack:
        held = stack.enter_context(ExitStack())
        held.enter_context(folder.lock())
        study = held.enter_context(folder.opened("maximize", None, None))
        study.set_user_attr(ATTRIBUTE, attributes(4))
        yield Another(StudyFolder(folder.path, "toy"), held, study)


def test_a_study_is_followed_until_nobody_runs_it(begun):
    written = []
    follower.follow(begun.folder, Lines(written.append), begun)
    assert written[0] == "4 trials of 4 to run over 3 losses"
    assert [line.partition(",")[0] for line in written[1:5]] == [f"{n}/4 trials" for n in range(1, 5)]
    assert all(" per trial" in line or "trials/s" in line for line in written[1:5])
    assert "4 trials done" in written[-1]
    assert not begun.folder.is_busy
    assert len(history.results(begun.folder.path).trials) == 4


def test_each_trial_is_checked_once(begun, monkeypatch):
    checked = []
    monkeypatch.setattr(study_folder, "trial_fault", lambda record: checked.append(record) or "")
    reader = StudyFolder(begun.folder.path, "toy")
    for number in range(3):
        add(begun.study, number)
        assert [trial.number for trial in reader.read().trials] == list(range(number + 1))
    assert len(checked) == 3


def test_a_damage_in_lines_that_are_read_later_is_named_at_each_reading(begun):
    reader = StudyFolder(begun.folder.path, "toy")
    add(begun.study, 0)
    assert len(reader.read().trials) == 1
    with begun.folder.journal.open("a") as file:
        file.write('{"op_code": 4, "wor\n')
    for _ in range(2):
        with pytest.raises(InputError, match="this journal is damaged"):
            reader.read()


def test_a_run_that_is_being_prepared_is_waited_for_and_a_former_one_is_not_shown(begun):
    begun.held.close()
    written, runs = [], StudyFolder(begun.folder.path, "toy")
    with ExitStack() as stack:
        noted = stack.enter_context(runs.announced())
        noted.note(Activity("loading data", since=time.time()))
        with runs.announced() as again:
            assert again is noted
        assert follower.is_run(begun.folder)
        assert not begun.folder.is_busy
        follower.follow(begun.folder, Lines(written.append), lambda seconds: stack.close())
    assert written == ["loading data"]
    assert not follower.is_run(begun.folder)
    assert [file.name for file in begun.folder.path.parent.iterdir()] == ["toy"]


def test_the_work_of_a_run_is_shown_as_it_tells_it(begun):
    written = []
    with StudyFolder(begun.folder.path, "toy").announced() as noted:
        noted.note(Activity("", speed="9.0 trials/s", left=1.0, running=[Running("focal", 3, 30, 0.5)]))

        def pause(seconds):
            begun(seconds)
            if begun.pauses == 45:
                noted.note(Activity("confirming", 12.0, 40, time.time()))

        lines = Lines(written.append)
        follower.follow(begun.folder, lines, lambda s: pause(s) if begun.pauses < 60 else lines.stop("over"))
    assert "9.0 trials/s" in written[1]
    assert any(line.startswith("confirming: 30% of 40 trainings") for line in written)


def test_who_leaves_ends_nothing(begun):
    lines = Lines([].append)
    follower.follow(begun.folder, lines, lambda seconds: lines.stop("leaving"))
    assert begun.folder.is_busy


def test_a_look_writes_nothing(tmp_path):
    folder = StudyFolder(tmp_path / "toy", "toy")
    assert not folder.is_busy
    assert not folder.path.exists()
    with folder.lock():
        assert folder.is_busy


def test_a_look_at_the_same_moment_is_no_obstacle_to_who_runs_the_study(tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path / "toy", "toy")
    with folder.lock():
        pass
    with (folder.path / "lock").open() as looks:
        fcntl.flock(looks, fcntl.LOCK_SH)
        with pytest.raises(InputError, match="is being run by another process"), folder.lock():
            pass
        monkeypatch.setattr(time, "sleep", lambda seconds: fcntl.flock(looks, fcntl.LOCK_UN))
        with folder.lock():
            assert folder.is_busy


def test_a_pipe_in_the_place_of_the_lock_is_not_waited_for(tmp_path):
    folder = StudyFolder(tmp_path / "toy", "toy")
    folder.path.mkdir()
    os.mkfifo(folder.path / "lock")
    assert not folder.is_busy
    with pytest.raises(InputError), folder.lock():
        pass
    reader = os.open(folder.path / "lock", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(InputError, match="is no file, and the lock of the study belongs there"), folder.lock():
        pass
    os.close(reader)


def test_a_journal_for_which_there_is_no_memory_is_not_damaged(begun, monkeypatch):
    def read(file):
        raise MemoryError

    monkeypatch.setattr(study_folder, "StudyStorage", read)
    with pytest.raises(MemoryError):
        StudyFolder(begun.folder.path, "toy").read()


def test_a_trial_that_failed_before_is_to_run_again_and_counts_as_none(begun):
    add(begun.study, 0, TrialState.FAIL)
    written = []
    follower.follow(begun.folder, Lines(written.append), begun)
    assert written[0] == "4 trials of 4 to run over 3 losses"
    assert [line.partition(",")[0] for line in written[1:5]] == [f"{n}/4 trials" for n in range(1, 5)]


def test_trials_that_run_are_told_with_what_is_known_of_their_epochs(begun):
    add(begun.study, 0, TrialState.RUNNING)
    [one] = follower.running(begun.folder.read())
    assert (one.candidate, one.epoch, one.epochs, one.score) == ("focal", 0, 0, None)
    [trial] = begun.study.get_trials()
    begun.study.add_trial(create_trial(
        state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions,
        user_attrs={CLOCK: {ASKED: 3}},
    ))  # fmt: skip
    assert len(follower.running(begun.folder.read())) == 1, "the other one waits for its turn"


FIXED = {"focal": {"gamma": Fixed(2.0).describe()}}
RANGE = {"low": 1e-4, "high": 1e-2, "log": True}


@pytest.mark.parametrize(("about", "more", "trials"), [
    ({"spaces": SEARCHED}, 0, 64), ({"spaces": SEARCHED}, 99, 99), ({"spaces": {}}, 0, 3), ({"spaces": FIXED}, 0, 3),
    ({"spaces": FIXED, "train": {"learning_rate": RANGE}}, 0, 64),
    ({"spaces": {}, "train": {"learning_rate": 0.01, "optimizer": {"name": "adam", "beta_1": 0.9}}}, 0, 3),
    ({"spaces": {}, "train": {"learning_rate": 0.01, "optimizer": {"name": "adam", "beta_1": RANGE}}}, 0, 64),
    ({"spaces": FIXED, "shapes": {"batch_size": "16, 32"}}, 0, 64),
])  # fmt: skip
def test_the_number_of_trials_is_the_study_s(about, more, trials):
    study = optuna.create_study()
    spec = {"search": {"trials": 64}, "train": about.get("train", {})}
    study.set_user_attr(ATTRIBUTE, attributes(64, **about | {"spec": spec}))
    study.set_user_attr("lossreg:trials", more)
    assert budget.of(study) == trials
    study.set_user_attr(ATTRIBUTE, study.user_attrs[ATTRIBUTE] | {budget.FIRST: 5})
    assert budget.of(study) == 5, "as the study began"
    budget.note(study, 5)
    assert budget.NOTED not in study.user_attrs
    budget.note(study, 7)
    assert budget.of(study) == 7, "as the last run has noted it"


# ------------------------------------------------------------------------------ a shared storage


def test_workers_are_seen_by_their_beats_and_nothing_is_written(tmp_path, monkeypatch):
    storage, now = optuna.storages.InMemoryStorage(), [0.0]
    shared = SharedStudy(tmp_path, "many", "postgresql://host/db", dead_after=60.0, patience=1.0, now=lambda: now[0])
    monkeypatch.setattr(server, "connect", lambda url, patience: storage)
    assert not shared.is_busy
    assert not optuna.get_all_study_names(storage)
    worker = Workers(storage, "many", 60.0)
    worker.join()
    assert shared.is_busy
    now[0] = 59.0
    worker.pulse()
    assert shared.is_busy
    now[0] = 100.0
    assert shared.is_busy
    now[0] = 120.0
    assert not shared.is_busy, "no beat for more than a minute"
    worker.pulse()
    assert shared.is_busy
    worker.leave()
    assert not shared.is_busy


# ------------------------------------------------------------------------------ those of a folder


def test_the_studies_below_a_folder_are_listed_with_their_state(begun, tmp_path):
    add(begun.study, 0)
    [running] = listed(tmp_path)
    assert running.cells[:2] == ("toy", "1 of 4, running")
    stored = attributes(1, tracking={"uri": "sqlite:////data/mlflow.db"})
    other = StudyFolder(tmp_path / "more" / ".lossreg" / "other", "other")
    with other.lock(), other.opened("maximize", None, None) as study:
        study.set_user_attr(ATTRIBUTE, stored)
        add(study, 0)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "journal.log").write_text("no line of a journal\n")
    odd = StudyFolder(tmp_path / "odd", "odd")
    with odd.lock(), odd.opened("maximize", None, None) as study:
        study.set_user_attr(ATTRIBUTE, attributes(4, verdict={"trials": 1}))
        add(study, 0)
    rows = {one.cells[0]: one for one in listed(tmp_path)}
    assert set(rows) == {"toy", "other", "odd", "torn"}
    assert rows["other"].cells[1:4] == ("1 of 1, done", "focal", "none")
    assert rows["other"].score.endswith(" accuracy, in the search")
    assert "damaged" in rows["torn"].cells[1]
    assert "winner" in rows["odd"].cells[1]
    assert study_list.stores(list(rows.values())) == ["sqlite:////data/mlflow.db"]


def test_a_failed_trial_is_not_done(begun, tmp_path):
    for number in range(4):
        add(begun.study, number, TrialState.FAIL if number == 2 else TrialState.COMPLETE)
    begun.held.close()
    [one] = listed(tmp_path)
    assert one.state == "3 of 4, interrupted"


@pytest.mark.parametrize(("over", "word"), [(2, "done"), (-1, "interrupted"), (1, "interrupted")])
def test_a_study_is_listed_with_what_its_verdict_recommends(tmp_path, over, word):
    """Time may end a study before its trials; trials may end before confirmation and verdict."""
    folder = StudyFolder(tmp_path / "toy", "toy")
    verdict = dataclasses.replace(sample_verdict.study("worse").verdict, trials=2)
    recommended = dataclasses.replace(verdict.recommended, trial=1)
    stored = dataclasses.replace(verdict, recommended=recommended).stored()
    confirmed = confirmation.Confirmation(2, 3, {0: (0.8, 0.9, 1.0), 1: (0.5, 0.6, 0.7)}).stored()
    with folder.lock(), folder.opened("maximize", None, None) as study:
        kept = {"verdict": stored, confirmation.KEY: confirmed, history.OVER: over}
        study.set_user_attr(ATTRIBUTE, attributes(4, **kept))
        add(study, 0)
        add(study, 1)
    [one] = listed(tmp_path)
    assert one.cells[1:5] == (f"2 of 4, {word}", "focal", "worse", "0.6 accuracy, confirmed")


def test_former_runs_and_damaged_copies_are_no_studies_and_those_without_a_journal_are_named(begun, tmp_path):
    add(begun.study, 0)
    begun.held.close()
    path = begun.folder.path
    damaged = begun.folder.set_aside([], journal=begun.folder.journal.read_bytes())
    assert (damaged / "journal.log").exists()
    assert study_list.below(tmp_path).studies == [path]
    former = begun.folder.archive()
    assert (former / "journal.log").exists()
    (tmp_path / ".lossreg" / "many").mkdir()
    with pytest.raises(InputError, match="there is no study"):
        study_list.below(tmp_path)
    mine = tmp_path / "results.20261130-120000" / ".lossreg" / "mine"
    for place in (mine, tmp_path / ".venv" / "tests" / "saved"):
        place.mkdir(parents=True)
        (place / "journal.log").write_text("{}\n")
    found = study_list.below(tmp_path)
    assert ([place.name for place in found.studies], [place.name for place in found.others]) == (["mine"], ["many"])


def test_a_folder_without_a_study_is_a_mistake(tmp_path):
    with pytest.raises(InputError, match="there is no study that was run in this folder"):
        study_list.below(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        study_list.below(tmp_path / "absent")
