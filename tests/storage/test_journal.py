"""The journal of a study holds what Optuna's own would, and is read by it."""

from __future__ import annotations

import io
import json
import resource
import signal
from pathlib import Path

import numpy as np
import optuna
import pytest
from fake_trainer import Fake
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from searches import curve, loop, optuna_study

from lossreg.errors import LossregError
from lossreg.storage.journal import Journal, StudyStorage


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.log"


def trials(study):
    kept = ("number", "state", "values", "params", "distributions", "user_attrs", "system_attrs", "intermediate_values")
    return [{name: getattr(trial, name) for name in kept} for trial in study.trials]


def test_what_was_written_is_what_optuna_reads(path):
    study = optuna_study(JournalStorage(Journal(path)), pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    study.set_user_attr("about", {"a": [1, 2.5, None, "x"]})
    loop(study, 24, Fake(curve, slots=4), prune=True).run()
    read = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    assert trials(read) == trials(study)
    assert read.user_attrs == study.user_attrs
    assert {trial.state for trial in read.trials} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_what_optuna_wrote_is_gone_on_with(path):
    first = optuna_study(JournalStorage(JournalFileBackend(str(path))))
    loop(first, 12, Fake(curve)).run()
    second = optuna_study(JournalStorage(Journal(path)))
    assert trials(second) == trials(first)
    loop(second, 18, Fake(curve)).run()
    assert [trial["number"] for trial in trials(second)] == list(range(18))


def test_every_line_is_with_the_operating_system_at_once(path):
    study = optuna_study(JournalStorage(Journal(path)))
    study.enqueue_trial({"x": 1.0})
    trial = study.ask()
    trial.suggest_float("x", 0, 2)
    assert [json.loads(line)["op_code"] for line in path.read_text().splitlines()] == [0, 4, 6, 5]
    study.tell(trial, 0.5)
    assert json.loads(path.read_text().splitlines()[-1])["values"] == [0.5]


@pytest.fixture
def room():
    """Limit how large a file may grow, as a full disk does."""
    before, heard = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (before[1] if size is None else size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, heard)


@pytest.mark.parametrize("left", [0, 40])
def test_a_line_without_room_is_an_error_and_leaves_nothing(path, room, left):
    study = optuna_study(JournalStorage(Journal(path)))
    study.set_user_attr("before", 1)
    written = path.read_bytes()
    room(len(written) + left)
    with pytest.raises(OSError, match="too large"):
        study.set_user_attr("lost", "y" * 100)
    room(None)
    assert path.read_bytes() == written
    study.set_user_attr("after", 2)
    read = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    assert read.user_attrs == study.user_attrs == {"before": 1, "after": 2}


def test_the_trials_of_a_storage_are_those_of_optuna_s_own_at_any_time(path):
    study = optuna_study(StudyStorage(Journal(path)))
    own = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    asked, filled = [], set()
    some = [None, (TrialState.WAITING,), (TrialState.RUNNING, TrialState.WAITING), (TrialState.COMPLETE,)]
    for step in np.random.default_rng(0).integers(4, size=200):
        if step == 0:
            study.enqueue_trial({"x": 0.5})
        elif step == 1 or not asked:
            asked.append(study.ask())
            asked[-1].suggest_float("x", 0, 1)
        else:
            state = [TrialState.FAIL, TrialState.COMPLETE][step - 2]
            study.tell(asked.pop(step % len(asked)), 1.0 if state == TrialState.COMPLETE else None, state=state)
        for states in some:
            trials = study.get_trials(deepcopy=step == 1, states=states)
            assert trials == own.get_trials(states=states)
            filled |= {trial.state for trial in trials}
    assert filled == {TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE, TrialState.FAIL}


def test_trials_that_have_ended_are_not_looked_up_for_each_new_one(path, monkeypatch):
    study, numbers = optuna_study(StudyStorage(Journal(path)), kind="random"), []
    look_up = JournalStorage.get_trial

    def counted(storage, number):
        numbers.append(number)
        return look_up(storage, number)

    for number in range(300):
        if number == 200:
            monkeypatch.setattr(JournalStorage, "get_trial", counted)
            monkeypatch.setattr(JournalStorage, "get_all_trials", lambda *args, **options: pytest.fail("all of them"))
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1))
    assert min(numbers) >= 199


