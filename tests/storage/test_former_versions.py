"""Journals that lossreg 0.2.0 wrote: of a study that was interrupted, and of one with a searched model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import lossreg
from lossreg.search.repairs import repaired
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import requeue_interrupted

SAVED = Path(__file__).parent / "saved"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = StudyFolder(Path(".lossreg/iris"), "iris")
    folder.path.mkdir(parents=True)
    shutil.copy(SAVED / "journal-0.2.0.log", folder.journal)
    return folder


def test_results_are_those_of_then(folder):
    result = lossreg.results({"name": "iris", "data": {"source": "sklearn:iris"}})
    then = json.loads((SAVED / "results-0.2.0.json").read_text())
    untuned = {"default_score": None, "decision": {}, "confirmed": None}
    trials = {name: then[name] | untuned for name in ("best", "baseline")}
    losses = [row | {"default_score": None, "confirmed": None} for row in then["losses"]]
    assert result.to_json() == then | trials | {"losses": losses, "verdict": None, "noise": None}


def test_the_journal_is_whole(folder):
    text = folder.journal.read_bytes()
    assert repaired(text, "iris").is_whole


def test_trials_that_were_interrupted_then_run_again(folder):
    with folder.lock(), folder.opened("maximize", None, None) as study:
        assert requeue_interrupted(study) == 6
        assert [trial.state.name for trial in study.trials].count("COMPLETE") == 4


@pytest.mark.long
def test_a_study_with_a_searched_model_and_a_former_activation_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("own.py", "iris.toml"):
        shutil.copy(SAVED / "searched-0.2.0" / name, name)
    journal = StudyFolder(Path(".lossreg/iris"), "iris").journal
    journal.parent.mkdir(parents=True)
    shutil.copy(SAVED / "searched-0.2.0" / "journal-0.2.0.log", journal)
    begun = lossreg.results("iris.toml").trials
    trials = lossreg.tune("iris.toml", ["search.trials=4"]).trials
    assert [(t.candidate, t.state) for t in begun] == [(c, "complete") for c in ("cross_entropy", "powered", "focal")]
    assert [t.loss_params for t in trials[:3]] == [t.loss_params for t in begun]
    assert [t.state for t in trials] == ["complete"] * 4
