"""`test = 0`: a study without test rows, which has no verdict unless outer folds test all rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_study
from fake_trainer import Fake

import lossreg
from lossreg.config import study as studies
from lossreg.data import load, splits
from lossreg.data.classes import Labels
from lossreg.data.layout import Layout
from lossreg.errors import DataError, InputError
from lossreg.reporting import report
from lossreg.search import outline, run

UNTESTED = {"source": "table.py:rows", "test": 0}
NOTE = "data.test = 0: there are no test rows, and so there is no verdict."


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_study.write_rows(tmp_path, 150)


def tuned(**sections):
    return lossreg.tune(small_study.study(data=UNTESTED, **sections), trainers=[Fake(lambda plan, epoch: 0.5)])


@pytest.mark.parametrize("given", [0, 0.0, -0.0])
def test_all_rows_are_training_and_validation_rows(given):
    y = np.random.default_rng(0).permutation([0] * 60 + [1] * 40)
    labels = Labels("binary", y, ("a", "b"), ("a", "b"))
    (cut,) = splits.cut(labels, test=given, validation=0.25, seed=0, where="here")
    assert np.array_equal(np.union1d(cut.train, cut.validation), np.arange(100))
    assert (len(cut.train), len(cut.validation), len(cut.test), cut.notes) == (75, 25, 0, [])
    assert y[cut.validation].sum() == 10
    folds = splits.cut(labels, test=given, validation=0.25, folds=5, seed=0, where="here")
    assert np.array_equal(np.sort(np.concatenate([fold.validation for fold in folds])), np.arange(100))


def test_groups_and_times_are_cut_in_two():
    labels = Labels("regression", np.arange(60.0), (), ())
    groups = np.repeat(np.arange(2), 30)
    (cut,) = splits.cut(labels, Layout(units=groups, grouped=True), test=0, validation=0.4, seed=0, where="here")
    assert {len(set(groups[part].tolist())) for part in (cut.train, cut.validation)} == {1}
    (cut,) = splits.cut(labels, Layout(times=np.arange(60)), test=0, validation=0.5, seed=0, where="here")
    assert (cut.train.max(), cut.validation.min(), len(cut.test)) == (29, 30, 0)


def test_two_times_are_enough_and_the_note_names_no_test_rows(tmp_path):
    (tmp_path / "t.csv").write_text("a,week,y\n" + "".join(f"{i},{i // 20},{i % 7}.5\n" for i in range(40)))
    with pytest.raises(DataError, match="training, validation and test rows take 3 at least"):
        load("t.csv", target="y", time="week", base=tmp_path)
    loaded = load("t.csv", target="y", time="week", base=tmp_path, test=0, validation=0.5)
    assert (len(loaded.train), len(loaded.validation), len(loaded.test)) == (20, 20, 0)
    assert any("validation rows are the newest. The column" in note for note in loaded.notes)


def test_the_result_has_no_verdict_and_says_why():
    result = tuned()
    assert result.verdict is None
    assert result.data["rows"] == {"train": 120, "validation": 30, "test": 0}
    assert sum(note.startswith(NOTE) for note in result.notes) == 1
    assert report.caveat(result).endswith(" There are no test rows.")
    assert len(result.leaderboard()) == 2
    assert json.loads(json.dumps(result.to_json()))["verdict"] is None


def test_the_dry_run_says_it_and_a_study_goes_on():
    seen = outline.plan(small_study.study(data=UNTESTED))
    assert sum(note.startswith(NOTE) for note in seen.notes) == 1
    assert seen.data["rows"]["test"] == 0
    tuned()
    again = tuned(search={**small_study.SEARCH, "trials": 8})
    assert (len(again.trials), again.verdict) == (8, None)
    with pytest.raises(InputError, match=r"data.test: 0.0 -> 0.2"):
        lossreg.tune(small_study.study(), trainers=[Fake(lambda plan, epoch: 0.5)])


@pytest.mark.parametrize(("sections", "words"), [
    ({"verdict": {"enabled": True}}, r"verdict.enabled: a verdict takes test rows, .* Set verdict.outer = 5"),
    ({"verdict": {"enabled": True, "outer": 0}}, r"verdict.enabled: a verdict takes test rows"),
    ({"data": {**UNTESTED, "test": -0.1}}, r"data.test: must be 0 or above, not -0.1"),
    ({"data": {**UNTESTED, "test": False}}, r"data.test: must be a number or a file, not false"),
    ({"data": {**UNTESTED, "test": "0"}}, r"data.test: must be a number, not the text"),
    ({"data": {**UNTESTED, "validation": 0}}, r"data.validation: must be above 0, not 0"),
    ({"data": {**UNTESTED, "time": "week"}, "verdict": {"enabled": True}}, r"Let data.test be a share of the rows"),
])  # fmt: skip
def test_what_takes_test_rows_is_refused(sections, words):
    with pytest.raises(InputError, match=words):
        studies.of(small_study.study(**{"data": UNTESTED, **sections}))


def test_test_rows_of_the_source_are_refused():
    x, y = np.random.default_rng(0).normal(size=(90, 2)), np.arange(90) % 2
    with pytest.raises(InputError, match=r"data.test: 0 leaves no test rows, and the source gives test rows"):
        lossreg.tune({"data": {"test": 0}}, data=((x[:60], y[:60]), (x[60:], y[60:])))


def test_a_verdict_is_not_reached_afterwards():
    tuned()
    with pytest.raises(InputError, match=r"data.test: a verdict takes test rows, .* Set verdict.outer = 5"):
        run.verdict(small_study.study(data=UNTESTED))


def test_repeats_and_margin_alone_do_not_ask_for_a_verdict():
    assert not studies.of(small_study.study(data=UNTESTED, verdict={"repeats": 7, "margin": 0.1})).verdict.enabled
    assert studies.of(small_study.study(data=UNTESTED, verdict={"outer": 3})).verdict.enabled
    assert not studies.of(small_study.study(data=UNTESTED, verdict={"outer": 3, "enabled": False})).verdict.enabled
    assert studies.of(small_study.study()).verdict.enabled


@pytest.mark.long
def test_outer_folds_test_every_row_once():
    result = lossreg.tune(small_study.study(data=UNTESTED, verdict={"outer": 3, "repeats": 2}))
    assert (result.verdict.outer, result.verdict.test_rows, result.verdict.openings) == (3, 150, 1)
    assert set(result.verdict.folds_won) <= {"mean_squared_error", "huber"}
    with np.load(Path(".lossreg/small/verdict-3.npz")) as stored:
        assert stored["winner"].shape[:2] == (2, 150)
        assert np.isfinite(stored["baseline"]).all()
    assert lossreg.tune(small_study.study(data=UNTESTED, verdict={"outer": 3, "repeats": 2})).verdict == result.verdict


@pytest.mark.long
def test_mlflow_has_its_model_and_it_predicts_new_rows(tmp_path):
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    result = lossreg.tune(small_study.study(data=UNTESTED, tracking={"uri": uri}))
    client = mlflow.MlflowClient(uri, uri)
    assert client.get_model_version_by_alias("small", "candidate").run_id == result.tracking["run_id"]
    assert client.get_registered_model("small").aliases.keys() == {"candidate"}
    rows = load("table.py:rows", base=tmp_path).rows.raw.x
    predicted = result.predictor.predict(rows)
    assert predicted.shape == (150,)
    assert (lossreg.load_predictor(Path(".lossreg/small")).predict(rows) == predicted).all()