def test_the_storage_of_a_study_copies_what_it_lends_out(path):
    study = optuna_study(StudyStorage(Journal(path)))
    study.tell(study.ask(), 1.0)
    study.trials[0].params["x"] = 1
    study.get_trials(deepcopy=False).clear()
    assert [trial.params for trial in study.trials] == [{}]


def test_lines_that_another_process_appends_are_read_next(path):
    writer = optuna_study(StudyStorage(Journal(path)))
    writer.tell(writer.ask(), 1.0)
    journal = Journal(path)
    reader = optuna.load_study(study_name="s", storage=StudyStorage(journal))
    [first] = reader.get_trials(deepcopy=False)
    for end in (b"", b"\n"):
        with path.open("ab") as file:
            file.write(
                end or json.dumps({"op_code": 2, "worker_id": "", "study_id": 0, "user_attr": {"a": 1}}).encode()
            )
        assert journal.read_on()
        assert reader.user_attrs == ({"a": 1} if end else {})
    writer.tell(writer.ask(), 2.0)
    assert (journal.is_current, journal.read_on(), journal.is_current) == (False, True, True)
    assert [trial.value for trial in reader.trials] == [1.0, 2.0]
    assert reader.get_trials(deepcopy=False)[0] is first


class Growing(io.RawIOBase):
    """A file to which another process appends the rest of a line when its end was reached."""

    def __init__(self):
        self._parts = [b'{"op_code": 0}\n{"op_c', b"", b'ode": 1}\n', b""]

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self._parts.pop(0) if self._parts else b""
        buffer[: len(part)] = part
        return len(part)


def test_the_rest_of_a_line_that_was_only_half_there_is_no_line(path, monkeypatch):
    path.touch()
    monkeypatch.setattr(Path, "open", lambda *args: io.BufferedReader(Growing()))
    assert list(Journal(path).read_logs(0)) == [{"op_code": 0}]


@pytest.mark.parametrize(
    "away",
    [lambda path: path.unlink(), lambda path: path.parent.rename(path.parent.with_name("other")),
     lambda path: path.with_name("new").replace(path)],
    ids=["removed", "in a folder that was renamed", "replaced"],
)  # fmt: skip
def test_a_journal_that_is_no_longer_in_its_place_takes_nothing(tmp_path, away):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "new").touch()
    study = optuna_study(StudyStorage(Journal(folder / "journal.log")))
    study.set_user_attr("a", 1)
    away(folder / "journal.log")
    with pytest.raises(LossregError, match=r"journal\.log: this journal was removed or renamed while the study ran"):
        study.set_user_attr("a", 2)


def test_a_journal_that_is_a_link_to_another_place_is_written_there(tmp_path):
    (tmp_path / "kept.log").touch()
    (tmp_path / "journal.log").symlink_to("kept.log")
    optuna_study(StudyStorage(Journal(tmp_path / "journal.log"))).set_user_attr("a", 1)
    assert '"a":1' in (tmp_path / "kept.log").read_text()


@pytest.mark.parametrize("change", [lambda text: text[:-20], lambda text: text.replace(b"1.0", b"3.0") + b"{}\n"])
def test_a_journal_with_other_lines_than_before_is_not_read_on(path, change):
    study = optuna_study(StudyStorage(Journal(path)))
    study.tell(study.ask(), 1.0)
    journal = Journal(path)
    StudyStorage(journal)
    path.write_bytes(change(path.read_bytes()))
    assert not journal.read_on()


def test_a_journal_that_is_gone_or_was_not_read_is_not_read_on(path):
    journal = Journal(path)
    assert not journal.read_on()
    optuna_study(StudyStorage(Journal(path)))
    StudyStorage(journal)
    path.unlink()
    assert not journal.read_on()
