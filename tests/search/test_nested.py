"""Nested cross-validation as a verdict: every row is a test row once, of models that never saw it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import small_study
from sklearn.metrics import mean_absolute_error

import lossreg
from lossreg.data import load
from lossreg.errors import InputError
from lossreg.metrics import catalogue
from lossreg.search import arms, nested, run
from lossreg.search.arms import SAME_RATE
from lossreg.search.estimate import Estimate
from lossreg.search.nested import Nested
from lossreg.storage.journal_keys import FROZEN
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE
from lossreg.storage.verdict import Answer, Cause
from lossreg.verdict import shortage

N, OUTER, REPEATS = 150, 3, 2
VERDICT = {"outer": OUTER, "repeats": REPEATS}


def study(**sections):
    return small_study.study(**{"verdict": VERDICT, **sections})


def written(folder, change=""):
    small_study.write_rows(folder, N, change)


class Told(Observer):
    """Keeps what is said, and stops the study in a phase that is called so."""

    def __init__(self, last=None):
        self.lines, self.last, self.ahead = [], last, []

    def phase(self, text):
        self.lines.append(text)

    message = warn = phase

    def expect(self, ahead):
        self.ahead.append(ahead)

    def stopping(self):
        return self.last is not None and any(self.last in line for line in self.lines)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a study that ran to its end, its result, and what was said."""
    folder, told = tmp_path_factory.mktemp("nested"), Told()
    written(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, lossreg.tune(study(), progress=told), told.lines


def predictions(folder):
    with np.load(folder / ".lossreg" / "small" / f"verdict-{OUTER}.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name != "key"}


def settings(folder):
    return StudyFolder(folder / ".lossreg" / "small", "small").read().user_attrs[ATTRIBUTE][FROZEN][-1]["settings"]


def outer_parts(folder):
    return load("table.py:rows", base=folder).rows.outer(OUTER, 0)


def test_the_difference_is_that_of_stored_predictions_of_all_rows(finished):
    folder, result, lines = finished
    verdict, stored = result.verdict, predictions(folder)
    y = load("table.py:rows", base=folder).rows.labels.y
    errors = {
        name: np.array([mean_absolute_error(y, repeat) for repeat in stored[name]]) for name in ("winner", "baseline")
    }
    differences = errors["baseline"] - errors["winner"]
    assert (verdict.outer, verdict.repeats, verdict.test_rows, verdict.openings) == (OUTER, REPEATS, N, 1)
    assert verdict.against_baseline.difference == pytest.approx(differences.mean(), rel=1e-4)
    assert verdict.baseline.score == pytest.approx(errors["baseline"].mean(), rel=1e-5)
    assert verdict.recommended == (verdict.winner if differences.mean() > 0 else verdict.baseline)
    assert dict(verdict.folds_won) == {"huber": OUTER}
    assert result.recommended.number == verdict.recommended.trial
    assert [line for line in lines if "3-fold nested cross-validation, up to" in line]
    counted = [line for line in lines if line.endswith(" trainings")]
    assert "verdict: the search again in 3 outer folds: 18 of 18 trainings" in counted
    assert len(counted) == len(set(counted)), "no number is told twice"


def test_each_outer_fold_chooses_settings_of_its_own(finished):
    folder, result, _ = finished
    chosen = settings(folder)
    rates = {(name, fold[name]["params"]["learning_rate"]) for fold in chosen for name in ("winner", "baseline")}
    assert [fold["baseline"]["candidate"] for fold in chosen] == ["mean_squared_error"] * OUTER
    assert len(rates) > 2
    assert result.verdict.winner.candidate == "huber"


def test_a_baseline_whose_trainings_at_the_rate_of_the_winner_all_failed_leaves_the_cause_open(
    finished, tmp_path, monkeypatch
):
    def plans(winner, baseline, before=arms.plans):
        return {**before(winner, baseline), SAME_RATE: replace(baseline, learning_rate=1e30)}

    shutil.copytree(finished[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    file = Path(f".lossreg/small/verdict-{OUTER}.npz")
    with np.load(file) as arrays:
        key = arrays["key"]
    file.unlink()
    monkeypatch.setattr(arms, "plans", plans)
    told = Told()
    run.verdict(study(verdict={**VERDICT, "margin": 1e-6}), progress=told)
    asked = [int(line.split()[-2]) for line in told.lines if line.endswith(" trainings")]
    assert [one.parts(0.0) for one in told.ahead] == [(max(asked),)], "settings are chosen"
    stored = predictions(Path.cwd())
    assert np.isnan(stored[SAME_RATE]).all()
    y = load("table.py:rows").rows.labels.y
    np.savez(file, **{**stored, "winner": np.tile(y + 1e-3, (REPEATS, 1))}, key=key)
    verdict = run.verdict(study(verdict={**VERDICT, "margin": 1e-5})).verdict
    assert (verdict.answer, verdict.cause) == (Answer.BETTER, Cause.LOSS_OR_RATE)


@pytest.mark.long
def test_what_is_cut_off_is_done_again_with_the_same_answer(finished, tmp_path, monkeypatch):
    """Also the number of folds that was taken unasked is kept."""
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    unasked = study(verdict={"repeats": REPEATS})
    monkeypatch.setattr(shortage, "USUAL", OUTER)
    for taken, last in ((True, "the search again"), (False, "winner and baseline")):
        monkeypatch.setattr(nested, "is_usual", lambda *_, taken=taken: taken)
        with pytest.raises(KeyboardInterrupt):
            lossreg.tune(unasked, progress=Told(last))
        assert lossreg.results(unasked).verdict is None
    resumed, whole = lossreg.tune(unasked).verdict, finished[1].verdict
    assert settings(tmp_path) == settings(finished[0])
    assert (resumed.outer, resumed.openings, resumed.answer) == (OUTER, 1, whole.answer)
    assert resumed.against_baseline.interval == pytest.approx(whole.against_baseline.interval, rel=1e-4)


@pytest.mark.long
def test_the_targets_of_a_folds_test_rows_change_neither_its_choice_nor_its_predictions(
    finished, tmp_path, monkeypatch
):
    folder = finished[0]
    first = outer_parts(folder)[0].test
    y = load("table.py:rows", base=folder).rows.labels.y
    written(tmp_path, f"\ndef rows(before=rows):\n    x, y = before()\n    test = {sorted(y[first].tolist())}\n"
                      "    return x, np.where(np.isin(y, test), 1e3, y)")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    lossreg.tune(study())
    assert settings(tmp_path)[0] == settings(folder)[0]
    for name in ("winner", "baseline"):
        before, after = predictions(folder)[name], predictions(tmp_path)[name]
        np.testing.assert_array_equal(before[:, first], after[:, first])
        assert not np.isclose(np.delete(before, first, 1), np.delete(after, first, 1)).any()


@pytest.mark.long
def test_a_verdict_of_another_kind_is_a_further_look_and_more_repeats_are_added(finished, tmp_path, monkeypatch):
    shutil.copytree(finished[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    before = predictions(Path.cwd())
    deeper = run.verdict(study(), REPEATS + 1).verdict
    after = predictions(Path.cwd())
    assert (deeper.repeats, deeper.openings, deeper.outer, deeper.exploratory) == (REPEATS + 1, 2, OUTER, False)
    for name, stored in before.items():
        np.testing.assert_array_equal(after[name][:REPEATS], stored)
    told = Told()
    split = run.verdict(study(verdict={"outer": 0, "repeats": 3}), progress=told).verdict
    assert (split.outer, split.repeats, split.test_rows, split.openings) == (0, 3, 30, 3)
    assert (split.winner.trial, split.baseline.trial) == (deeper.winner.trial, deeper.baseline.trial)
    # a study that names no number of folds keeps the one it has
    assert lossreg.tune(study(verdict={"repeats": 3})).verdict == split
    told = Told()
    back = run.verdict(study(), REPEATS + 1, progress=told).verdict
    assert back == replace(deeper, openings=3)
    assert not [line for line in told.lines if "trainings" in line]


@pytest.mark.long
@pytest.mark.parametrize("error", [InputError("in outer fold 2, a.csv is gone"), FileNotFoundError("fold 2, a.csv")])
def test_outer_folds_that_fail_unasked_leave_a_verdict_on_the_test_rows(tmp_path, monkeypatch, error):
    def fails(*_):
        raise error

    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Nested, "search", fails)
    told = Told()
    assert lossreg.tune(study(), progress=told).verdict is None
    [line] = [line for line in told.lines if "there is no verdict" in line]
    assert "fold 2, a.csv" in line
    assert "verdict.outer = 0 compares on the test rows alone" in line
    monkeypatch.setattr(shortage, "USUAL", OUTER)
    verdict = run.verdict(study(verdict={"repeats": REPEATS})).verdict
    assert (verdict.outer, verdict.repeats, verdict.test_rows, verdict.openings) == (0, REPEATS, 30, 2)
    assert [note for note in verdict.notes if "fold 2, a.csv" in note]
    again = run.verdict(study(verdict={"repeats": REPEATS, "margin": 1e-9})).verdict
    assert (again.outer, again.openings, again.notes) == (0, 2, verdict.notes)


@pytest.mark.long
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError("no room for an array")])
def test_an_error_that_passes_does_not_give_up_outer_folds(finished, tmp_path, monkeypatch, error):
    def full(*_):
        raise error

    shutil.copytree(finished[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    Path(f".lossreg/small/verdict-{OUTER}.npz").unlink()
    with StudyFolder(Path(".lossreg/small"), "small").opened("minimize", None, None) as stored:
        stored.set_user_attr(ATTRIBUTE, {**stored.user_attrs[ATTRIBUTE], "verdict": None, FROZEN: []})
    monkeypatch.setattr(shortage, "USUAL", OUTER)
    monkeypatch.setattr(nested, "is_usual", lambda *_: True)
    unasked = study(verdict={"repeats": REPEATS})
    with monkeypatch.context() as patch:
        patch.setattr(Nested, "search", full)
        failed = lossreg.tune(unasked)
    assert (failed.verdict, str(error.args[-1]) in failed.failure) == (None, True)
    assert "verdict.outer = 0 compares on the test rows alone" in failed.failure
    verdict = run.verdict(unasked).verdict
    assert (verdict.outer, verdict.notes) == (OUTER, finished[1].verdict.notes)
    assert verdict.against_baseline.interval == pytest.approx(finished[1].verdict.against_baseline.interval, rel=1e-4)


@pytest.mark.parametrize("name", ["roc_auc_ovr", "roc_auc_ovo_weighted", "average_precision"])
def test_a_ranking_that_hangs_on_one_row_of_an_outer_fold_is_refused(tmp_path, name):
    lines = [f"{0.1 * row},{'ab'[row % 2] if row >= 4 else 'c'}" for row in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,y", *lines]))
    dataset = load("rows.csv", target="y", base=tmp_path)
    asked = SimpleNamespace(metric=catalogue.BY_NAME[name], problem=SimpleNamespace(dataset=dataset))
    Nested(asked, dataset.rows.outer(2, 0), 1, Told()).check()
    with pytest.raises(InputError, match=f"one row alone, and an interval of {name} takes two. Use fewer outer folds"):
        Nested(asked, dataset.rows.outer(3, 0), 1, Told()).check()


def test_a_ranking_that_hangs_on_one_group_of_an_outer_fold_is_refused(tmp_path):
    y = ["c" if row < 12 else "ab"[row % 2] for row in range(60)]
    for rows_of_c in (3, 6):
        groups = [row // rows_of_c if row < 12 else row for row in range(60)]
        frame = pd.DataFrame({"x": 0.1 * np.arange(60), "y": y, "who": groups})
        frame.to_csv(tmp_path / "rows.csv", index=False)
        dataset = load("rows.csv", target="y", base=tmp_path, group="who")
        asked = SimpleNamespace(metric=catalogue.BY_NAME["roc_auc_ovr"], problem=SimpleNamespace(dataset=dataset))
        check = Nested(asked, dataset.rows.outer(2, 0), 1, Told()).check
        if rows_of_c == 3:
            check()
            continue
        with pytest.raises(InputError, match="one group alone, and an interval of roc_auc_ovr takes two"):
            check()


@pytest.mark.parametrize(
    ("rows", "minutes", "is_open", "told"),
    [
        (1999, 4.2, False, "about 4 minutes"), (277, 0.6, False, "about 40 seconds"),
        (277, 300.0, True, "about 300 minutes"), (2000, 59.0, True, "about 59 minutes"),
        (2000, 61.0, True, ""), (2000, 4.2, False, ""),
    ],
)  # fmt: skip
def test_a_study_that_was_compared_on_one_split_says_how_long_outer_folds_take(rows, minutes, is_open, told):
    line = nested.proposal(rows, Estimate(100, minutes), is_open=is_open)
    assert bool(line) == bool(told)
    assert told in line
    assert bool(line) == ("verdict.outer = 5" in line)


@pytest.mark.parametrize(("rows", "minutes", "expected"), [(1999, 1.9, True), (2000, 0.1, False), (300, 2.0, False)])
def test_small_studies_that_take_little_time_have_outer_folds_unasked(rows, minutes, expected):
    assert nested.is_usual(rows, minutes) is expected
