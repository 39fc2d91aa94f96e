"""A study that another process runs, as `lossreg watch` follows it, and the studies of a folder."""

from __future__ import annotations

from contextlib import ExitStack

import optuna
import pytest
import sample_study as sample
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from lossreg.errors import InputError
from lossreg.reporting.progress import Lines
from lossreg.search import following, history, study_list
from lossreg.search.unfinished import ASKED, CLOCK
from lossreg.storage.records import TOLD
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
    following.follow(begun.folder, Lines(written.append), begun)
    assert written[0] == "4 trials of 4 to run over 3 losses"
    assert [line.partition(",")[0] for line in written[1:5]] == [f"{n}/4 trials" for n in range(1, 5)]
    assert all(" per trial" in line or "trials/s" in line for line in written[1:5])
    assert "4 trials done" in written[-1]
    assert not begun.folder.is_busy
    assert len(history.results(begun.folder.path).trials) == 4


def test_who_leaves_ends_nothing(begun):
    lines = Lines([].append)
    following.follow(begun.folder, lines, lambda seconds: lines.stop("leaving"))
    assert begun.folder.is_busy


def test_a_look_writes_nothing_and_is_no_obstacle_to_who_runs_the_study(tmp_path):
    folder = StudyFolder(tmp_path / "toy", "toy")
    assert not folder.is_busy
    assert not folder.path.exists()
    with folder.lock():
        assert folder.is_busy
    with folder.lock():
        pass


def test_trials_that_run_are_told_with_what_is_known_of_their_epochs(begun):
    add(begun.study, 0, TrialState.RUNNING)
    [one] = following.running(begun.folder.read())
    assert (one.candidate, one.epoch, one.epochs, one.score) == ("focal", 0, 0, None)
    [trial] = begun.study.get_trials()
    begun.study.add_trial(create_trial(
        state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions,
        user_attrs={CLOCK: {ASKED: 3}},
    ))  # fmt: skip
    assert len(following.running(begun.folder.read())) == 1, "the other one waits for its turn"


@pytest.mark.parametrize(("spaces", "more", "trials"), [(SEARCHED, 0, 4), ({}, 0, 3), (SEARCHED, 9, 9)])
def test_the_number_of_trials_is_the_study_s(spaces, more, trials):
    study = optuna.create_study()
    study.set_user_attr(ATTRIBUTE, attributes(4, spaces=spaces))
    study.set_user_attr("lossreg:trials", more)
    assert following.total(study) == trials


# ------------------------------------------------------------------------------ a shared storage


def test_workers_are_seen_by_their_beats_and_nothing_is_written(tmp_path):
    storage, now = optuna.storages.InMemoryStorage(), [0.0]
    shared = SharedStudy(tmp_path, "many", "postgresql://host/db", dead_after=60.0, patience=1.0, now=lambda: now[0])
    shared.__dict__["storage"] = storage
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
    [running] = study_list.below(tmp_path)
    assert running.cells[:2] == ("toy", "running, 1 of 4 trials")
    stored = attributes(1, tracking={"uri": "sqlite:////data/mlflow.db"})
    other = StudyFolder(tmp_path / "more" / ".lossreg" / "other", "other")
    with other.lock(), other.opened("maximize", None, None) as study:
        study.set_user_attr(ATTRIBUTE, stored)
        add(study, 0)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "journal.log").write_text("no line of a journal\n")
    rows = {one.cells[0]: one for one in study_list.below(tmp_path)}
    assert rows["other"].cells[1:3] == ("done, 1 of 1 trials", "focal")
    assert "damaged" in rows["torn"].cells[1]
    assert study_list.stores(list(rows.values())) == ["sqlite:////data/mlflow.db"]


def test_a_folder_without_a_study_is_a_mistake(tmp_path):
    with pytest.raises(InputError, match="there is no study that was run in this folder"):
        study_list.below(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        study_list.below(tmp_path / "absent")
