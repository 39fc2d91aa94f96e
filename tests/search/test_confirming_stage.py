"""The confirmation of a real study: which rows it uses, what a later run keeps of it, and what follows if it fails."""

from __future__ import annotations

import math

import numpy as np
import pytest
import small_study

import lossreg
from lossreg.search.retrainer import Retrainer

NO_VERDICT = {"enabled": False}


def rows(change=0.0):
    """Rows of which 40 are test rows; change: what is added to the targets of these."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = x @ [1.0, -2.0, 0.5, 0.0] + rng.standard_t(2, size=200)
    return {"x_train": x[:160], "y_train": y[:160], "x_test": x[160:], "y_test": y[160:] + change}


def tuned(confirm, verdict=NO_VERDICT, change=0.0):
    search = {**small_study.SEARCH, "confirm": confirm}
    study = small_study.study(search=search, verdict=verdict)
    del study["data"]
    return lossreg.tune(study, data=rows(change), progress=False)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def confirmed(result):
    """The scores of the settings on the fresh splits, a row per setting."""
    return np.array(list(result.confirmation.scores.values()))


def no_training(*_, **__):
    raise MemoryError("no room for another training")


def test_more_splits_add_scores_and_none_take_all_away_without_a_new_trial_or_the_loss_of_the_model(monkeypatch):
    first = tuned(2)
    assert confirmed(first).shape == (2, 2)
    assert first.best.number == list(first.confirmation.scores)[confirmed(first).mean(axis=1).argmin()]
    assert lossreg.results(first.folder).confirmation == first.confirmation
    with monkeypatch.context() as patch:
        patch.setattr(Retrainer, "scores", no_training)
        assert tuned(2).confirmation == first.confirmation
    more = tuned(3)
    assert confirmed(more)[:, :2] == pytest.approx(confirmed(first))
    assert confirmed(more).shape == (2, 3)
    none = tuned(0)
    assert none.confirmation is None is lossreg.results(none.folder).confirmation
    assert none.best.score == min(trial.score for trial in none.trials)
    assert len(none.trials) == len(first.trials)
    for result in (more, none):
        assert np.isfinite(result.predictor.predict(rows()["x_test"])).all()


def test_test_rows_have_no_part_in_it(tmp_path, monkeypatch):
    first = tuned(2)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
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
