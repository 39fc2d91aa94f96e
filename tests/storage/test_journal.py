"""The journal of a study holds what Optuna's own would, and is read by it."""

from __future__ import annotations

import json
import resource
import signal

import optuna
import pytest
from fake_trainer import Fake
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from searches import curve, loop, optuna_study

from lossreg.storage.journal import Journal


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
