"""The confirmation of a real study: which rows it uses, what a later run keeps of it, and what follows if it fails."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import small_study

import lossreg
from lossreg.data import Dataset
from lossreg.search.fresh_scores import KEPT
from lossreg.search.retrainer import Retrainer
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder

NO_VERDICT = {"enabled": False}


def rows(change=0.0):
    """Rows of which 40 are test rows; change: what is added to the targets of these."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = x @ [1.0, -2.0, 0.5, 0.0] + rng.standard_t(2, size=200)
    return {"x_train": x[:160], "y_train": y[:160], "x_test": x[160:], "y_test": y[160:] + change}


def tuned(confirm, verdict=NO_VERDICT, change=0.0, progress=False, **switches):
    search = {**small_study.SEARCH, "confirm": confirm}
    study = small_study.study(search=search, verdict=verdict)
    del study["data"]
    return lossreg.tune(study, data=rows(change), progress=progress, **switches)


class Heard(Observer):
    """Remembers what it is told; stops the study once a phase has the words `at`, after it did `then`."""

    def __init__(self, at="", then=lambda: None):
        self.lines, self._at, self._then, self._stops = [], at, then, False

    def message(self, text):
        self.lines.append(text)

    def phase(self, text):
        if self._at and self._at in text:
            self._stops = True

    def stopping(self):
        if self._stops:
            self._then()
        return self._stops


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder and the result of a study of which two splits are confirmed."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, tuned(2)


@pytest.fixture
def first(finished, tmp_path):
    """The result of that study, whose folder is copied into that of the test."""
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    return finished[1]


def confirmed(result):
    """The scores of the settings on the fresh splits, a row per setting."""
    return np.array(list(result.confirmation.scores.values()))


def no_training(*_, **__):
    raise MemoryError("no room for another training")


def test_more_splits_add_scores_and_none_take_all_away_without_a_new_trial_or_the_loss_of_the_model(first, monkeypatch):
    assert confirmed(first).shape == (2, 2)
    assert first.best.number == list(first.confirmation.scores)[confirmed(first).mean(axis=1).argmin()]
    assert lossreg.results(first.folder).confirmation == first.confirmation
    with monkeypatch.context() as patch:
        patch.setattr(Retrainer, "scores", no_training)
        assert tuned(2).confirmation == first.confirmation
    heard = Heard()
    more = tuned(3, progress=heard)
    assert confirmed(more)[:, :2].tolist() == confirmed(first).tolist()
    assert confirmed(more).shape == (2, 3)
    assert "4 of 6 trainings that confirm settings were done before" in heard.lines
    none = tuned(0)
    assert none.confirmation is None is lossreg.results(none.folder).confirmation
    assert none.best.score == min(trial.score for trial in none.trials)
    assert len(none.trials) == len(first.trials)
    for result in (more, none):
        assert np.isfinite(result.predictor.predict(rows()["x_test"])).all()


def test_test_rows_have_no_part_in_it(finished):
    first = finished[1]
    assert confirmed(tuned(2, change=100.0)) == pytest.approx(confirmed(first))


def test_where_it_fails_no_test_row_is_looked_at_until_a_later_run_confirms(monkeypatch):
    verdict = {"repeats": 4, "outer": 0}
    with monkeypatch.context() as patch:
        patch.setattr(Retrainer, "scores", no_training)
        failed = tuned(2, verdict)
    assert (failed.confirmation, failed.verdict) == (None, None)
    assert "no room for another training" in failed.notes[-1]
    again = tuned(2, verdict)
    assert (again.verdict.openings, again.confirmation.splits) == (1, 2)
    assert not any("no room" in note for note in again.notes)
    numbers = {arm.trial for arm in (again.verdict.winner, again.verdict.baseline)}
    assert numbers == {row.best.number for row in again.ranking()}
    assert all(math.isfinite(again.confirmed(row.best).mean) for row in again.ranking())


@pytest.fixture
def _one_split_at_a_time(monkeypatch):
    """Trainings on a split end before those on the next one begin."""
    monkeypatch.setattr(Dataset, "resampled_at_once", lambda dataset: 1)


@pytest.mark.usefixtures("_one_split_at_a_time")
def test_where_it_is_cut_off_the_next_run_goes_on_and_comes_to_the_same_to_the_last_bit(tmp_path, monkeypatch):
    def run(name, progress):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        return tuned(2, progress=progress)

    def kill():
        """Leave what is there of the study as a kill would."""
        shutil.copytree(tmp_path / "stopped", tmp_path / "killed")

    stopped, again = Heard("2 of 4", then=kill), Heard()
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stopped)
    assert stopped.lines[-1] == "2 of 4 trainings that confirm settings are kept"
    ended, after_kill = (kept(tmp_path / name / ".lossreg/small") for name in ("stopped", "killed"))
    assert len(ended) == 2
    assert after_kill == ended
    resumed, whole = run("stopped", again).confirmation, run("whole", False).confirmation
    assert "2 of 4 trainings that confirm settings were done before" in again.lines
    assert (resumed.scores, resumed.ratio, resumed.p_values) == (whole.scores, whole.ratio, whole.p_values)


def kept(folder):
    """The trainings on fresh splits that are written in a study's journal."""
    noted = StudyFolder.at(folder).read().user_attrs
    parts = [part for name, part in noted.items() if name.startswith(KEPT)]
    return {(name, split): values for part in parts for name, split, values, _ in part}


@pytest.mark.long
def test_with_more_trials_only_settings_that_are_new_among_the_best_are_trained(first, tmp_path, monkeypatch):
    heard = Heard()
    more = tuned(2, progress=heard, more=6)
    scores, best = more.confirmation.scores, [row.best.number for row in first.ranking()]
    # those of the first run, which had one setting of each loss
    assert set(best) <= set(scores)
    assert {number: scores[number] for number in best} == first.confirmation.scores
    assert f"4 of {2 * len(scores)} trainings that confirm settings were done before" in heard.lines
    (tmp_path / "at once").mkdir()
    monkeypatch.chdir(tmp_path / "at once")
    tuned(0)
    anew = tuned(2, more=6).confirmation.scores
    assert anew.keys() <= scores.keys()
    assert anew == {number: pytest.approx(scores[number], rel=1e-6) for number in anew}
